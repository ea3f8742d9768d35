"""Logs whose marks are known: some records of given times, a log start, an uncommitted tail."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.codec import KEYS, VERSIONS
from conformance.outcomes import Inconclusive
from conformance.partition import Partition
from conformance.records import Codec, NewRecord, batch_of
from conformance.workload.epoch_ends import settled_end
from conformance.world import World

FAR = 1 << 40
COMMITTED, TAIL = 3, 2
"""How many records `with_tail` has below the high watermark, and how many above."""
TAIL_MS = 1_000
"""The timestamp of those above; the others have 1."""


def served(partition: Partition, api: str, since: int) -> list[int]:
    """The versions from `since` on that both sides know."""
    newest = partition.leader.version(api, at_least=since)
    low = partition.leader.versions[KEYS[api]][0]
    return [version for version in VERSIONS[api] if max(low, since) <= version <= newest]


def delete(partition: Partition, before_offset: int) -> None:
    """Moves the log start; raises `Inconclusive` where it stays."""
    answer = partition.delete_records(before_offset).result()
    if answer.error_code is not ErrorCode.none:
        raise Inconclusive(f"the log start was not moved: {answer.error_code.name}")


def append_timed(partition: Partition, batches: Iterable[tuple[Sequence[int], Codec]]) -> None:
    """Batches whose records have these timestamps, in this order."""
    for times, codec in batches:
        records = [NewRecord(value=b"x", timestamp_ms=time) for time in times]
        partition.append_records(records, codec=codec, timestamp_ms=times[0])


@contextmanager
def with_tail(bench: Bench, world: World) -> Iterator[Partition]:
    """A leader that has COMMITTED records and, cut off from its followers, a TAIL beyond them.

    Raises `Inconclusive` where that does not come about.
    """
    with bench.partition(world=world) as partition:
        append_timed(partition, [([1], Codec.NONE)] * COMMITTED)
        settled_end(partition)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            tail = batch_of(*[b"x"] * TAIL, timestamp_ms=TAIL_MS)
            answer = partition.produce(tail, acks=1).result()
            if answer.error is not ErrorCode.none:
                raise Inconclusive(f"the leader did not append alone: {answer.error.name}")
            yield partition
