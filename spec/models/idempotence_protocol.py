"""The idempotent producer: a retry never stores a batch twice, never leaves a gap, never reorders.

One partition. Each producer numbers its batches from 0 on in each of its epochs; a number stands
for a whole batch, which is stored entirely or not at all. The leader keeps, for each producer, the
epoch and the number that it expects next, and recognises the last five batches, which it can tell
from its log. All of it is lost with the leader; the next one finds it again by reading its own log.
What was committed stays in the log at every failover, the rest may be cut: `replication` is the
model of that.

Requests and answers may be late, lost, repeated or overtaken, so a retry needs no action of its
own: it is a request that arrives once more. acks=all: only what is committed is acknowledged. What
an application sends again in a new epoch, or after a restart, is another batch to the broker.

Sources: KIP-98, KIP-185, KIP-360, KAFKA-5494 (five requests in flight); ProducerStateManager.java,
ProducerAppendInfo.java (checkSequence, checkProducerEpoch), ProducerStateEntry.java
(NUM_BATCHES_TO_RETAIN), TransactionManager.java of the client.
"""

from spec.language import (
    BOOL,
    EMPTY,
    Log,
    Messages,
    Per,
    Protocol,
    Struct,
    action,
    all_of,
    any_of,
    end_of_last,
    exists,
    for_all,
    implies,
    invariant,
    ite,
    not_,
    number,
    per,
    require,
    var,
    witness,
)

ProducerId = number("ProducerId")
ProducerEpoch = number("ProducerEpoch")
Sequence = number("Sequence")
Offset = number("Offset")
EndOffset = Offset.end  # one past the last record

Batch = Struct(producer=ProducerId, epoch=ProducerEpoch, sequence=Sequence)

BATCHES_REMEMBERED = 5
IN_FLIGHT_MAX = 5


