"""Replication of one partition: what a leader, its followers and the controller may do.

The protocol of Kafka's brokers and its historic repairs, from truncation to the high watermark to
the epoch fencing of KIP-320. `self` is the state now, `new` the next one; what an action does not
assign stays as it is. Nothing here says how many brokers, epochs or records there are.
An action is one step of one broker or of the controller, and reads whatever it needs of the others
in that step: a fetch sees the leader's log, a leader sees its followers' logs. The same protocol
with messages between them is `replication_messages`.

Written anew after KafkaReplication.tla of hachikuji/kafka-specification (commit d68782b) and the
modules there that extend it; the variants have their state counts.
"""

from spec.language import (
    EMPTY,
    EVERYONE,
    NOBODY,
    NONE,
    Log,
    Optional,
    Protocol,
    SetOf,
    Struct,
    action,
    all_of,
    any_of,
    end_of_last,
    entity,
    exists,
    first_where,
    for_all,
    implies,
    invariant,
    ite,
    ite_set,
    not_,
    number,
    only,
    per,
    require,
    smaller,
    var,
    witness,
)
from spec.models.family import Family, Refutation, Variant

Broker = entity("Broker")
Epoch = number("Epoch", first=-1)
"""Leader epochs. NO_EPOCH comes before the first."""
NO_EPOCH = -1
Offset = number("Offset")
RecordId = number("RecordId")
"""Tells records apart. No broker ever looks at it, but to compare whole records."""

Record = Struct(id=RecordId, epoch=Epoch)
Quorum = Struct(leader=Optional(Broker), epoch=Epoch, isr=SetOf(Broker))
LeaderAndIsr = Struct(leader=Optional(Broker), isr=SetOf(Broker))


