"""Why classic groups are safe, for any number of members, partitions and generations.

Everything hangs on the generation: what is known of one never changes once its leader has sent the
assignment, and nothing is known of those to come.
"""

from spec.language import all_of, any_of, conjunct, for_all, iff, implies, not_
from spec.models.groups_classic import (
    AssignmentChanges,
    ClassicGroup,
    DuplicateAssignment,
    Generation,
    GenerationUsedAgain,
    LateLeader,
    Member,
    NoGenerationCheck,
    Partition,
    UnknownMembersCommit,
)
from spec.proofs.proof import Proof


class ClassicGroupProof(ClassicGroup):
    """Exclusive ownership in each generation, and commits of its owners only."""

    @conjunct
    def the_future_is_empty(self):
        """A new generation starts from nothing; generation 0 has no members, so never anything."""
        return for_all(
            Generation,
            Member,
            lambda generation, member: implies(
                any_of(generation == 0, generation > self.generation),
                all_of(
                    not_(self.members[generation].has(member)),
                    not_(self.answered[generation].has(member)),
                    self.assigned[generation, member].is_empty(),
                ),
            ),
        )

    @conjunct
    def members_live_in_the_past(self):
        """Nobody believes in a generation to come."""
        return for_all(Member, lambda member: self.member_generation[member] <= self.generation)

    @conjunct
    def assigned_once(self):
        """Within a generation the leader gives no partition to two members."""
        return for_all(
            Generation,
            Member,
            Member,
            Partition,
            lambda generation, a, b, partition: implies(
                all_of(
                    self.assigned[generation, a].has(partition),
                    self.assigned[generation, b].has(partition),
                ),
                a == b,
            ),
        )

    @conjunct
    def answers_are_final(self):
        """An answer says what the leader of its generation has sent, and cannot change any more."""
        return for_all(
            Generation,
            Member,
            Partition,
            lambda generation, member, partition: implies(
                self.answered[generation].has(member),
                all_of(
                    self.is_sent[generation],
                    iff(
                        self.answer[generation, member].has(partition),
                        self.assigned[generation, member].has(partition),
                    ),
                ),
            ),
        )

    @conjunct
    def believed_generations_are_final(self):
        """Nothing is assigned any more in a generation that somebody consumes in."""
        return for_all(
            Member,
            lambda member: implies(
                self.member_generation[member] != 0, self.is_sent[self.member_generation[member]]
            ),
        )

    @conjunct
    def owned_is_assigned(self):
        """The invariant itself: it is kept by each action alone."""
        return self.members_own_what_was_assigned()

    @conjunct
    def commits_were_sent_by_owners(self):
        """Of the generation that they name: the coordinator need only compare generations."""
        return for_all(
            Member,
            Generation,
            Partition,
            lambda member, generation, partition: implies(
                self.commit_requests.has(member=member, generation=generation, partition=partition),
                self.assigned[generation, member].has(partition),
            ),
        )

    @conjunct
    def no_stray_commit(self):
        """The invariant itself: nobody reads what it is about."""
        return self.commits_are_of_owners()


class AnyGenerationCommits(ClassicGroupProof, NoGenerationCheck):
    """Breaks the acceptance of commits."""


class AnyMemberCommits(ClassicGroupProof, UnknownMembersCommit):
    """Breaks the acceptance of commits."""


class TwoOwners(ClassicGroupProof, DuplicateAssignment):
    """Breaks exclusive assignment."""


class SameGenerationAgain(ClassicGroupProof, GenerationUsedAgain):
    """Breaks that a new generation starts from nothing."""


class OldLeaderHeard(ClassicGroupProof, LateLeader):
    """Breaks what answers say."""


class AssignmentNotFinal(ClassicGroupProof, AssignmentChanges):
    """Breaks what answers say."""


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="groups_classic",
        protocol=ClassicGroup,
        proof=ClassicGroupProof,
        small={"Member": 3, "Partition": 2, "Generation": 3},
        mutants=(
            AnyGenerationCommits,
            AnyMemberCommits,
            TwoOwners,
            SameGenerationAgain,
            OldLeaderHeard,
            AssignmentNotFinal,
        ),
    ),
)
