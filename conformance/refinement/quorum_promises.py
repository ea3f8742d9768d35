"""What the quorum's controllers promise beyond the model, which knows no time and no metadata.

A new controller begins with all that was ever committed (CTL-04), and a leader that no majority
follows resigns (CTL-08). Time is counted in ticks of the leader itself: a node that was paused, or
whose clock has jumped, has not had the time to resign.
"""

from conformance.simulation.run import StepRefused
from reference.image import MetadataImage
from reference.messages import Event, FromPeer
from reference.metadata.quorum.leading import FETCH_WAIT_MS
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.quorum.messages import LeaderTickDue, QuorumFetch
from reference.metadata.quorum.replica import Role

PATIENCE = 2
"""In fetch timeouts: a leader has resigned by then, however its ticks lie between the fetches."""


class Promises:
    """Looks at the member of one node, after each event that it has handled."""

    __slots__ = ("_active", "_led_epoch", "_silent_ticks")

    def __init__(self) -> None:
        self._active: object = None
        """The controller that was looked at last."""
        self._led_epoch = -1
        self._silent_ticks: dict[int, int] = {}
        """For each other voter, how often the leader has ticked since it fetched."""

    def check(self, member: QuorumMember, event: Event | None) -> None:
        """Raises StepRefused."""
        if member.active is not self._active:
            self._active = member.active
            self._check_image(member)
        if member.replica.role is Role.LEADER:
            self._check_followers(member, event)

    def _check_image(self, member: QuorumMember) -> None:
        """Whatever a controller has decided by now is in its log, too."""
        if member.active is None:
            return
        log, whole = member.replica.log, MetadataImage()
        snapshot, tail = log.records(log.end.offset)
        for record in (*snapshot, *tail):
            whole.apply(record)
        whole.applied = member.active.image.applied
        if whole != member.active.image:
            text = f"the controller of epoch {member.epoch} does not begin with the whole log"
            raise StepRefused("CTL-04", f"node {member.replica.node}: {text}")

    def _check_followers(self, member: QuorumMember, event: Event | None) -> None:
        replica = member.replica
        if self._led_epoch != replica.epoch:
            self._led_epoch = replica.epoch
            self._silent_ticks = dict.fromkeys(replica.other_voters, 0)
        if isinstance(event, FromPeer):
            if isinstance(event.message, QuorumFetch) and event.sender in self._silent_ticks:
                self._silent_ticks[event.sender] = 0
        elif isinstance(event, LeaderTickDue):
            for voter in self._silent_ticks:
                self._silent_ticks[voter] += 1
            patience_ticks = PATIENCE * (replica.fetch_timeout_ms // FETCH_WAIT_MS + 1)
            heard = sum(ticks < patience_ticks for ticks in self._silent_ticks.values())
            if 2 * (heard + 1) <= len(replica.voters):
                text = f"leads epoch {replica.epoch}, and no majority has fetched for long"
                raise StepRefused("CTL-08", f"node {replica.node} {text}")
