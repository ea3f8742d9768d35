"""What a proof about replication remembers: who led when, with which log, what was committed.

History variables influence nothing. They turn "was ever" into "is", so that invariants can speak
of it.
"""

from spec.language import (
    BOOL,
    EMPTY,
    Log,
    SetOf,
    after,
    all_of,
    for_all,
    history,
    implies,
    invariant,
    per,
    var,
    when,
)
from spec.models.replication import NO_EPOCH, Broker, Epoch, Kip320, Offset, Record


class Kip320History(Kip320):
    """KIP-320 with a memory, and what follows from it besides the protocol's own invariants."""

    # Set once an epoch's leader has taken over: from then on only that leader changes its ISR.
    active = history(per(Epoch, BOOL, init=False))
    # The last ISR of each epoch. It is final as soon as a later epoch has begun.
    epoch_isr = history(per(Epoch, SetOf(Broker), init=lambda epoch, broker: epoch == NO_EPOCH))
    # The log of each epoch's leader, and its end offset when the leader took over.
    epoch_log = history(per(Epoch, Log(Record, Offset), init=EMPTY))
    epoch_start = history(per(Epoch, Offset.end, init=0))
    # The last epoch in which the broker led or has truncated to its leader.
    synced_epoch = history(per(Broker, Epoch, init=NO_EPOCH))
    # All that was ever committed, in which epoch each, and in which the last.
    committed = history(var(Log(Record, Offset), init=EMPTY))
    commit_epoch = history(per(Offset, Epoch, init=NO_EPOCH))
    committed_epoch = history(var(Epoch, init=NO_EPOCH))

    @after(
        "controller_elect_leader", "controller_shrink_isr", "leader_expand_isr", "leader_shrink_isr"
    )
    def keep_epoch_isr(self, new):
        new.epoch_isr[new.quorum.epoch] = new.quorum.isr

    @after("become_leader")
    def keep_epoch_start(self, new, leader, epoch):
        new.active[epoch] = True
        new.synced_epoch[leader] = epoch
        new.epoch_log[epoch] = self.log[leader]
        new.epoch_start[epoch] = self.log[leader].end_offset

    @after("leader_write")
    def keep_epoch_log(self, new, leader):
        end = self.log[leader].end_offset
        new.epoch_log[self.leader_epoch[leader]].append(new.log[leader][end])

    @after("leader_increment_high_watermark")
    def keep_committed(self, new, leader):
        offset = self.high_watermark[leader]
        with when(offset >= self.committed.end_offset):
            new.commit_epoch[self.committed.end_offset] = self.leader_epoch[leader]
            new.committed.append(self.log[leader][offset])
            new.committed_epoch = self.leader_epoch[leader]

    @after("become_follower")
    def keep_synced_epoch(self, new, follower, epoch):
        new.synced_epoch[follower] = epoch

    # ---- more that follows ----------------------------------------------------------------------

    @invariant("LEAD-01")
    def one_leader_per_epoch(self):
        """No two brokers lead in the same epoch."""
        return for_all(
            Broker,
            Broker,
            lambda a, b: implies(
                all_of(
                    self.presumes_leadership(a),
                    self.presumes_leadership(b),
                    self.leader_epoch[a] == self.leader_epoch[b],
                ),
                a == b,
            ),
        )

    @invariant("OFF-01")
    def high_watermark_within_log(self):
        """A broker's high watermark does not pass the end of its log."""
        return for_all(
            Broker, lambda broker: self.high_watermark[broker] <= self.log[broker].end_offset
        )

    @invariant("LOG-02", "LOG-03")
    def consumers_agree(self):
        """Below their high watermarks no two brokers show different records, leaders or not."""
        return for_all(
            Broker,
            Broker,
            Offset,
            lambda a, b, offset: implies(
                all_of(offset < self.high_watermark[a], offset < self.high_watermark[b]),
                self.both_have(a, b, offset),
            ),
        )

    @invariant("LOG-03", "LOG-04")
    def log_matching(self):
        """Where two logs have a record of the same epoch, they agree up to it."""
        return for_all(
            Broker,
            Broker,
            Offset,
            Offset,
            lambda a, b, offset, earlier: implies(
                all_of(
                    self.log[a].has_offset(offset),
                    self.log[b].has_offset(offset),
                    self.log[a][offset].epoch == self.log[b][offset].epoch,
                    earlier <= offset,
                ),
                self.log[a][earlier] == self.log[b][earlier],
            ),
        )
