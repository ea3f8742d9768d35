"""What else is done in the course of a story: each before, while and after the leader is struck.

During the fault one of the brokers may be gone, so an errand asks over lines of its own and never
through a client that would pick a broker by itself.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from conformance.bench import KEEP_ALL
from conformance.client import TopicView
from conformance.connection import Pending
from conformance.outcomes import Inconclusive
from conformance.partition import Appended, Partition, Topic
from conformance.records import batch_of
from conformance.workload.leaders import ask_to_reassign, move_leader, ongoing
from conformance.workload.lines import Lines
from conformance.workload.siege import Siege
from conformance.workload.topics import assigned_topic, create_again, new_topic

ANSWER_WITHIN_MS = 5_000
HOLDS_FOR_MS = 90_000
"""As a producer would ask for, so that the answer tells what the broker made of the write."""
SETTLES_WITHIN_MS = 120_000
NONE = ErrorCode.none


def line_to_controller(siege: Siege, lines: Lines, broker: int) -> int:
    """The broker to ask for a change of metadata: any with KRaft, else the one that this names."""
    looks = siege.load.latest(broker)
    if not lines.to(broker).serves("describe_quorum") and looks and looks[0].controller >= 0:
        return looks[0].controller
    return broker


def ask_to_create_by(
    siege: Siege, lines: Lines, topic: Mapping[str, Any], broker: int
) -> Pending[ErrorCode]:
    """CreateTopics through a broker, or through the controller that it names."""
    over = lines.to(line_to_controller(siege, lines, broker))
    request = over.build(
        "create_topics", at_least=2, at_most=4, topics=[topic], timeout=ANSWER_WITHIN_MS
    )
    return over.send(request, lambda answer: answer.topics[0].error_code)


class Errand:
    """Does nothing at any time."""

    def __init__(self, siege: Siege, victim: int, lines: Lines) -> None:
        self.siege, self.victim, self.lines = siege, victim, lines
        self.name = ""
        """Of a topic to be deleted at the end."""

    def before(self) -> None:
        """All brokers are well."""

    def at_once(self) -> None:
        """The victim has just been struck, and nobody knows yet."""

    def during(self) -> None:
        """Others lead what the victim led."""

    def after(self) -> None:
        """All is healed, and the victim leads again."""

    # ---- for all of them ------------------------------------------------------------------------

    def new_topic(self, replicas: tuple[int, ...], partitions: int = 1) -> Topic:
        """A topic of its own whose partitions all have these replicas."""
        self.name = self.siege.bench.name(f"-{type(self).__name__.lower()}")
        client = self.siege.partition.client
        assignments = dict.fromkeys(range(partitions), replicas)
        view = client.create_topic(self.name, assignments=assignments, configs=KEEP_ALL)
        return Topic(client, self.name, view)

    def answer(self, pending: Pending[ErrorCode]) -> ErrorCode | None:
        """What is answered in time; None for nothing."""
        self.siege.target.settle(pending, within_ms=2 * ANSWER_WITHIN_MS)
        return pending.value if pending.answered else None

    def values(self, partition: Partition, broker: int | None = None) -> list[bytes | None]:
        """What the log holds, read from the leader or any replica."""
        end = partition.end_offset
        stored = self.siege.read(broker or partition.view.leader, end, partition)
        return [each.record.value for each in stored]


class Replacement(Errand):
    """META-03: a topic is deleted, and another is made of the same name, while a broker that has a
    replica of the first is down."""

    old_id: UUID | None = None
    new_id: UUID | None = None
    deleted: ErrorCode | None = None
    was_made_during = False
    found: tuple[bytes | None, ...] = ()
    """The values that the broker serves once it leads the second topic."""
    first_offset = -1
    NEW = (b"new 1", b"new 2")

    def before(self) -> None:
        self.replicas = (self.siege.others(self.victim)[0], self.victim)
        topic = self.new_topic(self.replicas)
        topic[0].append(b"old 1", b"old 2", b"old 3")
        self.old_id = topic.topic_id

    def during(self) -> None:
        by = line_to_controller(self.siege, self.lines, self.replicas[0])
        over = self.lines.to(by)
        request = over.build(
            "delete_topics",
            at_least=1,
            at_most=5,
            topic_names=(self.name,),
            timeout=ANSWER_WITHIN_MS,
        )
        self.deleted = self.answer(over.send(request, lambda told: told.responses[0].error_code))
        # With ZooKeeper the name stays taken until all replicas are deleted.
        topic = assigned_topic(self.name, self.replicas, configs=KEEP_ALL)
        made = self.answer(ask_to_create_by(self.siege, self.lines, topic, self.replicas[0]))
        self.was_made_during = made is NONE
        if self.was_made_during:
            self.write_during()

    def write_during(self) -> None:
        """Fewer records than the first topic had, so that old ones would fit behind them."""
        client, target = self.siege.partition.client, self.siege.target
        view = TopicView(error=NONE, name=self.name, topic_id=None, partitions={})
        partition = Partition(Topic(client, self.name, view), 0)

        def attempt() -> Appended | None:
            over = self.lines.to(self.replicas[0])
            pending = partition.produce(batch_of(*self.NEW), acks=1, over=over)
            target.settle(pending)
            return pending.value if pending.answered else None

        answer = target.eventually(
            attempt,
            lambda found: found is not None and found.error is NONE,
            within_ms=self.siege.takeover_ms,
        )
        self.first_offset = answer.base_offset if answer else -1

    def after(self) -> None:
        client = self.siege.partition.client
        if self.was_made_during:
            topic = Topic(client, self.name, client.settled(self.name))
        else:
            topic = create_again(client, self.name, KEEP_ALL, self.replicas)
            self.first_offset = topic[0].append(*self.NEW).base_offset
        move_leader(topic[0], to=self.victim)
        self.found = tuple(self.values(topic[0]))
        self.new_id = client.topic_id(self.name, self.victim)


class Reassignment(Errand):
    """META-06: one partition gets a replica on a broker that is down, another is to get one and
    the change is cancelled."""

    asked: ErrorCode | None = None
    cancelled: ErrorCode | None = None
    was_going_on = False
    ended = False
    replicas: tuple[tuple[int, ...], ...] = ()
    """Of both partitions at the end; all of them in sync."""
    expected: tuple[tuple[int, ...], ...] = ()
    found: tuple[tuple[bytes | None, ...], ...] = ()
    VALUES = (b"kept 1", b"kept 2", b"kept 3")

    def before(self) -> None:
        one, other = self.siege.others(self.victim)[:2]
        self.old, self.new = (one, other), (one, self.victim)
        self.topic = self.new_topic(self.old, partitions=2)
        for partition in (self.topic[0], self.topic[1]):
            partition.append(*self.VALUES)

    def during(self) -> None:
        moved, stays = self.topic[0], self.topic[1]
        over = self.lines.to(line_to_controller(self.siege, self.lines, self.old[0]))
        self.asked = self.answer(ask_to_reassign(moved, self.new, over))
        if self.asked is NONE and self.answer(ask_to_reassign(stays, self.new, over)) is NONE:
            pending = ongoing(moved, over)
            self.siege.target.settle(pending)
            self.was_going_on = pending.answered and pending.value != ()
            self.cancelled = self.answer(ask_to_reassign(stays, None, over))

    def after(self) -> None:
        moved, stays = self.topic[0], self.topic[1]
        if self.asked is not NONE:  # such a target may be refused, and then has to be asked again
            over = moved.client.controller()
            if self.answer(ask_to_reassign(moved, self.new, over)) is not NONE:
                raise Inconclusive("no reassignment was accepted")

        def over_now() -> bool:
            return ongoing(moved).result() == () and ongoing(stays).result() == ()

        deadline = self.siege.target.now_ms() + self.siege.patient(SETTLES_WITHIN_MS)
        while not (ended := over_now()) and self.siege.target.now_ms() < deadline:
            self.siege.target.sleep(100)
        self.ended = ended
        if ended:
            self.topic.refresh()
            self.replicas = tuple(self.topic[n].view.replicas for n in (0, 1))
            self.expected = (self.new, self.old)
            self.found = tuple(tuple(self.values(self.topic[n])) for n in (0, 1))


class Strays(Errand):
    """LEAD-08: writes to a leader that has been deposed, and cannot know."""

    taken: Appended | None = None
    """The answer to one with acks=1."""
    served: tuple[bytes | None, ...] = ()
    """What a consumer was given from there on before the fault ended."""
    held: Pending[Appended] | None = None
    """One with acks=all, whose answer can wait."""
    ended_ms = 0
    VALUES = (b"stray, acks=1", b"stray, acks=all")

    def during(self) -> None:
        partition, target = self.siege.partition, self.siege.target
        over = self.lines.to(self.victim)
        pending = partition.produce(batch_of(self.VALUES[0]), acks=1, over=over)
        self.held = partition.produce(
            batch_of(self.VALUES[1]),
            timeout_ms=HOLDS_FOR_MS,
            over=Lines(self.siege.load.brokers).to(self.victim),
        )
        target.settle(pending)
        if not pending.answered or pending.value.error is not NONE:
            return
        self.taken = pending.value
        fetched = partition.fetch(self.taken.base_offset, over=over, max_wait_ms=500)
        target.settle(fetched)
        if fetched.answered:
            self.served = tuple(record.value for record in fetched.value.records)

    def after(self) -> None:
        if self.held:
            self.siege.target.settle(self.held)


class StaleChange(Errand):
    """CTL-02, CTL-08: a change that is asked of a controller that has just been cut off."""

    asked: Pending[ErrorCode] | None = None
    seen_during: tuple[int, ...] = ()
    seen_after: tuple[int, ...] = ()

    def before(self) -> None:
        self.name = self.siege.bench.name("-stale")

    def at_once(self) -> None:
        topic = new_topic(self.name, replication_factor=1)
        over = self.lines.to(self.victim)
        request = over.build(
            "create_topics", at_least=2, at_most=4, topics=[topic], timeout=ANSWER_WITHIN_MS
        )
        self.asked = over.send(request, lambda answer: answer.topics[0].error_code)

    def during(self) -> None:
        self.seen_during = self._seen_by()

    def after(self) -> None:
        self.seen_after = self._seen_by()

    def _seen_by(self) -> tuple[int, ...]:
        """The brokers that tell of the topic."""
        seen, lines = [], Lines(self.siege.load.brokers)
        for broker in self.siege.load.brokers.ids:
            over = lines.to(broker)
            request = over.build(
                "metadata",
                at_least=7,
                at_most=8,
                topics=[{"name": self.name}],
                allow_auto_topic_creation=False,
            )
            pending = over.send(request, lambda answer: answer.topics[0].error_code)
            self.siege.target.settle(pending)
            if pending.answered and pending.value is NONE:
                seen.append(broker)
        lines.close()
        return tuple(seen)
