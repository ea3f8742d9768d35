"""What the in-sync replicas have, consumers may read and producers are told is safe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import SETTLES_WITHIN_MS, topic_view
from conformance.connection import Connection
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import LATEST, Appended, Fetched, Partition
from conformance.records import batch_of
from conformance.targets.target import Capability, Worker
from conformance.workload.epochs import Versions
from conformance.workload.leaders import controller, move_leader
from conformance.workload.settings import lag_limit_ms
from conformance.workload.topics import ask_to_create, new_topic
from conformance.workload.watch import Sighting, Watch
from conformance.world import World, worlds

NONE = ErrorCode.none
FETCHES = Versions(api="fetch", first=4)
FETCHES_FROM_FOLLOWERS = Versions(api="fetch", first=11, last=12)
"""KIP-392."""
TWO_IN_SYNC = {"min.insync.replicas": "2"}
WORKLOAD_WITHIN_MS = 60_000
ISR_CHANGES_WITHIN_MS = 180_000
LOOKS_EVERY_MS = 2_000
LONG_POLL_MS = 10
PRODUCERS = 3
ANSWERED_WITHIN_MS = 120_000

cuts_brokers = pytest.mark.needs(Capability.CUT_BROKERS)


# ---- ISR-01 --------------------------------------------------------------------------------------


@pytest.mark.clause("ISR-01")
def test_the_isr_of_a_new_topic_is_sound(bench: Bench) -> None:
    """From its first answer on each broker tells an ISR of replicas that holds the leader."""
    with bench.client() as client:
        topic, sightings = bench.name(), list[Sighting]()
        try:
            if client.controller().serves("create_topics"):
                spread = min(3, len(client.brokers))
                ask_to_create(client, new_topic(topic, replication_factor=spread)).result()

            def led() -> bool:
                """Every broker names a leader of every partition."""
                found = [
                    Sighting(
                        broker=broker,
                        answer=f"Metadata, partition {number}",
                        leader=part.leader,
                        leader_epoch=part.leader_epoch,
                        replicas=part.replicas,
                        isr=part.isr,
                    )
                    for broker in client.brokers
                    for view in [
                        topic_view(client.metadata(topic, broker=broker, create=True).topics[0])
                    ]
                    for number, part in view.partitions.items()
                ]
                sightings.extend(found)
                return len(found) >= len(client.brokers) and all(s.leader >= 0 for s in found)

            client.target.eventually(led, bool, within_ms=SETTLES_WITHIN_MS)
            _check_sets(bench, sightings, min_insync=1)
        finally:
            bench.discard(client, topic)


@pytest.mark.clause("ISR-01")
def test_the_isr_is_sound_while_leaders_move(bench: Bench) -> None:
    """In every answer the ISR consists of replicas and holds the leader; the ELR is apart."""
    with bench.partition(configs=TWO_IN_SYNC) as partition:
        controller(partition)
        watch = Watch(partition)
        for to in (*partition.followers, partition.view.leader):
            watch.move(to)
        _check_sets(bench, watch.sightings, min_insync=min(2, len(partition.view.replicas)))


@pytest.mark.clause("ISR-01")
@cuts_brokers
def test_the_isr_is_sound_while_it_shrinks_and_grows(bench: Bench) -> None:
    """The same holds while followers are cut off, leave the ISR, and come back."""
    with bench.partition(configs=TWO_IN_SYNC) as partition:
        watch, leader = Watch(partition), partition.view.leader
        for lost in (partition.followers[:1], partition.followers):
            with partition.target.nemesis.cut(leader, *lost):
                _look_until(watch, partial(_isr_lacks, lost))
            _look_until(watch, lambda seen: seen.whole)
        shrunk = [s for s in watch.sightings if len(s.isr or ()) < len(s.replicas or ())]
        bench.premise("a broker told of an ISR that lacks a replica", times=len(shrunk))
        _check_sets(bench, watch.sightings, min_insync=2)


def _isr_lacks(brokers: tuple[int, ...], seen: Sighting) -> bool:
    return not set(brokers) & set(seen.isr or ())


def _look_until(watch: Watch, holds: Callable[[Sighting], bool]) -> None:
    """Looks every now and then until every broker says so."""

    def look() -> list[Sighting]:
        watch.partition.target.sleep(LOOKS_EVERY_MS)
        return watch.look()

    watch.partition.target.eventually(
        look, lambda found: all(map(holds, found)), within_ms=ISR_CHANGES_WITHIN_MS
    )


def _check_sets(bench: Bench, sightings: list[Sighting], min_insync: int) -> None:
    told = [seen for seen in sightings if seen.isr is not None and seen.replicas is not None]
    bench.premise("a broker told replicas and ISR", times=len(told))
    for seen in told:
        isr, replicas = seen.isr or (), seen.replicas or ()
        assert len(set(isr)) == len(isr), f"no member is named twice: {seen}"
        assert set(isr) <= set(replicas), f"the ISR is a subset of the replicas: {seen}"
        assert seen.leader < 0 or seen.leader in isr, f"the ISR contains the leader: {seen}"
        assert not set(isr) & set(seen.elr), f"ISR and ELR are disjoint: {seen}"
        assert len(isr) < min_insync or not seen.elr, f"no ELR beside a sufficient ISR: {seen}"


# ---- ISR-03 --------------------------------------------------------------------------------------


@pytest.mark.clause("ISR-03")
@given(world=worlds())
def test_a_record_is_served_only_once_it_is_committed(bench: Bench, world: World) -> None:
    """A fetch right behind an acks=1 write gives nothing, or the high watermark is above it.

    The protocol has a broker process the requests of a connection in order, so the second fetch
    tells a high watermark that is no older than the one the first was limited by.
    """
    with bench.partition(world=world) as partition:
        over = partition.connect()
        for offset in range(10):
            written = partition.produce(batch_of(b"%d" % offset), acks=1, over=over)
            first = partition.fetch(offset, over=over)
            second = partition.fetch(offset, over=over)
            partition.target.settle(written, first, second)
            if written.value.base_offset != offset:
                raise Inconclusive(f"the premise could not be appended: {written.value}")
            bench.premise("a fetch came right behind an acks=1 write")
            _nothing_above(second.value.high_watermark, first.value)


@pytest.mark.clause("ISR-03")
def test_consumers_stay_below_the_high_watermark(bench: Bench) -> None:
    """While several producers write with acks=1, no replica serves what is not committed."""
    with bench.partition() as partition:
        partition.append(b"the followers fetch")
        writes = 200 if bench.virtual else 60
        pairs: list[tuple[Fetched, Fetched]] = []

        def producer() -> Worker:
            over = partition.connect()
            for sequence in range(writes):
                yield partition.produce(batch_of(b"%d" % sequence), acks=1, over=over)

        def consumer(over: Connection, read_committed: bool) -> Worker:
            offset = 0
            while offset < PRODUCERS * writes:
                first = partition.fetch(
                    offset, over=over, read_committed=read_committed, max_wait_ms=LONG_POLL_MS
                )
                second = partition.fetch(offset, over=over)
                yield first
                yield second
                if first.value.error is not NONE:
                    return
                pairs.append((first.value, second.value))
                offset = first.value.next_offset

        consumers = [
            consumer(over, read_committed)
            for over in _readable(partition)
            for read_committed in (False, True)
        ]
        producers = [producer() for _ in range(PRODUCERS)]
        done = partition.target.run(*producers, *consumers, within_ms=WORKLOAD_WITHIN_MS)
        if not done:
            raise Inconclusive("the workload did not come to its end")
        served = [(first, second) for first, second in pairs if first.batches]
        bench.premise("a fetch gave records beside writes with acks=1", times=len(served))
        for first, second in served:
            _nothing_above(max(first.high_watermark, second.high_watermark), first)


def _readable(partition: Partition) -> Iterator[Connection]:
    """A connection of its own to each replica that a consumer may read from."""
    yield partition.connect()
    for broker in partition.followers:
        over = partition.client.connect(broker)
        if FETCHES_FROM_FOLLOWERS.served_by(over):
            yield over


def _nothing_above(high_watermark: int, fetched: Fetched) -> None:
    """Every record of an answer is below a high watermark that was told later."""
    offsets = [record.offset for batch in fetched.batches for record in batch.records]
    assert max(offsets, default=-1) < high_watermark, "records at or above it are not served"


@pytest.mark.clause("ISR-03", "ISR-02")
@cuts_brokers
@given(world=worlds(), cut_off=st.sampled_from([1, 2]))
def test_nobody_reads_what_a_member_of_the_isr_lacks(
    bench: Bench, world: World, cut_off: int
) -> None:
    """What a follower in the ISR cannot have fetched is below no high watermark and served by no
    replica, at any version and isolation level; once the follower has it, it is."""
    with bench.partition(world=world) as partition:
        partition.append(b"committed")
        with isr_member_cut_off(partition, cut_off):
            written = partition.produce(batch_of(b"not committed"), acks=1).result()
            if written.error is not NONE:
                raise Inconclusive(f"acks=1 was answered with {written.error.name}")
            offset = written.base_offset
            found = [*_fetches(partition, offset), *_fetches_at_followers(partition, offset)]
            latest = partition.list_offsets(LATEST).result()
        bench.premise("a member of the ISR could not have the record", times=len(found) + 1)
        assert [f for f in found if f.records] == [], "it is not served"
        assert [f for f in found if f.high_watermark > offset] == [], "nor below the high watermark"
        assert latest.offset <= offset, "nor below the latest offset"
        partition.target.eventually(
            lambda: partition.fetch(offset).result(),
            lambda fetched: fetched.records and fetched.high_watermark > offset,
            within_ms=ISR_CHANGES_WITHIN_MS,
        )


def _fetches(partition: Partition, offset: int) -> tuple[Fetched, ...]:
    pending = [
        partition.fetch(offset, version=version, read_committed=read_committed)
        for version in FETCHES.of(partition.leader)
        for read_committed in (False, True)
    ]
    return partition.target.wait(*pending)


def _fetches_at_followers(partition: Partition, offset: int) -> tuple[Fetched, ...]:
    """Once a follower that is not cut off has had ample time to fetch it."""
    partition.target.sleep(1_000)
    connections = [partition.client.broker(broker) for broker in partition.followers]
    pending = [
        partition.fetch(offset, over=over, version=version)
        for over in connections
        if FETCHES_FROM_FOLLOWERS.served_by(over)
        for version in FETCHES_FROM_FOLLOWERS.of(over)
    ]
    return partition.target.wait(*pending)


@contextmanager
def isr_member_cut_off(partition: Partition, followers: int = 1) -> Iterator[int]:
    """Followers that are in the ISR, yet cut off from the leader; yields for how long, in ms.

    A leader may drop them from the ISR once they lag for replica.lag.time.max.ms. Half of it is
    certain, since followers that are alive fetch far more often; who takes longer has no premise.
    """
    leader, target = partition.view.leader, partition.target
    limit_ms = lag_limit_ms(partition.client, leader) // 2
    with target.nemesis.cut(leader, *partition.followers[:followers]):
        began_ms = target.now_ms()
        yield limit_ms
        if target.now_ms() - began_ms >= limit_ms:
            raise Inconclusive("the leader may have dropped the follower from the ISR")


# ---- ISR-05 --------------------------------------------------------------------------------------


@pytest.mark.clause("ISR-05")
@given(world=worlds(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_what_is_acknowledged_is_readable_at_once(
    bench: Bench, world: World, sizes: list[int]
) -> None:
    """After an acks=all success the high watermark is above the batch, and the leader serves it."""
    with bench.partition(world=world) as partition:
        rounds: list[tuple[list[bytes], Appended, Fetched, int]] = []

        def client(number: int) -> Worker:
            writes, reads = partition.connect(), partition.connect()
            for size in sizes:
                values = [b"%d of %d" % (i, number) for i in range(size)]
                written = partition.produce(batch_of(*values), over=writes)
                yield written
                if written.value.error is not NONE:
                    continue
                latest = partition.list_offsets(LATEST, over=reads)
                fetched = partition.fetch(written.value.base_offset, over=reads)
                yield latest
                yield fetched
                rounds.append((values, written.value, fetched.value, latest.value.offset))

        if not partition.target.run(client(1), client(2), within_ms=WORKLOAD_WITHIN_MS):
            raise Inconclusive("the workload did not come to its end")
        bench.premise("a batch was acknowledged with acks=all", times=len(rounds))
        for values, written, fetched, latest in rounds:
            end = written.base_offset + len(values)
            assert latest >= end, "the latest offset is above the batch"
            assert fetched.high_watermark >= end, "the high watermark is above the batch"
            assert [r.value for r in fetched.records[: len(values)]] == values, "it is served"


@pytest.mark.clause("ISR-05", "LEAD-04")
def test_what_is_acknowledged_outlives_its_leader(bench: Bench) -> None:
    """A batch that was acknowledged with acks=all is in the log of every later leader."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        controller(partition)
        kept: dict[int, bytes] = {}
        for to in (*partition.followers, partition.view.leader):
            pending = {b"%d for %d" % (n, to): n for n in range(8)}
            written = [partition.produce(batch_of(value)) for value in pending]
            answers = partition.target.wait(*written)
            kept |= {
                answer.base_offset: value
                for value, answer in zip(pending, answers, strict=True)
                if answer.error is NONE
            }
            move_leader(partition, to)
            end = _next_offset(partition)
            found = {record.offset: record.value for record in partition.read(0, end)}
            bench.premise("a new leader was read", times=len(kept))
            lost = {o: v for o, v in kept.items() if found.get(o) != v}
            assert lost == {}, "each acknowledged value stays at its offset"


