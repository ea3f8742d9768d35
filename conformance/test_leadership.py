"""Leaders and their epochs: each change is a larger epoch, and a stale client is told of it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.codec import Entity
from conformance.connection import Connection
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Partition
from conformance.records import batch_of
from conformance.targets.target import Capability
from conformance.workload.epochs import (
    CARRIERS,
    LARGEST,
    UNCHECKED,
    Versions,
    only_part,
    partition_error,
    request,
    send,
)
from conformance.workload.leaders import (
    acting_epoch,
    ask_to_elect,
    controller,
    move_leader,
    reassign,
    settle,
)
from conformance.workload.watch import Watch

NONE, NOT_LEADER = ErrorCode.none, ErrorCode.not_leader_or_follower
FENCED, UNKNOWN = ErrorCode.fenced_leader_epoch, ErrorCode.unknown_leader_epoch
NOT_NEEDED = ErrorCode.election_not_needed
NOT_AVAILABLE = ErrorCode.preferred_leader_not_available
REFUSALS = frozenset({FENCED, UNKNOWN, NOT_LEADER})
BEYOND_THE_END = 1_000_000
ISR_CHANGES_WITHIN_MS = 120_000
FOLLOWS_WITHIN_MS = 20_000

LED_ONLY = {
    "produce": Versions(api="produce", first=3, last=12),
    "produce-by-topic-id": Versions(api="produce", first=13),
    "fetch": Versions(api="fetch", first=4, last=10),
    "list-offsets": Versions(api="list_offsets", first=1),
    "offset-for-leader-epoch": Versions(api="offset_for_leader_epoch", first=2),
}
"""What only a leader may answer. From Fetch 11 on a follower may serve a consumer (KIP-392)."""
LEADER_NAMED = {
    "produce": Versions(api="produce", first=10, last=12),
    "produce-by-topic-id": Versions(api="produce", first=13),
    "fetch": Versions(api="fetch", first=16),
}
"""What names the leader instead, and its address (KIP-951)."""

SESSIONS = ("fetch", "fetch-by-topic-id")

carriers = pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
in_sessions = pytest.mark.parametrize("carrier", [CARRIERS[n] for n in SESSIONS], ids=SESSIONS)
led_only = pytest.mark.parametrize("asked", LED_ONLY.values(), ids=LED_ONLY)
leader_named = pytest.mark.parametrize("asked", LEADER_NAMED.values(), ids=LEADER_NAMED)


@contextmanager
def led_partition(bench: Bench, **options: int) -> Iterator[tuple[Partition, int]]:
    """A partition and the epoch its leader acts in; inconclusive unless it stays in that one."""
    with bench.partition(**options) as partition:
        epoch = acting_epoch(partition)
        yield partition, epoch
        if acting_epoch(partition) != epoch:
            raise Inconclusive("the leader epoch changed during the test")


@contextmanager
def moved_partition(bench: Bench) -> Iterator[tuple[Partition, int]]:
    """The same, after its leadership was handed over, so that an older epoch exists."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        move_leader(partition, to=partition.followers[0])
        epoch = acting_epoch(partition)
        if epoch < 1:
            raise Inconclusive(f"there is no epoch before {epoch}")
        yield partition, epoch
        if acting_epoch(partition) != epoch:
            raise Inconclusive("the leader epoch changed during the test")


def served(over: Connection, table: Mapping[str, Versions]) -> list[Versions]:
    """The rows of a table of which the broker serves a version."""
    return [row for row in table.values() if row.served_by(over)]


def answers(
    partition: Partition,
    over: Connection,
    asked: Versions,
    epochs: Iterable[int],
    offsets: Iterable[int] = (0,),
) -> dict[tuple[str, int], ErrorCode]:
    """What each version answers at each epoch, all of it pipelined."""
    pending = {
        (f"v{version} at offset {offset}", epoch): send(
            over, request(partition, over, asked.api, version, epoch=epoch, offset=offset)
        )
        for version in asked.of(over)
        for epoch in epochs
        for offset in offsets
    }
    return dict(zip(pending, partition.target.wait(*pending.values()), strict=True))


