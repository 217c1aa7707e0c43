"""The doors of the edge: one endpoint per proxy, because their contracts differ."""
