"""Partitions that lose everybody who may lead them: what is elected then, and what is not."""

from dataclasses import dataclass, field
from typing import Any

from kio.schema.errors import ErrorCode

from conformance.bench import KEEP_ALL, Bench
from conformance.connection import Pending
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Appended, Partition, Topic
from conformance.records import batch_of
from conformance.workload.controllers import active_controller
from conformance.workload.errands import line_to_controller
from conformance.workload.history import Look, Stored
from conformance.workload.lines import Lines
from conformance.workload.siege import Siege, besieged

PREFERRED, UNCLEAN = 0, 1
UNCLEAN_SINCE = 1
"""Of ElectLeaders (KIP-460)."""
STAYS_FOR_MS = 3_000
"""How long it is watched whether a partition without a leader stays so."""
ADMIN_TIMEOUT_MS = 10_000
ANSWER_WITHIN_MS = 20_000
BOTH, ALONE, OTHER = b"in sync", b"alone", b"of another leader"


@dataclass(slots=True, kw_only=True)
class Stranding:
    """Two partitions whose only in-sync replica died. An operator has another one elected for the
    second, which does not have what was committed last."""

    victim: int
    others: tuple[int, ...]
    looks: list[Look] = field(default_factory=list)
    """What the others said of the first one while its last in-sync replica was dead."""
    write: ErrorCode | None = None
    """The answer of another replica to a write then."""
    preferred: ErrorCode | None = None
    """The answer to an election of the preferred replica, which was the dead one."""
    led_again_ms: int | None = None
    """From the start of the victim to when it led the first one again."""
    kept: list[Stored] = field(default_factory=list)
    """The first one at the end."""
    unclean: ErrorCode | None = None
    """The answer to the unclean election."""
    epochs: tuple[int, int] = (-1, -1)
    """Of the second one: before, and after the unclean election."""
    position: int = 0
    """Where a consumer of the second one had come to before."""
    logs: dict[int, list[Stored]] = field(default_factory=dict)
    """The second one at the end, as each replica has it."""
    epoch_end: Any = None
    """What its leader says at the end of the epoch before the election."""


def strand(bench: Bench) -> Stranding:
    """Needs KILL and CUT_BROKERS. Raises `Inconclusive` where the premise does not come about."""
    return bench.once("stranding", lambda: _strand(bench))


def _strand(bench: Bench) -> Stranding:
    with bench.client() as client:
        controller = active_controller(client)
        victim = next(broker for broker in client.brokers if broker != controller)
        replicas = (victim, *(broker for broker in client.brokers if broker != victim))[:3]
        name = bench.name("-unclean")
        with besieged(bench, client, replicas) as siege:
            try:
                view = client.create_topic(name, assignments={0: replicas}, configs=KEEP_ALL)
                second = Topic(client, name, view)[0]
                return _Strander(siege, second, victim).strand()
            finally:
                bench.discard(client, name)


