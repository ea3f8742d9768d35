"""Whether what the controller decides about a partition are steps of the model of KIP-966.

The model is `spec.models.eligible_leaders`; where there is no ELR its variant LastReplicaStanding.
What is compared after each decision: the ISR, the ELR, the leader, and that epochs move as the
model's do. What a decision rests on is carried along: who may be elected, which life of a broker
has fetched, and which ISR its leader has asked for against which partition epoch.

Logs are left empty. Every rule about decisions is evaluated, but nothing that depends on records
is: that candidates are complete the model of replication checks (`replication`). Steps of brokers
are taken when a decision needs them, as late as possible: here they only explain it. An unclean
election or that of a last known leader is outside the model, and so is whatever comes after it for
the partition; so are reassignments and changes of min.insync.replicas.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from conformance.refinement.machines import Counts, embedded, larger
from reference.metadata.records import NO_LEADER, PartitionState
from spec.checkers.bounds import Bounds
from spec.checkers.step import Answer, Machine, Outgrown, OutsideDomain, Refused, State
from spec.language import trace
from spec.models.eligible_leaders import LastReplicaStanding
from spec.models.eligible_leaders_protocol import EligibleLeaders

EMPTY_LOG = 0
FIRST: Counts = (("BrokerEpoch", 8), ("LeaderEpoch", 32))
CLAUSES = {
    "controller_elect_leader": ("LEAD-03", "LEAD-04"),
    "controller_fence_broker": ("ISR-01", "ISR-09"),
    "controller_expand_isr": ("ISR-08", "ISR-09"),
    "leader_ask_to_expand_isr": ("ISR-08",),
    "leader_shrink_isr": ("ISR-08",),
    "broker_register": ("ISR-09",),
    "broker_register_outside": ("CTL-06",),
    "broker_stop_uncleanly": ("CTL-06",),
    "become_leader": ("LEAD-01",),
    "become_follower": ("LEAD-02",),
    "follower_fetch": ("LOG-04",),
    "leader_learn_isr": ("ISR-08",),
}
"""The clauses that an action's rules keep, the nearest first; LEAD-02 where it is the epoch."""


class Broken(Exception):
    """A decision is no step of the model."""

    def __init__(self, clauses: tuple[str, ...], action: str, reason: str) -> None:
        super().__init__(reason)
        self.clauses = clauses
        self.action = action


class Outside(Exception):
    """The model does not speak of this, or has no room for it."""


@lru_cache(maxsize=64)
def machine(brokers: int, minimum: int, elr: bool, counts: Counts) -> Machine:
    """Logs stay empty, so one offset is enough."""
    protocol = EligibleLeaders if elr else LastReplicaStanding
    bounds = Bounds(Broker=brokers, Offset=1, min_insync=minimum, **dict(counts))
    return Machine(trace(protocol), bounds)


class Asked:
    """An ISR that a leader has asked for, and the lives that it named."""

    __slots__ = ("isr", "leader_epoch", "lives", "partition_epoch")

    def __init__(
        self, state: PartitionState, isr: tuple[int, ...], lives: dict[int, int | None]
    ) -> None:
        self.leader_epoch = state.leader_epoch
        self.partition_epoch = state.partition_epoch
        self.isr = isr
        self.lives = lives


