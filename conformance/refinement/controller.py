"""Whether what ZooKeeper, controllers and brokers do are steps of the model of the controller.

The model is `spec.models.controller_cluster`: `controller_protocol`, whose zombies are without
power, with everything else that a controller decides. Its state is carried along. A step happens
when ZooKeeper does it: a session ends or begins there, a candidate reads the epoch, a controller
reads or writes; what a node decides before is not seen, and what it is told of it later is no step.
A broker's step is that it obeys. Then what can be seen must be what the model has.

The model numbers the versions of a partition itself, since a decision that changes several things
is several versions there. Its leader epochs begin with 0 for "never had a leader", so they are
greater by one. Its partition 0 is none of the cluster's: it never has a leader, and stands for
whatever brokers are told besides.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from conformance.refinement.machines import Counts, embedded, larger
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from spec.checkers.bounds import Bounds
from spec.checkers.step import Answer, Machine, Outgrown, OutsideDomain, Refused, State
from spec.language import trace
from spec.language.model import Model
from spec.models.controller_cluster import ClusterController

FIRST: Counts = (
    ("ControllerEpoch", 8),
    ("LeaderEpoch", 16),
    ("Partition", 4),
    ("StateVersion", 32),
)
NOBODY = -1
"""How a state of the model says that there is no such broker."""
EVERYTHING_ELSE = 0
"""The partition of the model that is none of the cluster's; nothing is ever written of it."""

CLAUSES = {
    "session_expires": ("CTL-05",),
    "broker_registers": ("CTL-06",),
    "candidate_reads_epoch": ("CTL-01",),
    "candidate_becomes_controller": ("CTL-01",),
    "controller_reads_brokers": ("CTL-04",),
    "controller_reads_partition": ("CTL-04",),
    "controller_sends_request": ("CTL-04",),
    "controller_elects_leader": ("LEAD-03", "LEAD-04"),
    "controller_moves_leader": ("LEAD-03", "LEAD-04"),
    "controller_takes_leader_away": ("LEAD-04",),
    "controller_removes_from_isr": ("ISR-08", "ISR-01"),
    "controller_adds_to_isr": ("ISR-08",),
    "controller_writes_anew": ("CTL-02",),
    "partition_has_no_replica": ("META-02",),
    "broker_obeys": ("CTL-04", "META-05"),
}
"""The clauses that an action's rules keep, the nearest first; but see `RULES`."""
RULES = (
    ("controller_epoch_of", ("CTL-02",)),
    ("alive_known", ("CTL-05", "LEAD-04")),
    ("epoch_known", ("CTL-02", "CTL-01")),
)
"""Those of a rule that speaks of these variables, whatever the action."""


class Broken(Exception):
    """A step is no step of the model."""

    def __init__(self, clauses: tuple[str, ...], action: str, reason: str) -> None:
        super().__init__(reason)
        self.clauses = clauses
        self.action = action


class Outside(Exception):
    """The model does not speak of this, or has no room for it."""


@lru_cache(maxsize=1)
def model() -> Model:
    """The protocol that steps are compared with."""
    return trace(ClusterController)


@lru_cache(maxsize=32)
def machine(brokers: int, counts: Counts) -> Machine:
    return Machine(model(), Bounds(Broker=brokers, **dict(counts)))


SLOT = {name: index for index, name in enumerate(model().leaves)}
"""Where a state has each variable."""
REGISTERED, OWNER, EPOCH = (
    SLOT[name] for name in ("registered", "controller_node", "controller_epoch")
)
NEWEST, APPLIED, ACTIVE = (SLOT[name] for name in ("newest", "applied", "is_active"))
ALIVE = SLOT["alive_known"]
LEADER, LEADER_EPOCH, ISR, WRITER = (
    SLOT[f"partition_state.{field}"]
    for field in ("leader", "leader_epoch", "isr", "controller_epoch")
)


