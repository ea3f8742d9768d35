"""Incremental fetch sessions (KIP-227): cheaper than full fetches, and never other data (CONS-05).

The model is a table: what the session holds of each partition, and what it last said of it. After
every incremental answer a full fetch at the same positions says what there was to be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import Bench
from conformance.client import SETTLES_WITHIN_MS, Client
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import FETCH_MAX_BYTES, Topic
from conformance.records import batch_of, read_batches
from conformance.world import World, worlds

PARTITIONS = 4
UNKNOWN = 99
"""A partition that does not exist."""
NO_SESSION, NEW, FINAL = 0, 0, -1
SESSIONS_FROM = 7
ANY_EPOCH = -1
NEWER_EPOCH_BY = 9
LARGEST_ID = (1 << 31) - 1
TOP_IDS = 1 << 12
"""Whoever cuts the range of ids into up to so many shards of equal width leaves fewer over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a session holds of a partition: where to go on, and who is taken for its leader."""

    offset: int = 0
    leader_epoch: int = ANY_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an answer says of a partition."""

    error: ErrorCode
    high_watermark: int
    log_start_offset: int
    offsets: tuple[int, ...]

    @property
    def state(self) -> tuple[int, int]:
        return self.high_watermark, self.log_start_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Of a whole Fetch."""

    error: ErrorCode
    session_id: int
    partitions: Mapping[int, Told]


@dataclass(eq=False)
class Session:
    """A session, and the model of what its broker must know.

    A broker may end one that holds no partition any more: it has nothing to tell.
    """

    bench: Bench
    topic: Topic
    connection: Connection
    version: int
    number: int = NO_SESSION
    epoch: int = NEW
    held: dict[int, Held] = field(default_factory=dict)
    said: dict[int, tuple[int, int]] = field(default_factory=dict)
    """High watermark and log start offset as the last answer about a partition had them."""

    def send(
        self,
        number: int,
        epoch: int,
        positions: Mapping[int, Held],
        forgotten: tuple[int, ...] = (),
    ) -> Pending[Answer]:
        """A Fetch of any session and epoch, which the model takes no notice of."""
        named = self.topic.named(self.version)
        named = {"topic": named["name"]} if "name" in named else named
        asked = [named | {"partitions": [part(n, held) for n, held in positions.items()]}]
        without = [named | {"partitions": forgotten}]
        request = codec.request(
            "fetch",
            self.version,
            replica_id=-1,
            min_bytes=0,
            max_bytes=FETCH_MAX_BYTES,
            session_id=number,
            session_epoch=epoch,
            topics=asked if positions else (),
            forgotten_topics_data=without if forgotten else (),
        )
        return self.connection.send(request, parsed)

    def full(self) -> Answer:
        """What there is to tell at the positions that the session holds, asked without it."""
        return self.send(NO_SESSION, FINAL, self.held).result()

    def open(self, positions: Mapping[int, Held]) -> Answer:
        """Begins a new session, instead of the present one if there is one."""
        answer = self.send(self.number, NEW, positions).result()
        assert answer.error is ErrorCode.none, "a full fetch opens a session"
        if answer.session_id == NO_SESSION:
            raise Unsupported("the broker keeps no fetch sessions")
        self.number, self.epoch = answer.session_id, 1
        self.held = dict(positions)
        self.said = {n: told.state for n, told in answer.partitions.items()}
        return answer

    def fetch(
        self, changed: Mapping[int, Held] | None = None, forgotten: tuple[int, ...] = ()
    ) -> Answer:
        """The next incremental fetch, checked against a full one."""
        answer = self.send(self.number, self.epoch, changed or {}, forgotten).result()
        shared = not self.bench.spec.fresh_per_test
        if answer.error is ErrorCode.fetch_session_id_not_found and shared:
            raise Inconclusive("the session was evicted, maybe in favour of somebody else's")
        assert answer.error is ErrorCode.none, "the next epoch of an open session is served"
        self.epoch += 1
        self.held = {n: h for n, h in self.held.items() if n not in forgotten} | dict(changed or {})
        self.said = {n: state for n, state in self.said.items() if n in self.held}
        if self.held or answer.session_id != NO_SESSION:
            assert answer.session_id == self.number, "the session stays the same"
        self.number = answer.session_id
        self._check(answer)
        return answer

    def _check(self, answer: Answer) -> None:
        there = self.full().partitions
        news = {n for n, told in there.items() if self._is_news(n, told)}
        self.bench.premise("a partition had news for a session", len(news))
        self.bench.premise("an incremental fetch was compared with a full one")
        assert answer.partitions.keys() <= self.held.keys(), "nothing forgotten is served"
        assert news <= answer.partitions.keys(), (
            "data, errors and changed high watermarks and log starts are always included"
        )
        found = {n: there[n] for n in answer.partitions}
        assert answer.partitions == found, "a session says what a full fetch says"
        self.said |= {n: told.state for n, told in answer.partitions.items()}

    def _is_news(self, number: int, told: Told) -> bool:
        failed = told.error is not ErrorCode.none
        return failed or bool(told.offsets) or told.state != self.said.get(number)

    def close(self) -> None:
        self.topic.target.settle(self.send(self.number, FINAL, {}))


def part(number: int, held: Held) -> dict[str, object]:
    return {
        "partition": number,
        "fetch_offset": held.offset,
        "current_leader_epoch": held.leader_epoch,
        "last_fetched_epoch": -1,
        "log_start_offset": -1,
        "partition_max_bytes": FETCH_MAX_BYTES,
    }


def parsed(answer: Entity) -> Answer:
    return Answer(
        error=answer.error_code,
        session_id=answer.session_id,
        partitions={
            part.partition_index: Told(
                error=part.error_code,
                high_watermark=part.high_watermark,
                log_start_offset=part.log_start_offset,
                offsets=tuple(
                    record.offset
                    for batch in read_batches(bytes(part.records or b""))
                    for record in batch.records
                ),
            )
            for topic in answer.responses
            for part in topic.partitions
        },
    )


# ---- set-up -------------------------------------------------------------------------------------


def versions_of(connection: Connection) -> list[int]:
    """Those with sessions that both sides know; raises `Unsupported` where there are none."""
    low, high = connection.versions.get(codec.KEYS["fetch"], (0, -1))
    known = [v for v in codec.VERSIONS["fetch"] if max(low, SESSIONS_FROM) <= v <= high]
    if not known:
        raise Unsupported(f"sessions need Fetch {SESSIONS_FROM}, the broker serves {low} to {high}")
    return known


def on_one_leader(client: Client) -> dict[str, Any]:
    """Options of a topic all of whose partitions have the same leader: sessions are a broker's."""
    if not client.controller().serves("create_topics"):
        raise Unsupported("replicas cannot be placed on chosen brokers")
    return {"assignments": dict.fromkeys(range(PARTITIONS), client.brokers[:3])}


