"""Deleting from the log: only a prefix goes, and whatever stays is as it was (LOG-07)."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.outcomes import Inconclusive, NotRun, Unsupported
from conformance.partition import EARLIEST, Partition
from conformance.records import Codec, NewRecord, batch_of
from conformance.targets.target import Capability
from conformance.workload.epoch_ends import settled_end, steady
from conformance.workload.leaders import move_leader
from conformance.world import World, worlds

DELETED_WITHIN_MS = 30_000
CUT_FOR_MS = 1_000
RETENTION_INTERVAL_MAX_MS = 10_000
"""How often a broker must look for what has expired, where time is real."""


@dataclass(slots=True)
class Model:
    """What a partition must hold: the value of every offset from the log start on."""

    start: int = 0
    values: list[bytes] = field(default_factory=list)

    @property
    def end(self) -> int:
        return len(self.values)

    def append(self, partition: Partition, size: int, codec: Codec) -> None:
        values = [b"%d" % n for n in range(self.end, self.end + size)]
        partition.append(*values, codec=codec)
        self.values += values

    def delete(self, partition: Partition, before_offset: int) -> None:
        """Asks for it and compares the answer; raises `Inconclusive` where it came too late."""
        wanted = self.end if before_offset == -1 else before_offset
        answer = partition.delete_records(before_offset).result(DELETED_WITHIN_MS)
        steady(answer.error_code)
        if not 0 <= wanted <= self.end:
            assert answer.error_code is ErrorCode.offset_out_of_range, "there is no such offset"
            return
        if answer.error_code is ErrorCode.request_timed_out:
            raise Inconclusive("the replicas did not all delete in time")
        assert answer.error_code is ErrorCode.none, "what is committed may be deleted"
        self.start = max(self.start, wanted)
        assert answer.low_watermark == self.start, "all replicas begin at the new log start"

    def compare(self, partition: Partition) -> None:
        """The log begins at `start`, holds what it held from there on, and nothing below."""
        first = partition.list_offsets(EARLIEST)
        below = [partition.fetch(at) for at in sorted({0, self.start - 1}) if 0 <= at < self.start]
        kept = partition.fetch(self.start)
        partition.target.settle(first, kept, *below)
        steady(kept.value.error)
        assert first.value.offset == self.start, "the log start is where it was moved to"
        for pending in below:
            assert pending.value.error is ErrorCode.offset_out_of_range, "what is deleted is gone"
            assert not pending.value.batches, "no records come with an error"
        found = kept.value
        assert found.error is ErrorCode.none, "the log start can be read"
        if "log_start_offset" in type(found.raw).__dataclass_fields__:
            assert found.log_start_offset == self.start, "Fetch names the same log start"
        records = [*found.records, *partition.read(found.next_offset, self.end)]
        survivors = list(enumerate(self.values))[self.start :]
        assert [(r.offset, r.value) for r in records] == survivors, "survivors keep their offsets"


append_steps = st.tuples(st.integers(1, 5), st.sampled_from(Codec))
delete_steps = st.integers(-2, 14)


@pytest.mark.clause("LOG-07")
@given(
    world=worlds(),
    first=append_steps,
    plan=st.lists(st.one_of(append_steps, delete_steps), min_size=1, max_size=5),
)
def test_delete_records_deletes_a_prefix_and_nothing_else(
    bench: Bench, world: World, first: tuple[int, Codec], plan: list[tuple[int, Codec] | int]
) -> None:
    """Whatever is appended and deleted, the log start only rises and survivors stay as they are."""
    with bench.partition(world=world) as partition:
        model = Model()
        model.append(partition, *first)
        for step in plan:
            if isinstance(step, int):
                before = model.start
                model.delete(partition, step)
                bench.premise("the log start moved", int(model.start > before))
                bench.premise("the log start stayed", int(model.start == before))
            else:
                model.append(partition, *step)
            model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.parametrize(
    "before_offset",
    [5, 6, 7, 1 << 40, -2, -1],
    ids=["hw", "hw-plus-1", "hw-plus-2", "far", "minus-2", "minus-1"],
)
def test_delete_records_stops_at_the_high_watermark(bench: Bench, before_offset: int) -> None:
    """The high watermark is the farthest that can be asked for, by its number or by -1."""
    with bench.partition() as partition:
        model = Model()
        model.append(partition, 5, Codec.NONE)
        model.delete(partition, before_offset)
        bench.premise("records were to be deleted up to the high watermark or beyond")
        model.compare(partition)
        model.append(partition, 2, Codec.NONE)
        model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_what_is_not_committed_cannot_be_deleted(bench: Bench) -> None:
    """Beyond the high watermark nothing is deleted, though the leader's log goes on."""
    with bench.partition() as partition:
        model = Model()
        model.append(partition, 3, Codec.NONE)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            tail = partition.produce(batch_of(b"3", b"4"), acks=1).result()
            mark = partition.fetch(3)
            refused = [partition.delete_records(offset) for offset in (4, 5)]
            partition.target.settle(mark, *refused, within_ms=DELETED_WITHIN_MS)
            if (tail.base_offset, mark.value.high_watermark) != (3, 3):
                raise Inconclusive(f"no tail: {tail} above {mark.value.high_watermark}")
            bench.premise("a tail was to be deleted", len(refused))
            errors = {pending.value.error_code for pending in refused}
            assert errors == {ErrorCode.offset_out_of_range}, "not beyond the high watermark"
            model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_the_low_watermark_waits_for_the_followers(bench: Bench) -> None:
    """As long as a live replica has not deleted, the answer does not say that all have."""
    with bench.partition() as partition:
        model = Model()
        model.append(partition, 3, Codec.NONE)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            pending = partition.delete_records(2)
            partition.target.settle(pending, within_ms=CUT_FOR_MS)
            bench.premise("followers could not delete yet")
            if pending.answered:
                assert pending.value.low_watermark == 0, "the followers still begin at 0"
        answer = pending.result(DELETED_WITHIN_MS)
        if answer.error_code is not ErrorCode.none:
            raise Inconclusive(f"not deleted after the cut: {answer.error_code.name}")
        assert answer.low_watermark == 2, "all replicas begin at the new log start"
        model.start = 2
        model.compare(partition)


