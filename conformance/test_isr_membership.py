"""Who is in the ISR, and what an ISR that has become too small accepts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Appended, Partition
from conformance.records import Record, batch_of
from conformance.targets.target import Capability
from conformance.workload.leaders import acting_epoch, ask_to_elect, reassign, settle
from conformance.workload.settings import lag_limit_ms
from conformance.world import World

NONE = ErrorCode.none
TWO_IN_SYNC = {"min.insync.replicas": "2"}
SLACK = 3
"""Times the lag time: ample, and virtual."""
ISR_CHANGES_WITHIN_MS = 180_000
MEGABYTE = 900_000
"""Nearly: a batch has to fit into max.message.bytes, and a follower fetches one at a time."""

cuts_brokers = pytest.mark.needs(Capability.CUT_BROKERS)


# ---- ISR-06 --------------------------------------------------------------------------------------


@pytest.mark.clause("ISR-06")
@cuts_brokers
def test_too_small_an_isr_accepts_no_acks_all(bench: Bench) -> None:
    """Below min.insync.replicas acks=-1 is refused before the append; acks=1 and 0 are taken."""
    with bench.partition(configs=TWO_IN_SYNC) as partition:
        with leader_alone_in_isr(partition) as caught:
            refused = [
                partition.produce(batch_of(b"refused"), timeout_ms=timeout_ms).result()
                for timeout_ms in (0, 100, 5_000)
            ]
            taken = partition.produce(batch_of(b"acks=1"), acks=1).result()
            partition.produce(batch_of(b"acks=0"), acks=0)
            marker = partition.produce(batch_of(b"behind acks=0"), acks=1).result()
        bench.premise("a batch came to an ISR below the minimum", times=len(refused) + 1)
        assert caught.error is not NONE, "no success for what the ISR shrank under"
        errors = {answer.error for answer in refused}
        assert errors == {ErrorCode.not_enough_replicas}, "NOT_ENOUGH_REPLICAS, before the append"
        assert (taken.error, marker.error) == (NONE, NONE), "acks=1 is accepted"
        values = [record.value for record in _all_records(partition, marker.base_offset)]
        assert b"refused" not in values, "what was refused is not appended"
        assert values[-3:] == [b"acks=1", b"acks=0", b"behind acks=0"], "the others are"


@contextmanager
def leader_alone_in_isr(partition: Partition) -> Iterator[Appended]:
    """Followers cut off until they have left the ISR; yields what a write got that met it before.

    Inconclusive unless they stay away to the end of the block.
    """
    leader, target = partition.view.leader, partition.target
    lag_ms = lag_limit_ms(partition.client, leader)

    def isr() -> tuple[int, ...]:
        return partition.client.view(partition.topic.name, leader).partitions[0].isr

    with target.nemesis.cut(leader, *partition.followers):
        caught = partition.produce(
            batch_of(b"caught"), timeout_ms=SLACK * lag_ms, over=partition.connect()
        ).result(within_ms=2 * SLACK * lag_ms)
        target.eventually(isr, lambda found: found == (leader,), within_ms=ISR_CHANGES_WITHIN_MS)
        yield caught
        if isr() != (leader,):
            raise Inconclusive("a follower that is cut off is back in the ISR")


def _all_records(partition: Partition, last: int) -> list[Record]:
    """All records up to this offset, once it is committed."""
    partition.target.eventually(
        lambda: partition.end_offset,
        lambda end: end > last,
        within_ms=ISR_CHANGES_WITHIN_MS,
    )
    return partition.read(0, last + 1)


@pytest.mark.clause("ISR-06")
def test_the_minimum_is_at_most_the_replication_factor(bench: Bench) -> None:
    """With one replica and min.insync.replicas=2 acks=-1 is taken by the only replica or, before
    KAFKA-15583, refused before the append; acks=1 and 0 are taken."""
    with bench.partition(replication_factor=1, configs=TWO_IN_SYNC) as partition:
        if len(partition.view.replicas) != 1:
            raise Unsupported("the target chose another number of replicas")
        bench.premise("min.insync.replicas was above the replication factor")
        careful = partition.produce(batch_of(b"acks=-1")).result()
        allowed = {NONE, ErrorCode.not_enough_replicas}
        assert careful.error in allowed, "it is taken or refused"
        careless = partition.produce(batch_of(b"acks=1"), acks=1).result()
        assert careless.error is NONE, "acks=1 is accepted"
        partition.produce(batch_of(b"acks=0"), acks=0)
        marker = partition.produce(batch_of(b"behind acks=0"), acks=1).result()
        assert marker.error is NONE, "acks=1 is accepted"
        assert careless.base_offset == int(careful.error is NONE), "appended, if not refused"
        assert marker.base_offset == careless.base_offset + 2, "acks=0 is appended"
        if careful.error is NONE:
            assert partition.end_offset > marker.base_offset, "what is taken is committed"


# ---- ISR-07, ISR-08 ------------------------------------------------------------------------------


@pytest.mark.clause("ISR-07")
@cuts_brokers
def test_a_follower_that_lags_leaves_the_isr_and_returns(bench: Bench) -> None:
    """A follower that cannot fetch leaves the ISR within the lag time, so that acks=all goes on;
    once it has caught up it is back."""
    with bench.partition() as partition:
        leader, target, lost = partition.view.leader, partition.target, partition.followers[0]
        lag_ms = lag_limit_ms(partition.client, leader)
        with target.nemesis.cut(leader, lost):
            written = partition.produce(batch_of(b"waits"), timeout_ms=10 * lag_ms)
            bench.premise("a follower lagged for longer than allowed")
            # Kafka looks at half the lag time, so that it takes up to one and a half.
            target.sleep(SLACK * lag_ms)
            assert written.answered, "acks=all makes progress without it"
            assert written.value.error is NONE, "and is acknowledged"
            view = partition.client.view(partition.topic.name, leader).partitions[0]
            assert lost not in view.isr, "it is removed from the ISR"
        target.sleep(SLACK * lag_ms)
        view = partition.client.view(partition.topic.name, leader).partitions[0]
        assert lost in view.isr, "it is taken back"


@pytest.mark.clause("ISR-08")
@cuts_brokers
def test_a_follower_joins_the_isr_only_with_what_is_committed(bench: Bench) -> None:
    """A follower that left the ISR stays out for as long as it cannot fetch what is committed."""
    with bench.partition() as partition:
        leader, target, lost = partition.view.leader, partition.target, partition.followers[0]
        lag_ms = lag_limit_ms(partition.client, leader)
        with target.nemesis.cut(leader, lost):
            partition.produce(batch_of(b"committed without it"), timeout_ms=10 * lag_ms).result(
                SLACK * lag_ms
            )
            partition.append(b"and more")
            seen = [partition.client.view(partition.topic.name, leader).partitions[0].isr]
            if lost in seen[0]:
                raise Inconclusive("the follower that is cut off did not leave the ISR")
            for _ in range(6):
                target.sleep(lag_ms // 2)
                seen.append(partition.client.view(partition.topic.name, leader).partitions[0].isr)
        bench.premise("a follower lacked committed records", times=len(seen))
        assert [isr for isr in seen if lost in isr] == [], "it does not join the ISR"


@pytest.mark.clause("ISR-08", "LEAD-04")
@cuts_brokers
def test_a_follower_that_is_far_behind_is_not_elected(bench: Bench) -> None:
    """A follower that comes back with megabytes to fetch joins the ISR, and so can be elected,
    only with all that was committed."""
    slow = World(latency_ms=(20, 200))
    with bench.partition(world=slow) as partition:
        leader, target, lost = partition.view.leader, partition.target, partition.followers[0]
        others = [broker for broker in partition.view.replicas if broker != lost]
        reassign(partition, (lost, *others))
        values = [b"%d" % n * MEGABYTE for n in range(9)]
        with target.nemesis.cut(leader, lost):
            lag_ms = lag_limit_ms(partition.client, leader)
            first = partition.produce(batch_of(b"0"), timeout_ms=10 * lag_ms)
            if first.result(SLACK * lag_ms).error is not NONE:
                raise Inconclusive("the follower that is cut off did not leave the ISR")
            kept = {partition.append(value).base_offset: value for value in values}
        target.eventually(
            lambda: ask_to_elect(partition).result(),
            lambda error: error is NONE,
            within_ms=ISR_CHANGES_WITHIN_MS,
        )
        bench.premise("a follower that was far behind was elected")
        settle(partition, lambda view: view.leader == lost)
        acting_epoch(partition)
        found = {record.offset: record.value for record in partition.read(0)}
        lost_offsets = [offset for offset, value in kept.items() if found.get(offset) != value]
        assert lost_offsets == [], "it has all that was committed"