class EligibleLeadersValidator:
    """The model's state of one partition, carried along with the decisions about it."""

    def __init__(self, first: PartitionState, *, min_insync_replicas: int, elr: bool) -> None:
        """Raises Broken for a first state that the model cannot come to."""
        self.brokers = tuple(sorted(first.replicas))
        self.number = {broker: index for index, broker in enumerate(self.brokers)}
        self.minimum = min(min_insync_replicas, len(self.brokers))
        self.elr = elr
        self._counts = FIRST
        self.machine = machine(len(self.brokers), self.minimum, elr, FIRST)
        self.state: State = self.machine.initial
        self.taken: Counter[str] = Counter()
        self.latest = first
        self.asked: dict[int, Asked] = {}
        """The latest request of each leader."""
        self._lives: dict[int, dict[int, int]] = {broker: {} for broker in self.brokers}
        """For each broker, its life in the model by its broker epoch in the cluster."""
        self._restarting: set[int] = set()
        """Who has left ISR and ELR because a new life of it is about to be registered."""
        self._begin(first)

    # ---- carrying ------------------------------------------------------------------------------

    def _take(self, action: str, *params: int) -> None:
        """Raises Broken for what the model does not allow, Outside where it has no room."""
        while (after := self._step(action, params)) is None:
            pass
        for name, recheck in self.machine.rechecks[action]:
            if not recheck(self.state, after, *params):
                broken = self.machine.model.invariants[name]
                text = f"after {action} {name} does not hold [{broken.where}]"
                raise Broken(broken.clauses, action, text)
        self.state = after
        self.taken[action] += 1

    def _step(self, action: str, params: tuple[int, ...]) -> State | None:
        """The state after an action; None where a larger machine has to tell."""
        try:
            after = self.machine.step[action](self.state, *params)
        except OutsideDomain as outside:
            self._grow([name for name, _ in self._counts], str(outside))
            return None
        if after is None:
            answer: Answer = self.machine.explain(self.state, action, params)
            if isinstance(answer, Refused):
                about_epoch = "next_epoch" in f"{answer.rule}{answer.reason}"
                clauses = ("LEAD-02",) if about_epoch else CLAUSES[action]
                raise Broken(clauses, action, str(answer))
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
        self.machine = machine(len(self.brokers), self.minimum, self.elr, counts)
        self.state = embedded(self.state, before, self.machine.initial)

    def _value(self, leaf: str, *index: int) -> int:
        found = self.machine.value(self.state, leaf, *index)
        assert isinstance(found, int)
        return found

    def _set(self, brokers: Sequence[int]) -> int:
        """The model's number of a set of brokers."""
        return sum(1 << self.number[broker] for broker in brokers)

    def _members(self, number: int) -> tuple[int, ...]:
        return tuple(broker for broker in self.brokers if number >> self.number[broker] & 1)

    @staticmethod
    def _epoch(state: PartitionState) -> int:
        """The model's leader epoch. Each of the cluster's is two of the model: one in which the
        leader before it is gone, and one in which the next one leads."""
        return 2 * state.leader_epoch + 2

    # ---- the lives of brokers ------------------------------------------------------------------

    def registered(self, broker: int, broker_epoch: int) -> None:
        """A life of a broker has begun. Whoever is still eligible has stopped cleanly: no step."""
        lives = self._lives.get(broker)
        if lives is None or broker_epoch in lives:
            return
        index = self.number[broker]
        if broker in self._restarting:
            self._restarting.discard(broker)
        elif not lives:
            pass
        elif broker not in self.latest.isr and broker not in self.latest.elr and self.elr:
            self._remember_fetch(broker)
            self._take("broker_stop_uncleanly", index, EMPTY_LOG)
            life = self._value("broker_epoch", index) + 1
            self._take("broker_register_outside", index, life)
        lives[broker_epoch] = self._value("broker_epoch", index)

    def _restarted(self, broker: int, isr: Sequence[int], epoch: int) -> None:
        """It leaves both sets: it may have lost what it had."""
        self._remember_fetch(broker)
        index = self.number[broker]
        self._take("broker_stop_uncleanly", index, EMPTY_LOG)
        life = self._value("broker_epoch", index) + 1
        self._take("broker_register", index, self._set(isr), epoch, life)
        self._restarting.add(broker)

    # ---- what leaders and followers do meanwhile -----------------------------------------------

    def heard_request(
        self, state: PartitionState, isr: tuple[int, ...], broker_epochs: tuple[int, ...]
    ) -> None:
        """The leader of a state has asked for an ISR that it takes for made of these lives."""
        lives = {
            broker: self._lives[broker].get(epoch)
            for broker, epoch in zip(isr, broker_epochs, strict=True)
        }
        self.asked[state.leader] = Asked(state, isr, lives)
        if state != self.latest:
            return
        for broker in isr:
            if broker not in state.isr:
                present = self._value("broker_epoch", self.number[broker])
                if lives[broker] in (None, present):
                    self._remember_fetch(broker)

    def _remember_fetch(self, follower: int) -> None:
        """The leader, if there is one, has had a fetch from the present life of a follower."""
        leader = self.latest.leader
        if leader in (NO_LEADER, follower):
            return
        self._lead(leader)
        other, me = self.number[follower], self.number[leader]
        epoch = self._epoch(self.latest)
        if self._value("known_epoch", other) < epoch:
            self._take("become_follower", other, me, epoch)
        self._take("follower_fetch", other, me, EMPTY_LOG, EMPTY_LOG)

    def _lead(self, leader: int) -> None:
        me, epoch = self.number[leader], self._epoch(self.latest)
        if self._value("known_epoch", me) < epoch:
            self._take("become_leader", me, epoch, self._value("isr"))

    def _learn(self, leader: int) -> None:
        self._lead(leader)
        me = self.number[leader]
        if not self._value("view_is_current", me):
            self._take("leader_learn_isr", me)

    # ---- decisions -----------------------------------------------------------------------------

    def _begin(self, first: PartitionState) -> None:
        """In the model's beginning everybody is in the ISR."""
        isr = list(self.brokers)
        for broker in self.brokers:
            if broker not in first.isr:
                isr.remove(broker)
                index = self.number[broker]
                if self.elr:
                    self._take("broker_stop_uncleanly", index, EMPTY_LOG)
                    life = self._value("broker_epoch", index) + 1
                    self._take("broker_register", index, self._set(isr), 0, life)
                else:
                    self._take("controller_fence_broker", index, self._set(isr), 0)
        if first.leader != NO_LEADER:
            self._elect(first)
        self._compare(first)

    def decided(self, state: PartitionState, *, may_be_unclean: bool) -> None:
        """The controller has decided. Raises Broken, or Outside where the model cannot follow.

        `may_be_unclean`: the topic allows unclean elections.
        """
        before = self.latest
        # Another order of the same replicas says only who is preferred.
        if state.adding or state.removing or set(state.replicas) != set(before.replicas):
            raise Outside("a reassignment")
        if state.recovering and not before.recovering:
            last_known = not before.isr and not before.elr
            if may_be_unclean or (last_known and before.last_known_elr == (state.leader,)):
                raise Outside("an unclean election")
            self._elect(state)
        joined = [b for b in state.isr if b not in before.isr and b != self._elected(state)]
        for broker in joined:
            self._joins(broker, state)
        self._leave(before, state)
        if self._elected(state) != NO_LEADER:
            self._elect(state)
        self._compare(state)
        self.latest = state

    def _elected(self, state: PartitionState) -> int:
        """Who was elected in a state; the leader of the one before was not."""
        return state.leader if state.leader != self.latest.leader else NO_LEADER

    def _elect(self, state: PartitionState) -> None:
        leader, epoch = self.number[state.leader], self._epoch(state)
        self._take("controller_elect_leader", leader, self._set(state.isr), epoch)

    def _joins(self, broker: int, state: PartitionState) -> None:
        """Its leader must have asked for it, and against this partition epoch."""
        before, asked = self.latest, self.asked.get(self.latest.leader)
        if broker in self._restarting:
            text = f"{broker} left ISR and ELR, and joins without having registered anew"
            raise Broken(("ISR-09", "ISR-08"), "controller_expand_isr", text)
        if asked is None or (asked.leader_epoch, asked.isr) != (before.leader_epoch, state.isr):
            raise Broken(("ISR-08",), "", f"nobody has asked that {broker} joins the ISR")
        if asked.partition_epoch != before.partition_epoch:
            text = f"asked against partition epoch {asked.partition_epoch}"
            text = f"the request is not current: {text}, accepted in {before.partition_epoch}"
            raise Broken(("ISR-08",), "controller_expand_isr", text)
        self._learn(before.leader)
        me, other = self.number[before.leader], self.number[broker]
        self._take("leader_ask_to_expand_isr", me, other)
        isr = self._value("isr") | 1 << other
        self._take("controller_expand_isr", me, other, isr)

    def _leave(self, before: PartitionState, state: PartitionState) -> None:
        is_small = len(state.isr) < self.minimum
        ended = state.leader != before.leader
        now = list(self._members(self._value("isr")))
        for broker in before.isr:
            stays = broker in state.isr
            if stays and not (broker == before.leader and state.leader == NO_LEADER):
                continue
            if not stays:
                now.remove(broker)
            epoch = self._value("leader_epoch")
            if broker == before.leader and ended:
                epoch = self._epoch(state) - (state.leader != NO_LEADER)
            if self.elr and is_small and not stays and broker not in state.elr:
                self._restarted(broker, now, epoch)
            elif not ended and self._was_asked_to_leave(state):
                self._learn(before.leader)
                leader, gone = self.number[before.leader], self.number[broker]
                self._take("leader_shrink_isr", leader, gone, self._set(now))
            else:
                gone = self.number[broker]
                self._take("controller_fence_broker", gone, self._set(now), epoch)
        if is_small:
            for broker in before.elr:
                if broker not in state.elr and broker not in state.isr:
                    self._restarted(broker, now, self._value("leader_epoch"))

    def _was_asked_to_leave(self, state: PartitionState) -> bool:
        before, asked = self.latest, self.asked.get(self.latest.leader)
        return asked is not None and (
            (asked.leader_epoch, asked.partition_epoch, asked.isr)
            == (before.leader_epoch, before.partition_epoch, state.isr)
        )

    def _compare(self, state: PartitionState) -> None:
        epoch = self._value("leader_epoch")
        elr = tuple(b for b in self.brokers if self._value("elr", self.number[b]))
        leaders = [b for b in self.brokers if self._value("elections", epoch, self.number[b])] or [
            NO_LEADER
        ]
        seen = {
            "ISR": (state.isr, self._members(self._value("isr")), "ISR-01"),
            "ELR": (state.elr, elr, "ISR-09"),
            "leader": ([state.leader], leaders, "LEAD-03"),
            "leader epoch": (self._epoch(state), epoch, "LEAD-02"),
        }
        for field, (is_, should_be, clause) in seen.items():
            if is_ != should_be:
                text = f"{field} of partition epoch {state.partition_epoch} is {is_}"
                raise Broken((clause,), "", f"{text}, the model says {should_be}")

    def compare_whole(self) -> None:
        """All invariants, and that whoever was taken for restarting has come back."""
        for name, item in self.machine.model.invariants.items():
            if not self.machine.holds[name](self.state):
                raise Broken(item.clauses, "", f"{name} does not hold [{item.where}]")
        if self._restarting:
            text = f"{sorted(self._restarting)} left ISR and ELR, and have not restarted"
            raise Broken(("ISR-09",), "", text)
