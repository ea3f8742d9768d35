"""Watches a cluster with ZooKeeper: every step of sessions, controllers and brokers is compared.

Most events are pings and fetches, which are no steps and cost one look. A repeated request that is
answered from memory is none either.
"""

from collections.abc import Callable
from functools import partial

from conformance.refinement.controller import Broken, ControllerValidator, Outside
from conformance.refinement.refusal import ModelRefused, Refusal
from conformance.simulation.run import Outgrown
from reference.messages import ZOOKEEPER, Effect, Event, FromPeer, MetadataUpdate
from reference.metadata.records import PartitionId, PartitionState
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.metadata.zookeeper.messages import (
    Asked,
    Create,
    Delete,
    GetChildren,
    GetData,
    Node,
    Operation,
    SetData,
)
from reference.metadata.zookeeper.tree import is_read
from reference.node import Node as Process
from reference.simulator.cluster import Cluster, Mode


class ControllerObserver:
    """Compares a cluster with the model of the controller that is elected through ZooKeeper.

    `steps` counts what was compared. Raises ModelRefused for a step that the model does not allow,
    and the run's Outgrown where the model does not speak of it. It must come before any topic; in a
    cluster without ZooKeeper it has nothing to do.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.steps = 0
        self.outgrown: dict[PartitionId, str] = {}
        self.validator = ControllerValidator(sorted(cluster.addresses))
        self._is_over = cluster.mode is not Mode.ZOOKEEPER
        self._answered: dict[int, int] = {}
        """How many requests of each session have been looked at."""
        self._zxid = 0
        self._registered: tuple[int, ...] = tuple(sorted(cluster.addresses))
        self._obeys: dict[int, tuple[object, int]] = {}
        """The present life of each broker, and the controller epoch that it obeys."""
        self._followed: dict[int, dict[PartitionId, PartitionState]] = {}
        self._event: object = None
        if not self._is_over:
            self._compare(ZOOKEEPER, self._begin)

    @property
    def _ensemble(self) -> Ensemble:
        ensemble = self.cluster.members[ZOOKEEPER]
        assert isinstance(ensemble, Ensemble)
        return ensemble

    def _begin(self) -> None:
        """The cluster has been started: there was a controller in each epoch, and nothing else."""
        tree, validator = self._ensemble.tree, self.validator
        if tree.children(znodes.TOPICS):
            raise Outside("there were topics before the first step was compared")
        for number, session in self._ensemble.sessions.items():
            self._answered[number] = session.answered
        owner, epoch = self._owner(), self._epoch()
        stand_in = owner if owner is not None else validator.nodes[0]
        for number in range(epoch):
            if number:
                validator.expired(stand_in)
                validator.registered(stand_in)
            validator.read_epoch(stand_in)
            validator.elected(stand_in)
        if owner is None and epoch:
            validator.expired(stand_in)
            validator.registered(stand_in)
        elif epoch:
            validator.read_brokers(stand_in)
        self._look_at_store()

    def _owner(self) -> int | None:
        node = self._ensemble.tree.get(znodes.CONTROLLER)
        return znodes.controller_of(node.data) if node else None

    def _epoch(self) -> int:
        node = self._ensemble.tree.get(znodes.CONTROLLER_EPOCH)
        return int(node.data) if node else 0

    # ---- events --------------------------------------------------------------------------------

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        if self._is_over:
            return
        self._event = event
        if member == ZOOKEEPER:
            if self._ensemble.tree.zxid != self._zxid or _asks(event):
                self._compare(member, partial(self._look_at_ensemble, event))
            return
        node = self.cluster.members.get(member)
        if isinstance(node, Process) and node.broker.takes_part:
            for heard in node.heard:
                if type(heard) is FromPeer and type(heard.message) is MetadataUpdate:
                    self._compare(member, partial(self._look_at_broker, node, heard.message))

    # ---- ZooKeeper -----------------------------------------------------------------------------

    def _look_at_ensemble(self, event: Event | None) -> None:
        asked = self._executed(event)
        if asked is not None:
            client, operations, outcome = asked
            if isinstance(outcome, tuple) and operations:
                if is_read(operations[0]):
                    self._look_at_reads(client, operations, outcome)
                elif any(isinstance(o, Create) and o.path == znodes.CONTROLLER for o in operations):
                    self.validator.elected(client)
                else:
                    self._look_at_writes(client, operations)
        if self._ensemble.tree.zxid != self._zxid:
            self._look_at_store()

    def _executed(self, event: Event | None) -> tuple[int, tuple[Operation, ...], object] | None:
        """A request that was done now, not before: its client, and what came of it."""
        if not isinstance(event, FromPeer) or not isinstance(event.message, Asked):
            return None
        asked = event.message
        session = self._ensemble.sessions.get(asked.session)
        if session is None or session.answered == self._answered.get(session.number, 0):
            return None
        self._answered[session.number] = session.answered
        return event.sender, asked.operations, session.outcome

    def _look_at_reads(
        self, client: int, operations: tuple[Operation, ...], outcome: tuple[object, ...]
    ) -> None:
        validator, tree = self.validator, self._ensemble.tree
        for operation, result in zip(operations, outcome, strict=True):
            path = operation.path
            if path == znodes.CONTROLLER_EPOCH and isinstance(operation, GetData):
                validator.read_epoch(client)
            elif not validator.is_active(client):
                continue
            elif path == znodes.BROKER_IDS and isinstance(operation, GetChildren):
                validator.read_brokers(client)
            elif isinstance(result, Node):
                partition = znodes.partition_at(tree, path)
                if partition is not None:
                    validator.read_partition(client, partition)

    def _look_at_writes(self, client: int, operations: tuple[Operation, ...]) -> None:
        for operation in operations:
            if isinstance(operation, Delete) and operation.path.startswith(znodes.BROKER_IDS):
                text = f"{operation.path} was deleted, though its session has not ended"
                raise Broken(("CTL-06",), "broker_registers", text)
            for state in znodes.written_states(self._ensemble.tree, (operation,)):
                assert isinstance(operation, Create | SetData), "others write no state"
                epoch = znodes.controller_epoch_of(operation.data)
                self.validator.decided(client, state, epoch)

    def _look_at_store(self) -> None:
        tree = self._ensemble.tree
        self._zxid = tree.zxid
        registered = tuple(sorted(map(int, tree.children(znodes.BROKER_IDS))))
        for node in self._registered:
            if node not in registered:
                self.validator.expired(node)
        for node in registered:
            if node not in self._registered:
                self.validator.registered(node)
        self._registered = registered
        self.validator.compare_store(registered, self._owner(), self._epoch())

    # ---- brokers -------------------------------------------------------------------------------

    def _look_at_broker(self, node: Process, update: MetadataUpdate) -> None:
        broker, number = node.broker, node.number
        obeys = (broker.incarnation, broker.metadata_epoch)
        everything = update.snapshot
        if self._obeys.get(number) != obeys:
            everything = True
            if self._obeys.get(number, obeys)[0] != broker.incarnation:
                self._followed.pop(number, None)
            self._obeys[number] = obeys
            self.validator.obeyed(number, broker.metadata_epoch)
        followed = self._followed.setdefault(number, {})
        if everything:
            told = list(broker.replicas)
        else:
            records = (r for r in update.records if isinstance(r, PartitionState))
            told = list(dict.fromkeys(record.id for record in records))
        for partition in told:
            replica = broker.replicas.get(partition)
            if replica is not None and replica.state is not followed.get(partition):
                followed[partition] = replica.state
                self.validator.follows(number, broker.metadata_epoch, replica.state)

    # ---- what was found ------------------------------------------------------------------------

    def _compare(self, member: int, call: Callable[[], None]) -> None:
        try:
            call()
            self.steps += 1
        except Outside as outside:
            self._is_over = True
            raise Outgrown(str(outside)) from outside
        except Broken as broken:
            refusal = Refusal(
                clauses=broken.clauses,
                partition="the controller",
                node=member,
                at_ms=self.cluster.now_ms,
                number=sum(self.validator.taken.values()) + 1,
                event=type(getattr(self._event, "message", self._event)).__name__,
                action=broken.action,
                reason=str(broken),
            )
            raise ModelRefused(refusal) from broken

    def compare_whole(self) -> None:
        """At the end of a run: all invariants. Raises ModelRefused."""
        if not self._is_over:
            self._compare(ZOOKEEPER, self.validator.compare_whole)


def _asks(event: Event | None) -> bool:
    return type(event) is FromPeer and type(event.message) is Asked
