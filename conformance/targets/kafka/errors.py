"""What a launcher raises when there is nothing to aim the suite at."""

from conformance.outcomes import Unreachable


class TargetUnavailable(Unreachable):
    """The target cannot be started.

    The first line says what is missing and what to do about it. Lines after it, if any, are the
    last lines of a broker's log.
    """
