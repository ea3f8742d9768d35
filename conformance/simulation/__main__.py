"""`python -m conformance.simulation`"""

import sys

from conformance.simulation.command import main

if __name__ == "__main__":
    sys.exit(main())
