"""Incremental fetch sessions show what full fetches would (KIP-227)."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.errors import Error
from reference.fetch_session import EPOCH_MAX, EVICTABLE_AFTER_MS, FetchContext, FetchSessions
from reference.requests import (
    DeleteRecords,
    DeleteRecordsPart,
    DeleteTopics,
    Fetch,
    Fetched,
    FetchedPart,
    FetchPart,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from tests.core_cluster import ask, batch, cluster, create, fetch_request, produce, produce_request

TOPICS = ("a", "b", "c")


def request(
    session_id: int, epoch: int, *parts: FetchPart, forgotten: tuple[str, ...] = ()
) -> Fetch:
    whole = fetch_request("", 0, session_id=session_id, session_epoch=epoch)
    return replace(whole, parts=parts, forgotten=tuple((topic, 0) for topic in forgotten))


def part(topic: str, offset: int = 0, **fields: int) -> FetchPart:
    return FetchPart(topic=topic, number=0, offset=offset, max_bytes=1 << 20, **fields)


def one_broker() -> Cluster:
    running = cluster(brokers=1)
    for name in TOPICS:
        create(running, name, replication_factor=1)
    return running


def fetched(running: Cluster, wanted: Fetch) -> Fetched:
    answer = ask(running, 1, wanted)
    assert isinstance(answer, Fetched)
    return answer


def test_a_session_tells_only_what_is_new() -> None:
    running = one_broker()
    first = fetched(running, request(0, 0, *map(part, TOPICS)))
    number = first.session_id
    assert number > 0
    assert len(first.parts) == 3
    assert fetched(running, request(number, 1)).parts == ()
    produce(running, "b", batch(b"x"))
    told = fetched(running, request(number, 2))
    assert [(each.topic, bool(each.records)) for each in told.parts] == [("b", True)]
    told = fetched(running, request(number, 3, part("b", 1)))
    assert told.parts == (), "its high watermark is known by now"
    told = fetched(running, request(number, 4, part("a", 5)))
    assert [each.error for each in told.parts] == [Error.OFFSET_OUT_OF_RANGE]
    told = fetched(running, request(number, 5))
    assert [each.error for each in told.parts] == [Error.OFFSET_OUT_OF_RANGE], "it is still wrong"
    assert fetched(running, request(number, 6, forgotten=("a",))).parts == ()


def test_wrong_sessions_and_epochs_are_refused() -> None:
    running = one_broker()
    number = fetched(running, request(0, 0, part("a"))).session_id
    for session_id, epoch, error in (
        (number, 2, Error.INVALID_FETCH_SESSION_EPOCH),
        (number + 1, 1, Error.FETCH_SESSION_ID_NOT_FOUND),
        (0, 1, Error.FETCH_SESSION_ID_NOT_FOUND),
    ):
        answer = fetched(running, request(session_id, epoch))
        assert (answer.error, answer.parts) == (error, ())
    assert fetched(running, request(number, 1)).error is Error.NONE, "refusals change nothing"
    assert fetched(running, request(number, -1, part("a"))).session_id == 0
    gone = fetched(running, request(number, 2))
    assert gone.error is Error.FETCH_SESSION_ID_NOT_FOUND


def test_the_leader_epoch_is_checked_each_time() -> None:
    running = one_broker()
    number = fetched(running, request(0, 0, part("a"))).session_id
    told = fetched(running, request(number, 1, part("a", current_leader_epoch=9)))
    assert [each.error for each in told.parts] == [Error.UNKNOWN_LEADER_EPOCH]
    told = fetched(running, request(number, 2))
    assert [each.error for each in told.parts] == [Error.UNKNOWN_LEADER_EPOCH]


def test_a_deleted_topic_is_told_to_its_sessions() -> None:
    running = one_broker()
    number = fetched(running, request(0, 0, *map(part, TOPICS))).session_id
    ask(running, 1, DeleteTopics(topics=("b",), timeout_ms=1_000))
    told = fetched(running, request(number, 1))
    assert [each.topic for each in told.parts] == ["b"]
    assert told.parts[0].error is Error.UNKNOWN_TOPIC_OR_PARTITION


def test_ids_and_names_do_not_mix_in_a_session() -> None:
    running = one_broker()
    number = fetched(running, request(0, 0, part("a"))).session_id
    answer = fetched(running, replace(request(number, 1), api_version=13))
    assert answer.error is Error.FETCH_SESSION_TOPIC_ID_ERROR


def test_old_versions_have_no_sessions() -> None:
    running = one_broker()
    answer = fetched(running, replace(request(0, 0, part("a")), api_version=6))
    assert (answer.session_id, len(answer.parts)) == (0, 1)


def test_a_session_that_forgets_all_is_closed() -> None:
    running = one_broker()
    number = fetched(running, request(0, 0, part("a"))).session_id
    answer = fetched(running, request(number, 1, forgotten=("a",)))
    assert (answer.error, answer.parts) == (Error.NONE, ())
    gone = fetched(running, request(number, 2))
    assert gone.error is Error.FETCH_SESSION_ID_NOT_FOUND


def sessions(slots: int) -> FetchSessions:
    return FetchSessions(Rules(), slots, random.Random(0).getrandbits)


def opened(cache: FetchSessions, now_ms: int) -> int:
    wanted = request(0, 0, part("a"))
    context = cache.open(wanted, now_ms)
    assert isinstance(context, FetchContext)
    answer = FetchedPart(topic="a", number=0, error=Error.NONE)
    return cache.answer(context, wanted, [answer], now_ms).session_id


def test_sessions_are_bounded() -> None:
    cache = sessions(slots=2)
    first, second = opened(cache, 0), opened(cache, 0)
    assert opened(cache, EVICTABLE_AFTER_MS) == 0, "nobody is idle for long enough"
    cache.open(request(first, 1), EVICTABLE_AFTER_MS)
    third = opened(cache, EVICTABLE_AFTER_MS + 1)
    assert third > 0
    assert set(cache.sessions) == {first, third}, f"{second} was used least recently"


def test_the_epoch_of_a_session_wraps_to_one() -> None:
    cache = sessions(slots=1)
    number = opened(cache, 0)
    cache.sessions[number].epoch = EPOCH_MAX
    assert isinstance(cache.open(request(number, EPOCH_MAX), 0), FetchContext)
    assert cache.sessions[number].epoch == 1


def test_partitions_with_records_go_to_the_end() -> None:
    running = one_broker()
    for topic in TOPICS:
        produce(running, topic, batch(b"x" * 100))
    number = fetched(running, request(0, 0, *map(part, TOPICS))).session_id
    served = []
    for epoch in range(1, 7):
        wanted = replace(request(number, epoch), max_bytes=1)
        served += [each.topic for each in fetched(running, wanted).parts if each.records]
    assert served == [*TOPICS, *TOPICS], "one batch fits at a time, and each has its turn"


Step = tuple[str, str, int]


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["produce", "delete", "move", "forget", "fetch", "fetch"]),
            st.sampled_from(TOPICS),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_a_session_shows_what_full_fetches_show(steps: list[Step]) -> None:
    """A client that remembers what it was told knows as much as one that asks for everything."""
    running = one_broker()
    wanted: dict[str, FetchPart] = {topic: part(topic) for topic in TOPICS}
    answer = fetched(running, request(0, 0, *wanted.values()))
    number, epoch = answer.session_id, 1
    known = {each.topic: each for each in answer.parts}
    changed, forgotten = dict[str, FetchPart](), list[str]()
    for action, topic, amount in [*steps, ("fetch", "a", 0)]:
        if action == "produce":
            ask(running, 1, produce_request(topic, batch(*[b"v"] * (amount + 1))))
        elif action == "delete":
            gone = DeleteRecordsPart(topic=topic, number=0, before_offset=amount)
            ask(running, 1, DeleteRecords(timeout_ms=100, parts=(gone,)))
        elif action == "move":
            wanted[topic] = changed[topic] = part(topic, amount)
            if topic in forgotten:
                forgotten.remove(topic)
        elif action == "forget" and len(wanted) > 1 and topic in wanted and topic not in changed:
            del wanted[topic]
            forgotten.append(topic)
        elif action == "fetch":
            told = fetched(
                running, request(number, epoch, *changed.values(), forgotten=tuple(forgotten))
            )
            assert told.error is Error.NONE
            epoch += 1
            for topic_forgotten in forgotten:
                known.pop(topic_forgotten, None)
            changed, forgotten = {}, []
            known |= {each.topic: replace(each, records=b"") for each in told.parts}
            full = fetched(running, request(0, -1, *wanted.values()))
            expected = {each.topic: each for each in full.parts}
            for name, each in expected.items():
                told_records = {t.topic: t.records for t in told.parts}.get(name, b"")
                assert told_records == each.records
                assert known[name] == replace(each, records=b"")
            assert known.keys() == expected.keys()


@pytest.mark.parametrize("limit", [1, 150, 10_000])
def test_every_partition_has_its_turn(limit: int) -> None:
    running = one_broker()
    for topic in TOPICS:
        for _ in range(3):
            produce(running, topic, batch(b"x" * 100))
    offsets = dict.fromkeys(TOPICS, 0)
    answer = fetched(running, replace(request(0, 0, *map(part, TOPICS)), max_bytes=limit))
    number = answer.session_id
    for epoch in range(1, 12):
        moved = []
        for each in answer.parts:
            if each.records:
                count = len(each.records) // len(batch(b"x" * 100))
                offsets[str(each.topic)] += count
                moved.append(part(str(each.topic), offsets[str(each.topic)]))
        answer = fetched(running, replace(request(number, epoch, *moved), max_bytes=limit))
    assert set(offsets.values()) == {3}
