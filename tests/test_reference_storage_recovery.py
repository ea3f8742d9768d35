"""Finding logs again: after a clean stop, a crash, a loss of power, with files missing or bad."""

import random

from hypothesis import given
from hypothesis import strategies as st

from reference.storage.disk import Disk
from reference.storage.simulated import SimulatedDisk
from tests.storage_story import PARTITION, Killed, MortalDisk, Story, file_disk, state_of

steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3)),
    st.tuples(st.just("append and flush"), st.integers(1, 3)),
    st.tuples(st.just("truncate"), st.integers(0, 30)),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("lead"), st.just(0)),
    st.tuples(st.just("checkpoint"), st.just(0)),
    st.tuples(st.just("restart from"), st.integers(0, 5)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("close"), st.just(0)),
)
losses = st.tuples(st.just("power"), st.integers(0, 2**32))


def perform(story: Story, action: str, number: int) -> None:
    log = story.log
    if action == "append":
        story.append(number)
    elif action == "append and flush":
        story.append(number, flush_messages=1)
    elif action == "truncate":
        story.truncate(number)
    elif action == "delete":
        log.delete_before(min(number, log.end_offset))
    elif action == "lead":
        story.lead()
    elif action == "checkpoint":
        story.manager.checkpoint({PARTITION: log.end_offset})
    elif action == "restart from":
        log.restart(log.end_offset + number, log.last_epoch, log.producers.producers)
    else:
        before = state_of(log)
        if action == "close":
            story.close()
        story.start()
        assert story.manager.was_clean == (action == "close")
        assert state_of(story.log) == before, "a process that dies loses nothing"


@given(plan=st.lists(steps, max_size=30))
def test_a_crash_loses_nothing(plan: list[tuple[str, int]]) -> None:
    story = Story(SimulatedDisk())
    for action, number in plan:
        perform(story, action, number)
        story.check()


@given(plan=st.lists(steps, max_size=12))
def test_a_file_system_keeps_it_as_well(plan: list[tuple[str, int]]) -> None:
    with file_disk() as (disk, reopen):
        story = Story(disk, reopen)
        for action, number in plan:
            perform(story, action, number)
            story.check()
        simulated = Story(SimulatedDisk())
        for action, number in plan:
            perform(simulated, action, number)
        assert contents(story.disk) == contents(simulated.disk), "the same files on both disks"


def contents(disk: Disk) -> dict[str, bytes]:
    return {path: disk.read(path) for path in disk.files()}


@given(plan=st.lists(st.one_of(steps, losses), max_size=30))
def test_a_loss_of_power_costs_a_suffix_that_was_not_synced(plan: list[tuple[str, int]]) -> None:
    disk = SimulatedDisk()
    story = Story(disk)
    for action, number in plan:
        if action != "power":
            perform(story, action, number)
        else:
            lose_power(story, disk, number)
        story.check()


def lose_power(story: Story, disk: SimulatedDisk, seed: int) -> None:
    old, synced = story.log, story.log.store.marks.recovery_point  # type: ignore[union-attr]
    disk.lose_power(random.Random(seed).random)
    story.start()
    log = story.log
    assert log.start_offset == old.start_offset, "what was deleted stays deleted"
    assert log.end_offset >= min(synced, old.end_offset), "what was synced is there"
    kept = len(log.batches)
    assert log.batches == old.batches[:kept], "what is there is a prefix"
    assert kept == len(old.batches) or log.end_offset == max(
        [log.start_offset, *old.ends[:kept]]
    ), "the log ends with its last batch"
    known = zip(old.epochs.epochs, old.epochs.starts, strict=True)
    expected = [(epoch, start) for epoch, start in known if start <= log.end_offset]
    assert list(zip(log.epochs.epochs, log.epochs.starts, strict=True)) == expected
    lost = old.batches[kept:]
    story.written = [each for each in story.written if each not in lost]


# ---- dying in the middle ------------------------------------------------------------------------


@given(
    plan=st.lists(steps, max_size=20),
    last=steps,
    writes=st.integers(0, 15),
    power=st.one_of(st.none(), st.integers(0, 2**32)),
)
def test_whatever_is_interrupted_leaves_a_log(
    plan: list[tuple[str, int]], last: tuple[str, int], writes: int, power: int | None
) -> None:
    """A part of what an operation changes is lost or kept, and never anything beside it."""
    disk = MortalDisk()
    story = Story(disk)
    for action, number in plan:
        perform(story, action, number)
    old, synced = story.log, story.log.store.marks.recovery_point  # type: ignore[union-attr]
    known = old.start_offset
    disk.writes_left = writes
    try:
        perform(story, *last)
    except Killed:
        if power is not None:
            disk.lose_power(random.Random(power).random)
    disk.writes_left = None
    story.start()
    log = story.log
    written = story.written
    first = next((n for n, each in enumerate(written) if each in log.batches[:1]), 0)
    assert log.batches == written[first : first + len(log.batches)], "consecutive batches"
    assert known <= log.start_offset <= log.end_offset
    if last[0] not in ("truncate", "restart from"):
        assert log.end_offset >= (old.end_offset if power is None else min(synced, old.end_offset))
    story.sequence = story.epoch = 1000
    for _ in range(4):
        story.append(2)
    after = state_of(story.log)
    story.start()
    assert state_of(story.log) == after, "the log goes on"
