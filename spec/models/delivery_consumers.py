"""Delivery, second half: a group of consumers processes the records of a partition.

A member that has crashed is one that does nothing more, or that joins again without memory. One
that was replaced without knowing is a zombie. See `delivery` for the configurations together.
"""

from spec.language import (
    BOOL,
    action,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    invariant,
    not_,
    number,
    per,
    require,
    var,
    witness,
)
from spec.models.delivery_producers import EndOffset, Offset, Partition

Member = entity("Member")
Generation = number("Generation")  # 0: not a member of the group


class Consumption(Partition):
    """A group of consumers on one partition: who joins last owns it, the others are zombies."""

    generation = var(Generation, init=0)  # that of the present owner
    committed = var(EndOffset, init=0)
    member_generation = per(Member, Generation, init=0)
    has_position = per(Member, BOOL, init=False)
    position = per(Member, EndOffset, init=0)  # the next record it processes
    polled = per(Member, EndOffset, init=0)  # the end of what it has fetched
    # ---- the effects of processing, as the world outside counts them
    processed = per(Offset, BOOL, init=False)
    processed_again = per(Offset, BOOL, init=False)

    # ---- the rules that configurations change
    def is_owner(self, member):
        # Fencing by generation (ILLEGAL_GENERATION): a zombie cannot move the group's position.
        return all_of(
            self.member_generation[member] > 0, self.member_generation[member] == self.generation
        )

    def may_fetch_position(self, member):
        return True

    def take_position(self, new, member):
        # The next owner starts exactly where the group has committed, or there is a gap.
        new.position[member] = self.committed
        new.polled[member] = self.committed

    def take_effect(self, new, offset):
        new.processed_again[offset] = any_of(self.processed_again[offset], self.processed[offset])
        new.processed[offset] = True

    # ---- what happens
    @action
    def member_joins(self, new, member: Member):
        """A rebalance, or a restart after a crash, gives it the partition; the last owner may not
        know yet."""
        new.generation = self.generation + 1
        new.member_generation[member] = self.generation + 1
        new.has_position[member] = False

    @action
    def member_fetches_position(self, new, member: Member):
        require(self.member_generation[member] > 0, not_(self.has_position[member]))
        require(self.may_fetch_position(member))
        new.has_position[member] = True
        self.take_position(new, member)

    @action
    def member_polls(self, new, member: Member, end: EndOffset):
        """It fetches some records, when it is done with those it had."""
        require(self.has_position[member], self.position[member] == self.polled[member])
        require(self.polled[member] < end, end <= self.high_watermark)
        new.polled[member] = end

    @witness
    def zombie_has_work(self):
        """Two members have records that both of them would process."""
        return exists(
            Member,
            Member,
            lambda a, b: all_of(
                self.is_owner(a),
                not_(self.is_owner(b)),
                *(self.has_position[m] for m in (a, b)),
                *(self.position[m] < self.polled[m] for m in (a, b)),
                self.position[a] == self.position[b],
            ),
        )

    @witness
    def record_is_processed(self):
        return exists(Offset, lambda offset: self.processed[offset])


class ProcessedAtMostOnce(Consumption):
    """The guarantee: no record takes effect twice."""

    @invariant("AMO-02", "EOS-04")
    def processed_at_most_once(self):
        return for_all(Offset, lambda offset: not_(self.processed_again[offset]))


class ProcessedAtLeastOnce(Consumption):
    """The guarantee: what the group has left behind has taken effect."""

    @invariant("ALO-02", "EOS-04")
    def committed_is_processed(self):
        return for_all(Offset.below(self.committed), lambda offset: self.processed[offset])


