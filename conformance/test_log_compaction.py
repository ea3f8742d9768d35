"""Compaction: of each key the latest record stays, where it was, and nobody loses by it."""

from collections.abc import Iterable, Sequence

import pytest

from conformance.bench import Bench
from conformance.client import Client
from conformance.outcomes import Inconclusive, NotRun
from conformance.partition import Partition, Topic
from conformance.records import Batch, Codec, NewRecord, Record
from conformance.targets.target import Capability
from conformance.workload.leaders import reassign
from conformance.workload.restarts import kill_and_restart
from conformance.workload.settings import BROKER, broker_setting, described, lag_limit_ms

BACKOFF_MAX_MS = 15_000
"""How seldom a broker may look for something to compact, where time is real: Kafka's default."""
SEGMENT_MS = 1_000
GENERATION_MS = 10 * SEGMENT_MS
"""Between the timestamps of records that must not lie in the same segment."""
HOUR_MS = 3_600_000
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0",
    "segment.ms": str(SEGMENT_MS),
    "delete.retention.ms": str(HOUR_MS),
}
Content = tuple[int, bytes | None, bytes | None, int]


class Generations:
    """Appends to some partitions; each generation begins a segment, by the dates of its records."""

    def __init__(self, client: Client) -> None:
        self._now_ms = client.target.clock_ms() - HOUR_MS // 2

    def next_ms(self) -> int:
        self._now_ms += GENERATION_MS
        return self._now_ms

    def append(
        self,
        partition: Partition,
        *pairs: tuple[bytes, bytes | None],
        codec: Codec = Codec.NONE,
        date_ms: int | None = None,
    ) -> list[Content]:
        """One batch with acks=all; returns it as it must be read. Without a date it begins the
        next generation."""
        batch = self.batch(*pairs, codec=codec, date_ms=date_ms)
        first = partition.append_batch(batch).base_offset
        return [(first + n, *pair, batch.timestamp_ms) for n, pair in enumerate(pairs)]

    def batch(
        self,
        *pairs: tuple[bytes, bytes | None],
        codec: Codec = Codec.NONE,
        date_ms: int | None = None,
        producer_id: int = -1,
    ) -> Batch:
        first = 0 if producer_id >= 0 else -1
        return Batch(
            records=tuple(NewRecord(key=key, value=value) for key, value in pairs),
            codec=codec,
            timestamp_ms=self.next_ms() if date_ms is None else date_ms,
            producer_id=producer_id,
            producer_epoch=first,
            base_sequence=first,
        )


def content(records: Iterable[Record]) -> list[Content]:
    return [(each.offset, each.key, each.value, each.timestamp_ms) for each in records]


def values(records: Iterable[Content]) -> dict[bytes | None, bytes]:
    """The state of a reader who has read all: the last value of each key that has one."""
    state: dict[bytes | None, bytes] = {}
    for _, key, value, _ in records:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return state


def backoff_ms(bench: Bench, client: Client) -> int:
    """How often the brokers look for something to compact; raises `NotRun` where it is seldom."""
    broker = client.brokers[0]
    ms = int(broker_setting(client, broker, "log.cleaner.backoff.ms"))
    settings = described(client.broker(broker), BROKER, str(broker), ("log.cleaner.enable",))
    if settings.get("log.cleaner.enable") == "false":
        raise NotRun("the brokers compact nothing")
    if not bench.virtual and ms > BACKOFF_MAX_MS:
        raise NotRun(f"the brokers look for something to compact only every {ms} ms")
    return ms


def gone(bench: Bench, partition: Partition, *offsets: int) -> None:
    """Waits until a record at one of these offsets has been compacted away."""
    interval_ms = backoff_ms(bench, partition.client)
    if bench.virtual:
        partition.target.sleep(interval_ms)

    def is_gone() -> bool:
        found = {at: partition.fetch(at).result().records for at in offsets}
        return any(at not in {record.offset for record in found[at]} for at in offsets)

    partition.target.eventually(is_gone, bool, within_ms=3 * interval_ms + 10_000)


# ---- LOG-08 -------------------------------------------------------------------------------------


def write_history(generations: Generations, partition: Partition, codec: Codec) -> list[Content]:
    """Keys with several values, in one batch and over several; the last one begins with k0."""
    written: list[Content] = []
    for number in range(5):
        pairs = [(b"k%d" % key, b"%d of %d" % (number, key)) for key in range(number + 1)]
        written += generations.append(partition, *pairs, *reversed(pairs), codec=codec)
        written += generations.append(partition, (b"only %d" % number, b"once"), codec=codec)
    written += generations.append(partition, (b"deleted", b"a value"), codec=codec)
    last = [(b"k0", b"last"), (b"deleted", None), (b"k1", b"last")]
    return written + generations.append(partition, *last, codec=codec)


@pytest.mark.clause("LOG-08")
def test_compaction_keeps_the_latest_record_of_each_key(bench: Bench) -> None:
    """A reader from the start ends with the same values; survivors stay where they were."""
    with bench.client() as client:
        backoff_ms(bench, client)
        with bench.topic(client=client, configs=COMPACTED, partitions=len(Codec)) as topic:
            generations = Generations(client)
            before = {codec: write_history(generations, topic[codec], codec) for codec in Codec}
            tails = {codec: write_tail(generations, topic[codec]) for codec in Codec}
            for codec in Codec:
                latest = before[codec][-3][0]
                gone(bench, topic[codec], 0, latest)
                check_survivors(bench, topic[codec], before[codec], tails[codec])


