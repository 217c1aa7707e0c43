"""Doors: the consumers of TOKEN and BLOCKLIST."""
