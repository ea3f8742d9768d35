"""Counterexamples as people read them, and as JSON."""

import json

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Trace, explore
from spec.checkers.explore.story import as_json, tell
from spec.language import Protocol, trace
from spec.models.replication import TruncateToHighWatermark, bounds
from tests.explore_zoo import Numbers, Voting, WholeLogs


def counterexample(protocol: type[Protocol], invariant: str, **counts: int) -> Trace:
    found = explore(trace(protocol), Bounds(**counts), invariants=[invariant])
    return found.violations[invariant].trace


def told(protocol: type[Protocol], invariant: str, **counts: int) -> list[str]:
    return tell(counterexample(protocol, invariant, **counts)).splitlines()


def test_the_story_of_a_lost_record() -> None:
    """KIP-101: the follower was in sync, cuts a committed record, and nobody noticed."""
    lines = told(TruncateToHighWatermark, "weak_isr", **bounds(2, 2, 2, 1))
    headers = [line[5:] for line in lines if line[3:4] == "."]
    assert headers[0] == "initial state"
    assert len(headers) == 9
    assert headers[-1].startswith("become_follower(follower=b")
    assert [line[:4] for line in lines if line[3:4] == "."] == [f"{n:3d}." for n in range(1, 10)]
    (last,) = [n for n, line in enumerate(lines) if line.startswith("  9.")]
    brokers = sorted(line.strip() for line in lines[last + 1 : last + 3])
    assert any("  high_watermark=1  " in line and "log=[0:a@" in line for line in brokers)
    assert any("*log=[]" in line for line in brokers)
    assert all(line.startswith(("b1: ", "b2: ")) for line in brokers)


def test_a_step_shows_every_variable_and_marks_what_it_changed() -> None:
    lines = told(Numbers, "marks_alternate", Broker=2, Offset=2, Level=1)
    start = lines.index("  2. raise_level()")
    assert lines[start + 1 : start + 5] == [
        "       b1: log=[]  high=0  seen={}",
        "       b2: log=[]  high=0  seen={}",
        "       *level=0  *flag=true  table={}",
        "  3. write(broker=b1, mark=false)",
    ]
    assert lines[-3:] == [
        "       b1: *log=[0:level=0,mark=false 1:level=0,mark=false]  high=0  seen={b1}",
        "       b2: log=[]  high=0  seen={}",
        "       level=0  flag=true  *table={0: (by=b1 at=1)}",
    ]


def test_messages_are_sets_of_tuples_and_abstract_values_have_their_text() -> None:
    lines = told(Voting, "nobody_leads", Broker=2, Epoch=2, min_insync=1)
    assert lines[-4:] == [
        "  4. become_leader(candidate=b1, epoch=1, quorum={b1,b2})",
        "       b1: epoch=1  told={}",
        "       b2: epoch=1  told={}",
        "       vote={(b1 1 b1),(b2 1 b1)}  *leader={1: b1}  isr={b1,b2}",
    ]
    lines = told(WholeLogs, "logs_agree", Broker=2, Epoch=3, Length=3)
    assert lines[-3:] == ["       b1: *log=[e2]", "       b2: log=[e1]", "       epoch=2"]


def test_long_states_take_several_lines() -> None:
    lines = told(TruncateToHighWatermark, "strong_isr", **bounds(3, 2, 2, 1))
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("       request=") for line in lines)


def test_json_has_actions_parameters_and_states() -> None:
    steps = as_json(counterexample(Voting, "nobody_leads", Broker=2, Epoch=2, min_insync=1))
    assert json.loads(json.dumps(steps)) == steps
    assert steps[0]["action"] == ""
    assert steps[0]["params"] == {}
    assert steps[0]["state"]["#meta"] == {"index": 0}
    assert steps[-1] == {
        "action": "become_leader",
        "params": {"candidate": "b1", "epoch": 1, "quorum": "{b1,b2}"},
        "state": {
            "#meta": {"index": 3},
            "epoch": {"#map": [["b1", 1], ["b2", 1]]},
            "vote": {"#set": [{"#tup": ["b1", 1, "b1"]}, {"#tup": ["b2", 1, "b1"]}]},
            "leader": {"#map": [[0, "none"], [1, "b1"]]},
            "isr": "{b1,b2}",
            "told": {"#map": [["b1", "{}"], ["b2", "{}"]]},
        },
    }


def test_json_of_logs_records_and_sets() -> None:
    found = counterexample(Numbers, "marks_alternate", Broker=2, Offset=2, Level=1)
    last = as_json(found)[-1]
    assert last["params"] == {"broker": "b1", "mark": False}
    record = {"level": 0, "mark": False}
    state = last["state"]
    assert state["log"] == {"#map": [["b1", [record, record]], ["b2", []]]}
    assert state["seen"] == {"#map": [["b1", {"#set": ["b1"]}], ["b2", {"#set": []}]]}
    assert state["table"]["#map"][1] == [0, {"by": "b1", "at": 1}]
    assert state["flag"] is True
