"""Watches a cluster whose metadata a quorum keeps: each step of a voter is compared.

An event that leaves everything of a voter as it was is no step, and costs one comparison.
"""

from collections.abc import Mapping, Sequence

from conformance.refinement.carried import BrokenRule
from conformance.refinement.quorum import QuorumDiffers, QuorumValidator
from conformance.refinement.quorum_beginning import begin
from conformance.refinement.quorum_logs import NoRoom
from conformance.refinement.quorum_promises import Promises
from conformance.refinement.refusal import ModelRefused, Refusal
from conformance.simulation.run import Outgrown
from reference.messages import Effect, Event
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.quorum.replica import Replica
from reference.simulator.cluster import Cluster

CLAUSES: Mapping[str, tuple[str, ...]] = {
    "start_election": ("CTL-01",),
    "grant_vote": ("CTL-07", "CTL-01"),
    "refuse_vote": ("CTL-07",),
    "become_leader": ("CTL-07", "CTL-01"),
    "follow_leader": ("CTL-01",),
    "leader_append": ("CTL-02", "CTL-04"),
    "follower_fetch": ("CTL-08", "CTL-02"),
    "follower_truncate": ("CTL-08", "CTL-04"),
    "leader_advance_high_watermark": ("CTL-08", "CTL-04"),
    "restart": ("CTL-07",),
    "epoch": ("CTL-01",),
    "voted_for": ("CTL-07",),
    "is_leader": ("CTL-01",),
    "is_candidate": ("CTL-01",),
    "log": ("CTL-04", "CTL-08"),
}
"""The clauses that an action's rules keep, or that a differing field concerns; nearest first."""

Seen = tuple[object, ...]


class VotersObserver:
    """Compares every step of every voter with the model. `steps` counts those compared.

    Raises ModelRefused for a step that the model does not allow; Outgrown where the voters' logs or
    epochs are too far apart for the checker, whereupon nothing more is to be compared.
    """

    def __init__(self, voters: tuple[int, ...], *, invariants: bool = False) -> None:
        self.validator = QuorumValidator(voters, invariants=invariants)
        self.steps = 0
        self._seen: dict[int, Seen] = {}

    def begin(self, replicas: Sequence[Replica]) -> bool:
        """Begins in the middle of a run; see `quorum_beginning`."""
        return begin(self.validator, replicas)

    def observe(self, replica: Replica, event: Event | None, now_ms: int) -> None:
        """A replica has handled an event; None is its start. Observers are passed over."""
        log, node = replica.log, replica.node
        seen = (
            replica,
            replica.vote,
            replica.role,
            replica.leader,
            log.end,
            log.start,
            replica.high_watermark,
        )
        if node not in self.validator.number or self._seen.get(node) == seen:
            return
        self._seen[node] = seen
        try:
            self._compare(replica, event)
        except BrokenRule as broken:
            clauses = broken.clauses or CLAUSES[broken.action]
            raise self._refused(
                replica, event, now_ms, clauses, broken.action, broken.reason
            ) from (broken)
        except QuorumDiffers as differs:
            clauses = CLAUSES[differs.field]
            raise self._refused(replica, event, now_ms, clauses, "", str(differs)) from differs
        except NoRoom as large:
            raise Outgrown(str(large)) from large
        self.steps += 1

    def _compare(self, replica: Replica, event: Event | None) -> None:
        try:
            self.validator.heard(replica, event)
        except NoRoom:
            self.validator.carried.forget()
            self.validator.heard(replica, event)

    def _refused(
        self,
        replica: Replica,
        event: Event | None,
        now_ms: int,
        clauses: tuple[str, ...],
        action: str,
        reason: str,
    ) -> ModelRefused:
        message = getattr(event, "message", event)
        return ModelRefused(
            Refusal(
                clauses=clauses,
                partition="the metadata log",
                node=replica.node,
                at_ms=now_ms,
                number=self.validator.carried.taken.total() + 1,
                event="start" if message is None else type(message).__name__,
                action=action,
                reason=reason,
            )
        )

    def compare_whole(self) -> None:
        """Whole logs, for the end of a run. Raises ModelRefused."""
        for replica in self.validator.lives.values():
            try:
                self.validator.compare_log(replica)
            except QuorumDiffers as differs:
                clauses = CLAUSES[differs.field]
                raise self._refused(replica, None, 0, clauses, "", str(differs)) from differs


class QuorumObserver:
    """Watches the metadata quorum of a cluster: its controllers, and its voters from the first
    moment on at which all of them follow one leader. Implements
    `conformance.simulation.run.Validator`.

    Raises ModelRefused and StepRefused; Outgrown as VotersObserver.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.outgrown: Mapping[str, str] = {}
        self._voters: VotersObserver | None = None
        self._promises = {number: Promises() for number in cluster.addresses}
        self._begin()

    @property
    def steps(self) -> int:
        return self._voters.steps if self._voters else 0

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        node = self.cluster.nodes.get(member)
        if node is None or not isinstance(node.member, QuorumMember):
            return
        if event is not None and not node.touches_metadata:
            return
        self._promises[member].check(node.member, event)
        if self._voters is None:
            self._begin()
            return
        if self.outgrown:
            return
        try:
            self._voters.observe(node.member.replica, event, self.cluster.now_ms)
        except Outgrown as large:
            self.outgrown = {"the metadata log": str(large)}
            raise

    def _begin(self) -> None:
        members = [node.member for node in self.cluster.nodes.values()]
        replicas = [each.replica for each in members if isinstance(each, QuorumMember)]
        voters = [replica for replica in replicas if replica.is_voter]
        if voters:
            observer = VotersObserver(voters[0].voters)
            if observer.begin(voters):
                self._voters = observer

    def compare_whole(self) -> None:
        """Whole logs. Raises ModelRefused."""
        if self._voters is not None and not self.outgrown:
            self._voters.compare_whole()
