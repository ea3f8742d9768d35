"""The table is a set: exact, ordered by discovery, within its memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.checkers.explore import table as table_module
from spec.checkers.explore.table import MemoryFull, Table

ROOM = 1 << 30
U64 = np.uint64
State = tuple[int, ...]


def inserted(table: Table, batch: list[State]) -> list[int]:
    """Positions of the new states of a batch."""
    staged = table.stage(len(batch))
    for k, column in enumerate(staged):
        column[:] = np.array([state[k] for state in batch], U64)
    return [int(position) for position in table.commit()]


def states_of(words: int) -> st.SearchStrategy[State]:
    """Few different words, so that there are repetitions and states that share all but one."""
    word = st.sampled_from([0, 1, 2, 1 << 32, (1 << 64) - 1, 0x9E3779B97F4A7C15])
    return st.tuples(*[word] * words)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_table_is_a_set(data: st.DataObject) -> None:
    words = data.draw(st.integers(1, 3))
    batches = data.draw(st.lists(st.lists(states_of(words), max_size=30), max_size=5))
    table, known = Table(words, ROOM), dict[State, None]()
    for batch in batches:
        new = inserted(table, batch)
        fresh = {state for state in batch if state not in known}
        assert {batch[position] for position in new} == fresh
        assert len(new) == len(fresh)
        known |= dict.fromkeys(batch[position] for position in new)
        assert table.count == len(known)
    assert [tuple(table.row(number)) for number in range(table.count)] == list(known)


def test_equal_hashes_do_not_make_states_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "_hash", lambda words: np.full(len(words[0]), 7, U64))
    table = Table(2, ROOM)
    batch = [(a, b) for a in range(9) for b in range(9)] * 2
    assert len(inserted(table, batch)) == 81
    assert inserted(table, batch) == []
    assert len(inserted(table, [(9, 9), (8, 8), (9, 9)])) == 1


def test_a_table_grows_and_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "_SLOTS_FIRST", 8)
    monkeypatch.setattr(table_module, "_SLOTS_NEXT", 8)
    monkeypatch.setattr(table_module, "_WORDS_FIRST", 4)
    monkeypatch.setattr(table_module, "_BATCH", 100)
    table = Table(1, ROOM)
    for start in range(0, 5_000, 250):
        assert len(inserted(table, [(x,) for x in range(start, start + 500)])) in (250, 500)
    assert table.count == 5_250
    assert inserted(table, [(x,) for x in range(5_250)]) == []


def test_memory_is_bounded_and_what_was_staged_can_be_dropped() -> None:
    table = Table(2, bytes_max=4 << 20)
    table.stage(1_000)
    with pytest.raises(MemoryFull):
        table.stage(1 << 20)
    table.discard()
    assert table.count == table.staged == 0
    assert table.bytes_used <= 4 << 20