def session_of(bench: Bench, topic: Topic, version: int) -> Session:
    return Session(bench, topic, topic[0].connect(), version)


# ---- the model-based test -----------------------------------------------------------------------

Step = tuple[str, int]
steps = st.tuples(
    st.sampled_from(
        (
            *("produce", "produce", "go on", "go on", "keep up", "rewind", "add", "forget"),
            *("trim", "unknown", "newer epoch", "right epoch"),
        )
    ),
    st.integers(0, PARTITIONS - 1),
)
rounds = st.lists(st.lists(steps, max_size=4), min_size=1, max_size=7)


@pytest.mark.clause("CONS-05")
@given(
    world=worlds(),
    rounds=rounds,
    begin=st.sets(st.integers(0, PARTITIONS - 1), min_size=1),
    data=st.data(),
)
def test_a_session_tells_all_that_a_full_fetch_would(
    bench: Bench, world: World, rounds: list[list[Step]], begin: set[int], data: st.DataObject
) -> None:
    """Whatever is produced, trimmed, added, forgotten or wrong, no news is left out."""
    with (
        bench.client(world) as client,
        bench.topic(client=client, **on_one_leader(client)) as topic,
    ):
        version = data.draw(st.sampled_from(versions_of(topic[0].leader)))
        session = session_of(bench, topic, version)
        session.open({number: Held() for number in begin})
        ends = dict.fromkeys(range(PARTITIONS), 0)
        for taken in rounds:
            session.fetch(*applied(session, taken, ends))
            if session.number == NO_SESSION:
                session.open({0: Held()})
        session.close()


def applied(
    session: Session, steps: list[Step], ends: dict[int, int]
) -> tuple[dict[int, Held], tuple[int, ...]]:
    """Does what the steps say to the topic; returns what they change in the session."""
    topic, changed, forgotten = session.topic, dict[int, Held](), list[int]()
    for step, number in steps:
        held = changed.get(number) or session.held.get(number) or Held()
        if step in ("produce", "keep up"):
            topic[number].append(b"%d/%d" % (number, ends[number]))
            ends[number] += 1
        if step == "produce":
            continue
        if step == "trim":
            if topic[number].leader.serves("delete_records"):
                topic[number].delete_records(ends[number]).result()
        elif step == "forget":
            if number in session.held and number not in changed:
                forgotten.append(number)
        elif step == "unknown":
            changed[UNKNOWN] = Held()
        elif number not in forgotten:
            epoch = topic[number].view.leader_epoch
            new = {
                "go on": replace(held, offset=ends[number]),
                "keep up": replace(held, offset=ends[number]),
                "rewind": replace(held, offset=0),
                "newer epoch": replace(held, leader_epoch=epoch + NEWER_EPOCH_BY),
                "right epoch": replace(held, leader_epoch=epoch),
            }
            changed[number] = new.get(step, held)
    return changed, tuple(dict.fromkeys(forgotten))