class CommitFirst(ProcessedAtMostOnce):
    """Commit, then process: no record twice, but a crash in between loses some."""

    confirmed = per(Member, EndOffset, init=0)  # what it knows to be committed by itself

    def take_position(self, new, member):
        super().take_position(new, member)
        new.confirmed[member] = self.committed

    def may_process(self, member):
        # Without this a member goes on after a commit that was refused: the new owner does too.
        return self.position[member] < self.confirmed[member]

    def may_commit(self, member):
        # Without this a zombie's commit succeeds, and it processes what the owner processes.
        return self.is_owner(member)

    @action
    def member_commits(self, new, member: Member):
        require(self.has_position[member], self.may_commit(member))
        require(self.confirmed[member] == self.position[member])
        require(self.position[member] < self.polled[member])
        new.committed = self.polled[member]
        new.confirmed[member] = self.polled[member]

    @action
    def member_processes(self, new, member: Member):
        require(self.has_position[member], self.position[member] < self.polled[member])
        require(self.may_process(member))
        self.take_effect(new, self.position[member])
        new.position[member] = self.position[member] + 1

    @witness
    def record_is_left_out(self):
        """The group has left it behind, and no member that may process it has it any more."""
        return exists(
            Offset.below(self.committed),
            lambda offset: all_of(
                not_(self.processed[offset]),
                for_all(
                    Member, lambda m: any_of(not_(self.has_position[m]), offset < self.position[m])
                ),
            ),
        )


class ProcessFirst(ProcessedAtLeastOnce):
    """Process, then commit: no record is lost, but a crash in between repeats some."""

    def may_commit(self, member):
        # Without this a zombie moves the position back: more records twice, but none is lost.
        return self.is_owner(member)

    def offset_to_commit(self, member):
        # Only what is processed. Whatever lies between this and a larger offset would be lost.
        return self.position[member]

    @action
    def member_processes(self, new, member: Member):
        require(self.has_position[member], self.position[member] < self.polled[member])
        self.take_effect(new, self.position[member])
        new.position[member] = self.position[member] + 1

    @action
    def member_commits(self, new, member: Member):
        require(self.has_position[member], self.may_commit(member))
        new.committed = self.offset_to_commit(member)

    @witness
    def record_is_processed_twice(self):
        return exists(Offset, lambda offset: self.processed_again[offset])


class ProcessFirstUnfenced(ProcessFirst):
    """Process, then commit, with commits of zombies accepted: still no record is lost."""

    def may_commit(self, member):
        return True


class Transactions(ProcessedAtMostOnce, ProcessedAtLeastOnce):
    """Outputs and position take effect together, or neither does; zombies have to be fenced."""

    start = per(Member, EndOffset, init=0)  # its transaction has the outputs from here ...
    has_sent_offsets = per(Member, BOOL, init=False)  # ... to its position, to be committed with it

    def take_position(self, new, member):
        super().take_position(new, member)
        new.start[member] = self.committed

    def may_send_offsets(self, member):
        # Without this a zombie's transaction commits what the owner has committed already.
        return self.is_owner(member)

    def may_commit(self, member):
        return True

    @action
    def member_joins(self, new, member: Member):
        """InitProducerId aborts what it left open under its transactional id."""
        super().member_joins(new, member)
        new.has_sent_offsets[member] = False

    @action
    def member_processes(self, new, member: Member):
        """Its output is written, but nobody who reads committed records sees it yet."""
        require(self.has_position[member], self.position[member] < self.polled[member])
        require(not_(self.has_sent_offsets[member]))
        new.position[member] = self.position[member] + 1

    @action
    def member_sends_offsets(self, new, member: Member):
        """TxnOffsetCommit: its position becomes part of the transaction."""
        require(self.has_position[member], self.start[member] < self.position[member])
        require(self.may_send_offsets(member))
        new.has_sent_offsets[member] = True

    @action
    def member_commits_transaction(self, new, member: Member):
        """Outputs and position take effect together."""
        require(self.has_sent_offsets[member], self.may_commit(member))
        start, end = self.start[member], self.position[member]

        def is_inside(offset):
            return all_of(start <= offset, offset < end)

        new.processed_again = lambda offset: any_of(
            self.processed_again[offset], all_of(self.processed[offset], is_inside(offset))
        )
        new.processed = lambda offset: any_of(self.processed[offset], is_inside(offset))
        new.committed = end
        new.start[member] = end
        new.has_sent_offsets[member] = False

    @action
    def coordinator_aborts(self, new, member: Member):
        """The transaction has timed out, or the member gives it up: nothing of it takes effect.

        Its epoch is raised, so all that the member can do is fetch its position and begin again.
        """
        require(self.has_position[member])
        new.has_position[member] = False
        new.has_sent_offsets[member] = False


