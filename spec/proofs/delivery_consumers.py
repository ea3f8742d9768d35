"""Why each configuration of a group of consumers gives its guarantee."""

from spec.language import all_of, conjunct, for_all, implies, not_
from spec.models.delivery_consumers import (
    CommitFirst,
    CommitFirstUnfenced,
    CommitsWhatIsPolled,
    Consumption,
    Member,
    OffsetsOutsideTransaction,
    OutputsReadUncommitted,
    PartitionProducerUnfenced,
    ProcessesAfterRefusedCommit,
    ProcessFirst,
    ProcessFirstUnfenced,
    ProducerPerPartition,
    StartsAtTheEnd,
    Transactional,
    Transactions,
    TransactionsUnfenced,
    UnstableOffsetsFetched,
)
from spec.models.delivery_producers import Offset


class OneOwner(Consumption):
    """At most one member holds the newest generation."""

    @conjunct
    def generations_are_given_once(self):
        """Or two members could commit at the same time."""
        return for_all(
            Member,
            Member,
            lambda a, b: all_of(
                self.member_generation[a] >= 0,
                self.member_generation[a] <= self.generation,
                implies(
                    all_of(
                        self.member_generation[a] > 0,
                        self.member_generation[a] == self.member_generation[b],
                    ),
                    a == b,
                ),
            ),
        )


class CommitFirstProof(OneOwner, CommitFirst):
    """Commit, then process: each record belongs to one member at most, before it is processed."""

    def is_claimed(self, member, offset):
        """Its commit is confirmed and it has not processed the record yet."""
        return all_of(
            self.has_position[member],
            self.position[member] <= offset,
            offset < self.confirmed[member],
        )

    @conjunct
    def positions(self):
        """Or a member could commit less than the group has, or process what it has not fetched."""
        return all_of(
            self.committed >= 0,
            for_all(
                Member,
                lambda m: implies(
                    self.has_position[m],
                    all_of(
                        self.position[m] >= 0,
                        self.position[m] <= self.confirmed[m],
                        self.confirmed[m] <= self.polled[m],
                        self.confirmed[m] <= self.committed,
                    ),
                ),
            ),
        )

    @conjunct
    def owner_knows_what_is_committed(self):
        """Or the owner could commit once more what a former owner committed and processes."""
        return for_all(
            Member,
            lambda m: implies(
                all_of(self.is_owner(m), self.has_position[m]), self.confirmed[m] == self.committed
            ),
        )

    @conjunct
    def one_member_claims_a_record(self):
        """Or two members could process it, each after a commit of its own."""
        return for_all(
            Member,
            Member,
            Offset,
            lambda a, b, o: implies(all_of(self.is_claimed(a, o), self.is_claimed(b, o)), a == b),
        )

    @conjunct
    def claimed_is_not_processed(self):
        """Or processing it would be the second time."""
        return for_all(
            Member, Offset, lambda m, o: implies(self.is_claimed(m, o), not_(self.processed[o]))
        )

    @conjunct
    def processed_is_committed(self):
        """Or it could be fetched, committed and claimed again."""
        return for_all(Offset, lambda o: implies(self.processed[o], o < self.committed))

    @conjunct
    def nothing_twice(self):
        """The guarantee itself."""
        return self.processed_at_most_once()


class ProcessFirstProof(ProcessFirst):
    """Process, then commit: whatever a member has behind it is processed, by it or before it."""

    @conjunct
    def committed_is_processed_already(self):
        """The guarantee itself: a member begins where the group has committed."""
        return all_of(self.committed >= 0, self.committed_is_processed())

    @conjunct
    def positions_are_processed(self):
        """Or a member could commit what nobody has processed."""
        return for_all(
            Member,
            Offset,
            lambda m, o: implies(
                self.has_position[m],
                all_of(self.position[m] >= 0, implies(o < self.position[m], self.processed[o])),
            ),
        )