class ControllerValidator:
    """The model's state, carried along with a cluster of these nodes."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self.nodes = tuple(nodes)
        self.number = {node: index for index, node in enumerate(nodes)}
        self._counts = FIRST
        self.machine = machine(len(self.nodes), FIRST)
        self.state: State = self.machine.initial
        self.taken: Counter[str] = Counter()
        self.partitions: dict[PartitionId, int] = {}
        """Which partition of the model each one is."""
        self._versions: dict[PartitionId, dict[int, int]] = {}
        """For each partition, the model's version by the partition epoch."""

    # ---- carrying ------------------------------------------------------------------------------

    def take(self, action: str, *params: int) -> None:
        """Raises Broken for what the model does not allow, Outside where it has no room."""
        while (after := self._after(action, params)) is None:
            pass
        for name, recheck in self.machine.rechecks[action]:
            if not recheck(self.state, after, *params):
                broken = self.machine.model.invariants[name]
                text = f"after {action} {name} does not hold [{broken.where}]"
                raise Broken(broken.clauses, action, text)
        self.state = after
        self.taken[action] += 1

    def _after(self, action: str, params: tuple[int, ...]) -> State | None:
        """The state after an action; None where a larger machine has to tell."""
        try:
            after = self.machine.step[action](self.state, *params)
        except OutsideDomain as outside:
            sorts = [param.sort for param in self.machine.model.actions[action].params]
            last = (int(self.machine.bounds.domain(sort)[-1]) for sort in sorts)
            pairs = zip(sorts, params, last, strict=True)
            self._grow([sort.name for sort, value, end in pairs if value > end], str(outside))
            return None
        if after is None:
            answer: Answer = self.machine.explain(self.state, action, params)
            if isinstance(answer, Refused):
                about = (found for variable, found in RULES if variable in answer.rule)
                raise Broken(next(about, CLAUSES[action]), action, str(answer))
            assert isinstance(answer, Outgrown)
            self._grow(answer.bound.split(", "), str(answer))
        return after

    def _grow(self, sorts: list[str], reason: str) -> None:
        counts: Counts | None = self._counts
        for sort in sorts:
            counts = larger(counts, sort) if counts and sort in dict(counts) else None
        if not counts or not sorts:
            raise Outside(reason)
        before = self.machine.initial
        self._counts = counts
        self.machine = machine(len(self.nodes), counts)
        self.state = embedded(self.state, before, self.machine.initial)

    # ---- sessions, and the election of the controller ------------------------------------------

    def expired(self, node: int) -> None:
        self.take("session_expires", self.number[node])

    def registered(self, node: int) -> None:
        self.take("broker_registers", self.number[node])

    def read_epoch(self, node: int) -> None:
        """A candidate does; what a controller reads of its own epoch tells it nothing."""
        if not self.is_active(node):
            self.take("candidate_reads_epoch", self.number[node])

    def elected(self, node: int) -> None:
        """Whatever it will say, it has not read any partition yet."""
        number = self.number[node]
        self.take("candidate_becomes_controller", number)
        self.take("controller_reads_partition", number, EVERYTHING_ELSE)
        self.take("controller_sends_request", number, EVERYTHING_ELSE)

    def is_active(self, node: int) -> bool:
        """Whether it is a controller in the model, perhaps one that was deposed."""
        return bool(self.state[ACTIVE][self.number[node]])

    # ---- what a controller reads and writes ----------------------------------------------------

    def read_brokers(self, node: int) -> None:
        self.take("controller_reads_brokers", self.number[node])

    def read_partition(self, node: int, partition: PartitionId) -> None:
        """Sooner or later it tells the brokers, who may have missed it."""
        if partition in self.partitions:
            where = self.number[node], self.partitions[partition]
            self.take("controller_reads_partition", *where)
            self.take("controller_sends_request", *where)

    def decided(self, node: int, state: PartitionState, controller_epoch: int) -> None:
        """A controller has written a state, and will tell the brokers."""
        if state.recovering:
            raise Outside("an unclean election")
        controller = self.number[node]
        if state.id not in self.partitions:
            self._create(controller, state)
        partition = self.partitions[state.id]
        leader = NOBODY if state.leader == NO_LEADER else self.number[state.leader]
        leader_epoch = state.leader_epoch + 1
        isr = {self.number[broker] for broker in state.isr}
        version = self.state[NEWEST][partition]
        if (leader, leader_epoch) != self._leader(partition):
            self._change_leader(controller, partition, leader, isr)
        before = self._isr(partition)
        for follower in sorted(before - isr):
            self.take("controller_removes_from_isr", controller, partition, follower)
        for follower in sorted(isr - before):
            self.take("controller_adds_to_isr", controller, partition, leader, follower)
        if version == self.state[NEWEST][partition]:
            self.take("controller_writes_anew", controller, partition)
        self._compare(partition, "leader", (leader, leader_epoch), self._leader(partition))
        self._compare(partition, "isr", isr, self._isr(partition))
        version = self.state[NEWEST][partition]
        writer = self.state[WRITER][partition][version]
        self._compare(partition, "controller_epoch", controller_epoch, writer)
        self._versions[state.id][state.partition_epoch] = version
        self.take("controller_sends_request", controller, partition)

    def _create(self, controller: int, state: PartitionState) -> None:
        if state.leader == NO_LEADER:
            raise Outside("a partition that begins without a leader")
        partition = len(self.partitions) + 1
        for node, number in self.number.items():
            if node not in state.isr:
                self.take("partition_has_no_replica", partition, number)
        self.take("controller_reads_partition", controller, partition)
        self.partitions[state.id] = partition
        self._versions[state.id] = {}

    def _change_leader(self, controller: int, partition: int, leader: int, isr: set[int]) -> None:
        """The election of the model also takes the dead out of the ISR."""
        alive, before = self.state[ALIVE][controller], self._leader(partition)[0]
        living = {broker for broker in self._isr(partition) if alive[broker]}
        if leader == NOBODY:
            self.take("controller_takes_leader_away", controller, partition)
        elif isr == living and (before == NOBODY or not alive[before]):
            self.take("controller_elects_leader", controller, partition, leader)
        else:
            self.take("controller_moves_leader", controller, partition, leader)

    def _leader(self, partition: int) -> tuple[int, int]:
        version = self.state[NEWEST][partition]
        state = self.state
        return state[LEADER][partition][version], state[LEADER_EPOCH][partition][version]

    def _isr(self, partition: int) -> set[int]:
        members = self.state[ISR][partition][self.state[NEWEST][partition]]
        return {broker for broker, member in enumerate(members) if member}

    # ---- brokers -------------------------------------------------------------------------------

    def obeyed(self, node: int, controller_epoch: int) -> None:
        """A broker has taken something from the controller of this epoch."""
        self.take("broker_obeys", self.number[node], EVERYTHING_ELSE, controller_epoch, 0)

    def follows(self, node: int, controller_epoch: int, state: PartitionState) -> None:
        """A broker has taken this state from the controller of this epoch."""
        version = self._versions.get(state.id, {}).get(state.partition_epoch)
        if version is None:
            raise Broken(("CTL-04",), "broker_obeys", f"nobody has written {state}")
        broker, partition = self.number[node], self.partitions[state.id]
        self.take("broker_obeys", broker, partition, controller_epoch, version)
        applied = self.state[APPLIED][broker][partition]
        expected = tuple(self.state[leaf][partition][applied] for leaf in (LEADER, LEADER_EPOCH))
        leader = NOBODY if state.leader == NO_LEADER else self.number[state.leader]
        self._compare(partition, f"applied[{node}]", (leader, state.leader_epoch + 1), expected)

    # ---- what can be seen ----------------------------------------------------------------------

    def compare_store(
        self, registered: Sequence[int], controller: int | None, controller_epoch: int
    ) -> None:
        """Raises Broken unless ZooKeeper has what the model has."""
        alive = tuple(node in registered for node in self.nodes)
        owner = NOBODY if controller is None else self.number[controller]
        seen = (alive, owner, controller_epoch)
        expected = tuple(self.state[leaf] for leaf in (REGISTERED, OWNER, EPOCH))
        names = ("registered", "controller_node", "controller_epoch")
        for name, clause, one, other in zip(
            names, ("CTL-05", "CTL-01", "CTL-01"), seen, expected, strict=True
        ):
            if one != other:
                raise Broken((clause,), "", f"{name} is {one}, the model says {other}")

    def _compare(self, partition: int, name: str, seen: object, expected: object) -> None:
        if seen != expected:
            text = f"{name} of partition {partition} is {seen}, the model says {expected}"
            raise Broken(("LEAD-02", "LEAD-03"), "", text)

    def compare_whole(self) -> None:
        """All invariants. Raises Broken."""
        for name, invariant in self.machine.model.invariants.items():
            if not self.machine.holds[name](self.state):
                text = f"{name} does not hold [{invariant.where}]"
                raise Broken(invariant.clauses, "", text)