def _next_offset(partition: Partition) -> int:
    """Where the leader appends next; all before it is committed. Waits until the leader leads."""
    answer = partition.target.eventually(
        lambda: partition.produce(batch_of(b"next")).result(),
        lambda appended: appended.error is NONE,
        within_ms=WORKLOAD_WITHIN_MS,
    )
    return answer.base_offset


@pytest.mark.clause("ISR-05", "ISR-02")
@cuts_brokers
@given(world=worlds(), cut_off=st.sampled_from([1, 2]))
def test_no_success_while_a_member_of_the_isr_lacks_the_batch(
    bench: Bench, world: World, cut_off: int
) -> None:
    """acks=all times out while a follower in the ISR is cut off, and succeeds once it is not."""
    with bench.partition(world=world) as partition:
        with isr_member_cut_off(partition, cut_off) as limit_ms:
            impatient = partition.produce(batch_of(b"impatient"), timeout_ms=limit_ms // 4)
            patient = partition.produce(
                batch_of(b"patient"), timeout_ms=ANSWERED_WITHIN_MS, over=partition.connect()
            )
            partition.target.settle(impatient, patient, within_ms=limit_ms // 2)
            answered = [p.value.error for p in (impatient, patient) if p.answered]
        bench.premise("a member of the ISR could not have the batch", times=2)
        assert NONE not in answered, "no success before every member has it"
        late = patient.result(within_ms=ISR_CHANGES_WITHIN_MS)
        if late.error is not NONE:
            raise Inconclusive(f"it ended with {late.error.name} after all were connected again")
        assert partition.end_offset > late.base_offset, "then it is below the high watermark"