@pytest.mark.clause("CONS-05")
def test_a_moved_high_watermark_is_told(bench: Bench) -> None:
    """A new high watermark is news, though the session's position leaves nothing to read."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        for end, version in enumerate(versions_of(topic[0].leader)):
            session = session_of(bench, topic, version)
            session.open({0: Held(offset=end), 1: Held()})
            topic[0].append(b"x")
            told = session.fetch({0: Held(offset=end + 1)}).partitions
            bench.premise("a high watermark moved where there was nothing to read")
            assert 0 in told, "what has changed is told"
            assert told[0].offsets == (), "there is nothing to read"
            session.close()


@pytest.mark.clause("CONS-05")
def test_a_moved_log_start_is_told(bench: Bench) -> None:
    """A new log start offset is news, though there is nothing to read."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        if not topic[0].leader.serves("delete_records"):
            raise Unsupported("nothing moves a log start at once")
        for end, version in enumerate(versions_of(topic[0].leader), 1):
            topic[0].append(b"x")
            session = session_of(bench, topic, version)
            session.open({0: Held(offset=end), 1: Held()})
            topic[0].delete_records(end).result()
            told = session.fetch().partitions
            bench.premise("a log start moved where there was nothing to read")
            assert 0 in told, "what has changed is told"
            assert told[0].offsets == (), "there is nothing to read"
            session.close()


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.clause("CONS-05")
def test_a_wrong_epoch_is_refused(bench: Bench) -> None:
    """Any but the next epoch gets INVALID_FETCH_SESSION_EPOCH; a full fetch begins anew."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        for version in versions_of(topic[0].leader):
            session = session_of(bench, topic, version)
            session.open({0: Held()})
            session.fetch()
            for wrong in (1, 3, 4, 1_000, (1 << 31) - 1):
                answer = session.send(session.number, wrong, {}).result()
                bench.premise("a session was asked with a wrong epoch")
                assert answer.error is ErrorCode.invalid_fetch_session_epoch, f"epoch {wrong}"
                assert not answer.partitions, "a refused fetch tells nothing"
            again = session.open({0: Held(), 1: Held()})
            assert {*again.partitions} == {0, 1}, "a full fetch tells of every partition"
            session.fetch()
            session.close()


@pytest.mark.clause("CONS-05")
@given(
    world=worlds(),
    number=st.integers(1, LARGEST_ID - TOP_IDS),
    epoch=st.integers(1, (1 << 31) - 1),
)
def test_an_unknown_session_is_refused(bench: Bench, world: World, number: int, epoch: int) -> None:
    """A session that was never opened gets FETCH_SESSION_ID_NOT_FOUND.

    The top ids have a test of their own: a broker that shards its sessions by id may answer just
    those wrongly, and whether a seed happens to draw one must not decide what is reported.
    """
    with bench.client(world) as client:
        needs_sessions(client)
        assert_unknown(bench, client, number, epoch)


@pytest.mark.clause("CONS-05")
def test_an_unknown_session_at_the_top_of_the_range_is_refused(bench: Bench) -> None:
    """The ids that equal shards leave over are unknown like any other."""
    with bench.client() as client:
        needs_sessions(client)
        for below in (*range(10), *(1 << power for power in range(4, 13))):
            assert_unknown(bench, client, LARGEST_ID - below, epoch=1)


def assert_unknown(bench: Bench, client: Client, number: int, epoch: int) -> None:
    """Asks a broker for a session that nobody has opened, and expects it to say so."""
    request = codec.request(
        "fetch",
        versions_of(client.broker())[0],
        replica_id=-1,
        session_id=number,
        session_epoch=epoch,
    )
    answer = client.broker().send(request, parsed).result()
    bench.premise("a session was asked for that nobody has opened")
    assert answer.error is ErrorCode.fetch_session_id_not_found, f"session {number}"
    assert not answer.partitions, "a refused fetch tells nothing"


def needs_sessions(client: Client) -> None:
    """Raises `Unsupported` where a broker may answer session id 0 always."""
    newest = versions_of(client.broker())[0]
    request = codec.request("fetch", newest, replica_id=-1, session_epoch=NEW)
    answer = client.broker().send(request, parsed).result()
    if answer.session_id == NO_SESSION:
        raise Unsupported("the broker keeps no fetch sessions")


@pytest.mark.clause("CONS-05")
def test_a_closed_session_is_unknown(bench: Bench) -> None:
    """Epoch -1 ends a session; who goes on with it gets FETCH_SESSION_ID_NOT_FOUND."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        topic[0].append(b"x")
        session = session_of(bench, topic, versions_of(topic[0].leader)[-1])
        session.open({0: Held()})
        last = session.send(session.number, FINAL, {0: Held()}).result()
        assert (last.error, last.session_id) == (ErrorCode.none, NO_SESSION)
        assert last.partitions[0].offsets == (0,), "the last fetch is a full one"
        for epoch in (1, 2):
            answer = session.send(session.number, epoch, {}).result()
            bench.premise("a closed session was asked")
            assert answer.error is ErrorCode.fetch_session_id_not_found, f"epoch {epoch}"