class Idempotence(Protocol):
    """Batches in sequence only, the last five recognised, no more than five in flight."""

    batches_remembered = BATCHES_REMEMBERED
    in_flight_max = IN_FLIGHT_MAX

    # ---- the producers
    producer_epoch = per(ProducerId, ProducerEpoch, init=0)
    next_sequence = per(ProducerId, Sequence.end, init=0)
    acknowledged = per(ProducerId, Per(ProducerEpoch, Per(Sequence, BOOL)), init=False)
    # ---- messages
    requests = var(
        Messages(producer=ProducerId, epoch=ProducerEpoch, sequence=Sequence), init=EMPTY
    )
    answers = var(
        Messages(producer=ProducerId, epoch=ProducerEpoch, sequence=Sequence, offset=Offset),
        init=EMPTY,
    )
    # ---- the leader's disk, or that of whoever leads next
    log = var(Log(Batch, Offset), init=EMPTY)
    committed_end = var(EndOffset, init=0)  # what no failover takes away
    log_start = var(EndOffset, init=0)  # batches below are deleted; they stay here to be counted
    # ---- the leader's memory; epoch 0 and sequence 0 are expected of a producer it has not met
    is_loaded = per(ProducerId, BOOL, init=True)
    epoch_known = per(ProducerId, ProducerEpoch, init=0)
    sequence_expected = per(ProducerId, Sequence.end, init=0)

    # ---- definitions
    def is_batch(self, offset, producer, epoch, sequence):
        batch = self.log[offset]
        return all_of(
            self.log.has_offset(offset),
            batch.producer == producer,
            batch.epoch == epoch,
            batch.sequence == sequence,
        )

    def is_known(self, producer):
        """The leader has met the producer, or has read about it in its log."""
        return any_of(self.epoch_known[producer] > 0, self.sequence_expected[producer] > 0)

    # ---- the producer
    def has_room(self, producer, sequence):
        """No more than five batches in flight: all before the last five are acknowledged."""
        # Without this the leader may have stored six that the producer does not know of. A retry
        # of the first is no longer recognised, and is refused although it is stored.
        epoch = self.producer_epoch[producer]
        return for_all(
            Sequence,
            lambda earlier: implies(
                earlier + self.in_flight_max <= sequence,
                self.acknowledged[producer][epoch][earlier],
            ),
        )

    @action
    def producer_sends(self, new, producer: ProducerId):
        """The next batch. From now on it may arrive at any time, as often as it likes."""
        sequence = self.next_sequence[producer]
        require(self.has_room(producer, sequence))
        new.requests.send(producer=producer, epoch=self.producer_epoch[producer], sequence=sequence)
        new.next_sequence[producer] = sequence + 1

    @action
    def producer_hears(self, new, producer: ProducerId, sequence: Sequence, offset: Offset):
        """An answer to a batch of its present epoch; those of former ones are of no use to it."""
        epoch = self.producer_epoch[producer]
        require(self.answers.has(producer=producer, epoch=epoch, sequence=sequence, offset=offset))
        new.acknowledged[producer][epoch][sequence] = True

    @action
    def producer_bumps_epoch(self, new, producer: ProducerId):
        """After an error that it cannot resolve (KIP-360): a new epoch, numbered from 0 again."""
        new.producer_epoch[producer] = self.producer_epoch[producer] + 1
        new.next_sequence[producer] = 0

    # ---- the leader
    def is_in_sequence(self, producer, sequence):
        # Without this every retry is stored once more, and a batch that overtakes leaves a gap.
        return sequence == self.sequence_expected[producer]

    def begins_epoch(self, producer, epoch, sequence):
        # A newer epoch starts at 0: any other number is a batch that has overtaken the first one.
        # An older epoch is INVALID_PRODUCER_EPOCH: its late batches would land behind the newer
        # ones, and with it the leader would forget what it knows of the newer epoch.
        return all_of(epoch > self.epoch_known[producer], sequence == 0)

    def is_next(self, producer, epoch, sequence):
        return any_of(
            all_of(epoch == self.epoch_known[producer], self.is_in_sequence(producer, sequence)),
            self.begins_epoch(producer, epoch, sequence),
        )

    @action
    def leader_appends(self, new, producer: ProducerId, epoch: ProducerEpoch, sequence: Sequence):
        """A batch is stored, if it is the next one of its producer."""
        require(self.requests.has(producer=producer, epoch=epoch, sequence=sequence))
        require(self.is_loaded[producer])
        require(self.is_next(producer, epoch, sequence))
        new.log.append(producer=producer, epoch=epoch, sequence=sequence)
        new.epoch_known[producer] = epoch
        new.sequence_expected[producer] = sequence + 1

    @action
    def leader_commits(self, new):
        """Every member of the ISR has the next batch: from now on it survives every failover."""
        require(self.log.has_offset(self.committed_end))
        new.committed_end = self.committed_end + 1

    def is_remembered(self, producer, epoch, sequence):
        """One of the last five batches of the producer's present epoch."""
        expected = self.sequence_expected[producer]
        return all_of(
            self.is_loaded[producer],
            epoch == self.epoch_known[producer],
            sequence < expected,
            expected <= sequence + self.batches_remembered,
        )

    def is_answer(self, producer, epoch, sequence, offset):
        # The offset of the original: the producer takes it for the address of its records.
        return self.is_batch(offset, producer, epoch, sequence)

    def is_durable(self, offset):
        # Without this (acks=1) a failover takes away what the producer was told is stored.
        return offset < self.committed_end

    @action
    def leader_answers(
        self, new, producer: ProducerId, epoch: ProducerEpoch, sequence: Sequence, offset: Offset
    ):
        """The batch is stored, by this request or by an earlier one, and committed."""
        require(self.requests.has(producer=producer, epoch=epoch, sequence=sequence))
        require(self.is_remembered(producer, epoch, sequence))
        require(self.is_answer(producer, epoch, sequence, offset))
        require(self.is_durable(offset))
        new.answers.send(producer=producer, epoch=epoch, sequence=sequence, offset=offset)

    # ---- failover
    def forget_producers(self, new):
        new.is_loaded = lambda producer: False

    def survives(self, end):
        # Without this (an unclean election) acknowledged batches go, and their offsets are reused.
        return self.committed_end <= end

    @action
    def leader_fails_over(self, new, end: EndOffset):
        """Another broker leads: it has what is committed, and of the rest some part or nothing."""
        require(self.survives(end), end <= self.log.end_offset)
        new.log.truncate_to(end)
        self.forget_producers(new)

    @action
    def records_are_deleted(self, new, start: EndOffset):
        """Retention, or DeleteRecords: nobody can read what is below the new start."""
        require(self.log_start < start, start <= self.committed_end)
        new.log_start = start

    def is_replayed(self, offset):
        # Deleted batches too: snapshots keep what they said. Without these a new leader of a topic
        # with short retention takes a retry for the first batch of an unknown producer (KIP-360).
        return True

    @action
    def leader_loads_producer(self, new, producer: ProducerId):
        """The new leader learns from its log what it has to know of a producer."""
        require(not_(self.is_loaded[producer]))
        end = end_of_last(
            self.log.end_offset,
            lambda offset: all_of(self.log[offset].producer == producer, self.is_replayed(offset)),
        )
        last = self.log[end - 1]
        new.epoch_known[producer] = ite(end == 0, 0, last.epoch)
        new.sequence_expected[producer] = ite(end == 0, 0, last.sequence + 1)
        new.is_loaded[producer] = True

    # ---- what must never break
    @invariant("PROD-06", "EOS-01")
    def stored_once(self):
        """No batch is at two offsets."""
        return for_all(
            Offset,
            Offset,
            lambda a, b: implies(
                all_of(a < b, self.log.has_offset(b)),
                any_of(
                    self.log[a].producer != self.log[b].producer,
                    self.log[a].epoch != self.log[b].epoch,
                    self.log[a].sequence != self.log[b].sequence,
                ),
            ),
        )

    @invariant("PROD-07", "EOS-01")
    def stored_in_order(self):
        """Batches of one producer are in the order in which it sent them, epoch after epoch."""
        return for_all(
            Offset,
            Offset,
            lambda a, b: implies(
                all_of(a < b, self.log.has_offset(b), self.log[a].producer == self.log[b].producer),
                any_of(
                    self.log[a].epoch < self.log[b].epoch,
                    all_of(
                        self.log[a].epoch == self.log[b].epoch,
                        self.log[a].sequence < self.log[b].sequence,
                    ),
                ),
            ),
        )

    @invariant("PROD-07")
    def stored_without_gaps(self):
        """Before each batch its producer's log has all earlier ones of that epoch."""
        return for_all(
            Offset,
            Sequence,
            lambda o, earlier: implies(
                all_of(self.log.has_offset(o), earlier < self.log[o].sequence),
                exists(
                    Offset,
                    lambda before: all_of(
                        before < o,
                        self.is_batch(before, self.log[o].producer, self.log[o].epoch, earlier),
                    ),
                ),
            ),
        )

    @invariant("PROD-02", "PROD-06")
    def answers_are_true(self):
        """Every answer, also that to a duplicate, names the offset where the batch is, for good."""
        return for_all(
            ProducerId,
            ProducerEpoch,
            Sequence,
            Offset,
            lambda p, e, s, o: implies(
                self.answers.has(producer=p, epoch=e, sequence=s, offset=o),
                self.is_batch(o, p, e, s),
            ),
        )

    @invariant("PROD-06", "EOS-01")
    def acknowledged_is_stored(self):
        return for_all(
            ProducerId,
            ProducerEpoch,
            Sequence,
            lambda p, e, s: implies(
                self.acknowledged[p][e][s], exists(Offset, lambda o: self.is_batch(o, p, e, s))
            ),
        )

    @invariant("PROD-06")
    def duplicates_are_recognised(self):
        """What a producer may still retry, and the leader has, is never refused as out of order.

        The refusal would be final, and the application would send a batch again that is stored.
        """
        return for_all(
            ProducerId,
            Sequence,
            lambda p, s: implies(
                all_of(
                    self.is_loaded[p],
                    self.producer_epoch[p] == self.epoch_known[p],
                    s < self.sequence_expected[p],
                    not_(self.acknowledged[p][self.producer_epoch[p]][s]),
                ),
                self.is_remembered(p, self.producer_epoch[p], s),
            ),
        )

    def last_batch_of(self, producer, offset):
        """The offset of the last batch of the producer."""
        return all_of(
            self.log.has_offset(offset),
            self.log[offset].producer == producer,
            for_all(
                Offset,
                lambda later: implies(
                    all_of(offset < later, self.log.has_offset(later)),
                    self.log[later].producer != producer,
                ),
            ),
        )

    def has_no_batch_of(self, producer):
        return for_all(
            Offset,
            lambda offset: implies(
                self.log.has_offset(offset), self.log[offset].producer != producer
            ),
        )

    @invariant("PROD-08", "PROD-10")
    def memory_agrees_with_log(self):
        """What the leader knows of a producer is what the last batch in its log says."""
        return for_all(
            ProducerId,
            Offset,
            lambda p, o: implies(
                self.is_loaded[p],
                all_of(
                    implies(
                        self.last_batch_of(p, o),
                        all_of(
                            self.epoch_known[p] == self.log[o].epoch,
                            self.sequence_expected[p] == self.log[o].sequence + 1,
                        ),
                    ),
                    implies(self.has_no_batch_of(p), not_(self.is_known(p))),
                ),
            ),
        )

    # ---- what must be possible, or the invariants say little
    @witness
    def answered_batch_is_not_the_last(self):
        """A producer hears of a batch when it has others in flight."""
        return exists(
            ProducerId,
            Sequence,
            lambda p, s: all_of(
                self.acknowledged[p][self.producer_epoch[p]][s], s + 1 < self.next_sequence[p]
            ),
        )

    @witness
    def old_epoch_is_refused(self):
        """A batch of a former epoch is on its way and can never be stored any more."""
        return exists(
            ProducerId,
            ProducerEpoch,
            Sequence,
            lambda p, e, s: all_of(
                self.requests.has(producer=p, epoch=e, sequence=s),
                e < self.epoch_known[p],
                not_(exists(Offset, lambda o: self.is_batch(o, p, e, s))),
            ),
        )

    @witness
    def failover_loses_all_of_a_producer(self):
        """The next leader has no batch of a producer that the last one knew."""
        return exists(
            ProducerId,
            lambda p: all_of(not_(self.is_loaded[p]), self.is_known(p), self.has_no_batch_of(p)),
        )

    @witness
    def retry_of_a_deleted_batch_is_answered(self):
        """It is stored no more, and its producer has not heard of it yet."""
        return exists(
            ProducerId,
            Sequence,
            Offset.below(self.log_start),
            lambda p, s, o: all_of(
                self.is_batch(o, p, self.producer_epoch[p], s),
                self.is_remembered(p, self.producer_epoch[p], s),
                not_(self.acknowledged[p][self.producer_epoch[p]][s]),
            ),
        )

    @witness
    def failover_keeps_what_is_not_committed(self):
        return exists(
            ProducerId,
            lambda p: all_of(not_(self.is_loaded[p]), self.committed_end < self.log.end_offset),
        )
