"""`python -m reference.mutants NAME`: the `--clause` options that a mutant is to be run with."""

import sys

from reference.mutants import MUTANTS

if __name__ == "__main__":
    print(*(f"--clause={clause}" for name in sys.argv[1:] for clause in MUTANTS[name].clauses))
