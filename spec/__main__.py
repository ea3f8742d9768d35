"""`python -m spec VERB`: the checkers of the formal models; `--help` names the verbs."""

import sys

from spec.command.main import main

if __name__ == "__main__":
    sys.exit(main())
