"""Watches a cluster: after each event the partitions that it can have touched are compared.

What an event can touch its type says; so most events cost a look at one replica. The end of a run
is compared in full, so that nothing can have changed unseen.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from conformance.refinement.carried import BrokenRule, TooLarge
from conformance.refinement.refusal import CLAUSES, ModelRefused, Refusal
from conformance.refinement.replication import Differs, Outside, ReplicationValidator
from conformance.simulation.run import Outgrown
from reference.broker import Broker
from reference.messages import (
    Effect,
    Event,
    FromClient,
    FromPeer,
    IsrCheckDue,
    MetadataUpdate,
    ReplicaFetch,
    ReplicaFetched,
)
from reference.metadata.records import ConfigRecord, PartitionId, PartitionState
from reference.node import Node
from reference.requests import Produce
from reference.simulator.cluster import Cluster


class RefinementObserver:
    """Compares every step of every partition with the message-level model of replication.

    `steps` counts the steps that were compared, `outgrown` says of partitions why they are not
    compared any more. Raises ModelRefused for a step that the model does not allow, and Outgrown
    once no partition is compared any more.
    """

    def __init__(self, cluster: Cluster, *, invariants: bool = False) -> None:
        self.cluster = cluster
        self.steps = 0
        self.validators: dict[PartitionId, ReplicationValidator] = {}
        self.outgrown: dict[PartitionId, str] = {}
        self._invariants = invariants
        self._nodes = tuple(sorted(cluster.addresses))
        self._brokers: dict[int, Broker] = {}
        """The present life of each node; a restarted one has another broker."""

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        node = self.cluster.members.get(member)
        if type(node) is not Node:
            return
        broker = node.broker
        if self._brokers.get(member) is not broker:
            self._brokers[member] = broker
            for validator in self.validators.values():
                validator.replicas.pop(member, None)
        for heard in node.heard:
            kind = type(heard)
            if kind is FromPeer:
                message = heard.message  # type: ignore[union-attr]
                if type(message) is ReplicaFetch:
                    self._compare_fetch(broker, heard.sender, message)  # type: ignore[union-attr]
                elif type(message) is ReplicaFetched:
                    self._compare_response(broker, message)
                elif type(message) is MetadataUpdate:
                    self._compare_metadata(broker, message)
            elif kind is FromClient:
                if type(heard.request) is Produce:  # type: ignore[union-attr]
                    self._compare_produce(broker, heard.request)  # type: ignore[union-attr]
            elif kind is IsrCheckDue:
                self._compare_led(broker)

    @property
    def taken(self) -> Counter[str]:
        """How often the model took each action, in the partitions that it still has."""
        total: Counter[str] = Counter()
        for validator in self.validators.values():
            total += validator.carried.taken
        return total

    # ---- what each kind of event can have touched ----------------------------------------------

    def _compare_fetch(self, broker: Broker, follower: int, fetch: ReplicaFetch) -> None:
        validator, replica = self.validators.get(fetch.id), broker.replicas.get(fetch.id)
        if validator is not None and replica is not None:
            call = validator.heard_fetch
            self._compare(validator, broker, fetch, call, broker.id, replica, follower, fetch)

    def _compare_response(self, broker: Broker, fetched: ReplicaFetched) -> None:
        validator, replica = self.validators.get(fetched.id), broker.replicas.get(fetched.id)
        if validator is not None and replica is not None:
            call = validator.heard_response
            self._compare(validator, broker, fetched, call, broker.id, replica, fetched)

    def _compare_produce(self, broker: Broker, request: Produce) -> None:
        for part in request.parts:
            state, replica = broker.locate(part.topic, part.number)[1:]
            validator = self.validators.get(state.id) if state else None
            if validator is not None and replica is not None:
                self._compare(validator, broker, request, validator.produced, broker.id, replica)

    def _compare_led(self, broker: Broker) -> None:
        for partition, replica in broker.replicas.items():
            validator = self.validators.get(partition)
            if validator is not None and replica.leadership is not None:
                call = validator.checked_isr
                self._compare(validator, broker, IsrCheckDue(), call, broker.id, replica)

    def _compare_metadata(self, broker: Broker, update: MetadataUpdate) -> None:
        heard: dict[PartitionId, list[int]] = {}
        if not update.snapshot:
            for record in update.records:
                if isinstance(record, PartitionState):
                    heard.setdefault(record.id, []).append(record.partition_epoch)
        configured = any(isinstance(record, ConfigRecord) for record in update.records)
        for partition in self._touched(broker, update, heard, everything=configured):
            validator = self.validators.get(partition)
            if validator is None:
                continue
            epochs = tuple(heard.get(partition, ()))
            replica = broker.replicas.get(partition)
            if replica is None and broker.image.state(partition) is None:
                validator.replicas.pop(broker.id, None)  # The topic is deleted.
                continue
            what = (broker.id, replica, broker.broker_epoch, epochs)
            self._compare(validator, broker, update, validator.heard_metadata, *what)

    def _touched(
        self,
        broker: Broker,
        update: MetadataUpdate,
        heard: dict[PartitionId, list[int]],
        *,
        everything: bool,
    ) -> Iterator[PartitionId]:
        """Whatever the update speaks of; all, where a life begins or everything was replaced."""
        for partition in broker.replicas:
            if partition not in self.validators and partition not in self.outgrown:
                self.validators[partition] = ReplicationValidator(
                    partition,
                    self._nodes,
                    self.cluster.committed[partition],
                    invariants=self._invariants,
                )
        for partition, validator in tuple(self.validators.items()):
            known, replica = validator.replicas.get(broker.id), broker.replicas.get(partition)
            if everything or update.snapshot or partition in heard or known is not replica:
                yield partition

    # ---- what was found ------------------------------------------------------------------------

    def _compare(
        self,
        validator: ReplicationValidator,
        broker: Broker,
        event: object,
        call: Callable[..., None],
        *what: object,
    ) -> None:
        try:
            call(*what)
            self.steps += 1
        except BrokenRule as broken:
            clauses = broken.clauses or CLAUSES[broken.action]
            self._refuse(validator, broker, event, broken.action, clauses, broken.reason)
        except Differs as differs:
            self._refuse(validator, broker, event, "", CLAUSES[differs.field], str(differs))
        except (Outside, TooLarge) as outside:
            self.outgrown[validator.partition] = str(outside)
            del self.validators[validator.partition]
            if not self.validators:
                raise Outgrown(str(outside)) from outside

    def _refuse(
        self,
        validator: ReplicationValidator,
        broker: Broker,
        event: object,
        action: str,
        clauses: tuple[str, ...],
        reason: str,
    ) -> None:
        topic = broker.image.topics.get(validator.partition.topic_id)
        name = topic.name if topic else str(validator.partition.topic_id)
        raise ModelRefused(
            Refusal(
                clauses=clauses,
                partition=f"{name}-{validator.partition.number}",
                node=broker.id,
                at_ms=self.cluster.now_ms,
                number=sum(validator.carried.taken.values()) + 1,
                event=type(event).__name__,
                action=action,
                reason=reason,
            )
        )

    def compare_whole(self) -> None:
        """Whole logs and all invariants, for the end of a run. Raises ModelRefused."""
        for member, node in self.cluster.nodes.items():
            for partition, replica in node.broker.replicas.items():
                validator = self.validators.get(partition)
                if validator is not None and validator.replicas.get(member) is replica:
                    call = validator.compare_whole
                    self._compare(validator, node.broker, self, call, member, replica)
