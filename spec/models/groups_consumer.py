"""KIP-848 consumer groups: incremental reconciliation by heartbeats, member epochs.

The coordinator has a target assignment and moves each member towards it by answers to its
heartbeats: first it takes partitions away, then it waits until the member confirms, by a heartbeat,
that it has stopped, and only then it gives them on. The member epoch moves with each confirmed
revocation, and tells the commits of an owner from those that were sent before it gave up.

A member has one heartbeat in flight, so answers reach it in order; here a version counts them, and
a confirmation names the version that it confirms. Answers, confirmations and commits may be lost,
repeated or as late as they like. A fenced member may go on as a zombie; when it comes back it is
another member. Not modelled: how targets are computed, static members, a failover of the
coordinator. Liveness is not spoken of.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NOBODY,
    NONE,
    Messages,
    Optional,
    Per,
    Protocol,
    SetOf,
    Struct,
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
MemberEpoch = order("MemberEpoch")
Version = order("Version")  # counts the answers to a member's heartbeats; 0 is before the first

Answer = Struct(sent=BOOL, epoch=MemberEpoch, partitions=SetOf(Partition))


class ConsumerGroup(Protocol):
    """No two live members work on one partition, and only who holds it may commit."""

    # The coordinator.
    target = per(Partition, Optional(Member), init=NONE)
    assigned = per(Member, SetOf(Partition), init=NOBODY)
    revoking = per(Member, SetOf(Partition), init=NOBODY)  # taken away, not yet confirmed
    revoked_in = per(Member, Version, init=0)  # the last answer that took something away
    version = per(Member, Version, init=0)  # the last answer
    member_epoch = per(Member, MemberEpoch, init=0)
    is_fenced = per(Member, BOOL, init=False)
    # Messages: heartbeat answers, heartbeats that confirm them, and OffsetCommit requests.
    answer = per(
        Member, Per(Version, Answer), init={"sent": False, "epoch": 0, "partitions": NOBODY}
    )
    confirmations = var(Messages(member=Member, version=Version), init=EMPTY)
    commit_requests = var(
        Messages(member=Member, epoch=MemberEpoch, partition=Partition), init=EMPTY
    )
    # The members: the answer that each has applied, the epoch in it, and what it works on.
    applied = per(Member, Version, init=0)
    known_epoch = per(Member, MemberEpoch, init=0)
    working_on = per(Member, SetOf(Partition), init=NOBODY)
    # For the invariant: a commit was accepted from a member that did not hold the partition.
    has_stray_commit = per(Partition, BOOL, init=False)

    # ---- definitions ----------------------------------------------------------------------------

    def holds(self, member, partition):
        """In the coordinator's books: also as long as it has not confirmed that it stopped."""
        return any_of(self.assigned[member].has(partition), self.revoking[member].has(partition))

    def is_told(self, member, partition):
        """The member's last answer names the partition as its own."""
        return self.answer[member, self.applied[member]].partitions.has(partition)

    def is_free(self, partition):
        # The former owner still works on what it has not confirmed to have stopped.
        return for_all(Member, lambda member: not_(self.holds(member, partition)))

    def has_stopped(self, member):
        """It works on nothing but what its last answer names."""
        # Who confirms first and stops afterwards works on beside the next owner.
        return for_all(
            Partition,
            lambda partition: implies(
                self.working_on[member].has(partition), self.is_told(member, partition)
            ),
        )

    def is_confirmed(self, member, version):
        # A confirmation of an older answer says nothing of what was taken away since.
        return version >= self.revoked_in[member]

    def is_next_epoch(self, member, epoch):
        # In the old epoch it may have sent commits that are still on their way.
        return epoch > self.member_epoch[member]

    def is_news(self, member, version):
        # An older answer names partitions that were taken away since.
        return version > self.applied[member]

    def may_commit(self, member):
        # UNKNOWN_MEMBER_ID: the partitions of a fenced member belong to others by now.
        return not_(self.is_fenced[member])

    def is_current(self, member, epoch):
        # STALE_MEMBER_EPOCH: a commit from before a revocation must not overwrite the next owner's.
        return epoch == self.member_epoch[member]

    def send_answer(self, new, member, version, partitions):
        new.version[member] = version
        new.answer[member, version] = {
            "sent": True,
            "epoch": self.member_epoch[member],
            "partitions": partitions,
        }

    # ---- the coordinator ------------------------------------------------------------------------

    @action
    def set_target(self, new, partition: Partition, member: Member):
        """A new target assignment. Nothing moves by that alone."""
        require(not_(self.is_fenced[member]))
        new.target[partition] = member

    @action
    def revoke(self, new, member: Member, partition: Partition, version: Version):
        """An answer that does not name the partition any more; the member still holds it."""
        require(self.assigned[member].has(partition), self.target[partition] != member)
        require(version > self.version[member])
        rest = self.assigned[member].minus(partition)
        new.assigned[member] = rest
        new.revoking[member] = self.revoking[member].plus(partition)
        new.revoked_in[member] = version
        self.send_answer(new, member, version, rest)

    @action
    def finish_revocation(self, new, member: Member, version: Version, epoch: MemberEpoch):
        """The member has confirmed the last revocation, so all of them; its epoch moves on."""
        require(not_(self.revoking[member].is_empty()))
        require(self.confirmations.has(member=member, version=version))
        require(self.is_confirmed(member, version), self.is_next_epoch(member, epoch))
        new.revoking[member] = NOBODY
        new.member_epoch[member] = epoch

    @action
    def give(self, new, member: Member, partition: Partition, version: Version):
        """An answer that names one partition more."""
        require(self.target[partition] == member)
        # A fenced member gets no answers; nobody would take the partition away from it again.
        require(not_(self.is_fenced[member]))
        require(self.is_free(partition))
        require(version > self.version[member])
        more = self.assigned[member].plus(partition)
        new.assigned[member] = more
        self.send_answer(new, member, version, more)

    @action
    def answer_heartbeat(self, new, member: Member, version: Version):
        """An answer that moves nothing: it tells the member its epoch."""
        require(not_(self.is_fenced[member]))
        require(version > self.version[member])
        self.send_answer(new, member, version, self.assigned[member])

    @action
    def fence(self, new, member: Member):
        """No heartbeat within the session timeout, or a revocation that took too long."""
        new.is_fenced[member] = True
        new.assigned[member] = NOBODY
        new.revoking[member] = NOBODY

    # ---- the members ----------------------------------------------------------------------------

    @action
    def receive_answer(self, new, member: Member, version: Version):
        require(self.answer[member, version].sent, self.is_news(member, version))
        new.applied[member] = version
        new.known_epoch[member] = self.answer[member, version].epoch

    @action
    def start_work(self, new, member: Member, partition: Partition):
        require(self.is_told(member, partition))
        new.working_on[member] = self.working_on[member].plus(partition)

    @action
    def stop_work(self, new, member: Member, partition: Partition):
        """The revocation callback has run: this may take long after the answer came."""
        require(self.working_on[member].has(partition), not_(self.is_told(member, partition)))
        new.working_on[member] = self.working_on[member].minus(partition)

    @action
    def confirm(self, new, member: Member):
        """A heartbeat that lists what the member owns."""
        require(self.has_stopped(member))
        new.confirmations.send(member=member, version=self.applied[member])

    # ---- commits --------------------------------------------------------------------------------

    @action
    def send_commit(self, new, member: Member, partition: Partition):
        """OffsetCommit v9, with the member epoch."""
        require(self.working_on[member].has(partition))
        epoch = self.known_epoch[member]
        new.commit_requests.send(member=member, epoch=epoch, partition=partition)

    @action
    def accept_commit(self, new, member: Member, epoch: MemberEpoch, partition: Partition):
        """The coordinator stores the offset. All other requests are refused and change nothing."""
        require(self.commit_requests.has(member=member, epoch=epoch, partition=partition))
        require(self.may_commit(member))
        require(self.is_current(member, epoch))
        stray = not_(self.holds(member, partition))
        new.has_stray_commit[partition] = any_of(self.has_stray_commit[partition], stray)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("GRP-10")
    def one_worker(self):
        """No two members that are not fenced work on the same partition, at any time."""
        return for_all(
            Member,
            Member,
            Partition,
            lambda a, b, partition: implies(
                all_of(
                    self.working_on[a].has(partition),
                    self.working_on[b].has(partition),
                    not_(self.is_fenced[a]),
                    not_(self.is_fenced[b]),
                ),
                a == b,
            ),
        )

    @invariant("GRP-09", "OFF-05")
    def commits_are_of_holders(self):
        """Commits of former owners and of fenced members are refused."""
        return for_all(Partition, lambda partition: not_(self.has_stray_commit[partition]))

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def partition_moved(self):
        """The former owner lives and has committed; another works on the partition now."""
        return exists(
            Member,
            Member,
            Partition,
            MemberEpoch,
            lambda old, owner, partition, epoch: all_of(
                self.commit_requests.has(member=old, epoch=epoch, partition=partition),
                not_(self.is_fenced[old]),
                not_(self.working_on[old].has(partition)),
                self.working_on[owner].has(partition),
            ),
        )


