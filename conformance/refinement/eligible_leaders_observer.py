"""Watches a cluster: every decision about a partition is compared with the model of KIP-966.

In the quorum's log registrations stand between the decisions, and both are read in their order. Of
ZooKeeper the decisions are read as they are written; without an ELR no restart is a step.
"""

from collections.abc import Callable
from functools import partial

from conformance.refinement.eligible_leaders import Broken, EligibleLeadersValidator, Outside
from conformance.refinement.refusal import ModelRefused, Refusal
from conformance.simulation.run import Outgrown
from reference.broker import Broker
from reference.configs import Configs
from reference.image import MetadataImage
from reference.messages import (
    CONTROLLER,
    Effect,
    Event,
    FromPeer,
    IsrCheckDue,
    MetadataUpdate,
    ReplicaFetch,
)
from reference.metadata.records import (
    BrokerRegistered,
    MetadataRecord,
    PartitionId,
    PartitionState,
    TopicRemoved,
)
from reference.node import Node
from reference.simulator.cluster import Cluster, Mode


class EligibleLeadersObserver:
    """Compares every decision about every partition with the model, as the cluster runs.

    `steps` counts them, `outgrown` says of partitions why they are not compared any more. Raises
    ModelRefused for a decision that the model does not allow, and the run's Outgrown once no
    partition is left that could be compared.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.steps = 0
        self.outgrown: dict[PartitionId, str] = {}
        self.validators: dict[PartitionId, EligibleLeadersValidator] = {}
        self._static = next(iter(cluster.brokers.values())).static_configs
        self._elr = cluster.mode is Mode.QUORUM and self._configs(cluster.image).flag(
            "eligible.leader.replicas.enable"
        )
        self._image = cluster.image.copy()
        """Of the quorum's log as far as it has been seen."""
        self._seen: dict[PartitionId, int] = {}
        """How many decisions about each partition ZooKeeper had when it was last looked at."""
        self._requests: dict[PartitionId, object] = {}

    def _configs(self, image: MetadataImage) -> Configs:
        return Configs(CONTROLLER, self._static, image.configs)

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        if self.cluster.mode is Mode.ZOOKEEPER:
            self._read_written()
        node = self.cluster.members.get(member)
        if type(node) is not Node:
            return
        for heard in node.heard:
            if type(heard) is FromPeer:
                message = heard.message
                if type(message) is ReplicaFetch:
                    self._read_request(node.broker, message.id)
                elif type(message) is MetadataUpdate:
                    if self.cluster.mode is Mode.QUORUM and not message.snapshot:
                        self._read_log(message)
                    self._read_requests(node.broker)
            elif type(heard) is IsrCheckDue:
                self._read_requests(node.broker)

    # ---- decisions -----------------------------------------------------------------------------

    def _read_log(self, update: MetadataUpdate) -> None:
        """The records that nobody had heard before."""
        image = self._image
        if update.first > image.applied:
            raise Outgrown("records of the metadata log were seen as a snapshot only")
        for record in update.records[image.applied - update.first :]:
            image.apply(record)
            self._enter(record, image)

    def _read_written(self) -> None:
        for partition, states in self.cluster.committed.items():
            seen = self._seen.get(partition, 0)
            if seen < len(states):
                self._seen[partition] = len(states)
                for state in states[seen:]:
                    self._enter(state, self.cluster.image)

    def _enter(self, record: MetadataRecord, image: MetadataImage) -> None:
        match record:
            case PartitionState(id=partition):
                if partition not in self.outgrown:
                    self._compare(partition, partial(self._decided, record, image))
            case BrokerRegistered(broker=broker, broker_epoch=broker_epoch):
                for partition, validator in tuple(self.validators.items()):
                    self._compare(partition, partial(validator.registered, broker, broker_epoch))
            case TopicRemoved(topic_id=topic_id):
                for partition in [each for each in self.validators if each.topic_id == topic_id]:
                    del self.validators[partition]

    def _decided(self, state: PartitionState, image: MetadataImage) -> None:
        topic, configs = image.topics.get(state.id.topic_id), self._configs(image)
        validator = self.validators.get(state.id)
        minimum = 1
        if self._elr and topic is not None:
            minimum = int(configs.topic_value(topic.name, "min.insync.replicas"))
        if validator is None:
            validator = EligibleLeadersValidator(state, min_insync_replicas=minimum, elr=self._elr)
            self.validators[state.id] = validator
            for broker, known in image.brokers.items():
                validator.registered(broker, known.broker_epoch)
            return
        if min(minimum, len(validator.brokers)) != validator.minimum:
            raise Outside("another min.insync.replicas")
        unclean = topic is not None and (
            configs.topic_value(topic.name, "unclean.leader.election.enable") == "true"
        )
        validator.decided(state, may_be_unclean=unclean)

    # ---- requests ------------------------------------------------------------------------------

    def _read_requests(self, broker: Broker) -> None:
        for partition in broker.replicas:
            self._read_request(broker, partition)

    def _read_request(self, broker: Broker, partition: PartitionId) -> None:
        """A leader may have just asked for another ISR."""
        replica, validator = broker.replicas.get(partition), self.validators.get(partition)
        leadership = replica.leadership if replica else None
        if validator is None or replica is None or leadership is None:
            return
        isr, state = leadership.proposed_isr, replica.state
        request = (broker.id, state.partition_epoch, isr)
        if isr and self._requests.get(partition) != request:
            self._requests[partition] = request
            lives = leadership.broker_epochs(isr, broker.broker_epoch)
            self._compare(partition, partial(validator.heard_request, state, isr, lives))

    # ---- what was found ------------------------------------------------------------------------

    def _compare(self, partition: PartitionId, call: Callable[[], None]) -> None:
        try:
            call()
            self.steps += 1
        except Outside as outside:
            self.outgrown[partition] = str(outside)
            self.validators.pop(partition, None)
            if not self.validators:
                raise Outgrown(str(outside)) from outside
        except Broken as broken:
            raise self._refused(partition, broken) from broken

    def _refused(self, partition: PartitionId, broken: Broken) -> ModelRefused:
        topic = self.cluster.image.topics.get(partition.topic_id)
        name = topic.name if topic else str(partition.topic_id)
        validator = self.validators.get(partition)
        refusal = Refusal(
            clauses=broken.clauses,
            partition=f"{name}-{partition.number}",
            node=self.cluster.controller or CONTROLLER,
            at_ms=self.cluster.now_ms,
            number=sum(validator.taken.values()) + 1 if validator else 1,
            event="a decision of the controller",
            action=broken.action,
            reason=str(broken),
        )
        return ModelRefused(refusal)

    def compare_whole(self) -> None:
        """At the end of a run: all invariants. Raises ModelRefused."""
        for partition, validator in tuple(self.validators.items()):
            self._compare(partition, validator.compare_whole)
