"""Exit codes, the same for every command."""

DONE = 0
FAILED = 1
USAGE = 2
PARTLY = 3  # done, but not everybody has confirmed it
UNREACHABLE = 4  # no answer from the bus