def refuse_to_lead(partition: Partition, asked: Versions) -> list[Connection]:
    """The brokers that must not answer: all but the leader or, of a fetch that followers may
    serve, those without a replica."""
    followers_may = asked.api == "fetch" and asked.first > LED_ONLY["fetch"].last
    excepted = partition.view.replicas if followers_may else (partition.view.leader,)
    client = partition.client
    return [client.broker(broker) for broker in client.brokers if broker not in excepted]


# ---- LEAD-07: the epoch of a request -------------------------------------------------------------


@pytest.mark.clause("LEAD-07")
@carriers
def test_an_older_leader_epoch_is_fenced(bench: Bench, carrier: Versions) -> None:
    """A request with an older leader epoch is answered with FENCED_LEADER_EPOCH, at any offset."""
    with bench.partition() as partition:
        carrier.of(partition.leader)
        move_leader(partition, to=partition.followers[0])
        epoch = acting_epoch(partition)
        if epoch < 1:
            raise Inconclusive(f"there is no epoch before {epoch}")
        found = answers(partition, partition.leader, carrier, {0, epoch - 1}, (0, BEYOND_THE_END))
        bench.premise("a request carried an older leader epoch", times=len(found))
        assert _but(FENCED, found) == {}, f"{carrier.api}: FENCED_LEADER_EPOCH at any older epoch"


@pytest.mark.clause("LEAD-07")
@carriers
def test_a_newer_leader_epoch_is_unknown(bench: Bench, carrier: Versions) -> None:
    """A request with a newer leader epoch is answered with UNKNOWN_LEADER_EPOCH, at any offset."""
    with led_partition(bench) as (partition, epoch):
        newer = (epoch + 1, epoch + 1_000, LARGEST)
        found = answers(partition, partition.leader, carrier, newer, (0, BEYOND_THE_END))
        bench.premise("a request carried a newer leader epoch", times=len(found))
        assert _but(UNKNOWN, found) == {}, f"{carrier.api}: UNKNOWN_LEADER_EPOCH at a newer epoch"


@pytest.mark.clause("LEAD-07")
@carriers
def test_the_right_leader_epoch_and_none_are_served(bench: Bench, carrier: Versions) -> None:
    """A request with the leader's epoch, and one with -1 that is not to be checked, are served."""
    with led_partition(bench) as (partition, epoch):
        found = answers(partition, partition.leader, carrier, (epoch, UNCHECKED))
        bench.premise("a request carried the leader's epoch or -1", times=len(found))
        assert _but(NONE, found) == {}, f"{carrier.api}: no error"


@pytest.mark.clause("LEAD-07")
def test_a_follower_serves_no_wrong_epoch(bench: Bench) -> None:
    """A follower refuses a request whose leader epoch is older or newer than its own."""
    with moved_partition(bench) as (partition, epoch):
        wrong = {0, epoch - 1, epoch + 1, LARGEST}
        for broker in partition.followers:
            over = partition.client.broker(broker)
            _wait_until_it_follows(partition, over)
            for carrier in served(over, CARRIERS):
                found = answers(partition, over, carrier, wrong)
                bench.premise("a follower was asked with a wrong epoch", times=len(found))
                served_all = {k: e for k, e in found.items() if e not in REFUSALS}
                assert served_all == {}, f"{carrier.api}: a follower refuses a wrong epoch"


def _but(expected: ErrorCode, found: dict[tuple[str, int], ErrorCode]) -> dict[str, str]:
    """The answers that differ from what is expected."""
    return {
        f"{what} with epoch {epoch}": error.name
        for (what, epoch), error in found.items()
        if error is not expected
    }


