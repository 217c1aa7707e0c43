"""Pure decisions: which record an event becomes, which instants it may name, and which edges are live."""
