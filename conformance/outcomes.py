"""What ends a test early, and what an answer lets a history assume of an operation.

Anything but an assertion about the target that fails is not a `fail`.
"""

from enum import StrEnum

from _pytest.outcomes import Skipped
from kio.schema.errors import ErrorCode

from spec.verdict import Verdict


class Undecided(Skipped):
    """Derives from pytest's Skipped: Hypothesis passes that on at once instead of shrinking it.

    Like all of pytest's outcomes it is no `Exception`: whoever means to catch it must name it.
    """

    verdict: Verdict


class Inconclusive(Undecided):
    """The run could not decide: no answer, a lost connection, a premise that never arose."""

    verdict = Verdict.INCONCLUSIVE


class Unsupported(Undecided):
    """The target does not offer an optional feature or the versions that the test speaks."""

    verdict = Verdict.UNSUPPORTED


class NotRun(Undecided):
    """The harness has no means to bring the premise about on this target."""

    verdict = Verdict.NOT_RUN


class Unreachable(Exception):
    """Nothing answers at the target's addresses: no verdict on any clause. Exit status 7."""


class TargetBroken(Exception):
    """The target broke in a way that says nothing about a clause. The verdict is `error`."""


class TargetDied(TargetBroken):
    """A process that the harness has launched ended by itself, whatever the test was about."""


class BrokerCrashed(TargetBroken):
    """The in-process reference raised. Its own assertions are not failures of a clause."""


class ProtocolViolation(AssertionError):
    """What a broker sent contradicts the protocol itself: whatever was asked, that is wrong."""


class MalformedAnswer(ProtocolViolation):
    """An answer that cannot be decoded to its last byte.

    That is a finding about ERR-02. A test of another clause cannot go on, and decides nothing.
    """


class Loss(StrEnum):
    """Why a request got no answer."""

    UNREACHABLE = "the connection could not be opened"
    CLOSED_BY_BROKER = "the broker closed the connection"
    CLOSED_BY_TEST = "the test closed the connection"
    BAD_FRAME = "the broker sent what cannot be a frame"
    UNASKED = "the broker answered what was not asked"
    NO_ANSWER_ASKED = "no answer was asked for"


class Outcome(StrEnum):
    """Jepsen's words: only `ok` must be there, `fail` must not, `info` may be either (ERR-07)."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


INDEFINITE = frozenset(
    {
        ErrorCode.unknown_server_error,
        ErrorCode.request_timed_out,
        ErrorCode.not_enough_replicas_after_append,
        ErrorCode.not_leader_or_follower,
        ErrorCode.network_exception,
        ErrorCode.kafka_storage_error,
    }
)
"""After these a write may have happened (ERR-07). `not_leader_or_follower` is among them because a
leader answers it to a write that it appended before it was deposed."""


def outcome_of(error: ErrorCode) -> Outcome:
    """The outcome of a write that was answered with this error."""
    if error is ErrorCode.none:
        return Outcome.OK
    return Outcome.INFO if error in INDEFINITE else Outcome.FAIL
