"""Delivery, first half: a producer writes values to a partition whose leader may fail.

A producer that has crashed is one that sends nothing more, and a request or an answer that is lost
is one that never arrives; neither needs an action. See `delivery` for the configurations together.
"""

from spec.language import (
    EMPTY,
    NOBODY,
    Log,
    Protocol,
    SetOf,
    Struct,
    action,
    all_of,
    any_of,
    exists,
    for_all,
    implies,
    invariant,
    not_,
    number,
    require,
    var,
    witness,
)

Value = number("Value")
Offset = number("Offset")
EndOffset = Offset.end  # one past the last record


class Partition(Protocol):
    """What producers and consumers share: records below the high watermark are there for good."""

    high_watermark = var(EndOffset, init=0)

    @action
    def high_watermark_advances(self, new):
        new.high_watermark = self.high_watermark + 1


class Production(Partition):
    """A producer without retries that waits for acks=all, and a leader that may fail."""

    sent = var(SetOf(Value), init=NOBODY)
    on_the_way = var(SetOf(Value), init=NOBODY)
    acknowledged = var(SetOf(Value), init=NOBODY)  # what the producer takes for delivered
    log = var(Log(Struct(value=Value), Offset), init=EMPTY)

    def is_at(self, offset, value):
        return all_of(self.log.has_offset(offset), self.log[offset].value == value)

    def is_stored(self, value):
        return exists(Offset, lambda offset: self.is_at(offset, value))

    # ---- the rules that configurations change
    def arrives(self, value):
        # Sent once, it arrives once or never.
        return self.on_the_way.has(value)

    def is_accepted(self, value):
        # Without idempotence the leader cannot tell a retry from a new batch.
        return True

    def is_acknowledged(self, offset, value):
        # acks=all: answered when a failover can no longer take it away.
        return all_of(self.is_at(offset, value), offset < self.high_watermark)

    def survives(self, end):
        # A clean election: without it committed records go, and nothing here holds but AMO-01.
        return self.high_watermark <= end

    # ---- what happens
    @action
    def producer_sends(self, new, value: Value):
        require(not_(self.sent.has(value)))
        new.sent = self.sent.plus(value)
        new.on_the_way = self.on_the_way.plus(value)

    @action
    def leader_appends(self, new, value: Value):
        require(self.arrives(value), self.is_accepted(value))
        new.log.append(value=value)
        new.on_the_way = self.on_the_way.minus(value)

    @action
    def high_watermark_advances(self, new):
        """Every member of the ISR has the next record."""
        super().high_watermark_advances(new)
        require(self.log.has_offset(self.high_watermark))

    @action
    def producer_is_acknowledged(self, new, value: Value, offset: Offset):
        """The answer reaches the producer; it may also get lost, which is no step at all."""
        require(self.sent.has(value), not_(self.acknowledged.has(value)))
        require(self.is_acknowledged(offset, value))
        new.acknowledged = self.acknowledged.plus(value)

    @action
    def leader_fails_over(self, new, end: EndOffset):
        """The next leader lacks some of what was not replicated."""
        require(end < self.log.end_offset, self.survives(end))
        new.log.truncate_to(end)

    @witness
    def record_is_lost(self):
        """A failover has lost a record: it was sent, is not on its way, and is not stored."""
        return exists(
            Value,
            lambda value: all_of(
                self.sent.has(value), not_(self.on_the_way.has(value)), not_(self.is_stored(value))
            ),
        )

    @witness
    def record_is_acknowledged(self):
        return exists(Value, self.acknowledged.has)


class Retries(Production):
    """A producer that sends a value again until it is acknowledged."""

    retried = var(SetOf(Value), init=NOBODY)

    def arrives(self, value):
        # Retries that were sent before the answer arrived may come at any time after it.
        return any_of(super().arrives(value), self.retried.has(value))

    @action
    def producer_retries(self, new, value: Value):
        """No answer came: the request or its answer was lost, or is only late."""
        require(self.sent.has(value), not_(self.acknowledged.has(value)))
        new.retried = self.retried.plus(value)


class StoredAtMostOnce(Production):
    """The guarantee: no value is at two offsets."""

    @invariant("AMO-01", "EOS-01")
    def stored_at_most_once(self):
        return for_all(
            Offset,
            Offset,
            lambda a, b: implies(
                all_of(a < b, self.log.has_offset(b)), self.log[a].value != self.log[b].value
            ),
        )


class StoredAtLeastOnce(Production):
    """The guarantee: what is acknowledged is in the log."""

    @invariant("ALO-01", "EOS-01")
    def acknowledged_is_stored(self):
        return for_all(self.acknowledged, self.is_stored)


class AcksAll(StoredAtMostOnce, StoredAtLeastOnce):
    """acks=all without retries: nothing twice, nothing acknowledged is lost, the rest may be."""


class AcknowledgedMayBeLost(Production):
    """Not a guarantee: what the producer takes for delivered need not be stored."""

    @witness
    def acknowledged_is_lost(self):
        return exists(
            self.acknowledged,
            lambda value: all_of(not_(self.is_stored(value)), not_(self.on_the_way.has(value))),
        )


class AcksOne(AcknowledgedMayBeLost, StoredAtMostOnce):
    """acks=1 without retries: nothing twice, but a failover loses what was acknowledged."""

    def is_acknowledged(self, offset, value):
        return self.is_at(offset, value)


class AcksZero(AcknowledgedMayBeLost, StoredAtMostOnce):
    """acks=0: nothing twice; the producer takes everything for delivered, whatever happens."""

    def is_acknowledged(self, offset, value):
        return True


class RetriesAcksAll(Retries, StoredAtLeastOnce):
    """acks=all with retries: nothing acknowledged is lost, but retries may be stored twice."""

    @witness
    def value_is_stored_twice(self):
        return exists(
            Offset,
            Offset,
            lambda a, b: all_of(
                a < b, self.log.has_offset(b), self.log[a].value == self.log[b].value
            ),
        )


class Idempotent(Retries, StoredAtMostOnce, StoredAtLeastOnce):
    """acks=all with retries and idempotence: what is acknowledged is stored exactly once."""

    def is_accepted(self, value):
        # Without this, or without the memory of it after a failover, each retry is one more record.
        return not_(self.is_stored(value))


class AcksZeroClaimsNoLoss(AcksZero, StoredAtLeastOnce):
    """acks=0 taken for at-least-once."""


class AcksOneClaimsNoLoss(AcksOne, StoredAtLeastOnce):
    """acks=1 taken for at-least-once."""


class RetriesClaimNoDuplicates(RetriesAcksAll, StoredAtMostOnce):
    """Retries without idempotence taken for exactly-once."""


class IdempotentWithAcksOne(Idempotent, AcksOne):
    """Idempotence with acks=1 taken for exactly-once (clients refuse this configuration)."""


class UncleanElection(Idempotent):
    """unclean.leader.election.enable=true: the next leader may lack what was committed."""

    def survives(self, end):
        return True
