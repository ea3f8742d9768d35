"""The inductive invariant of KIP-320: what every action keeps, and what the rest follows from."""

from spec.language import (
    NONE,
    all_of,
    conjunct,
    exists,
    for_all,
    iff,
    implies,
    not_,
)
from spec.models.replication import (
    NO_EPOCH,
    Broker,
    Epoch,
    Offset,
)
from spec.proofs.replication_history import Kip320History


class Kip320Proof(Kip320History):
    """Replication with KIP-320 keeps every committed record on every in-sync replica."""

    # What matters where a follower truncates; the rest, true as it is, only distracts a solver.
    _TRUNCATION = "types requests activity log_is_prefix log_length members_stay "
    hints = {
        ("become_follower", "isr_is_long_enough"): _TRUNCATION
        + "committer_is_active isr_is_long_enough isr_has_committed later_epochs_have_committed",
        ("become_follower", "isr_has_committed"): _TRUNCATION
        + "committer_is_active isr_is_long_enough isr_has_committed later_epochs_have_committed",
        ("become_follower", "later_isrs_keep"): _TRUNCATION
        + "committing_isr_has_heard later_epochs_keep later_isrs_keep",
    }

    # ---- the inductive invariant ----------------------------------------------------------------

    @conjunct
    def types(self):
        """Where the numbers lie: what bounds imply by themselves, a proof must say."""
        return all_of(
            self.quorum.epoch >= NO_EPOCH,
            self.committed.end_offset >= 0,
            self.next_record_id >= 0,
            self.committed_epoch >= NO_EPOCH,
            self.committed_epoch <= self.quorum.epoch,
            for_all(
                Broker,
                lambda broker: all_of(
                    self.synced_epoch[broker] >= NO_EPOCH,
                    self.synced_epoch[broker] <= self.leader_epoch[broker],
                    self.leader_epoch[broker] <= self.quorum.epoch,
                    self.log[broker].end_offset >= 0,
                    self.high_watermark[broker] >= 0,
                ),
            ),
            for_all(
                Epoch,
                lambda epoch: all_of(
                    self.epoch_start[epoch] >= 0,
                    self.epoch_start[epoch] <= self.epoch_log[epoch].end_offset,
                ),
            ),
        )

    @conjunct
    def requests(self):
        """Whom a broker follows is what the request of its epoch says: so leaders are unique."""
        return all_of(
            for_all(
                Broker,
                lambda broker: (
                    self.leader[broker] == self.request[self.leader_epoch[broker]].leader
                ),
            ),
            self.quorum.leader == self.request[self.quorum.epoch].leader,
            self.request[NO_EPOCH].leader == NONE,
            for_all(
                Broker,
                lambda broker: iff(
                    self.quorum.isr.has(broker), self.epoch_isr[self.quorum.epoch].has(broker)
                ),
            ),
        )

    @conjunct
    def request_isr(self):
        """Until its leader takes over nobody changes an epoch's ISR."""
        return for_all(
            Epoch,
            Broker,
            lambda epoch, broker: implies(
                all_of(epoch <= self.quorum.epoch, epoch > NO_EPOCH, not_(self.active[epoch])),
                iff(self.request[epoch].isr.has(broker), self.epoch_isr[epoch].has(broker)),
            ),
        )

    @conjunct
    def leader_isr(self):
        """A leader's own ISR is the last one of its epoch: what it waits for is what counts."""
        return for_all(
            Broker,
            Broker,
            lambda leader, broker: implies(
                self.presumes_leadership(leader),
                iff(
                    self.isr[leader].has(broker),
                    self.epoch_isr[self.leader_epoch[leader]].has(broker),
                ),
            ),
        )

    @conjunct
    def leader_in_its_isr(self):
        """An epoch's leader is in the epoch's ISR."""
        return for_all(
            Epoch,
            lambda epoch: implies(
                all_of(epoch <= self.quorum.epoch, self.request[epoch].leader != NONE),
                self.epoch_isr[epoch].has(self.request[epoch].leader),
            ),
        )

    @conjunct
    def activity(self):
        """An active epoch has a leader that has heard of it; who follows, follows an active one."""
        return all_of(
            for_all(
                Epoch,
                lambda epoch: implies(
                    self.active[epoch],
                    all_of(
                        epoch <= self.quorum.epoch,
                        epoch > NO_EPOCH,
                        self.request[epoch].leader != NONE,
                        self.leader_epoch[self.request[epoch].leader] >= epoch,
                    ),
                ),
            ),
            for_all(
                Broker,
                lambda broker: all_of(
                    implies(
                        self.leader[broker] != NONE,
                        all_of(
                            self.active[self.leader_epoch[broker]],
                            self.synced_epoch[broker] == self.leader_epoch[broker],
                        ),
                    ),
                    implies(
                        self.synced_epoch[broker] > NO_EPOCH,
                        self.active[self.synced_epoch[broker]],
                    ),
                ),
            ),
            self.epoch_log[NO_EPOCH].end_offset == 0,
        )

    @conjunct
    def log_is_prefix(self):
        """Every log agrees with that of the epoch that it last synced to."""
        return for_all(
            Broker,
            Offset,
            lambda broker, offset: implies(
                self.log[broker].has_offset(offset),
                self.log[broker][offset] == self.epoch_log[self.synced_epoch[broker]][offset],
            ),
        )

    @conjunct
    def log_length(self):
        """No log is longer than that of the epoch it synced to; a leader's is that log."""
        return for_all(
            Broker,
            lambda broker: all_of(
                self.log[broker].end_offset <= self.epoch_log[self.synced_epoch[broker]].end_offset,
                implies(
                    self.presumes_leadership(broker),
                    self.log[broker].end_offset
                    == self.epoch_log[self.leader_epoch[broker]].end_offset,
                ),
            ),
        )

    @conjunct
    def epoch_logs_match(self):
        """Log matching between epochs, from which log matching between brokers follows."""
        return for_all(
            Epoch,
            Epoch,
            Offset,
            Offset,
            lambda a, b, offset, earlier: implies(
                all_of(
                    self.epoch_log[a].has_offset(offset),
                    self.epoch_log[b].has_offset(offset),
                    self.epoch_log[a][offset].epoch == self.epoch_log[b][offset].epoch,
                    earlier <= offset,
                ),
                self.epoch_log[a][earlier] == self.epoch_log[b][earlier],
            ),
        )

    @conjunct
    def epoch_of_records(self):
        """A record's epoch was active, is not newer than the log's, and its log has the record."""

        def is_sound(epoch, offset):
            written = self.epoch_log[epoch][offset].epoch
            return all_of(
                written > NO_EPOCH,
                written <= epoch,
                self.epoch_log[written].has_offset(offset),
                self.active[written],
                iff(written == epoch, offset >= self.epoch_start[epoch]),
            )

        return for_all(
            Epoch,
            Offset,
            lambda epoch, offset: implies(
                self.epoch_log[epoch].has_offset(offset), is_sound(epoch, offset)
            ),
        )

    def has_moved_on(self, epoch):
        """Some member of the epoch's ISR has heard of a later one, so nothing commits in it now."""
        return exists(
            Broker,
            lambda broker: all_of(
                self.epoch_isr[epoch].has(broker), self.leader_epoch[broker] > epoch
            ),
        )

    @conjunct
    def sealed_by_newcomer(self):
        """Fencing: who is in a later ISR and not in an earlier one came after that was sealed."""
        return for_all(
            Epoch,
            Epoch,
            Broker,
            lambda earlier, later, broker: implies(
                all_of(
                    earlier < later,
                    later <= self.quorum.epoch,
                    self.epoch_isr[later].has(broker),
                    not_(self.epoch_isr[earlier].has(broker)),
                ),
                self.has_moved_on(earlier),
            ),
        )

    @conjunct
    def sealed_by_leader(self):
        """Once a later leader has taken over, an earlier epoch commits nothing any more."""
        return for_all(
            Epoch,
            Epoch,
            lambda earlier, later: implies(
                all_of(earlier < later, self.active[later]), self.has_moved_on(earlier)
            ),
        )

    @conjunct
    def members_stay(self):
        """Who is in an ISR without having heard of an epoch was in its ISR, and in all since."""
        return for_all(
            Epoch,
            Epoch,
            Broker,
            lambda earlier, later, broker: implies(
                all_of(
                    self.leader_epoch[broker] <= earlier,
                    earlier <= later,
                    later <= self.quorum.epoch,
                    self.epoch_isr[later].has(broker),
                ),
                self.epoch_isr[earlier].has(broker),
            ),
        )

    @conjunct
    def committer_is_active(self):
        """The last commit was an active leader's, and its whole ISR had heard of the epoch."""
        some = self.committed.end_offset > 0
        return all_of(
            implies(some, self.active[self.committed_epoch]),
            for_all(
                Broker,
                lambda broker: implies(
                    all_of(some, self.epoch_isr[self.committed_epoch].has(broker)),
                    self.leader_epoch[broker] >= self.committed_epoch,
                ),
            ),
        )

    def must_have_committed(self, epoch, broker):
        """In the ISR of an epoch since the last commit, and not beyond that epoch."""
        return all_of(
            self.committed_epoch <= epoch,
            epoch <= self.quorum.epoch,
            self.leader_epoch[broker] <= epoch,
            self.epoch_isr[epoch].has(broker),
        )

    @conjunct
    def isr_is_long_enough(self):
        """The members of later ISRs have as many records as are committed."""
        return for_all(
            Epoch,
            Broker,
            lambda epoch, broker: implies(
                self.must_have_committed(epoch, broker),
                self.committed.end_offset <= self.log[broker].end_offset,
            ),
        )

    @conjunct
    def isr_has_committed(self):
        """What the members of later ISRs have there is what was committed: elections rely on it."""
        return for_all(
            Epoch,
            Broker,
            Offset,
            lambda epoch, broker, offset: implies(
                all_of(self.must_have_committed(epoch, broker), self.committed.has_offset(offset)),
                self.log[broker][offset] == self.committed[offset],
            ),
        )

    @conjunct
    def later_epochs_have_committed(self):
        """The leaders of later epochs started with all that is committed."""

        def is_later(epoch):
            return all_of(self.active[epoch], epoch >= self.committed_epoch)

        return all_of(
            for_all(
                Epoch,
                lambda epoch: implies(
                    is_later(epoch),
                    all_of(
                        self.epoch_log[epoch].end_offset >= self.committed.end_offset,
                        implies(
                            epoch > self.committed_epoch,
                            self.epoch_start[epoch] >= self.committed.end_offset,
                        ),
                    ),
                ),
            ),
            for_all(
                Epoch,
                Offset,
                lambda epoch, offset: implies(
                    all_of(is_later(epoch), self.committed.has_offset(offset)),
                    self.epoch_log[epoch][offset] == self.committed[offset],
                ),
            ),
        )

    @conjunct
    def high_watermarks(self):
        """A high watermark never passes what is committed, nor the broker's own log."""
        return all_of(
            for_all(
                Broker,
                lambda broker: all_of(
                    self.high_watermark[broker] <= self.committed.end_offset,
                    self.high_watermark[broker] <= self.log[broker].end_offset,
                    implies(
                        all_of(
                            self.presumes_leadership(broker),
                            self.leader_epoch[broker] == self.committed_epoch,
                        ),
                        self.high_watermark[broker] == self.committed.end_offset,
                    ),
                ),
            ),
            for_all(
                Broker,
                Offset,
                lambda broker, offset: implies(
                    offset < self.high_watermark[broker],
                    self.log[broker][offset] == self.committed[offset],
                ),
            ),
        )

    # ---- weak_isr speaks of deposed leaders too: it needs to know when each record was committed -

    def is_committed_by(self, offset, epoch):
        return all_of(self.committed.has_offset(offset), self.commit_epoch[offset] <= epoch)

    @conjunct
    def commit_epochs(self):
        """Each record was committed in an active epoch, not after the last commit."""
        return for_all(
            Offset,
            lambda offset: implies(
                self.committed.has_offset(offset),
                all_of(
                    self.commit_epoch[offset] > NO_EPOCH,
                    self.commit_epoch[offset] <= self.committed_epoch,
                    self.active[self.commit_epoch[offset]],
                ),
            ),
        )

    @conjunct
    def committing_isr_has_heard(self):
        """The ISR that committed a record had heard of the epoch, every member of it."""
        return for_all(
            Offset,
            Broker,
            lambda offset, broker: implies(
                all_of(
                    self.committed.has_offset(offset),
                    self.epoch_isr[self.commit_epoch[offset]].has(broker),
                ),
                self.leader_epoch[broker] >= self.commit_epoch[offset],
            ),
        )

    @conjunct
    def later_isrs_keep(self):
        """Each ISR since a record was committed consists of brokers that have it."""
        return for_all(
            Epoch,
            Broker,
            Offset,
            lambda epoch, broker, offset: implies(
                all_of(
                    self.is_committed_by(offset, epoch),
                    epoch <= self.quorum.epoch,
                    self.epoch_isr[epoch].has(broker),
                ),
                all_of(
                    self.log[broker].has_offset(offset),
                    self.log[broker][offset] == self.committed[offset],
                ),
            ),
        )

    @conjunct
    def later_epochs_keep(self):
        """A leader has what its epoch or earlier ones committed; later ones began with it."""
        return for_all(
            Epoch,
            Offset,
            lambda epoch, offset: implies(
                all_of(self.is_committed_by(offset, epoch), self.active[epoch]),
                all_of(
                    self.epoch_log[epoch].has_offset(offset),
                    self.epoch_log[epoch][offset] == self.committed[offset],
                    implies(epoch > self.commit_epoch[offset], offset < self.epoch_start[epoch]),
                ),
            ),
        )

    @conjunct
    def high_watermark_is_of_its_epoch(self):
        """What a broker shows was committed in its epoch or before."""
        return for_all(
            Broker,
            Offset,
            lambda broker, offset: implies(
                offset < self.high_watermark[broker],
                self.commit_epoch[offset] <= self.leader_epoch[broker],
            ),
        )
