"""What the edge says and answers on the bus."""