class Replication(Protocol):
    """What all variants share; they differ in where a follower truncates, and in what is fenced."""

    # ---- what each broker stores
    log = per(Broker, Log(Record, Offset), init=EMPTY)
    # Everything below it is committed: on every in-sync replica, and shown to consumers.
    high_watermark = per(Broker, Offset.end, init=0)
    # The highest epoch that it has heard of.
    leader_epoch = per(Broker, Epoch, init=NO_EPOCH)
    # Whom it follows; itself where it thinks that it leads.
    leader = per(Broker, Optional(Broker), init=NONE)
    # The in-sync replicas that it was told of, or has set as a leader.
    isr = per(Broker, SetOf(Broker), init=NOBODY)

    # ---- the truth, in ZooKeeper or the metadata log
    quorum = var(Quorum, init=dict(leader=NONE, epoch=NO_EPOCH, isr=EVERYONE))
    # LeaderAndIsr requests, one of each epoch. A broker may see one late, twice or never.
    request = per(Epoch, LeaderAndIsr, init=dict(leader=NONE, isr=NOBODY))
    next_record_id = var(RecordId.end, init=0)

    # ---- definitions ----------------------------------------------------------------------------

    def presumes_leadership(self, broker):
        return self.leader[broker] == broker

    def is_true_leader(self, broker):
        return all_of(
            self.quorum.leader == broker,
            self.presumes_leadership(broker),
            self.leader_epoch[broker] == self.quorum.epoch,
        )

    def is_following(self, follower, leader):
        return self.leader[follower] == leader

    def is_caught_up(self, follower, leader, end_offset):
        return all_of(
            self.is_following(follower, leader),
            end_offset <= self.log[leader].end_offset,
            end_offset <= self.log[follower].end_offset,
        )

    def is_sent(self, epoch):
        return epoch <= self.quorum.epoch

    def both_have(self, a, b, offset):
        """The two logs have the same record there."""
        return all_of(
            self.log[a].has_offset(offset),
            self.log[b].has_offset(offset),
            self.log[a][offset] == self.log[b][offset],
        )

    def truncation_offset(self, follower, leader):
        """Where a new follower cuts its log: what the historic variants differ in."""
        raise NotImplementedError

    # ---- the controller -------------------------------------------------------------------------

    def start_epoch(self, new, leader, isr):
        """Begins an epoch: the new truth is stored, and sent to everybody."""
        epoch = self.quorum.epoch + 1
        new.quorum = dict(leader=leader, epoch=epoch, isr=isr)
        new.request[epoch] = dict(leader=leader, isr=isr)

    @action
    def controller_elect_leader(self, new, leader: Broker):
        # A clean election. A broker outside the ISR may lack committed records, and as a leader
        # it would make its followers truncate theirs.
        require(self.quorum.isr.has(leader))
        require(self.quorum.leader != leader)  # else it would only begin another epoch
        self.start_epoch(new, leader, self.quorum.isr)

    @action
    def controller_shrink_isr(self, new, broker: Broker):
        """A broker has failed or shuts down."""
        leads = self.quorum.leader == broker
        # The last member stays if it led: it alone is sure to have everything. (It goes if it fails
        # again, as published; then nobody can be elected, but no promise is broken.)
        last = self.quorum.isr == only(broker)
        require(any_of(leads, self.quorum.isr.has(broker)))  # else it would only begin an epoch
        self.start_epoch(
            new,
            leader=ite(leads, NONE, self.quorum.leader),
            isr=ite_set(all_of(leads, last), self.quorum.isr, self.quorum.isr.minus(broker)),
        )

    def obey_request(self, new, broker, leader, epoch):
        # Otherwise two brokers would lead in one epoch, and write different records at an offset.
        require(self.is_sent(epoch), self.request[epoch].leader == leader)
        # A late or repeated request would bring back an old ISR, whose members may lack what is
        # committed by now; or a deposed leader, to whose log a follower would truncate its own.
        require(epoch > self.leader_epoch[broker])
        new.leader_epoch[broker] = epoch
        new.leader[broker] = leader
        new.isr[broker] = self.request[epoch].isr

    # ---- a leader -------------------------------------------------------------------------------

    @action
    def become_leader(self, new, leader: Broker, epoch: Epoch):
        self.obey_request(new, leader, leader, epoch)

    @action
    def leader_write(self, new, leader: Broker):
        """A deposed leader writes too: it cannot know, and it may commit while its ISR follows."""
        require(self.presumes_leadership(leader))  # else an offset gets different records
        new.log[leader].append(id=self.next_record_id, epoch=self.leader_epoch[leader])
        new.next_record_id = self.next_record_id + 1

    def set_isr(self, new, leader, isr):
        # Compare-and-set on the truth: without it a deposed leader would change the ISR of its
        # successor, and shrink it to itself.
        require(self.is_true_leader(leader))
        new.quorum.isr = isr
        new.isr[leader] = isr

    @action
    def leader_shrink_isr(self, new, leader: Broker, follower: Broker):
        # A leader that took itself out would break `leader_in_isr`. Taking out others is safe.
        require(follower != leader, self.isr[leader].has(follower))
        require(not_(self.is_caught_up(follower, leader, self.log[leader].end_offset)))
        self.set_isr(new, leader, self.isr[leader].minus(follower))

    @action
    def leader_expand_isr(self, new, leader: Broker, follower: Broker):
        require(not_(self.isr[leader].has(follower)))  # else nothing would change
        # Who lacks committed records must not become electable.
        require(self.is_caught_up(follower, leader, self.high_watermark[leader]))
        self.set_isr(new, leader, self.isr[leader].plus(follower))

    @action
    def leader_increment_high_watermark(self, new, leader: Broker):
        offset = self.high_watermark[leader]
        require(self.presumes_leadership(leader))  # others may know no ISR: they wait for nobody
        # Committed means: on every in-sync replica that the leader knows of. Without this a record
        # would be shown to consumers that the next leader may lack.
        require(
            for_all(
                self.isr[leader],
                lambda member: all_of(
                    self.is_following(member, leader), self.log[member].has_offset(offset)
                ),
            )
        )
        new.high_watermark[leader] = offset + 1

    # ---- a follower -----------------------------------------------------------------------------

    @action
    def become_follower(self, new, follower: Broker, leader: Broker, epoch: Epoch):
        require(leader != follower)  # that is become_leader
        self.obey_request(new, follower, leader, epoch)
        end = self.truncation_offset(follower, leader)
        require(end <= self.log[follower].end_offset)  # as published; Kafka then cuts nothing
        new.log[follower].truncate_to(end)
        new.high_watermark[follower] = smaller(end, self.high_watermark[follower])

    @action
    def follower_fetch(self, new, follower: Broker, leader: Broker):
        """One record is copied, and the leader's high watermark with it."""
        offset = self.log[follower].end_offset
        require(leader != follower)  # as the last guard implies
        # Another broker may have records, and a high watermark, that the ISR of its leader lacks.
        require(self.presumes_leadership(leader), self.is_following(follower, leader))
        require(self.log[leader].has_offset(offset))  # else there is nothing to copy
        new.log[follower].append(self.log[leader][offset])
        # A follower's high watermark is its leader's, as of one fetch ago, so it lags; and it may
        # fall, where a new leader's lags even more.
        new.high_watermark[follower] = smaller(self.high_watermark[leader], offset + 1)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("ISR-02")
    def weak_isr(self):
        """The members of a leader's own ISR have all that is below its high watermark.

        The leader is whoever presumes to be; its ISR is the one that it believes in.
        """
        return for_all(
            Broker,
            Broker,
            Offset,
            lambda leader, member, offset: implies(
                all_of(
                    self.presumes_leadership(leader),
                    self.isr[leader].has(member),
                    offset < self.high_watermark[leader],
                ),
                self.both_have(leader, member, offset),
            ),
        )

    @invariant("LEAD-04")
    def strong_isr(self):
        """The members of the true ISR have all that is below any leader's high watermark.

        So whoever may be elected next has every record that a consumer has seen.
        """
        return for_all(
            Broker,
            Broker,
            Offset,
            lambda leader, member, offset: implies(
                all_of(
                    self.presumes_leadership(leader),
                    self.quorum.isr.has(member),
                    offset < self.high_watermark[leader],
                ),
                self.both_have(leader, member, offset),
            ),
        )

    @invariant("ISR-01")
    def leader_in_isr(self):
        """The leader, if there is one, is in the ISR. (Published without the "if there is one".)"""
        return for_all(
            Broker,
            lambda broker: implies(self.quorum.leader == broker, self.quorum.isr.has(broker)),
        )

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def a_later_leader_has_a_committed_record(self):
        """Otherwise the invariants would say nothing of failover."""
        return exists(
            Broker,
            lambda broker: all_of(
                self.presumes_leadership(broker),
                self.high_watermark[broker] > 0,
                self.log[broker][0].epoch < self.leader_epoch[broker],
            ),
        )