@pytest.mark.clause("CONS-05")
def test_a_forgotten_partition_is_no_longer_served(bench: Bench) -> None:
    """What a session has forgotten stays out of its answers, whatever happens there."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        for version in versions_of(topic[0].leader):
            session = session_of(bench, topic, version)
            session.open({0: Held(), 1: Held()})
            session.fetch(forgotten=(0,))
            topic.target.wait(*(topic[n].produce(batch_of(b"x")) for n in (0, 1)))
            answer = session.fetch()
            bench.premise("a forgotten partition had news")
            assert {*answer.partitions} == {1}, "only what the session holds is served"
            again = session.fetch({0: Held()})
            assert 0 in again.partitions, "who asks for it again is told again"
            session.close()


# ---- the leader epoch ---------------------------------------------------------------------------


@pytest.mark.clause("CONS-05")
def test_a_session_s_leader_epoch_is_validated_each_time(bench: Bench) -> None:
    """While a session holds a leader epoch that is too new, each answer has the error."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        newer = topic[1].view.leader_epoch + NEWER_EPOCH_BY
        for version in versions_of(topic[0].leader):
            if version < codec.versions_with("fetch", ("current_leader_epoch",))[0]:
                continue
            session = session_of(bench, topic, version)
            session.open({0: Held(), 1: Held(leader_epoch=newer)})
            for _ in range(3):
                answer = session.fetch()
                bench.premise("a session held a leader epoch that is too new")
                assert errors(answer, 1) == [ErrorCode.unknown_leader_epoch]
            healed = session.fetch({1: Held()})
            assert errors(healed, 1) == [ErrorCode.none], "the end of an error is news"
            session.close()


@pytest.mark.clause("CONS-05")
def test_a_session_is_fenced_when_its_leader_epoch_has_passed(bench: Bench) -> None:
    """Once leadership has moved, a session that holds the old epoch gets FENCED_LEADER_EPOCH."""
    with bench.client() as client, bench.topic(client=client, **on_one_leader(client)) as topic:
        first, second, *rest = (*topic[0].view.replicas, -1)
        if second < 0 or not client.controller().serves("alter_partition_reassignments"):
            raise Unsupported("leadership cannot be moved")
        old = topic[0].view.leader_epoch
        version = versions_of(topic[0].leader)[-1]
        session = session_of(bench, topic, version)
        session.open({0: Held(leader_epoch=old), 1: Held()})
        others = [broker for broker in rest if broker >= 0]
        for leader, follower in ((second, first), (first, second)):
            lead(topic, 0, (leader, follower, *others))
        for _ in range(2):
            answer = session.fetch()
            bench.premise("a session held a leader epoch that has passed")
            assert errors(answer, 0) == [ErrorCode.fenced_leader_epoch]
        session.close()


def errors(answer: Answer, number: int) -> list[ErrorCode]:
    """Of a partition; none at all where the answer says nothing of it."""
    return [told.error for n, told in answer.partitions.items() if n == number]


def lead(topic: Topic, number: int, replicas: tuple[int, ...]) -> None:
    """Makes the first of the replicas the partition's leader, in a new epoch."""
    client, wanted = topic.client, {"partition_index": number, "replicas": replicas}
    topics = [{"name": topic.name, "partitions": [wanted]}]
    client.controller().call("alter_partition_reassignments", topics=topics, timeout=10_000)
    elected = [{"topic": topic.name, "partitions": (number,)}]

    def leader() -> int:
        client.controller().call("elect_leaders", topic_partitions=elected, timeout=10_000)
        return client.settled(topic.name).partitions[number].leader

    topic.target.eventually(leader, lambda found: found == replicas[0], within_ms=SETTLES_WITHIN_MS)
    topic.refresh()