def _wait_until_it_follows(partition: Partition, over: Connection) -> None:
    """Until the broker serves what this leader wrote, or says of a fetch that it does not lead."""
    last = partition.append(b"do you follow?").base_offset
    partition.target.eventually(
        lambda: partition.fetch(last, over=over).result(),
        lambda answer: bool(answer.batches) or answer.error is NOT_LEADER,
        within_ms=FOLLOWS_WITHIN_MS,
    )


# ---- LEAD-07: inside a fetch session -------------------------------------------------------------


@dataclass(eq=False)
class Session:
    """An incremental fetch session about one partition (KIP-227)."""

    partition: Partition
    over: Connection
    version: int
    session_id: int = 0
    session_epoch: int = 0

    def fetch(self, epoch: int | None) -> ErrorCode:
        """Names the partition with this leader epoch or, with None, does not name it again."""
        asked = request(self.partition, self.over, "fetch", self.version, epoch=epoch or 0)
        topics = asked.topics if epoch is not None else ()
        asked = replace(
            asked, session_id=self.session_id, session_epoch=self.session_epoch, topics=topics
        )
        answer: Entity = self.over.send(asked).result()
        if answer.error_code is ErrorCode.fetch_session_id_not_found:
            raise Inconclusive("the broker evicted the session")
        self.session_id, self.session_epoch = answer.session_id, self.session_epoch + 1
        if not self.session_id:
            raise Unsupported("the broker keeps no fetch session")
        return partition_error(answer)


def sessions(partition: Partition, carrier: Versions) -> list[Session]:
    """One that is not yet established, for the lowest and the highest version."""
    over = partition.connect()
    known = carrier.of(over)
    return [Session(partition, over, version) for version in sorted({known[0], known[-1]})]


in_sessions = pytest.mark.parametrize("carrier", [CARRIERS[n] for n in SESSIONS], ids=SESSIONS)


@pytest.mark.clause("LEAD-07")
@in_sessions
def test_a_fetch_session_checks_the_epoch_it_is_given(bench: Bench, carrier: Versions) -> None:
    """In a fetch session each newly named epoch is judged, and a wrong one does not stick."""
    with moved_partition(bench) as (partition, epoch):
        for session in sessions(partition, carrier):
            named = (epoch, epoch + 1, epoch - 1, UNCHECKED, epoch)
            found = [session.fetch(named_epoch) for named_epoch in named]
            bench.premise("a fetch session was given another epoch", times=len(named))
            expected = [NONE, UNKNOWN, FENCED, NONE, NONE]
            assert found == expected, f"one answer for each of the epochs {named}"


@pytest.mark.clause("LEAD-07")
@in_sessions
def test_a_fetch_session_is_fenced_when_its_epoch_grows_old(
    bench: Bench, carrier: Versions
) -> None:
    """A fetch session from before a change of leader is told FENCED_LEADER_EPOCH after it."""
    with bench.partition() as partition:
        first, other = partition.view.leader, next(iter(partition.followers), None)
        if other is None:
            raise Unsupported("one broker cannot hand over leadership")
        controller(partition)
        epoch = acting_epoch(partition)
        established = sessions(partition, carrier)
        if any(session.fetch(epoch) is not NONE for session in established):
            raise Inconclusive("a fetch with the leader's own epoch was refused")
        move_leader(partition, to=other)
        move_leader(partition, to=first)
        if acting_epoch(partition) <= epoch:
            raise Inconclusive("the leader acts in its old epoch")
        found = [session.fetch(None) for session in established]
        bench.premise("the epoch of an established session was old", times=len(found))
        assert set(found) == {FENCED}, "FENCED_LEADER_EPOCH for the partition of the session"


# ---- LEAD-07: brokers that do not lead -----------------------------------------------------------


@contextmanager
def partly_replicated(bench: Bench) -> Iterator[Partition]:
    """A partition with a follower, if there are brokers enough, and a broker without a replica."""
    with bench.client() as client:
        spread = min(2, len(client.brokers) - 1)
        if spread < 1:
            raise Unsupported("one broker leads every partition")
        with bench.partition(client=client, replication_factor=spread) as partition:
            yield partition