class ProcessFirstUnfencedProof(ProcessFirstProof, ProcessFirstUnfenced):
    """The same argument holds for zombies: what they have behind them is processed too."""


class TransactionsProof(OneOwner, Transactions):
    """Each transaction that may still commit begins where the group has committed."""

    @conjunct
    def positions(self):
        """Or a transaction could contain the effects of records before its beginning."""
        return all_of(
            self.committed >= 0,
            for_all(
                Member,
                lambda m: all_of(
                    implies(self.has_sent_offsets[m], self.has_position[m]),
                    implies(
                        self.has_position[m],
                        all_of(self.start[m] >= 0, self.start[m] <= self.position[m]),
                    ),
                ),
            ),
        )

    @conjunct
    def owner_begins_where_committed(self):
        """Or the owner could send offsets of a transaction that repeats or leaves out records."""
        return for_all(
            Member,
            lambda m: implies(
                all_of(self.is_owner(m), self.has_position[m]), self.start[m] == self.committed
            ),
        )

    @conjunct
    def effects_are_what_is_committed(self):
        """Both guarantees, as one: a record has taken effect where the position is behind it."""
        return for_all(
            Offset,
            lambda o: all_of(
                not_(self.processed_again[o]),
                implies(self.processed[o], o < self.committed),
                implies(o < self.committed, self.processed[o]),
            ),
        )


class TransactionalProof(TransactionsProof, Transactional):
    """KIP-447: no owner has a position while a transaction of somebody else may commit."""

    @conjunct
    def pending_begins_where_committed(self):
        """Or what commits next could repeat or leave out records."""
        return for_all(
            Member, lambda m: implies(self.has_sent_offsets[m], self.start[m] == self.committed)
        )

    @conjunct
    def one_transaction_is_pending(self):
        """Or the second one to commit would begin where the group no longer is."""
        return for_all(
            Member,
            Member,
            lambda a, b: implies(
                all_of(self.has_sent_offsets[a], self.has_sent_offsets[b]), a == b
            ),
        )

    @conjunct
    def owner_waited_for_what_is_pending(self):
        """Or the owner's position could be moved by a transaction of its predecessor."""
        return for_all(
            Member,
            Member,
            lambda owner, other: implies(
                all_of(
                    self.is_owner(owner), self.has_position[owner], self.has_sent_offsets[other]
                ),
                owner == other,
            ),
        )


class ProducerPerPartitionProof(TransactionsProof, ProducerPerPartition):
    """Before KIP-447: only the owner commits, and it begins where the group has committed."""


# ---- one wrong rule each ------------------------------------------------------------------------


class CommitFirstUnfencedProof(CommitFirstUnfenced, CommitFirstProof):
    """A zombie's commit is accepted."""


class ProcessesAfterRefusedCommitProof(ProcessesAfterRefusedCommit, CommitFirstProof):
    """A member goes on although its commit was refused."""


class CommitsWhatIsPolledProof(CommitsWhatIsPolled, ProcessFirstProof):
    """What was fetched is committed, processed or not."""


class StartsAtTheEndProof(StartsAtTheEnd, ProcessFirstProof):
    """A new owner begins at the end of the log."""


class ZombieCommitsWhatIsPolledProof(CommitsWhatIsPolled, ProcessFirstUnfencedProof):
    """What was fetched is committed, processed or not."""


class TransactionsUnfencedProof(TransactionsUnfenced, TransactionalProof):
    """Offsets of a zombie join its transaction."""


class UnstableOffsetsProof(UnstableOffsetsFetched, TransactionalProof):
    """A position is fetched while a transaction is about to move it."""


class OffsetsOutsideTransactionProof(OffsetsOutsideTransaction, TransactionalProof):
    """The position is committed after the transaction."""


class OutputsReadUncommittedProof(OutputsReadUncommitted, TransactionalProof):
    """Outputs take effect before their transaction commits."""


class PartitionProducerUnfencedProof(PartitionProducerUnfenced, ProducerPerPartitionProof):
    """The new owner does not abort the last one's transaction."""
