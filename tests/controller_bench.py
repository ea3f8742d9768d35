"""A controller to be asked directly: no cluster, no network, and the time is what a test says."""

import random
from uuid import UUID

from reference.controller import Controller
from reference.errors import Error
from reference.image import MetadataImage
from reference.messages import (
    AlterPartition,
    Decided,
    Forwarded,
    Message,
)
from reference.metadata.quorum.messages import (
    BrokerHeartbeat,
    BrokerHeartbeatAnswer,
    BrokerRegistration,
    RegisterBroker,
)
from reference.metadata.records import BrokerRegistered, MetadataRecord, PartitionId, PartitionState
from reference.requests import (
    AlterPartitionReassignments,
    ConfigChange,
    CreateTopics,
    ElectionType,
    ElectLeaders,
    IncrementalAlterConfigs,
    LeadersElected,
    NewTopic,
    Partition,
    Reassignment,
    ReassignmentsAltered,
    Request,
    ResourceToAlter,
    Response,
    TopicsCreated,
)
from reference.rules import Rules

TIMEOUT_MS = 1_000
TOPIC = 2
SET = 0


class Bench:
    """A controller, and what it has decided so far; stands for the quorum that stores it."""

    def __init__(
        self,
        brokers: int = 3,
        *,
        rules: type[Rules] = Rules,
        elr: bool = True,
        seed: int = 1,
        **configs: str,
    ) -> None:
        static = {"broker.session.timeout.ms": str(TIMEOUT_MS)}
        static["eligible.leader.replicas.enable"] = "true" if elr else "false"
        self.configs = static | {name.replace("_", "."): value for name, value in configs.items()}
        self.rules = rules()
        self.now_ms = 0
        self.log: list[MetadataRecord] = []
        self.draw = random.Random(seed)
        self.controller = self.new_controller(MetadataImage())
        for broker in range(1, brokers + 1):
            self.register(broker)
            self.beat(broker)

    def new_controller(self, image: MetadataImage) -> Controller:
        controller = Controller(
            node=1,
            epoch=1,
            image=image.copy(),
            rules=self.rules,
            static_configs=self.configs,
            draw=self.draw.getrandbits,
            now_ms=self.now_ms,
        )
        controller.next_offset = len(self.log)
        return controller

    def fail_over(self) -> None:
        """Another controller takes over, with what is committed: all of it."""
        self.controller = self.new_controller(self.controller.image)

    def stored(self) -> list[Message]:
        """Returns the answers that are due once the latest decisions are stored."""
        self.log += self.controller.records
        self.controller.records.clear()
        self.controller.next_offset = len(self.log)
        answers = [answer.message for answer in self.controller.answers]
        self.controller.answers.clear()
        return answers

    def ask(self, request: Request) -> Response:
        self.controller.handle(1, Forwarded(ticket=7, request=request), self.now_ms)
        (answer,) = self.stored()
        assert isinstance(answer, Decided)
        assert answer.ticket == 7
        return answer.response

    def register(self, broker: int, incarnation: int = 0, previous: int = -1) -> BrokerRegistration:
        life = UUID(int=incarnation or self.draw.getrandbits(128))
        ask = RegisterBroker(broker=broker, incarnation=life, previous_broker_epoch=previous)
        self.controller.handle(broker, ask, self.now_ms)
        (answer,) = self.stored()
        assert isinstance(answer, BrokerRegistration)
        assert answer.incarnation == life
        return answer

    def beat(
        self,
        broker: int,
        *,
        epoch: int | None = None,
        applied: int | None = None,
        stop: bool = False,
    ) -> BrokerHeartbeatAnswer:
        known = self.life(broker).broker_epoch if epoch is None else epoch
        beat = BrokerHeartbeat(
            broker=broker,
            broker_epoch=known,
            applied=len(self.log) if applied is None else applied,
            wants_shut_down=stop,
        )
        self.controller.handle(broker, beat, self.now_ms)
        (answer,) = self.stored()
        assert isinstance(answer, BrokerHeartbeatAnswer)
        return answer

    def pass_time(self, ms: int, *alive: int) -> None:
        """Time passes, in which only these brokers say that they live."""
        for _ in range(ms // 100):
            self.now_ms += 100
            for broker in alive:
                self.beat(broker)
            self.controller.tick(self.now_ms)
            self.stored()

    def restart_uncleanly(self, broker: int, *others: int) -> None:
        self.pass_time(TIMEOUT_MS + 200, *others)
        assert self.register(broker).error is Error.NONE
        self.beat(broker)

    def life(self, broker: int) -> BrokerRegistered:
        return self.controller.image.brokers[broker]

    def create(self, *replicas: int, **configs: str) -> PartitionId:
        topic = NewTopic(
            name="t",
            partitions=-1,
            replication_factor=-1,
            assignments=((0, replicas),),
            configs=tuple((name.replace("_", "."), value) for name, value in configs.items()),
        )
        answer = self.ask(CreateTopics(topics=(topic,), timeout_ms=1, validate_only=False))
        assert isinstance(answer, TopicsCreated)
        assert answer.topics[0].error is Error.NONE, answer
        return PartitionId(answer.topics[0].topic_id, 0)

    def state(self) -> PartitionState:
        state = self.controller.image.named(Partition("t", 0))
        assert state is not None
        return state

    def history(self) -> list[PartitionState]:
        return [record for record in self.log if isinstance(record, PartitionState)]

    def alter(self, *isr: int, leader: int | None = None, epochs: tuple[int, ...] = ()) -> None:
        state = self.state()
        self.controller.handle(
            state.leader if leader is None else leader,
            AlterPartition(
                id=state.id,
                leader_epoch=state.leader_epoch,
                partition_epoch=state.partition_epoch,
                isr=isr,
                isr_epochs=epochs,
            ),
            self.now_ms,
        )
        assert self.stored() == []

    def elect(self, election: ElectionType) -> Error:
        answer = self.ask(
            ElectLeaders(election=election, partitions=(Partition("t", 0),), timeout_ms=1)
        )
        assert isinstance(answer, LeadersElected)
        return Error(answer.partitions[0].error)

    def reassign(self, *replicas: int) -> Error:
        wanted = Reassignment(partition=Partition("t", 0), replicas=replicas or None)
        answer = self.ask(AlterPartitionReassignments(reassignments=(wanted,), timeout_ms=1))
        assert isinstance(answer, ReassignmentsAltered)
        return Error(answer.reassignments[0].error)

    def configure(self, name: str, value: str) -> None:
        change = ConfigChange(name=name, operation=SET, value=value)
        resource = ResourceToAlter(type=TOPIC, name="t", changes=(change,))
        self.ask(IncrementalAlterConfigs(resources=(resource,), validate_only=False))


def sets(state: PartitionState) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return state.leader, state.isr, state.elr