@pytest.mark.clause("LEAD-07")
@led_only
def test_only_the_leader_answers(bench: Bench, asked: Versions) -> None:
    """A follower and a broker without a replica answer NOT_LEADER_OR_FOLLOWER."""
    with partly_replicated(bench) as partition:
        partition.append(b"the leader takes it")
        end = partition.end_offset
        for over in refuse_to_lead(partition, asked):
            found = answers(partition, over, asked, (UNCHECKED,))
            bench.premise("a broker that does not lead was asked", times=len(found))
            assert _but(NOT_LEADER, found) == {}, f"{asked.api}: NOT_LEADER_OR_FOLLOWER"
        assert partition.end_offset == end, "what was refused is not appended"


@pytest.mark.clause("LEAD-07")
@leader_named
def test_who_does_not_lead_names_the_leader(bench: Bench, asked: Versions) -> None:
    """NOT_LEADER_OR_FOLLOWER comes with the leader's id, epoch and address (KIP-951)."""
    with partly_replicated(bench) as partition:
        asked.of(partition.leader)
        epoch = acting_epoch(partition)
        leader = partition.view.leader
        others = refuse_to_lead(partition, asked)
        if not others:
            raise Unsupported("every broker may serve a fetch of this partition")
        for over in others:
            for version in asked.of(over):
                answer: Entity = over.send(request(partition, over, asked.api, version)).result()
                if partition_error(answer) is not NOT_LEADER:
                    raise Inconclusive(f"it is answered {partition_error(answer).name}")
                bench.premise("a broker that does not lead was asked")
                _names_the_leader(partition, answer, leader, epoch)
        if acting_epoch(partition) != epoch:
            raise Inconclusive("the leader epoch changed during the test")


def _names_the_leader(partition: Partition, answer: Entity, leader: int, epoch: int) -> None:
    part = only_part(answer)
    assert part is not None, "the answer tells of the partition"
    named = (part.current_leader.leader_id, part.current_leader.leader_epoch)
    assert named == (leader, epoch), "the leader and its epoch are named"
    endpoints = {e.node_id: (e.host, e.port) for e in answer.node_endpoints}
    assert endpoints.get(leader) == partition.client.address_of(leader), "with its address"


@pytest.mark.clause("LEAD-07")
def test_a_deposed_leader_answers_no_more(bench: Bench) -> None:
    """A leader that has become a follower answers NOT_LEADER_OR_FOLLOWER."""
    with moved_partition(bench) as (partition, _):
        deposed = partition.client.broker(partition.view.replicas[1])
        _wait_until_it_follows(partition, deposed)
        for asked in served(deposed, LED_ONLY):
            found = answers(partition, deposed, asked, (UNCHECKED,))
            bench.premise("a deposed leader was asked", times=len(found))
            assert _but(NOT_LEADER, found) == {}, f"{asked.api}: NOT_LEADER_OR_FOLLOWER"


# ---- LEAD-01, LEAD-02 ----------------------------------------------------------------------------