class _Strander:
    def __init__(self, siege: Siege, second: Partition, victim: int) -> None:
        self.siege, self.first, self.second = siege, siege.partition, second
        self.lines = Lines(siege.load.brokers)
        self.found = Stranding(victim=victim, others=siege.others(victim))

    def strand(self) -> Stranding:
        siege, found = self.siege, self.found
        for partition in (self.first, self.second):
            partition.append(BOTH)
        found.epochs = (self.second.view.leader_epoch, -1)
        with siege.nemesis.cut(found.victim, *found.others):
            self.commit_alone()
            fault = siege.nemesis.kill(found.victim)
        with fault:
            self.while_dead()
            began_ms = siege.target.now_ms()
        took = siege.comes(lambda: siege.load.leader == found.victim and self.is_led(), 180_000)
        found.led_again_ms = None if took is None else siege.target.now_ms() - began_ms
        siege.heal()
        self.read_all()
        return found

    def commit_alone(self) -> None:
        """What only the victim has, and acknowledges once the ISR has shrunk to it."""
        siege, victim = self.siege, self.found.victim
        waits = [
            partition.produce(
                batch_of(ALONE),
                timeout_ms=siege.isr_ms,
                over=siege.partition.client.connect(victim),
            )
            for partition in (self.first, self.second)
        ]
        siege.target.settle(*waits, within_ms=siege.isr_ms)
        if not all(p.answered and p.value.error is ErrorCode.none for p in waits):
            raise Inconclusive("the ISR did not shrink to the leader")
        self.found.position = waits[1].value.base_offset + 1
        siege.need(
            "all brokers tell of an ISR of one",
            lambda: siege.all_say(siege.load.brokers.ids, lambda look: look.isr == (victim,)),
            siege.isr_ms,
        )

    def while_dead(self) -> None:
        siege, found, target = self.siege, self.found, self.siege.target
        killed_ms = target.now_ms()
        siege.need(
            "the others tell of no leader",
            lambda: siege.all_say(found.others, lambda look: look.leader != found.victim),
            siege.takeover_ms,
        )
        one = found.others[0]
        pending = self.first.produce(batch_of(OTHER), acks=1, over=self.lines.to(one))
        target.settle(pending)
        found.write = pending.value.error if pending.answered else None
        found.preferred = self.elect(self.first, PREFERRED)
        found.unclean = self.elect(self.second, UNCLEAN)
        if found.unclean is ErrorCode.none:
            self.write_to_other()
        target.sleep(STAYS_FOR_MS)
        found.looks = [
            look
            for look in siege.history.looks
            if look.broker in found.others and look.at_ms > killed_ms
        ]

    def elect(self, partition: Partition, kind: int) -> ErrorCode | None:
        """ElectLeaders: the error about the partition, None without an answer."""
        one = self.found.others[0]
        over = self.lines.to(line_to_controller(self.siege, self.lines, one))
        request = over.build(
            "elect_leaders",
            at_least=UNCLEAN_SINCE,
            election_type=kind,
            topic_partitions=[{"topic": partition.topic.name, "partitions": (partition.number,)}],
            timeout=ADMIN_TIMEOUT_MS,
        )
        pending: Pending[ErrorCode] = over.send(
            request, lambda told: told.replica_election_results[0].partition_result[0].error_code
        )
        self.siege.target.settle(pending, within_ms=ANSWER_WITHIN_MS)
        return pending.value if pending.answered else None

    def write_to_other(self) -> None:
        """Something else at the offset of what the dead leader has acknowledged."""
        client, found = self.second.client, self.found
        name, one = self.second.topic.name, found.others[0]

        def attempt() -> Appended | None:
            view = client.view(name, one).partitions[0]
            if view.leader not in found.others:
                return None
            found.epochs = (found.epochs[0], view.leader_epoch)
            over = self.lines.to(view.leader)
            pending = self.second.produce(batch_of(OTHER, OTHER, OTHER), acks=1, over=over)
            self.siege.target.settle(pending)
            return pending.value if pending.answered else None

        self.siege.target.eventually(
            attempt,
            lambda answer: answer is not None and answer.error is ErrorCode.none,
            within_ms=self.siege.takeover_ms,
        )

    def is_led(self) -> bool:
        return self.siege.all_say(self.found.others, lambda look: look.leader == self.found.victim)

    def read_all(self) -> None:
        siege, found = self.siege, self.found
        self.first.topic.refresh()
        first = self.first.topic[0]
        found.kept = siege.read(first.view.leader, first.end_offset, first)
        if found.unclean is not ErrorCode.none:
            return
        self.second.topic.refresh()
        second = self.second.topic[0]
        end = second.end_offset
        for broker in second.view.replicas:
            found.logs[broker] = siege.read(broker, end, second)
        found.epoch_end = second.epoch_end(found.epochs[0]).result()


# ---- eligible leader replicas --------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Eligible:
    """What DescribeTopicPartitions says of a partition (KIP-966)."""

    leader: int
    leader_epoch: int
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    last_known: tuple[int, ...]


