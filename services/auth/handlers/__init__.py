"""Doors on the bus: operators' questions."""
