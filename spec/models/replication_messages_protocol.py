"""Replication of one partition as a running cluster does it: with messages.

In `replication` a fetch reads the leader's log in one step, and a leader reads its followers' logs.
Here nobody sees anybody else's state. A leader knows a follower only by the fetch requests that
reached it; a follower knows the leader's log only by fetch responses; both know the controller's
decisions only by metadata. Every message may be late, lost, repeated or overtaken. An action is
what one handler does to one broker upon one message, so that an implementation can be checked
against this text step by step; given its parameters an action has one outcome.

Sources: KIP-101, KIP-279 and KIP-320 for truncation and fencing, KIP-497 for the ISR, KIP-595 for
the check of a fetch position, core/src/main/scala/kafka/cluster/Partition.scala for the leader, and
ReplicationControlManager.java of org.apache.kafka.controller for the controller.

What keeps the states few, and hides nothing, because any message may be lost:

* A follower sends a fetch request whenever its position changes. An implementation that asks less
  often just lost some.
* Fetch responses are not stored. What the leader of an epoch can have answered to a request is a
  function of its log in that epoch, which only grows (`served`), of the request, and of the high
  watermarks that it had (`served_high_watermark`).
* The answer to AlterPartition and a metadata update are the same thing: news of a decision.

Timers, refusals, and crashes until the restart change nothing here. Not in the model: unclean
elections, min.insync.replicas and lost disks (`eligible_leaders` has them), broker epochs
(KIP-903), a controller that fails over, reassignment.
"""

from spec.language import (
    EMPTY,
    NONE,
    Messages,
    action,
    all_of,
    any_of,
    ite,
    ite_set,
    not_,
    only,
    require,
    smaller,
    var,
    when,
)
from spec.models.replication import NO_EPOCH, Broker, Epoch
from spec.models.replication_messages_core import (
    EndOffset,
    MessageReplication,
    PartitionEpoch,
)


class ReplicationMessages(MessageReplication):
    """Replication with messages, fenced by leader epochs and partition epochs."""

    fetch_requests = var(
        Messages(follower=Broker, epoch=Epoch, offset=EndOffset, last_epoch=Epoch), init=EMPTY
    )
    # AlterPartition: add this broker to the ISR, or remove it.
    alter_requests = var(Messages(partition_epoch=PartitionEpoch, broker=Broker), init=EMPTY)

    # ---- the controller -------------------------------------------------------------------------

    def is_electable(self, broker):
        # A clean election: outside the ISR committed records may be missing.
        return self.decision[self.newest].isr.has(broker)

    @action
    def controller_elect_leader(self, new, leader: Broker):
        """A preferred election, or the last ISR member came back."""
        now = self.decision[self.newest]
        require(self.is_electable(leader))
        require(now.leader != leader)
        self.decide(new, leader, now.epoch + 1, now.isr)

    @action
    def controller_fence_broker(self, new, broker: Broker, leader: Broker, epoch: Epoch):
        """A broker failed or shuts down: one decision takes it out of the ISR and, where it led,
        names `leader` in its place. As the last ISR member it stays in the ISR, and nobody leads.

        A shrunken ISR need not begin an epoch if the leader stays (KAFKA-15021); before, it did.
        """
        now = self.decision[self.newest]
        leads, last = now.leader == broker, now.isr == only(broker)
        rest = now.isr.minus(broker)
        require(now.isr.has(broker))
        # The successor is an ISR member; of the last one the parameter repeats the broker.
        require(ite(leads, ite(last, leader == broker, rest.has(leader)), now.leader == leader))
        require(any_of(epoch == now.epoch + 1, all_of(not_(leads), epoch == now.epoch)))
        # The last member stays: it alone is sure to have every committed record.
        isr = ite_set(last, now.isr, rest)
        self.decide(new, ite(last, NONE, leader), epoch, isr)

    @action
    def controller_alter_partition(self, new, partition_epoch: PartitionEpoch, broker: Broker):
        """AlterPartition arrives, and is accepted."""
        require(self.alter_requests.has(partition_epoch=partition_epoch, broker=broker))
        require(self.is_newest(partition_epoch))
        now = self.decision[self.newest]
        changed = ite_set(now.isr.has(broker), now.isr.minus(broker), now.isr.plus(broker))
        self.decide(new, now.leader, now.epoch, changed)

    # ---- a leader -------------------------------------------------------------------------------

    @action
    def leader_handle_fetch(
        self,
        new,
        leader: Broker,
        follower: Broker,
        epoch: Epoch,
        offset: EndOffset,
        last_epoch: Epoch,
    ):
        """A fetch request arrives. Its offset acknowledges all before it, if the logs agree."""
        require(self.leading[leader], leader != follower)
        require(
            self.fetch_requests.has(
                follower=follower, epoch=epoch, offset=offset, last_epoch=last_epoch
            )
        )
        require(self.accepts_epoch(leader, epoch))
        require(self.accepts_position(leader, offset, last_epoch))
        new.remembered[leader, follower] = offset

    def ask(self, new, leader, broker):
        require(self.leading[leader], leader != broker)
        require(self.may_ask(leader))
        new.pending[leader] = broker
        new.alter_requests.send(partition_epoch=self.partition_epoch[leader], broker=broker)

    # ---- a follower -----------------------------------------------------------------------------

    def send_fetch(self, new, follower):
        with when(new.is_follower(follower)):
            new.fetch_requests.send(
                follower=follower,
                epoch=new.leader_epoch(follower),
                offset=new.log[follower].end_offset,
                last_epoch=new.last_epoch(new.log[follower]),
            )

    def has_response(self, follower, epoch):
        """The epoch's leader may have answered a request from the follower's present position.

        Without the position (offset AND last epoch) a late answer to an older request would
        truncate, or append to, what has changed since.
        """
        log = self.log[follower]
        return all_of(
            self.is_follower(follower),
            self.leader_epoch(follower) == epoch,
            self.opened[epoch],
            self.fetch_requests.has(
                follower=follower,
                epoch=epoch,
                offset=log.end_offset,
                last_epoch=self.last_epoch(log),
            ),
        )

    @action
    def follower_truncate(self, new, follower: Broker, epoch: Epoch):
        """A diverging epoch: cut to where the leader's records of it, and one's own, end."""
        require(self.has_response(follower, epoch), self.response_diverges(follower, epoch))
        served, log = self.served[epoch], self.log[follower]
        end = self.epoch_end(served, self.last_epoch(log))
        mine = self.epoch_end(log, ite(end == 0, NO_EPOCH, served[end - 1].epoch))
        kept = smaller(end, mine)
        new.log[follower].truncate_to(kept)
        new.high_watermark[follower] = smaller(self.high_watermark[follower], kept)
        self.send_fetch(new, follower)