def ask_for_eligible(partition: Partition, lines: Lines, broker: int) -> Pending[Eligible]:
    """Raises `Unsupported` where the broker does not serve DescribeTopicPartitions."""
    over = lines.to(broker)
    request = over.build(
        "describe_topic_partitions",
        topics=[{"name": partition.topic.name}],
        response_partition_limit=100,
        cursor=None,
    )
    return over.send(request, _eligible)


def _eligible(answer: Any) -> Eligible:
    part = answer.topics[0].partitions[0]
    return Eligible(
        leader=part.leader_id,
        leader_epoch=part.leader_epoch,
        isr=tuple(part.isr_nodes),
        elr=tuple(part.eligible_leader_replicas or ()),
        last_known=tuple(part.last_known_elr or ()),
    )


@dataclass(slots=True, kw_only=True)
class Unclean:
    """Both replicas of a partition were killed, one after the other, and came back one by one."""

    first: int
    last: int
    """The one that was killed last, and so led last."""
    after_first: Eligible
    """While the first one is back, and cannot catch up."""
    before_last: Eligible
    """While the last one is dead."""
    registered: Eligible
    """The last one has registered again, and is stopped before it may serve."""
    live: tuple[int, ...]
    """The brokers in Metadata then."""
    led_again_ms: int | None
    """From its going on to when it leads again."""


def unclean(bench: Bench) -> Unclean:
    """Needs KILL, PAUSE and CUT_BROKERS, and eligible leader replicas (else `Unsupported`)."""
    return bench.once("unclean restarts", lambda: _unclean(bench))


def _unclean(bench: Bench) -> Unclean:
    with bench.client() as client:
        controller = active_controller(client)
        last, first = (broker for broker in client.brokers if broker != controller)
        two = {"min.insync.replicas": "2"}
        with besieged(bench, client, (last, first), configs=two) as siege:
            return _Restarter(siege, controller, first, last).go()


class _Restarter:
    def __init__(self, siege: Siege, witness: int, first: int, last: int) -> None:
        self.siege, self.witness, self.first, self.last = siege, witness, first, last
        self.lines = Lines(siege.load.brokers)

    def go(self) -> Unclean:
        siege, nemesis = self.siege, self.siege.nemesis
        siege.partition.append(b"acknowledged by both")
        self.look()
        with nemesis.cut(self.first, self.last):
            with nemesis.kill(self.first):
                after = self.until("it is fenced", lambda e: self.first not in e.isr)
                if self.first not in after.elr:
                    raise Unsupported("a member that left too small an ISR is not in the ELR")
                siege.need(
                    "it is not live", lambda: not self.is_live(self.first), siege.takeover_ms
                )
            siege.need("it is back", lambda: self.is_live(self.first), siege.takeover_ms)
            after_first = self.look()
            with nemesis.kill(self.last):
                before = self.until("there is no leader", lambda e: e.leader < 0)
            registered = self.until(
                "the last one has registered", lambda e: self.last not in e.elr, every_ms=2
            )
            with nemesis.pause(self.last):
                siege.target.sleep(500)
                registered = self.look()
                live = siege.load.latest(self.witness)[0].brokers
            took = siege.comes(
                lambda: siege.all_say((self.witness,), lambda look: look.leader == self.last),
                siege.takeover_ms,
            )
        siege.heal()
        return Unclean(
            first=self.first,
            last=self.last,
            after_first=after_first,
            before_last=before,
            registered=registered,
            live=live,
            led_again_ms=took,
        )

    def look(self) -> Eligible:
        return ask_for_eligible(self.siege.partition, self.lines, self.witness).result()

    def until(self, what: str, holds: Any, every_ms: int = 50) -> Eligible:
        target = self.siege.target
        deadline = target.now_ms() + self.siege.takeover_ms
        while not holds(found := self.look()):
            if target.now_ms() > deadline:
                raise Inconclusive(f"not seen: {what}; last: {found}")
            target.sleep(every_ms)
        return found

    def is_live(self, broker: int) -> bool:
        return self.siege.all_say((self.witness,), lambda look: broker in look.brokers)
