"""Why each configuration of a producer gives its guarantee.

Each guarantee has its argument in a class of its own, as in the model; the proof of a configuration
joins the arguments of what it claims.
"""

from spec.language import after, all_of, conjunct, for_all, history, not_, per
from spec.models.delivery_producers import (
    AcksAll,
    AcksOne,
    AcksZero,
    Idempotent,
    Offset,
    Retries,
    RetriesAcksAll,
    StoredAtLeastOnce,
    StoredAtMostOnce,
    UncleanElection,
    Value,
)


class SentOnce(StoredAtMostOnce):
    """What is sent once and never retried is either still on its way, or stored, or lost."""

    @conjunct
    def requests_were_sent(self):
        """Or a request could arrive before its value is sent, and then once more."""
        return for_all(self.on_the_way, self.sent.has)

    @conjunct
    def stored_has_arrived(self):
        """Or a stored value could be sent for the first time, or arrive again."""
        return for_all(
            Offset.below(self.log.end_offset),
            lambda offset: all_of(
                self.sent.has(self.log[offset].value),
                not_(self.on_the_way.has(self.log[offset].value)),
            ),
        )

    @conjunct
    def no_value_twice(self):
        """The guarantee itself."""
        return self.stored_at_most_once()


class Recognised(StoredAtMostOnce):
    """A leader that stores only what it has not stored needs no other argument."""

    @conjunct
    def no_value_twice(self):
        """The guarantee itself."""
        return self.stored_at_most_once()


class AcknowledgedIsCommitted(StoredAtLeastOnce):
    """What was answered is below the high watermark, where no failover cuts."""

    # The offset in the answer that the producer got.
    acknowledged_at = history(per(Value, Offset, init=0))

    @after("producer_is_acknowledged")
    def keep_offset(self, new, value, offset):
        new.acknowledged_at[value] = offset

    @conjunct
    def acknowledged_is_committed(self):
        """Names the offset: the guarantee says only that there is one."""
        return for_all(
            self.acknowledged,
            lambda value: all_of(
                self.acknowledged_at[value] >= 0,
                self.acknowledged_at[value] < self.high_watermark,
                self.is_at(self.acknowledged_at[value], value),
            ),
        )


class AcksAllProof(SentOnce, AcknowledgedIsCommitted, AcksAll):
    """acks=all without retries: nothing twice, and what is acknowledged stays."""


class AcksOneProof(SentOnce, AcksOne):
    """acks=1 without retries: nothing twice."""


class AcksZeroProof(SentOnce, AcksZero):
    """acks=0: nothing twice."""


class RetriesProof(AcknowledgedIsCommitted, RetriesAcksAll):
    """acks=all with retries: what is acknowledged stays."""


class IdempotentProof(Recognised, AcknowledgedIsCommitted, Idempotent):
    """acks=all, retries and idempotence: what is acknowledged is stored exactly once."""


# ---- one wrong rule each ------------------------------------------------------------------------


class RetriesOfSentOnce(Retries, AcksAllProof):
    """The argument for what is sent once, with retries."""


class RetriesOfAcksOne(Retries, AcksOneProof):
    """The argument for what is sent once, with retries."""


class RetriesOfAcksZero(Retries, AcksZeroProof):
    """The argument for what is sent once, with retries."""


class RetriesUncleanElection(RetriesProof):
    """The next leader may lack what was committed."""

    def survives(self, end):
        return True


class RetriesNotRecognised(IdempotentProof):
    """The leader does not recognise what it has stored."""

    def is_accepted(self, value):
        return True


class AnsweredBeforeCommit(IdempotentProof):
    """acks=1."""

    def is_acknowledged(self, offset, value):
        return self.is_at(offset, value)


class UncleanElectionProof(UncleanElection, IdempotentProof):
    """The next leader may lack what was committed."""
