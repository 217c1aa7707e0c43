"""The ports over Redis and the SDK."""
