"""Why KIP-848 groups are safe, for any number of members, partitions, epochs and answers.

What a member works on, what its answers say, and its commits are late pictures of the coordinator's
books. The conjuncts say how late they can be: no picture that can still be acted on names a
partition that the member does not hold in the books.
"""

from spec.language import all_of, any_of, conjunct, for_all, implies, not_
from spec.models.groups_consumer import (
    AnswersOutOfOrder,
    ConfirmBeforeStopping,
    ConsumerGroup,
    EpochStays,
    Member,
    MemberEpoch,
    NoConfirmation,
    NoFencing,
    NoMemberEpochCheck,
    OldConfirmationCounts,
    Partition,
    Version,
)
from spec.proofs.proof import Proof


class ConsumerGroupProof(ConsumerGroup):
    """No two live members work on a partition, and commits are of holders only."""

    # ---- the coordinator's books ----------------------------------------------------------------

    @conjunct
    def one_holder(self):
        """The books are exclusive; all the rest compares other places with them."""
        return for_all(
            Member,
            Member,
            Partition,
            lambda a, b, partition: implies(
                all_of(self.holds(a, partition), self.holds(b, partition)), a == b
            ),
        )

    @conjunct
    def books_are_tidy(self):
        """What is being revoked is not assigned, and fenced members hold nothing."""
        return for_all(
            Member,
            Partition,
            lambda member, partition: all_of(
                not_(
                    all_of(
                        self.assigned[member].has(partition),
                        self.revoking[member].has(partition),
                    )
                ),
                implies(self.is_fenced[member], not_(self.holds(member, partition))),
            ),
        )

    # ---- answers --------------------------------------------------------------------------------

    @conjunct
    def answers_have_versions(self):
        """Answers and confirmations are of the past, so a new version is new to everybody."""
        return all_of(
            for_all(
                Member,
                lambda member: all_of(
                    self.applied[member] <= self.version[member],
                    self.revoked_in[member] <= self.version[member],
                ),
            ),
            for_all(
                Member,
                Version,
                lambda member, version: all_of(
                    implies(self.answer[member, version].sent, version <= self.version[member]),
                    implies(
                        self.confirmations.has(member=member, version=version),
                        version <= self.applied[member],
                    ),
                ),
            ),
            for_all(
                Member,
                Version,
                Partition,
                lambda member, version, partition: implies(
                    self.answer[member, version].partitions.has(partition),
                    self.answer[member, version].sent,
                ),
            ),
        )

    @conjunct
    def answers_name_what_is_held(self):
        """An answer that is or will be applied names a partition only if the member holds it: it is
        assigned, or it was taken away later than this answer was given."""
        return for_all(
            Member,
            Version,
            Partition,
            lambda member, version, partition: implies(
                all_of(
                    self.answer[member, version].partitions.has(partition),
                    self.applied[member] <= version,
                    not_(self.is_fenced[member]),
                ),
                any_of(
                    self.assigned[member].has(partition),
                    all_of(self.revoking[member].has(partition), version < self.revoked_in[member]),
                ),
            ),
        )

    # ---- work -----------------------------------------------------------------------------------

    @conjunct
    def work_is_held(self):
        """A member works only on what the books still say it holds: this is exclusiveness."""
        return for_all(
            Member,
            Partition,
            lambda member, partition: implies(
                all_of(self.working_on[member].has(partition), not_(self.is_fenced[member])),
                self.holds(member, partition),
            ),
        )

    @conjunct
    def confirmed_is_stopped(self):
        """Once a revocation is confirmed, the member works on the partition no more."""
        return for_all(
            Member,
            Partition,
            Version,
            lambda member, partition, version: implies(
                all_of(
                    self.revoking[member].has(partition),
                    self.confirmations.has(member=member, version=version),
                    self.revoked_in[member] <= version,
                    not_(self.is_fenced[member]),
                ),
                not_(self.working_on[member].has(partition)),
            ),
        )

    # ---- commits --------------------------------------------------------------------------------

    @conjunct
    def epochs_are_of_the_past(self):
        """No answer, member or commit knows an epoch that the coordinator has not reached."""
        return all_of(
            for_all(
                Member,
                Version,
                lambda member, version: implies(
                    self.answer[member, version].sent,
                    self.answer[member, version].epoch <= self.member_epoch[member],
                ),
            ),
            for_all(Member, lambda member: self.known_epoch[member] <= self.member_epoch[member]),
            for_all(
                Member,
                MemberEpoch,
                Partition,
                lambda member, epoch, partition: implies(
                    self.commit_requests.has(member=member, epoch=epoch, partition=partition),
                    epoch <= self.member_epoch[member],
                ),
            ),
        )

    @conjunct
    def current_commits_are_of_holders(self):
        """A commit with the member's current epoch was sent since its last revocation."""
        return for_all(
            Member,
            MemberEpoch,
            Partition,
            lambda member, epoch, partition: implies(
                all_of(
                    self.commit_requests.has(member=member, epoch=epoch, partition=partition),
                    epoch == self.member_epoch[member],
                    not_(self.is_fenced[member]),
                ),
                self.holds(member, partition),
            ),
        )

    @conjunct
    def no_stray_commit(self):
        """The invariant itself: nobody reads what it is about."""
        return self.commits_are_of_holders()


class GivenUnconfirmed(ConsumerGroupProof, NoConfirmation):
    """Breaks the exclusiveness of the books."""


class ConfirmedUnstopped(ConsumerGroupProof, ConfirmBeforeStopping):
    """Breaks what a confirmation says."""


class OldConfirmation(ConsumerGroupProof, OldConfirmationCounts):
    """Breaks that work is held."""


class AnyAnswerApplied(ConsumerGroupProof, AnswersOutOfOrder):
    """Breaks what answers can still be applied."""


class EpochNotMoved(ConsumerGroupProof, EpochStays):
    """Breaks what the member epoch says of commits."""


class AnyEpochCommits(ConsumerGroupProof, NoMemberEpochCheck):
    """Breaks the acceptance of commits."""


class FencedMembersCommit(ConsumerGroupProof, NoFencing):
    """Breaks the acceptance of commits."""


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="groups_consumer",
        protocol=ConsumerGroup,
        proof=ConsumerGroupProof,
        small={"Member": 3, "Partition": 2, "MemberEpoch": 3, "Version": 3},
        mutants=(
            GivenUnconfirmed,
            ConfirmedUnstopped,
            OldConfirmation,
            AnyAnswerApplied,
            EpochNotMoved,
            AnyEpochCommits,
            FencedMembersCommit,
        ),
    ),
)
