"""Leader epochs on the log: where each of them ends, and who finds out that logs diverge there.

Leadership moves by request, so that no fault is needed: reorder the replicas, elect the first.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.codec import KEYS, versions_with
from conformance.outcomes import Inconclusive, NotRun, Unsupported
from conformance.partition import Fetched, Partition
from conformance.workload.epoch_ends import (
    UNKNOWN,
    EpochEnd,
    EpochTable,
    ask_for_ends,
    settled_end,
    steady,
    table_of,
)
from conformance.workload.leaders import move_leader
from conformance.world import World, worlds

HISTORIES: Mapping[str, Sequence[int]] = {
    "every epoch has records": (2, 3, 1),
    "an epoch without records in the middle": (2, 0, 3),
    "several epochs without records in a row": (3, 0, 0, 2),
    "nothing in the first epochs": (0, 0, 4),
    "nothing in the current epoch": (1, 2, 0),
    "nothing at all": (0, 0, 0),
}
"""How many records are written under each leader."""


@contextmanager
def history(bench: Bench, counts: Sequence[int], world: World | None = None) -> Iterator[Partition]:
    """A partition that has had a leader for each of the counts, and has come to rest."""
    with bench.partition(world=world or World()) as partition:
        lead(partition, counts)
        yield partition


def lead(partition: Partition, counts: Sequence[int]) -> None:
    """Raises `NotRun` where there is nobody else to lead."""
    if len(counts) > 1 and not partition.followers:
        raise NotRun("leadership moves only between several brokers")
    for number, count in enumerate(counts):
        if number:
            move_leader(partition, partition.followers[number % len(partition.followers)])
            settled_end(partition)
        if count:
            partition.append(*[b"%d/%d" % (number, n) for n in range(count)])


def fetch_versions(partition: Partition) -> list[int]:
    """The versions of Fetch that carry last_fetched_epoch; raises `Unsupported` for none."""
    return served(partition, "fetch", "last_fetched_epoch")


def served(partition: Partition, api: str, *fields: str) -> list[int]:
    low, high = partition.leader.versions.get(KEYS[api], (0, -1))
    found = [version for version in versions_with(api, fields) if low <= version <= high]
    if not found:
        raise Unsupported(f"{api}: no version with {', '.join(fields)} is served")
    return found


# ---- OffsetForLeaderEpoch ------------------------------------------------------------------------


def compare_ends(bench: Bench, partition: Partition) -> EpochTable:
    """Asks for every epoch, in every version, from a leader that must still be the same."""
    table = table_of(partition)
    asked = range(table.current + 3)
    for version in served(partition, "offset_for_leader_epoch", "current_leader_epoch"):
        answers = ask_for_ends(partition, asked, table.current, version)
        for epoch, answer in zip(asked, answers, strict=True):
            bench.premise("the end of an epoch was asked for")
            assert answer in table.ends(epoch), f"epoch {epoch} ends where the next one begins"
    return table


@pytest.mark.clause("LOG-05")
def test_the_first_epoch_ends_at_the_log_end(bench: Bench) -> None:
    """Under a first leader its epoch ends at the log end, and a newer one is unknown."""
    with bench.partition() as partition:
        for count in (0, 1, 3):
            if count:
                partition.append(*[b"x"] * count)
            compare_ends(bench, partition)


@pytest.mark.clause("LOG-05", "LOG-06")
@pytest.mark.parametrize("counts", HISTORIES.values(), ids=[h.replace(" ", "-") for h in HISTORIES])
def test_each_epoch_ends_where_the_next_begins(bench: Bench, counts: Sequence[int]) -> None:
    """After changes of the leader every epoch, written in or not, has its end."""
    with history(bench, counts) as partition:
        table = compare_ends(bench, partition)
        bench.premise("epochs were known", len(table.starts))
        assert table.end_offset == sum(counts), "no record is lost by a move of the leader"


@pytest.mark.clause("LOG-06")
def test_a_leader_knows_its_epoch_before_it_writes(bench: Bench) -> None:
    """Elections back to back without writes: each new epoch begins, and so far ends, at the end."""
    with history(bench, (2,)) as partition:
        newest = min(4, partition.leader.version("offset_for_leader_epoch", at_least=2))
        for _ in range(3):
            lead(partition, (0, 0))
            current, end = partition.view.leader_epoch, settled_end(partition)
            bench.premise("a leader had written nothing")
            answers = ask_for_ends(partition, (current, current + 1), current, newest)
            assert answers == [EpochEnd(current, end), UNKNOWN], "it knows its own epoch, no newer"


@pytest.mark.clause("LOG-05", "LOG-06")
@given(world=worlds(), counts=st.lists(st.integers(0, 3), min_size=2, max_size=3), data=st.data())
def test_epochs_are_cut_where_records_are_deleted(
    bench: Bench, world: World, counts: list[int], data: st.DataObject
) -> None:
    """Below the log start no epoch begins: those that were deleted end at the log start."""
    with history(bench, counts, world) as partition:
        if not partition.leader.serves("delete_records"):
            raise Unsupported("delete_records is not served")
        partition.append(b"last")
        before_offset = data.draw(st.integers(0, sum(counts) + 1), label="delete before")
        answer = partition.delete_records(before_offset).result()
        if answer.error_code is not ErrorCode.none:
            raise Inconclusive(f"records were not deleted: {answer.error_code.name}")
        bench.premise("records were deleted", int(before_offset > 0))
        table = compare_ends(bench, partition)
        assert table.log_start == before_offset, "the log start is where it was moved to"


# ---- Fetch with last_fetched_epoch ---------------------------------------------------------------


def compare_fetches(bench: Bench, partition: Partition) -> None:
    """Fetches with every last_fetched_epoch at every offset, in every version that has it."""
    versions, table = fetch_versions(partition), table_of(partition)
    epochs, offsets = range(table.current + 2), range(table.end_offset + 3)
    newest = served(partition, "offset_for_leader_epoch", "current_leader_epoch")[-1]
    ends = ask_for_ends(partition, epochs, table.current, newest)
    for epoch, end in zip(epochs, ends, strict=True):
        assert end in table.ends(epoch), f"epoch {epoch} ends where the next one begins"
    for version in versions:
        asked = [
            (
                epoch,
                partition.fetch(
                    offset,
                    version=version,
                    last_fetched_epoch=epoch,
                    current_leader_epoch=table.current,
                ),
            )
            for epoch in epochs
            for offset in offsets
        ]
        partition.target.settle(*(pending for _, pending in asked))
        for epoch, pending in asked:
            steady(pending.value.error)
            check_fetch(bench, table, epoch, ends[epoch], pending.value)


def check_fetch(
    bench: Bench, table: EpochTable, epoch: int, end: EpochEnd, answer: Fetched
) -> None:
    """One answer, where `end` is what OffsetForLeaderEpoch says of the epoch."""
    case = f"last_fetched_epoch {epoch} at offset {answer.offset}"
    parts = end.parts_from(epoch, answer.offset)
    if answer.offset < table.log_start:
        bench.premise("a diverging offset lay below the log start", int(parts))
        assert answer.error is ErrorCode.offset_out_of_range, f"{case}: below the log start"
    elif end == UNKNOWN:
        bench.premise("an epoch was newer than every known one")
    elif parts:
        bench.premise("epoch and offset disagreed with the log")
        assert answer.error is ErrorCode.none, f"{case}: a divergence is no error"
        assert diverging(answer) == end, f"{case}: they disagree, and part at {end}"
    else:
        bench.premise("epoch and offset agreed with the log")
        assert answer.error is ErrorCode.none, f"{case}: they agree"
        assert diverging(answer) == UNKNOWN, f"{case}: they agree"
        assert bool(answer.records) == (answer.offset < table.end_offset), f"{case}: they agree"
    if parts or answer.offset < table.log_start:
        assert not answer.batches, f"{case}: no records for a reader that has others"


def diverging(answer: Fetched) -> EpochEnd:
    found = answer.raw.diverging_epoch
    return EpochEnd(found.epoch, found.end_offset)


@pytest.mark.clause("LOG-05")
@pytest.mark.parametrize("counts", HISTORIES.values(), ids=[h.replace(" ", "-") for h in HISTORIES])
def test_a_fetch_that_disagrees_is_told_where(bench: Bench, counts: Sequence[int]) -> None:
    """Every last_fetched_epoch at every offset: the end of that epoch instead of records, or
    records where they agree."""
    with history(bench, counts) as partition:
        compare_fetches(bench, partition)


@pytest.mark.clause("LOG-05")
def test_below_the_log_start_a_divergence_does_not_count(bench: Bench) -> None:
    """What is deleted is out of range, whatever epoch the reader says it was in."""
    with history(bench, (3, 0, 2, 2)) as partition:
        for before_offset in (2, 4):
            answer = partition.delete_records(before_offset).result()
            if answer.error_code is not ErrorCode.none:
                raise Inconclusive(f"records were not deleted: {answer.error_code.name}")
            compare_fetches(bench, partition)


@pytest.mark.clause("LOG-05")
def test_a_fetch_without_an_epoch_is_told_of_no_divergence(bench: Bench) -> None:
    """Who gives no last_fetched_epoch (-1) is given records."""
    with history(bench, (1, 2)) as partition:
        versions, end = fetch_versions(partition), settled_end(partition)
        asked = [
            partition.fetch(offset, version=version, last_fetched_epoch=-1)
            for version in versions
            for offset in range(end + 1)
        ]
        for answer in partition.target.wait(*asked):
            bench.premise("a fetch had no epoch")
            assert steady(answer.error) is ErrorCode.none, "each of the offsets can be read"
            assert diverging(answer) == UNKNOWN, "nobody asked for a divergence"
            assert bool(answer.records) == (answer.offset < end), "records are given"
