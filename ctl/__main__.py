"""``python -m ctl``."""

import sys

from ctl.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
