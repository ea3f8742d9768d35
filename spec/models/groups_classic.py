"""Classic consumer groups: JoinGroup, SyncGroup, generations (before KIP-848).

Members join; the coordinator closes a rebalance with a new generation; one member of it, the
leader, assigns the partitions and sends its assignment by SyncGroup; every member gets its part as
the answer to its own SyncGroup. Both may be late: the leader's SyncGroup may find a newer
generation, and a member whose answer has not come goes on in an older one. Nothing but the
generation in its requests tells it from an owner.

Which member is the leader does not matter here: an assignment grows partition by partition until
it is sent. A member that leaves, or whose session expires, may not know it.
Not modelled: static members (KIP-345), a failover of the coordinator, what the offsets mean.
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
    implies,
    invariant,
    not_,
    order,
    per,
    require,
    var,
    witness,
)
from spec.models.family import Family, Refutation, Variant

Member = entity("Member")
Partition = entity("Partition")
Generation = order("Generation")  # 0 is the empty group before the first rebalance


class ClassicGroup(Protocol):
    """In each generation a partition has one owner, and only the newest owner may commit."""

    # The coordinator.
    generation = var(Generation, init=0)
    is_completing = var(BOOL, init=False)  # CompletingRebalance: the leader's SyncGroup is awaited
    joined = var(SetOf(Member), init=NOBODY)
    members = per(Generation, SetOf(Member), init=NOBODY)
    # The leader of each generation: what it has assigned, and whether it has sent that.
    assigned = per(Generation, Per(Member, SetOf(Partition)), init=NOBODY)
    is_sent = per(Generation, BOOL, init=False)
    # Messages: the answers to SyncGroup, to whom and what; and OffsetCommit requests.
    answered = per(Generation, SetOf(Member), init=NOBODY)
    answer = per(Generation, Per(Member, SetOf(Partition)), init=NOBODY)
    commit_requests = var(
        Messages(member=Member, generation=Generation, partition=Partition), init=EMPTY
    )
    # The members: the generation that each believes in, and what it consumes.
    member_generation = per(Member, Generation, init=0)
    owned = per(Member, SetOf(Partition), init=NOBODY)
    # For the invariant: a commit was accepted from a member that did not own the partition.
    has_stray_commit = per(Partition, BOOL, init=False)

    # ---- definitions ----------------------------------------------------------------------------

    def is_owner(self, member, partition):
        """In the current generation, as far as the coordinator knows."""
        return all_of(
            self.members[self.generation].has(member),
            self.assigned[self.generation, member].has(partition),
        )

    def may_start(self, generation):
        # Members of an earlier generation of that number would pass for members of this one.
        return generation > self.generation

    def may_assign(self, generation, partition):
        # Otherwise two members of one generation read the same records.
        return for_all(Member, lambda other: not_(self.assigned[generation, other].has(partition)))

    def may_change(self, generation):
        # What is sent is final: of two versions the coordinator would know one and the leader,
        # when it repeats its request, another.
        return not_(self.is_sent[generation])

    def accepts_sync(self, generation):
        # ILLEGAL_GENERATION: a late leader would assign for members that it does not know.
        return generation == self.generation

    def is_current(self, generation):
        # ILLEGAL_GENERATION: a member that missed a rebalance overwrites the new owner's position.
        return generation == self.generation

    def knows_member(self, member):
        # UNKNOWN_MEMBER_ID: whoever left, or was expelled, goes on in the same generation.
        return self.members[self.generation].has(member)

    # ---- rebalance ------------------------------------------------------------------------------

    @action
    def join_group(self, new, member: Member):
        """JoinGroup; it counts from the next generation on."""
        new.joined = self.joined.plus(member)

    @action
    def leave_group(self, new, member: Member):
        """LeaveGroup, or the session has expired: then the member does not know."""
        new.joined = self.joined.minus(member)
        new.members[self.generation] = self.members[self.generation].minus(member)

    @action
    def start_generation(self, new, generation: Generation):
        """Whoever has joined by now makes up the new generation; nothing is assigned in it."""
        require(self.may_start(generation))
        new.generation = generation
        new.is_completing = True
        new.members[generation] = self.joined
        new.is_sent[generation] = False
        new.assigned[generation] = lambda member: NOBODY

    @action
    def leader_assign(self, new, generation: Generation, member: Member, partition: Partition):
        """The leader need not know that its generation is over."""
        require(self.members[generation].has(member))
        require(self.may_change(generation), self.may_assign(generation, partition))
        new.assigned[generation, member] = self.assigned[generation, member].plus(partition)

    @action
    def leader_sync(self, new, generation: Generation):
        """The leader's SyncGroup is on its way."""
        require(not_(self.members[generation].is_empty()))
        new.is_sent[generation] = True

    @action
    def accept_assignment(self, new, generation: Generation):
        """The coordinator takes the assignment, and answers each member, now or later."""
        require(self.is_completing, self.is_sent[generation], self.accepts_sync(generation))
        new.is_completing = False
        new.answered[self.generation] = self.members[self.generation]
        new.answer[self.generation] = lambda member: self.assigned[generation, member]

    @action
    def receive_assignment(self, new, member: Member, generation: Generation):
        """The answer to SyncGroup reaches the member."""
        require(self.answered[generation].has(member))
        # Going back it would consume what others own by now, until its next request is refused.
        require(generation > self.member_generation[member])
        new.member_generation[member] = generation
        new.owned[member] = self.answer[generation, member]

    # ---- commits --------------------------------------------------------------------------------

    @action
    def send_commit(self, new, member: Member, partition: Partition):
        """OffsetCommit; it carries the generation that the member believes in."""
        require(self.owned[member].has(partition))
        generation = self.member_generation[member]
        new.commit_requests.send(member=member, generation=generation, partition=partition)

    @action
    def accept_commit(self, new, member: Member, generation: Generation, partition: Partition):
        """The coordinator stores the offset. All other requests are refused and change nothing."""
        require(self.commit_requests.has(member=member, generation=generation, partition=partition))
        require(self.is_current(generation), self.knows_member(member))
        stray = not_(self.is_owner(member, partition))
        new.has_stray_commit[partition] = any_of(self.has_stray_commit[partition], stray)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("GRP-03")
    def one_owner_per_generation(self):
        """Members that believe in the same generation never consume the same partition."""
        return for_all(
            Member,
            Member,
            Partition,
            lambda a, b, partition: implies(
                all_of(
                    self.owned[a].has(partition),
                    self.owned[b].has(partition),
                    self.member_generation[a] == self.member_generation[b],
                ),
                a == b,
            ),
        )

    @invariant("GRP-03")
    def members_own_what_was_assigned(self):
        """Each consumes exactly what the leader of its generation sent for it."""
        return for_all(
            Member,
            lambda member: (
                self.owned[member] == self.assigned[self.member_generation[member], member]
            ),
        )

    @invariant("GRP-04", "OFF-05")
    def commits_are_of_owners(self):
        """A commit is accepted only from a member that owns the partition at that moment."""
        return for_all(Partition, lambda partition: not_(self.has_stray_commit[partition]))

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def stale_owner_beside_new_one(self):
        """The old owner still consumes, and commits, beside the new one."""
        return exists(
            Member,
            Member,
            Partition,
            lambda old, owner, partition: all_of(
                self.owned[old].has(partition),
                self.member_generation[old] < self.generation,
                self.commit_requests.has(
                    member=old, generation=self.member_generation[old], partition=partition
                ),
                self.owned[owner].has(partition),
                self.member_generation[owner] == self.generation,
            ),
        )


