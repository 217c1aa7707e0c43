"""Pure decisions: given state, input, now and entropy. No clock, no I/O."""