@pytest.mark.clause("LOG-07")
def test_the_log_start_rises_while_several_delete(bench: Bench) -> None:
    """Deletions side by side never move the log start back, and the farthest one wins."""
    with bench.partition() as partition:
        model = Model()
        for _ in range(4):
            model.append(partition, 3, Codec.NONE)
        watcher = partition.connect()
        starts, deletions = [], []
        for wanted in (7, 2, 10, 4, 10, 1):
            deletions.append(partition.delete_records(wanted, over=partition.connect()))
            starts += [partition.list_offsets(EARLIEST, over=watcher) for _ in range(3)]
        partition.target.settle(*starts, *deletions, within_ms=DELETED_WITHIN_MS)
        if any(d.value.error_code is ErrorCode.request_timed_out for d in deletions):
            raise Inconclusive("the replicas did not all delete in time")
        bench.premise("records were deleted by several at once", len(deletions))
        errors = {steady(d.value.error_code) for d in deletions}
        assert errors == {ErrorCode.none}, "what is committed may be deleted"
        lows = [d.value.low_watermark for d in deletions]
        wanted_lows = zip(lows, (7, 2, 10, 4, 10, 1), strict=True)
        assert all(low >= wanted for low, wanted in wanted_lows), "an answer says that it is done"
        seen = [s.value.offset for s in starts]
        assert seen == sorted(seen), "the log start never moves back"
        model.start = 10
        model.compare(partition)


@pytest.mark.clause("LOG-07")
def test_what_was_deleted_stays_deleted_under_another_leader(bench: Bench) -> None:
    """The next leader has the same log start and the same records behind it."""
    with bench.partition() as partition:
        if not partition.followers:
            raise NotRun("leadership moves only between several brokers")
        model = Model()
        for size, before_offset in ((4, 2), (3, 5)):
            # In ZooKeeper mode a new leader of an idle partition does not learn how far its
            # followers have deleted, and lets DeleteRecords time out, until something is appended.
            model.append(partition, size, Codec.NONE)
            model.delete(partition, before_offset)
            move_leader(partition, partition.followers[0])
            bench.premise("the leader changed after a deletion")
            assert settled_end(partition) == model.end, "the log ends where it ended"
            model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.parametrize("limit", ["by time", "by size"])
def test_retention_deletes_a_prefix_and_nothing_else(bench: Bench, limit: str) -> None:
    """Whatever retention deletes, it deletes from the start, and survivors stay as they are."""
    with bench.client() as client:
        interval_ms = retention_interval_ms(bench, client)
        now_ms = client.target.clock_ms()
        by_time, key_bytes = limit == "by time", 0 if limit == "by time" else 600_000
        configs = {
            "segment.bytes": str(1 << 20),
            "segment.ms": "600000",
            "retention.ms": "3600000" if by_time else "-1",
            "retention.bytes": "-1" if by_time else "700000",
        }
        with bench.topic(client=client, configs=configs) as topic:
            partition, model = topic[0], Model()
            for age_ms in (86_400_000, 43_200_000, 0):
                record = NewRecord(key=b"." * key_bytes, value=b"%d" % model.end)
                partition.append_records([record], timestamp_ms=now_ms - age_ms * by_time)
                model.values.append(b"%d" % model.end)
            if bench.virtual:
                client.target.sleep(interval_ms)
            model.start = client.target.eventually(
                lambda: partition.offset_at(EARLIEST), bool, within_ms=2 * interval_ms + 10_000
            )
            bench.premise("retention deleted something and kept the rest", model.start < model.end)
            assert model.start <= model.end, "nothing is deleted beyond the high watermark"
            model.compare(partition)


def retention_interval_ms(bench: Bench, client: Client) -> int:
    """How often the brokers look for what has expired; raises `NotRun` where that is seldom."""
    resource = {
        "resource_type": 4,
        "resource_name": str(client.brokers[0]),
        "configuration_keys": ("log.retention.check.interval.ms",),
    }
    answer = client.broker(client.brokers[0]).call("describe_configs", resources=[resource])
    found = {entry.name: entry.value for entry in answer.results[0].configs}
    interval_ms = int(found.get("log.retention.check.interval.ms") or 0)
    if not interval_ms:
        raise Unsupported("the brokers do not say how often they look for what has expired")
    if not bench.virtual and interval_ms > RETENTION_INTERVAL_MAX_MS:
        raise NotRun(f"what has expired is looked for only every {interval_ms} ms")
    return interval_ms