class NoConfirmation(ConsumerGroup):
    """A partition is given on as soon as it was taken away, before the former owner confirms."""

    def is_free(self, partition):
        return for_all(Member, lambda member: not_(self.assigned[member].has(partition)))


class ConfirmBeforeStopping(ConsumerGroup):
    """A member confirms as soon as it hears of a revocation, while it still works."""

    def has_stopped(self, member):
        return all_of()


class OldConfirmationCounts(ConsumerGroup):
    """A confirmation of an older answer counts for a later revocation."""

    def is_confirmed(self, member, version):
        return all_of()


class AnswersOutOfOrder(ConsumerGroup):
    """A member applies answers in whatever order they come."""

    def is_news(self, member, version):
        return all_of()


class EpochStays(ConsumerGroup):
    """The member epoch does not move with a revocation."""

    def is_next_epoch(self, member, epoch):
        return epoch == self.member_epoch[member]


class NoMemberEpochCheck(ConsumerGroup):
    """The coordinator accepts commits of any member epoch."""

    def is_current(self, member, epoch):
        return all_of()


class NoFencing(ConsumerGroup):
    """The coordinator accepts commits of members that it has fenced."""

    def is_confirmed(self, member, version):
        # A confirmation of an older answer says nothing of what was taken away since.
        return version >= self.revoked_in[member]

    def is_next_epoch(self, member, epoch):
        # In the old epoch it may have sent commits that are still on their way.
        return epoch > self.member_epoch[member]

    def is_news(self, member, version):
        # An older answer names partitions that were taken away since.
        return version > self.applied[member]

    def may_commit(self, member):
        return all_of()


SMALL = {"Member": 2, "Partition": 1, "MemberEpoch": 2, "Version": 3}


def _wrong(name: str, protocol: type[ConsumerGroup], invariant: str, steps: int) -> Variant:
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
    name="groups_consumer",
    summary="KIP-848 consumer groups: exclusive work, member epochs, fenced commits",
    bounds={
        "members": "Member",
        "partitions": "Partition",
        "epochs": "MemberEpoch+1",
        "versions": "Version+1",
    },
    variants=(
        Variant(name="consumer", protocol=ConsumerGroup, bounds=SMALL, symmetry="Member"),
        _wrong("no-confirmation", NoConfirmation, "one_worker", 9),
        _wrong("confirm-before-stopping", ConfirmBeforeStopping, "one_worker", 12),
        _wrong("old-confirmation-counts", OldConfirmationCounts, "one_worker", 11),
        _wrong("answers-out-of-order", AnswersOutOfOrder, "one_worker", 12),
        _wrong("epoch-stays", EpochStays, "commits_are_of_holders", 12),
        _wrong("no-member-epoch-check", NoMemberEpochCheck, "commits_are_of_holders", 12),
        _wrong("no-fencing", NoFencing, "commits_are_of_holders", 7),
    ),
)
