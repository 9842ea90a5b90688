"""Lets ``python -m dflm.cli`` run the program."""

import sys

from dflm.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