@contextmanager
def watched(bench: Bench) -> Iterator[tuple[Watch, tuple[int, ...]]]:
    """A partition to be watched, and the order in which its replicas are to lead it."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        controller(partition)
        yield Watch(partition), (*partition.followers, partition.view.leader)


@pytest.mark.clause("LEAD-02")
def test_a_change_of_leader_is_a_larger_epoch(bench: Bench) -> None:
    """Whenever another broker leads, the leader epoch has grown; no epoch has two leaders."""
    with watched(bench) as (watch, order):
        latest = watch.partition.view.leader_epoch
        for to in (*order, *order):
            after = watch.move(to)
            bench.premise("the leader changed")
            assert after.leader_epoch > latest, "a new leader has a larger epoch"
            latest = after.leader_epoch
        leaders: dict[int, set[int]] = {}
        for seen in watch.sightings:
            if seen.isr is not None and seen.leader >= 0:
                leaders.setdefault(seen.leader_epoch, set()).add(seen.leader)
        assert {e: b for e, b in leaders.items() if len(b) > 1} == {}, "an epoch has one leader"


@pytest.mark.clause("LEAD-01")
def test_all_batches_of_an_epoch_were_taken_by_one_broker(bench: Bench) -> None:
    """Batches that bear the same leader epoch were acknowledged by the same broker."""
    with watched(bench) as (watch, order):
        for to in (*order, order[0]):
            watch.move(to)
            watch.append()
        takers: dict[int, set[int]] = {}
        for batch in watch.partition.read_batches():
            for record in batch.records:
                taker = watch.accepted.get(record.value or b"")
                if taker is not None:
                    takers.setdefault(batch.leader_epoch, set()).add(taker)
        bench.premise("an epoch with acknowledged batches", times=len(takers))
        assert {e: b for e, b in takers.items() if len(b) > 1} == {}, "one broker for each epoch"


# ---- LEAD-09 -------------------------------------------------------------------------------------


@pytest.mark.clause("LEAD-09")
def test_an_election_that_changes_nothing_is_not_needed(bench: Bench) -> None:
    """ElectLeaders answers ELECTION_NOT_NEEDED where the first replica leads already."""
    with bench.partition() as partition:
        over = controller(partition)
        move_leader(partition, to=partition.view.leader)
        epoch = acting_epoch(partition)
        for version in Versions(api="elect_leaders", first=0).of(over):
            bench.premise("the first replica led already")
            error = ask_to_elect(partition, over, version).result()
            assert error is NOT_NEEDED, f"ElectLeaders v{version}: ELECTION_NOT_NEEDED"
        assert acting_epoch(partition) == epoch, "the leader goes on in its epoch"


@pytest.mark.clause("LEAD-09")
def test_a_preferred_election_makes_the_first_replica_lead(bench: Bench) -> None:
    """ElectLeaders hands over to the first assigned replica, which is live and in sync."""
    with bench.partition() as partition:
        over = controller(partition)
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        for version in Versions(api="elect_leaders", first=0).of(over):
            preferred, *others = (*partition.followers, partition.view.leader)
            reassign(partition, (preferred, *others))
            bench.premise("the first replica was in sync and did not lead")
            error = ask_to_elect(partition, over, version).result()
            assert error not in (NOT_NEEDED, NOT_AVAILABLE), f"ElectLeaders v{version} elects"
            if error is not NONE:
                raise Inconclusive(f"the election was answered with {error.name}")
            settle(partition, lambda view: view.leader == view.replicas[0])


@pytest.mark.clause("LEAD-09")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_a_preferred_replica_out_of_sync_is_not_elected(bench: Bench) -> None:
    """ElectLeaders answers PREFERRED_LEADER_NOT_AVAILABLE while the first is not in the ISR."""
    with bench.partition() as partition:
        leader, preferred = partition.view.leader, partition.followers[0]
        others = [broker for broker in partition.view.replicas if broker != preferred]
        reassign(partition, (preferred, *others))
        with partition.target.nemesis.cut(preferred, leader):
            partition.produce(batch_of(b"what it cannot have"), acks=1).result()
            partition.target.sleep(ISR_CHANGES_WITHIN_MS // 4)
            seen_by_leader = partition.target.eventually(
                lambda: partition.client.view(partition.topic.name, leader).partitions[0],
                lambda view: preferred not in view.isr,
                within_ms=ISR_CHANGES_WITHIN_MS,
            )
            bench.premise("the first replica was not in the ISR")
            error = ask_to_elect(partition).result()
            assert error is NOT_AVAILABLE, "PREFERRED_LEADER_NOT_AVAILABLE"
            assert acting_epoch(partition) == seen_by_leader.leader_epoch, "the leader stays"