class TruncateToHighWatermark(Replication):
    """Before KIP-101: a new follower cuts its log at its own high watermark.

    The high watermark reaches a follower one fetch late, so this cuts committed records; elected
    in that moment the follower makes the others lose them too.
    """

    def truncation_offset(self, follower, leader):
        return self.high_watermark[follower]


class Kip101(Replication):
    """KIP-101: ask the leader where the epoch of one's last record ends, and cut there.

    If the leader does not know that epoch the follower cuts too much, or too little (KAFKA-6361).
    """

    def truncation_offset(self, follower, leader):
        mine, theirs = self.log[follower], self.log[leader]
        last_epoch = mine[mine.end_offset - 1].epoch
        newer = first_where(theirs.end_offset, lambda offset: theirs[offset].epoch > last_epoch)
        # Where the leader knows no newer epoch it answers "undefined": the follower falls back.
        otherwise = self.high_watermark[follower]
        is_last = theirs[theirs.end_offset - 1].epoch == last_epoch
        found = ite(newer < theirs.end_offset, newer, otherwise)
        answer = ite(is_last, theirs.end_offset, found)
        return ite(mine.is_empty(), 0, ite(theirs.is_empty(), otherwise, answer))


class Kip279(Replication):
    """KIP-279: keep what matches, looking from the tail.

    Fetches and truncation are still not tied to an epoch, and a new leader admits followers to the
    ISR by a high watermark that lags (KAFKA-7128).
    """

    def truncation_offset(self, follower, leader):
        return end_of_last(
            self.log[follower].end_offset, lambda offset: self.both_have(follower, leader, offset)
        )


class EpochFencing(Kip279):
    """KIP-320 but for one rule: a follower may truncate against a leader of another epoch."""

    def is_following(self, follower, leader):
        # Without the epoch a follower of an older one would count and be admitted. It may yet obey
        # an epoch in between, and truncate for that one's leader what is committed now.
        return all_of(
            self.presumes_leadership(leader),
            self.leader[follower] == leader,
            self.leader_epoch[follower] == self.leader_epoch[leader],
        )

    def leader_expand_isr(self, new, leader, follower):
        super().leader_expand_isr(new, leader, follower)
        require(self.is_high_watermark_of_this_epoch(leader))

    def is_high_watermark_of_this_epoch(self, leader):
        # The high watermark of a new leader lags. Without this a follower could join the ISR that
        # lacks records which the previous leader had committed, and be elected next (KAFKA-7128).
        high_watermark, log = self.high_watermark[leader], self.log[leader]
        return any_of(
            high_watermark == log.end_offset,
            all_of(
                log.has_offset(high_watermark),
                log[high_watermark].epoch == self.leader_epoch[leader],
            ),
        )

    def leader_increment_high_watermark(self, new, leader):
        super().leader_increment_high_watermark(new, leader)
        require(self.log[leader].has_offset(self.high_watermark[leader]))  # it is in its ISR


class Kip320(EpochFencing):
    """KIP-320: fetches, acknowledgements, truncation and the ISR are all fenced by the epoch."""

    def become_follower(self, new, follower, leader, epoch):
        super().become_follower(new, follower, leader, epoch)
        # Without this the follower truncates against a leader that may itself truncate before it
        # takes over this epoch: what the follower then holds is not the leader's log.
        require(self.presumes_leadership(leader), self.leader_epoch[leader] == epoch)