class Transactional(Transactions):
    """Outputs and position in one transaction, fenced by generation (KIP-447): exactly once.

    The commit itself is not fenced: whoever could send its offsets in time holds up the next owner
    until its transaction is done.
    """

    def may_fetch_position(self, member):
        # UNSTABLE_OFFSET_COMMIT: without this the new owner reads a position that a transaction
        # of the last owner, which is past its fencing, is about to move.
        return for_all(Member, lambda other: not_(self.has_sent_offsets[other]))

    @witness
    def zombie_commits_before_the_owner_begins(self):
        """The next owner waits for a transaction of the last one."""
        return exists(
            Member,
            Member,
            lambda owner, zombie: all_of(
                self.is_owner(owner),
                not_(self.has_position[owner]),
                not_(self.is_owner(zombie)),
                self.has_sent_offsets[zombie],
            ),
        )


class ProducerPerPartition(Transactions):
    """One transactional id per partition, fenced by its epoch (before KIP-447): exactly once."""

    def member_joins(self, new, member):
        """The new owner's InitProducerId aborts what the last owner has left open."""
        super().member_joins(new, member)
        new.has_sent_offsets = lambda other: False

    def may_commit(self, member):
        # INVALID_PRODUCER_EPOCH. Without this, and without the abort above, the last owner's
        # transaction commits after the new owner has read its position.
        return self.is_owner(member)


class CommitFirstClaimsNoLoss(CommitFirst, ProcessedAtLeastOnce):
    """Committing before processing, taken for at-least-once."""


class ProcessFirstClaimsNoDuplicates(ProcessFirst, ProcessedAtMostOnce):
    """Committing after processing, taken for at-most-once."""


class CommitsWhatIsPolled(ProcessFirst):
    """The end of what was fetched is committed, be it processed or not (a careless auto-commit)."""

    def offset_to_commit(self, member):
        return self.polled[member]


class StartsAtTheEnd(ProcessFirst):
    """A new owner begins at the end of the log (auto.offset.reset=latest, offsets expired)."""

    def take_position(self, new, member):
        new.position[member] = self.high_watermark
        new.polled[member] = self.high_watermark


class ProcessesAfterRefusedCommit(CommitFirst):
    """A member goes on with its records although their commit was not confirmed."""

    def may_process(self, member):
        return True


class CommitFirstUnfenced(CommitFirst):
    """The commit of a zombie is accepted."""

    def may_commit(self, member):
        return True


class TransactionsUnfenced(Transactional):
    """The generation is not checked when offsets join a transaction (before KIP-447)."""

    def may_send_offsets(self, member):
        return True


class UnstableOffsetsFetched(Transactional):
    """A new owner reads the committed position while a transaction is about to move it."""

    def may_fetch_position(self, member):
        return True


class OffsetsOutsideTransaction(Transactional):
    """The position is committed by a request of its own, after the transaction."""

    def member_commits_transaction(self, new, member):
        super().member_commits_transaction(new, member)
        new.committed = self.committed

    @action
    def member_commits_offset(self, new, member: Member):
        require(self.has_position[member], self.is_owner(member))
        new.committed = self.start[member]


class OutputsReadUncommitted(Transactional):
    """Whoever uses the outputs reads them without isolation.level=read_committed."""

    def member_processes(self, new, member):
        super().member_processes(new, member)
        self.take_effect(new, self.position[member])

    def member_commits_transaction(self, new, member):
        super().member_commits_transaction(new, member)
        new.processed = lambda offset: self.processed[offset]
        new.processed_again = lambda offset: self.processed_again[offset]


class PartitionProducerUnfenced(ProducerPerPartition):
    """A transactional id per partition, but the new owner does not fence the last one by it."""

    def member_joins(self, new, member):
        Transactions.member_joins(self, new, member)

    def may_commit(self, member):
        return True
