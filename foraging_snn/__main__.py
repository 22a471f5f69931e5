"""`python -m foraging_snn`: the command line."""

import sys

from foraging_snn.commands.entry import main

if __name__ == "__main__":
    sys.exit(main())
