"""The controller elected through ZooKeeper, with everything else that it decides about partitions.

`controller_protocol` has the elections. So that a running cluster can be checked step by step, this
text adds what does not bear on who is the controller, and is safe by the same rules: the replicas
of a partition are chosen; a leader is moved while it lives, or goes and leaves nobody; brokers
leave the ISR; and it is the controller that writes the ISR its leader asks for (KIP-497). Every
invariant of `controller_protocol` is one of this protocol. It is explored in a small instance; the
proof for any size is of the protocol that it extends.
"""

from spec.language import NONE, action, all_of, exists, not_, require, witness
from spec.models.controller_protocol import Broker, Controller, Partition


class ClusterController(Controller):
    """One thing changes at a time: a decision that does more is several of these."""

    def require_right_to_write(self, controller, partition):
        """What an election requires, whatever is written."""
        require(self.is_active[controller], self.has_read[controller].has(partition))
        require(self.is_newest_controller(controller))
        require(self.is_newest_version(controller, partition))

    def write_changed(self, new, controller, partition, **changed):
        cached = self.cached_state(controller, partition)
        state = {
            "leader": cached.leader,
            "leader_epoch": cached.leader_epoch,
            "isr": cached.isr,
            "controller_epoch": self.epoch_known[controller],
        }
        version = self.write_state(new, partition, **(state | changed))
        new.version_known[controller][partition] = version

    @action
    def partition_has_no_replica(self, new, partition: Partition, broker: Broker):
        """Replicas are chosen when a partition is created; elsewhere it never was."""
        require(self.newest[partition] == 0)
        new.partition_state[partition][0].isr = self.partition_state[partition][0].isr.minus(broker)

    @action
    def controller_moves_leader(
        self, new, controller: Broker, partition: Partition, leader: Broker
    ):
        """Preferred election, controlled shutdown, reassignment; also to the leader itself, for an
        epoch of its own."""
        self.require_right_to_write(controller, partition)
        cached = self.cached_state(controller, partition)
        require(self.is_complete(cached, leader))
        require(self.is_alive(self.alive_known[controller], leader))
        epoch = self.next_leader_epoch(cached)
        self.write_changed(new, controller, partition, leader=leader, leader_epoch=epoch)

    @action
    def controller_takes_leader_away(self, new, controller: Broker, partition: Partition):
        """Nobody else can lead at the moment."""
        self.require_right_to_write(controller, partition)
        cached = self.cached_state(controller, partition)
        require(cached.leader != NONE)
        epoch = self.next_leader_epoch(cached)
        self.write_changed(new, controller, partition, leader=NONE, leader_epoch=epoch)

    @action
    def controller_removes_from_isr(
        self, new, controller: Broker, partition: Partition, follower: Broker
    ):
        """A follower's session is over, it shuts down, or its leader has asked for it."""
        self.require_right_to_write(controller, partition)
        cached = self.cached_state(controller, partition)
        require(cached.isr.has(follower), follower != cached.leader)
        # Without this nobody could ever be elected cleanly again.
        require(exists(Broker, lambda b: all_of(b != follower, cached.isr.has(b))))
        self.write_changed(new, controller, partition, isr=cached.isr.minus(follower))

    @action
    def controller_adds_to_isr(
        self, new, controller: Broker, partition: Partition, leader: Broker, follower: Broker
    ):
        """The leader has asked for it."""
        self.require_right_to_write(controller, partition)
        cached = self.cached_state(controller, partition)
        require(self.presumes_leadership(leader, partition), not_(cached.isr.has(follower)))
        require(self.is_still_leader(leader, partition))
        self.write_changed(new, controller, partition, isr=cached.isr.plus(follower))

    @action
    def controller_writes_anew(self, new, controller: Broker, partition: Partition):
        """Something else changes: where the replicas are, or on their way to."""
        self.require_right_to_write(controller, partition)
        self.write_changed(new, controller, partition)

    @witness
    def nobody_leads_any_more(self):
        return exists(
            Partition,
            lambda p: all_of(self.state(p).leader == NONE, self.state(p).leader_epoch > 0),
        )
