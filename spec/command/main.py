"""Runs one verb, and turns what went wrong into one line and an exit code."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from spec.checkers.bounds import BoundsError
from spec.checkers.ground import TooLarge
from spec.command import arguments, bounded, explain, explore, listing, prove, trace, walk
from spec.command.outcome import Exit, UsageError
from spec.language import SpecError

VERBS: dict[str, Callable[[Namespace], Exit]] = {
    "list": listing.run,
    "explore": explore.run,
    "bounded": bounded.run,
    "prove": prove.run,
    "explain": explain.run,
    "walk": walk.run,
    "trace": trace.run,
}


def main(words: Sequence[str] | None = None) -> int:
    """The exit code; see `Exit`."""
    try:
        options = arguments.checked(words)
        return VERBS[options.verb](options)
    except (UsageError, BoundsError, TooLarge, SpecError) as error:
        print(f"python -m spec: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        print("python -m spec: interrupted; nothing of this run is evidence", file=sys.stderr)
        return Exit.INTERRUPTED
