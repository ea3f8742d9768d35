"""Transactions: all or nothing for read_committed readers, whatever arrives late or twice.

A producer means some records as one transaction; brokers only see a producer id and an epoch. The
coordinator decides, markers carry the decision to the partitions, and readers see what lies below
the last stable offset and was not aborted. Requests may be delayed for any time, EndTxn and markers
may be repeated, and an old instance of a producer (a zombie) may go on. KIP-890 gives each
transaction an epoch of its own and lets partitions ask the coordinator before they store anything;
the variants in `transactions` show what went wrong before, and why each check is there.

What is idealised: the coordinator's state is a log that loses nothing, so another coordinator goes
on where the last one stopped, and markers of the last one are late markers; a partition is such a
log too (`eligible_leaders`); each produce request is stored at most once (`idempotence`); consumer
offsets are records like others.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NOBODY,
    Messages,
    Per,
    Protocol,
    SetOf,
    action,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    history,
    implies,
    invariant,
    not_,
    order,
    per,
    require,
    rigid,
    var,
    when,
    witness,
)

Client = entity("Client")  # a producer id: all instances of one transactional id
Partition = entity("Partition")
Transaction = entity("Transaction")  # what one instance of a producer means as one
Record = entity("Record")
ProducerEpoch = order("ProducerEpoch")  # 0: before the first instance
Offset = order("Offset")

# In a finite instance the first transactions have a record each and the last one has the rest, each
# in a partition of its own as far as there are some.
producer_of = rigid(
    "producer_of", (Transaction,), Client, table=lambda counts, t: t % counts["Client"]
)
transaction_of = rigid(
    "transaction_of",
    (Record,),
    Transaction,
    table=lambda counts, r: min(r, counts["Transaction"] - 1),
)
partition_of = rigid(
    "partition_of",
    (Record,),
    Partition,
    table=lambda counts, r: max(0, r + 1 - counts["Transaction"]) % counts["Partition"],
)

Marker = {"producer": Client, "partition": Partition, "epoch": ProducerEpoch}


class Transactions(Protocol):
    """KIP-890: each transaction has an epoch of its own, and partitions verify."""

    # Producers. What was sent stays in flight for ever.
    granted = per(Client, SetOf(ProducerEpoch), init=NOBODY)  # epochs that instances were given
    begun = var(SetOf(Transaction), init=NOBODY)
    epoch_of = per(Transaction, ProducerEpoch, init=0)
    sent = var(SetOf(Record), init=NOBODY)
    commit_requests = var(SetOf(Transaction), init=NOBODY)
    abort_requests = var(SetOf(Transaction), init=NOBODY)
    # The coordinator: one state for each producer id. In none of the three: nothing is going on.
    producer_epoch = per(Client, ProducerEpoch, init=0)
    ongoing = var(SetOf(Client), init=NOBODY)
    committing = var(SetOf(Client), init=NOBODY)  # PrepareCommit
    aborting = var(SetOf(Client), init=NOBODY)  # PrepareAbort
    registered = per(Client, SetOf(Partition), init=NOBODY)  # partitions still to be told
    transaction_epoch = per(Client, ProducerEpoch, init=0)  # epoch of what is going on
    commit_markers = var(Messages(**Marker), init=EMPTY)
    abort_markers = var(Messages(**Marker), init=EMPTY)
    # Partitions.
    stored = var(SetOf(Record), init=NOBODY)
    offset_of = per(Record, Offset, init=0)
    committed = per(Record, BOOL, init=False)
    aborted = per(Record, BOOL, init=False)
    partition_epoch = per(Partition, Per(Client, ProducerEpoch), init=0)  # newest it has seen
    verified = per(Partition, Per(Client, SetOf(ProducerEpoch)), init=NOBODY)
    last_stable_offset = per(Partition, Offset, init=0)
    # What the coordinator decided of which transaction.
    decided_commit = history(per(Transaction, BOOL, init=False))
    decided_abort = history(per(Transaction, BOOL, init=False))

    # ---- definitions

    def is_deciding(self, producer):
        return any_of(self.committing.has(producer), self.aborting.has(producer))

    def is_asked_to_end(self, transaction):
        return any_of(self.commit_requests.has(transaction), self.abort_requests.has(transaction))

    def is_undecided(self, record):
        return all_of(
            self.stored.has(record), not_(self.committed[record]), not_(self.aborted[record])
        )

    def is_of(self, record, producer, partition):
        return all_of(
            producer_of(transaction_of(record)) == producer, partition_of(record) == partition
        )

    def is_current(self, transaction):
        # Fencing: without it an old instance ends what its successor has begun.
        return self.epoch_of[transaction] == self.producer_epoch[producer_of(transaction)]

    def is_not_behind(self, partition, transaction):
        # The partition's part of the fencing: it may have seen a newer epoch.
        known = self.partition_epoch[partition, producer_of(transaction)]
        return known <= self.epoch_of[transaction]

    # ---- producers

    def may_begin(self, transaction, epoch):
        # KIP-890: with one epoch for two transactions a request that was delayed in the first
        # counts for the second.
        return for_all(
            self.begun,
            lambda other: any_of(
                producer_of(other) != producer_of(transaction), self.epoch_of[other] != epoch
            ),
        )

    @action
    def producer_begin(self, new, transaction: Transaction, epoch: ProducerEpoch):
        # Begun again with a newer epoch it would have two outcomes.
        require(not_(self.begun.has(transaction)))
        require(self.granted[producer_of(transaction)].has(epoch))
        require(self.may_begin(transaction, epoch))
        new.begun = self.begun.plus(transaction)
        new.epoch_of[transaction] = epoch

    @action
    def producer_send(self, new, record: Record):
        require(not_(self.sent.has(record)), self.begun.has(transaction_of(record)))
        # What is sent after the request to commit is not flushed before it.
        require(not_(self.is_asked_to_end(transaction_of(record))))
        new.sent = self.sent.plus(record)

    @action
    def producer_ask_commit(self, new, transaction: Transaction):
        require(self.begun.has(transaction), not_(self.is_asked_to_end(transaction)))
        # A producer flushes first. Otherwise records that it still sends are lost or too late.
        require(
            for_all(
                self.sent,
                lambda record: implies(
                    transaction_of(record) == transaction, self.stored.has(record)
                ),
            )
        )
        new.commit_requests = self.commit_requests.plus(transaction)

    @action
    def producer_ask_abort(self, new, transaction: Transaction):
        require(self.begun.has(transaction), not_(self.is_asked_to_end(transaction)))
        new.abort_requests = self.abort_requests.plus(transaction)

    # ---- the coordinator

    @action
    def coordinator_init_producer(self, new, producer: Client, epoch: ProducerEpoch):
        """A new instance, or the transaction timed out: an ongoing transaction is aborted."""
        # It waits until the partitions know what was decided (CONCURRENT_TRANSACTIONS).
        require(not_(self.is_deciding(producer)))
        # With the epoch of an old instance it could not be told from that.
        require(self.producer_epoch[producer] < epoch)
        self.grant(new, producer, epoch)
        with when(self.ongoing.has(producer)):
            new.ongoing = self.ongoing.minus(producer)
            new.aborting = self.aborting.plus(producer)
            new.decided_abort = lambda transaction: any_of(
                self.decided_abort[transaction], self.is_ongoing(transaction, producer)
            )

    def is_ongoing(self, transaction, producer):
        return all_of(
            self.begun.has(transaction),
            producer_of(transaction) == producer,
            self.epoch_of[transaction] == self.transaction_epoch[producer],
        )

    def grant(self, new, producer, epoch):
        new.producer_epoch[producer] = epoch
        new.granted[producer] = self.granted[producer].plus(epoch)

    @action
    def coordinator_add_partition(self, new, transaction: Transaction, partition: Partition):
        """AddPartitionsToTxn arrives, perhaps late."""
        producer = producer_of(transaction)
        require(self.begun.has(transaction), self.is_current(transaction))
        # The list of partitions is fixed by the decision: an addition would never be told.
        require(not_(self.is_deciding(producer)))
        new.ongoing = self.ongoing.plus(producer)
        new.transaction_epoch[producer] = self.producer_epoch[producer]
        new.registered[producer] = self.registered[producer].plus(partition)

    def may_end(self, transaction, next_epoch):
        # Without an ongoing transaction a repeated EndTxn would decide again.
        return all_of(
            self.is_current(transaction),
            self.ongoing.has(producer_of(transaction)),
            self.is_epoch_after(transaction, next_epoch),
        )

    def is_epoch_after(self, transaction, next_epoch):
        # KIP-890: what is delayed in this transaction is fenced in the next one.
        return self.producer_epoch[producer_of(transaction)] < next_epoch

    def end(self, new, transaction, next_epoch):
        producer = producer_of(transaction)
        new.ongoing = self.ongoing.minus(producer)
        self.grant(new, producer, next_epoch)

    @action
    def coordinator_commit(self, new, transaction: Transaction, next_epoch: ProducerEpoch):
        """EndTxn arrives, perhaps late, perhaps again; its answer has the next epoch."""
        require(self.commit_requests.has(transaction), self.may_end(transaction, next_epoch))
        self.end(new, transaction, next_epoch)
        new.committing = self.committing.plus(producer_of(transaction))
        new.decided_commit[transaction] = True

    @action
    def coordinator_abort(self, new, transaction: Transaction, next_epoch: ProducerEpoch):
        require(self.abort_requests.has(transaction), self.may_end(transaction, next_epoch))
        self.end(new, transaction, next_epoch)
        new.aborting = self.aborting.plus(producer_of(transaction))
        new.decided_abort[transaction] = True

    @action
    def coordinator_send_marker(self, new, producer: Client, partition: Partition):
        require(self.is_deciding(producer), self.registered[producer].has(partition))
        marker = {
            "producer": producer,
            "partition": partition,
            "epoch": self.producer_epoch[producer],
        }
        with when(self.committing.has(producer)):
            new.commit_markers.send(**marker)
        with when(self.aborting.has(producer)):
            new.abort_markers.send(**marker)

    def is_marker_written(self, producer, partition):
        """The partition has answered: it has written the marker of this decision."""
        return self.producer_epoch[producer] <= self.partition_epoch[partition, producer]

    @action
    def coordinator_learn_marker_written(self, new, producer: Client, partition: Partition):
        require(self.is_deciding(producer), self.registered[producer].has(partition))
        # Forgotten too early, the partition would keep undecided records for ever.
        require(self.is_marker_written(producer, partition))
        new.registered[producer] = self.registered[producer].minus(partition)

    @action
    def coordinator_complete(self, new, producer: Client):
        require(self.is_deciding(producer))
        # The next transaction must not begin while partitions still wait for this decision.
        require(self.registered[producer].is_empty())
        new.committing = self.committing.minus(producer)
        new.aborting = self.aborting.minus(producer)

    # ---- partitions

    @action
    def partition_verify(self, new, partition: Partition, transaction: Transaction):
        """KIP-890: the partition asks the coordinator whether it is part of the transaction."""
        producer = producer_of(transaction)
        require(self.begun.has(transaction), self.is_current(transaction))
        # What is not registered, or decided already, will not be told again.
        require(self.ongoing.has(producer), self.registered[producer].has(partition))
        new.verified[partition, producer] = self.verified[partition, producer].plus(
            self.epoch_of[transaction]
        )

    def may_store(self, record):
        # Without verification a record that arrives after its transaction's marker is stored, and
        # no marker will ever decide it: the last stable offset stops there.
        transaction, partition = transaction_of(record), partition_of(record)
        return all_of(
            self.verified[partition, producer_of(transaction)].has(self.epoch_of[transaction]),
            self.is_not_behind(partition, transaction),
        )

    @action
    def partition_append(self, new, record: Record, offset: Offset):
        """A produce request arrives, perhaps late."""
        transaction, partition = transaction_of(record), partition_of(record)
        require(self.sent.has(record), not_(self.stored.has(record)), self.may_store(record))
        # Below the last stable offset readers have been told that all is decided.
        require(self.last_stable_offset[partition] <= offset)
        require(
            for_all(
                self.stored,
                lambda other: implies(
                    partition_of(other) == partition, self.offset_of[other] < offset
                ),
            )
        )
        new.stored = self.stored.plus(record)
        new.offset_of[record] = offset
        new.partition_epoch[partition, producer_of(transaction)] = self.epoch_of[transaction]

    def is_new_marker(self, producer, partition, epoch):
        # The epoch of a marker is also that of the next transaction. If an equal one were accepted
        # a repeated marker would decide the next transaction.
        return self.partition_epoch[partition, producer] < epoch

    def write_marker(self, new, producer, partition, epoch):
        require(self.is_new_marker(producer, partition, epoch))
        new.partition_epoch[partition, producer] = epoch
        # What was verified for this transaction does not hold for the next one.
        new.verified[partition, producer] = NOBODY

    def is_decided_by_marker(self, record, producer, partition):
        """A marker decides whatever the producer has undecided in the partition."""
        return all_of(self.is_undecided(record), self.is_of(record, producer, partition))

    @action
    def partition_write_commit_marker(
        self, new, producer: Client, partition: Partition, epoch: ProducerEpoch
    ):
        require(self.commit_markers.has(producer=producer, partition=partition, epoch=epoch))
        self.write_marker(new, producer, partition, epoch)
        new.committed = lambda record: any_of(
            self.committed[record], self.is_decided_by_marker(record, producer, partition)
        )

    @action
    def partition_write_abort_marker(
        self, new, producer: Client, partition: Partition, epoch: ProducerEpoch
    ):
        require(self.abort_markers.has(producer=producer, partition=partition, epoch=epoch))
        self.write_marker(new, producer, partition, epoch)
        new.aborted = lambda record: any_of(
            self.aborted[record], self.is_decided_by_marker(record, producer, partition)
        )

    @action
    def partition_advance_last_stable_offset(self, new, partition: Partition, offset: Offset):
        require(self.last_stable_offset[partition] < offset)
        # Readers would see records that may still be aborted.
        require(
            for_all(
                Record,
                lambda record: implies(
                    all_of(self.is_undecided(record), partition_of(record) == partition),
                    offset <= self.offset_of[record],
                ),
            )
        )
        new.last_stable_offset[partition] = offset

    # ---- what must never break

    def is_visible(self, record):
        """To readers with read_committed."""
        stable = self.last_stable_offset[partition_of(record)]
        return all_of(
            self.stored.has(record), self.committed[record], self.offset_of[record] < stable
        )

    @invariant("EOS-02", "TXN-05", "TXN-09")
    def visibility_is_atomic(self):
        """With one record of a transaction visible, all that was sent in it is stored and not
        aborted: it is visible or will be."""
        return for_all(
            Record,
            self.sent,
            lambda seen, other: implies(
                all_of(self.is_visible(seen), transaction_of(seen) == transaction_of(other)),
                all_of(self.stored.has(other), not_(self.aborted[other])),
            ),
        )

    @invariant("EOS-02", "EOS-03", "TXN-09")
    def only_committed_is_visible(self):
        """Visible is only what the producer asked to commit and the coordinator committed."""
        return for_all(
            Record,
            lambda record: implies(
                self.is_visible(record),
                all_of(
                    self.commit_requests.has(transaction_of(record)),
                    self.decided_commit[transaction_of(record)],
                ),
            ),
        )

    @invariant("EOS-02", "TXN-04")
    def no_committed_record_is_lost(self):
        """Of a committed transaction everything that was sent is stored, and never aborted."""
        return for_all(
            self.sent,
            lambda record: implies(
                self.decided_commit[transaction_of(record)],
                all_of(self.stored.has(record), not_(self.aborted[record])),
            ),
        )

    @invariant("TXN-04", "TXN-05")
    def one_outcome(self):
        """Of a transaction, and of each of its records."""
        return all_of(
            for_all(
                Transaction,
                lambda t: not_(all_of(self.decided_commit[t], self.decided_abort[t])),
            ),
            for_all(Record, lambda r: not_(all_of(self.committed[r], self.aborted[r]))),
        )

    @invariant("OFF-01")
    def everything_stable_is_decided(self):
        """The last stable offset does not pass a record that may still be aborted."""
        return for_all(
            self.stored,
            lambda record: implies(
                self.offset_of[record] < self.last_stable_offset[partition_of(record)],
                any_of(self.committed[record], self.aborted[record]),
            ),
        )

    def will_be_decided(self, record):
        """The coordinator will send a marker to the partition, sooner or later."""
        producer = producer_of(transaction_of(record))
        return all_of(
            any_of(self.ongoing.has(producer), self.is_deciding(producer)),
            self.registered[producer].has(partition_of(record)),
        )

    @invariant("TXN-01")
    def newest_epoch_is_the_largest(self):
        """So a new instance fences all that were before it."""
        return for_all(
            Client,
            lambda producer: for_all(
                self.granted[producer], lambda epoch: epoch <= self.producer_epoch[producer]
            ),
        )

    @invariant("TXN-03")
    def no_transaction_hangs(self):
        """Every undecided record is of a transaction that the coordinator will end."""
        return for_all(Record, lambda r: implies(self.is_undecided(r), self.will_be_decided(r)))

    @witness
    def one_visible_and_one_aborted(self):
        """Both outcomes happen, one after the other."""
        return exists(
            Record,
            Record,
            lambda seen, dropped: all_of(
                self.is_visible(seen),
                self.stored.has(dropped),
                self.aborted[dropped],
            ),
        )

    @witness
    def zombie_beside_its_successor(self):
        """A transaction is visible while an older instance still has a request in flight."""
        return exists(
            Record,
            self.sent,
            lambda seen, late: all_of(
                self.is_visible(seen),
                producer_of(transaction_of(seen)) == producer_of(transaction_of(late)),
                self.epoch_of[transaction_of(late)] < self.epoch_of[transaction_of(seen)],
                not_(self.stored.has(late)),
            ),
        )
