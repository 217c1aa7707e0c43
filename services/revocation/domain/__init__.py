"""Pure decisions: which record an event becomes, and which instants it may name."""
