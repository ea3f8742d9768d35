"""A follower that stands still: what waits for it, and for how long."""

from dataclasses import dataclass, field

from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.records import batch_of
from conformance.workload.controllers import active_controller
from conformance.workload.lines import Lines
from conformance.workload.siege import TWO_IN_SYNC, Siege, besieged

IMPATIENT_MS = 500
LOOKS_EVERY_MS = 100


@dataclass(slots=True, kw_only=True)
class Lag:
    follower: int
    limit_ms: int
    """How long a change of the ISR was waited for."""
    while_member: list[tuple[bytes | None, ...]] = field(default_factory=list)
    """What a consumer was given, each time while the follower was in the leader's ISR, of records
    that it lacks."""
    impatient: ErrorCode | None = None
    """The answer to a write that did not want to wait."""
    impatient_ms: int = 0
    """When that came, from the moment at which the follower stood still."""
    acknowledged_ms: int | None = None
    """When one was acknowledged that did, from the same moment; None where it was not."""
    isr_after: tuple[int, ...] = ()
    """What the leader told of the ISR then."""
    returned_ms: int | None = None
    """From its going on to when it was in the ISR again."""


def lag(bench: Bench) -> Lag:
    """Needs PAUSE."""
    return bench.once("follower that stands still", lambda: _lag(bench))


def _lag(bench: Bench) -> Lag:
    with bench.client() as client:
        controller = active_controller(client)
        follower = max(broker for broker in client.brokers if broker != controller)
        replicas = (*(b for b in client.brokers if b != follower), follower)
        with besieged(bench, client, replicas[-3:], configs=TWO_IN_SYNC) as siege:
            found = Lag(follower=follower, limit_ms=siege.isr_ms)
            siege.partition.append(b"all have this")
            with siege.nemesis.pause(follower):
                _while_it_stands_still(siege, found)
            found.returned_ms = siege.comes(
                lambda: siege.all_say((siege.load.leader,), lambda look: follower in look.isr),
                siege.isr_ms,
            )
            return found


def _while_it_stands_still(siege: Siege, found: Lag) -> None:
    partition, target, leader = siege.partition, siege.target, siege.load.leader
    began_ms, deadline = target.now_ms(), target.now_ms() + found.limit_ms
    lines = Lines(siege.load.brokers)
    start = 1
    waits = partition.produce(
        batch_of(b"waits"), timeout_ms=found.limit_ms, over=partition.client.connect(leader)
    )
    short = partition.produce(
        batch_of(b"does not"), timeout_ms=IMPATIENT_MS, over=partition.client.connect(leader)
    )
    while not waits.settled and target.now_ms() < deadline:
        fetched = partition.fetch(start, over=lines.to(leader))
        target.settle(fetched)
        if fetched.answered and found.follower in _isr_from_now_on(siege, leader):
            found.while_member.append(tuple(r.value for r in fetched.value.records))
        if short.settled and not found.impatient_ms:
            found.impatient_ms = target.now_ms() - began_ms
        target.sleep(LOOKS_EVERY_MS)
    if short.answered:
        found.impatient = short.value.error
    if waits.answered and waits.answered_ms is not None and waits.value.error is ErrorCode.none:
        found.acknowledged_ms = waits.answered_ms - began_ms
        siege.comes(
            lambda: siege.all_say((leader,), lambda look: found.follower not in look.isr),
            siege.isr_ms,
        )
    found.isr_after = siege.load.latest(leader)[0].isr


def _isr_from_now_on(siege: Siege, leader: int) -> tuple[int, ...]:
    """What the leader says in an answer to come: a member in it was one before."""
    now_ms = siege.target.now_ms()
    siege.need(
        "an answer of the leader",
        lambda: siege.load.latest(leader)[0].at_ms > now_ms,
        siege.takeover_ms,
    )
    return siege.load.latest(leader)[0].isr
