"""What a command ends with: exit codes, and the error that is a user's."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; 3 to 5 are left to pytest's meanings of them."""

    AS_CLAIMED = 0
    """Everything that was checked is as the models claim."""
    REFUTED = 1
    """An invariant is violated, an obligation is refuted, or a wrong variant was not caught."""
    USAGE = 2
    """The command line or a file is wrong; nothing was checked."""
    UNDECIDED = 6
    """Nothing is refuted, but a limit was reached or the solver gave up."""
    INTERRUPTED = 130


def worst(codes: list[Exit]) -> Exit:
    """What several checks come to: a refutation, then the undecided."""
    for code in (Exit.REFUTED, Exit.UNDECIDED):
        if code in codes:
            return code
    return Exit.AS_CLAIMED


class UsageError(Exception):
    """What was wrong on the command line, where, and what to do."""