class Kip320FirstTry(Kip279):
    """KIP-320 as first proposed: fetch first, and truncate only when the leader says so.

    A position counts if the record before it has the same epoch in both logs; elsewhere a follower
    truncates first. But the leader cannot know that a follower whom it counts is in its epoch.
    """

    def is_caught_up(self, follower, leader, end_offset):
        return all_of(
            self.presumes_leadership(leader),
            super().is_caught_up(follower, leader, end_offset),
            any_of(
                end_offset == 0,
                self.log[follower][end_offset - 1].epoch == self.log[leader][end_offset - 1].epoch,
            ),
        )

    def is_high_watermark_of_this_epoch(self, leader):
        return EpochFencing.is_high_watermark_of_this_epoch(self, leader)

    def leader_expand_isr(self, new, leader, follower):
        super().leader_expand_isr(new, leader, follower)
        require(self.is_high_watermark_of_this_epoch(leader))

    def leader_increment_high_watermark(self, new, leader):
        offset = self.high_watermark[leader]
        require(self.presumes_leadership(leader), self.log[leader].has_offset(offset))
        require(
            for_all(self.isr[leader], lambda member: self.is_caught_up(member, leader, offset + 1))
        )
        new.high_watermark[leader] = offset + 1

    def become_follower(self, new, follower, leader, epoch):
        require(leader != follower)
        self.obey_request(new, follower, leader, epoch)

    def follower_fetch(self, new, follower, leader):
        super().follower_fetch(new, follower, leader)
        require(self.is_caught_up(follower, leader, self.log[follower].end_offset))

    @action
    def follower_truncate(self, new, follower: Broker, leader: Broker):
        mine, theirs = self.log[follower], self.log[leader]
        last = mine.end_offset - 1
        require(leader != follower)  # as the last guard implies
        require(self.presumes_leadership(leader), self.is_following(follower, leader))  # as above
        require(
            any_of(
                mine.end_offset > theirs.end_offset,
                all_of(
                    not_(mine.is_empty()),
                    theirs.has_offset(last),
                    theirs[last].epoch != mine[last].epoch,
                ),
            )
        )
        end = self.truncation_offset(follower, leader)
        new.log[follower].truncate_to(end)
        new.high_watermark[follower] = smaller(end, self.high_watermark[follower])


# ---- what is known of them ----------------------------------------------------------------------


def bounds(replicas, log_size, records, epochs):
    """The constants of the TLA+ modules; the last is the largest epoch, the first is 0."""
    return {"Broker": replicas, "Offset": log_size, "RecordId": records, "Epoch": epochs + 1}


def caught(invariant, steps, instance, symmetry=""):
    return Refutation(invariant=invariant, bounds=instance, steps=steps, symmetry=symmetry)


MODEL = Family(
    name="replication",
    summary="Leader, followers, ISR and high watermark of one partition",
    bounds={"replicas": "Broker", "log_size": "Offset", "records": "RecordId", "epochs": "Epoch+1"},
    variants=(
        Variant(name="kip-320", protocol=Kip320, bounds=bounds(3, 2, 2, 2)),
        Variant(
            name="truncate-to-high-watermark",
            protocol=TruncateToHighWatermark,
            bounds=bounds(2, 2, 2, 1),
            refutations=(
                caught("weak_isr", 8, bounds(2, 2, 2, 1)),
                caught("strong_isr", 8, bounds(3, 2, 2, 1)),
            ),
        ),
        Variant(
            name="kip-101",
            protocol=Kip101,
            bounds=bounds(2, 2, 2, 2),
            refutations=(
                caught("weak_isr", 11, bounds(2, 2, 2, 2)),
                caught("strong_isr", 11, bounds(2, 2, 2, 2)),
            ),
        ),
        Variant(
            name="kip-279",
            protocol=Kip279,
            bounds=bounds(3, 2, 2, 1),
            refutations=(caught("strong_isr", 11, bounds(3, 2, 2, 1)),),
        ),
        Variant(
            name="kip-320-first-try",
            protocol=Kip320FirstTry,
            bounds=bounds(2, 2, 2, 1),
            refutations=(
                caught("weak_isr", 11, bounds(3, 2, 2, 2), "Broker"),
                caught("strong_isr", 12, bounds(3, 2, 2, 2), "Broker"),
            ),
        ),
        Variant(
            name="kip-320-unfenced-truncation",
            protocol=EpochFencing,
            bounds=bounds(3, 2, 2, 1),
            refutations=(caught("strong_isr", 13, bounds(3, 2, 2, 2)),),
        ),
    ),
)
