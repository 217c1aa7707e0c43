"""One module per use case. Expected outcomes are values; an exception means "could not do it"."""
