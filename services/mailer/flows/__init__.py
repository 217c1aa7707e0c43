"""One use case: `mail`."""
