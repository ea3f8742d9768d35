"""`python -m spec list|explore|bounded|prove|walk|trace`: the checkers of the formal models."""

import sys

from spec.command.main import main

if __name__ == "__main__":
    sys.exit(main())