def write_tail(generations: Generations, partition: Partition) -> list[Content]:
    """The active segment: a key twice, and twice a key that is further ahead."""
    date_ms = generations.next_ms()
    written: list[Content] = []
    for pairs in ([(b"tail", b"1"), (b"k0", b"in the tail")], [(b"tail", b"2"), (b"k0", b"again")]):
        written += generations.append(partition, *pairs, date_ms=date_ms)
    return written


def check_survivors(
    bench: Bench, partition: Partition, before: Sequence[Content], tail: Sequence[Content]
) -> None:
    written = [*before, *tail]
    after = content(partition.read(0))
    bench.premise("records were compacted away", len(written) - len(after))
    assert values(after) == values(written), "each key has the value that it had"
    left = iter(written)
    assert all(record in left for record in after), "in order, at their offsets, unchanged"
    assert after[-len(tail) :] == list(tail), "the active segment is left alone"
    latest = {key: offset for offset, key, _, _ in before}
    kept = {offset for offset, _, _, _ in after}
    assert set(latest.values()) <= kept, "the latest record before the active segment is there"
    for offset in range(0, written[-1][0], 3):
        found = content(partition.fetch(offset).result().records)
        expected = [record for record in after if record[0] >= offset]
        assert found[:1] == expected[:1], "a fetch goes on with the next record that is there"


@pytest.mark.clause("LOG-08")
def test_a_tombstone_stays_readable(bench: Bench) -> None:
    """Cleaned once and again within delete.retention.ms: a reader on its way learns of it."""
    with bench.client() as client:
        backoff_ms(bench, client)
        with bench.partition(client=client, configs=COMPACTED) as partition:
            generations = Generations(client)
            generations.append(partition, (b"deleted", b"a value"), (b"other", b"1"))
            generations.append(partition, (b"deleted", None), (b"other", b"2"))
            for older in (0, 3, 4):
                generations.append(partition, (b"other", b"after %d" % older))
                gone(bench, partition, older)
                bench.premise("a tombstone was cleaned")
                found = content(partition.read(0))
                tombstones = [each[:3] for each in found if each[1] == b"deleted"]
                assert tombstones == [(2, b"deleted", None)], "the tombstone is there, and no value"


@pytest.mark.clause("LOG-08")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_a_committed_record_does_not_give_way_to_one_that_is_not(bench: Bench) -> None:
    """Above the high watermark is what may never be committed: it replaces nothing."""
    with bench.client() as client:
        interval_ms = backoff_ms(bench, client)
        configs = COMPACTED | {"min.insync.replicas": "2"}
        with bench.partition(client=client, configs=configs) as partition:
            if not partition.followers:
                raise NotRun("everything is committed where there is one replica")
            if interval_ms * 2 > lag_limit_ms(client, partition.view.leader):
                raise NotRun("followers leave the ISR before the next compaction")
            generations = Generations(client)
            generations.append(partition, (b"kept", b"committed"), (b"changing", b"1"))
            generations.append(partition, (b"changing", b"2"))
            generations.append(partition, (b"other", b"committed"))
            with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
                for value in (b"3", b"4", b"5"):
                    batch = generations.batch((b"kept", value), (b"other", value))
                    partition.target.wait(partition.produce(batch, acks=1))
                found = partition.fetch(0).result()
                if found.high_watermark != 4 or found.records[1].offset != 1:
                    raise Inconclusive("compacted too early, or committed without followers")
                gone(bench, partition, 1)
                found = partition.fetch(0).result()
                if found.high_watermark != 4:
                    raise Inconclusive("committed without followers")
                bench.premise("a log was compacted that was not committed to its end")
                committed = values(content(found.records))
                expected = {b"kept": b"committed", b"changing": b"2", b"other": b"committed"}
                assert committed == expected, "what is committed is there"


# ---- LOG-09 -------------------------------------------------------------------------------------


@pytest.mark.clause("LOG-09")
@pytest.mark.parametrize("heir", ["another replica", "the same broker"])
def test_a_producer_is_known_after_its_records_were_compacted(bench: Bench, heir: str) -> None:
    """Its last batch, sent again, is a duplicate to whoever knows nothing but the cleaned log."""
    with bench.client() as client:
        backoff_ms(bench, client)
        brokers = client.brokers
        if heir == "another replica" and len(brokers) < 2:
            raise NotRun("there is one broker")
        with bench.topic(
            client=client, configs=COMPACTED, assignments={0: (brokers[-1],)}
        ) as topic:
            generations = Generations(client)
            batch = generations.batch(
                (b"a", b"1"), (b"b", b"1"), producer_id=client.init_producer_id()
            )
            topic[0].append_batch(batch)
            generations.append(topic[0], (b"a", b"2"), (b"b", b"2"))
            generations.append(topic[0], (b"a", b"3"))
            gone(bench, topic[0], 0)
            bench.premise("the last records of a producer were compacted away")
            hand_over(topic, brokers[0] if heir == "another replica" else None)
            end = topic[0].end_offset
            again = topic[0].append_batch(batch)
            assert again.base_offset == 0, "it is where it was at first"
            assert topic[0].end_offset == end, "a retry is not appended"
            assert values(content(topic[0].read(0))) == {b"a": b"3", b"b": b"2"}


def hand_over(topic: Topic, broker: int | None) -> None:
    """To another broker, or to the next process of the same one."""
    if broker is None:
        kill_and_restart(topic, topic[0].view.leader)
    else:
        reassign(topic[0], (broker,))
