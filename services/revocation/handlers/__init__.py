"""Doors: the consumers of TOKEN and BLOCKLIST, and the roll of edges."""