class NoGenerationCheck(ClassicGroup):
    """The coordinator accepts commits of any generation."""

    def is_current(self, generation):
        return all_of()


class UnknownMembersCommit(ClassicGroup):
    """The coordinator accepts commits of members that have left the generation."""

    def knows_member(self, member):
        return all_of()


class DuplicateAssignment(ClassicGroup):
    """The leader's assignor may give one partition to two members."""

    def may_assign(self, generation, partition):
        return all_of()


class GenerationUsedAgain(ClassicGroup):
    """A rebalance may end in the generation that it began in."""

    def may_start(self, generation):
        return generation >= self.generation


class LateLeader(ClassicGroup):
    """The coordinator takes the assignment of the leader of an older generation."""

    def accepts_sync(self, generation):
        return all_of()


class AssignmentChanges(ClassicGroup):
    """The leader goes on assigning after it has sent its assignment."""

    def may_change(self, generation):
        return all_of()


SMALL = {"Member": 2, "Partition": 1, "Generation": 3}


def _wrong(name: str, protocol: type[ClassicGroup], invariant: str, steps: int) -> Variant:
    """A variant that two members and one partition break in so many steps."""
    refutation = Refutation(invariant=invariant, bounds=SMALL, steps=steps, symmetry="Member")
    return Variant(
        name=name,
        protocol=protocol,
        bounds=SMALL,
        symmetry="Member",
        refutations=(refutation,),
    )


MODEL = Family(
    name="groups_classic",
    summary="classic consumer groups: generations, exclusive ownership, fenced commits",
    bounds={"members": "Member", "partitions": "Partition", "generations": "Generation+1"},
    variants=(
        Variant(name="classic", protocol=ClassicGroup, bounds=SMALL, symmetry="Member"),
        _wrong("no-generation-check", NoGenerationCheck, "commits_are_of_owners", 9),
        _wrong("unknown-members-commit", UnknownMembersCommit, "commits_are_of_owners", 9),
        _wrong("duplicate-assignment", DuplicateAssignment, "one_owner_per_generation", 9),
        _wrong("generation-used-again", GenerationUsedAgain, "one_owner_per_generation", 12),
        _wrong("late-leader", LateLeader, "members_own_what_was_assigned", 7),
        _wrong("assignment-changes", AssignmentChanges, "members_own_what_was_assigned", 6),
    ),
)
