"""Stories: what is sound, what is refused and how, and that files say what was told."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spec import story_json
from spec.story import (
    Changes,
    FaultBar,
    Lane,
    LogEntry,
    Narrator,
    Operation,
    Story,
    StoryError,
    StoryMessage,
    Value,
    log_end_offset,
    log_of,
)

LANES = (
    Lane(id="c1", kind="client", name="client 1"),
    Lane(id="controller", kind="controller", name="controller"),
    Lane(id="b1", kind="broker", name="broker 1"),
    Lane(id="b2", kind="broker", name="broker 2"),
)


def sample() -> Story:
    """A record is written, its second copy is lost, and the copy's owner is elected."""
    told = Narrator("b2 forgets", LANES, clause="LEAD-04", partition="orders-0", mode="quorum")
    one = log_of([(1, "v1")])
    start: dict[str, Value] = {"role": "leader", "leader_epoch": 1, "is_up": True, "log": ()}
    start["isr"] = ("b1", "b2")
    told.step("start", "controller", at_ms=0, state={"b1": start, "b2": {"log": ()}})
    told.step("produce", "c1", at_ms=5)
    told.step("append", "b1", at_ms=6, state={"b1": {"log": one, "role": "leader"}})
    told.step("replicate", "b2", at_ms=8, state={"b2": {"log": one}})
    told.step("kill", "b2", at_ms=9, state={"b2": {"is_up": False}}, kind="fault")
    state: Changes = {
        "b2": {"is_up": True, "log": ()},
        "controller": {"leader": "b2", "leader_epoch": 2},
    }
    told.step("elect", "controller", at_ms=30, state=state, kind="violation", note="v1 is gone")
    told.messages.append(StoryMessage(sender="c1", receiver="b1", label="v1", sent=1, received=2))
    told.messages.append(StoryMessage(sender="b1", receiver="c1", label="ok", sent=3, is_lost=True))
    told.operations.append(Operation(lane="c1", label="produce v1", started=1))
    told.faults.append(FaultBar(lane="b2", label="killed", started=4, ended=5))
    return told.story()


def test_a_narrator_keeps_only_what_changed() -> None:
    steps = sample().steps
    assert steps[2].changes == {"b1": {"log": (LogEntry(0, 1, 1, "v1"),)}}
    assert steps[1].changes == {}


def test_a_state_is_the_sum_of_the_changes_before_it_and_what_was_not_told_is_none() -> None:
    states = list(sample().states())
    one = log_of([(1, "v1")])
    assert [state["b2"]["log"] for state in states] == [(), (), (), one, one, ()]
    assert states[0]["b1"]["high_watermark"] is None
    assert states[4]["b2"]["is_up"] is False
    assert states[5]["controller"] == {
        "who": None,
        "epoch": None,
        "leader": "b2",
        "leader_epoch": 2,
        "isr": None,
        "elr": None,
    }


def test_a_story_knows_its_brokers_and_its_first_violation() -> None:
    assert sample().brokers == ("b1", "b2")
    assert sample().violation == 5


def test_the_end_of_a_log_is_after_its_last_batch_or_at_its_start() -> None:
    assert log_end_offset((LogEntry(3, 1, 4, ""),)) == 7
    assert log_end_offset((), 5) == 5
    assert log_end_offset(()) == 0


def test_json_says_what_was_told(tmp_path: Path) -> None:
    told = sample()
    path = tmp_path / "story.json"
    story_json.write(told, path)
    assert story_json.read(path) == told
    assert json.loads(path.read_text())["steps"][2] == {
        "at_ms": 6,
        "action": "append",
        "lane": "b1",
        "changes": {"b1": {"log": [[0, 1, 1, "v1"]]}},
    }


def spoil(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    raw = copy.deepcopy(story_json.to_json(sample()))
    change(raw)
    return raw


SPOILED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "story lacks title": lambda raw: raw.pop("title"),
    "story has no field 'titel'": lambda raw: raw.update(titel="x"),
    "story.title should be a text, not 7": lambda raw: raw.update(title=7),
    "story.is_logical should be true or false, not 1": lambda raw: raw.update(is_logical=1),
    "story.mode should be one of ('', 'quorum', 'zookeeper'), not 'kraft'": (
        lambda raw: raw.update(mode="kraft")
    ),
    "story.steps should be a list, not {}": lambda raw: raw.update(steps={}),
    "story.steps[0] should be an object, not 3": lambda raw: raw["steps"].__setitem__(0, 3),
    "at least one step": lambda raw: raw.update(steps=[]),
    "two lanes have the same id": lambda raw: raw["lanes"].append(raw["lanes"][0]),
    "'no spaces' is no id": lambda raw: raw["lanes"][0].update(id="no spaces"),
    "steps[3]: its time, 2 ms, is before": lambda raw: raw["steps"][3].update(at_ms=2),
    "steps[1]: there is no lane 'b9'": lambda raw: raw["steps"][1].update(lane="b9"),
    "steps[0].changes: there is no lane 'b9'": lambda raw: raw["steps"][0]["changes"].update(b9={}),
    "steps[0].changes should be an object": lambda raw: raw["steps"][0].update(changes={"b1": 3}),
    "a client has no 'role'": (
        lambda raw: raw["steps"][1].update(changes={"c1": {"role": "leader"}})
    ),
    "b1.high_watermark should be a whole number, not '3'": (
        lambda raw: raw["steps"][1].update(changes={"b1": {"high_watermark": "3"}})
    ),
    "b1.leader_epoch should be a whole number, not True": (
        lambda raw: raw["steps"][1].update(changes={"b1": {"leader_epoch": True}})
    ),
    "b1.isr[1] should be a text, not 2": (
        lambda raw: raw["steps"][1].update(changes={"b1": {"isr": ["b1", 2]}})
    ),
    "b1.log[0] should be [base_offset, epoch, record_count, text]": (
        lambda raw: raw["steps"][1].update(changes={"b1": {"log": [[0, 1]]}})
    ),
    "b1.log: [1, 1, 1, 'v'] overlaps": lambda raw: raw["steps"][1].update(
        changes={"b1": {"log": [[0, 1, 2, "u"], [1, 1, 1, "v"]]}}
    ),
    "1001 entries": lambda raw: raw["steps"][1].update(
        changes={"b1": {"log": [[n, 1, 1, ""] for n in range(1001)]}}
    ),
    "2001 characters": lambda raw: raw["steps"][1].update(note="x" * 2001),
    "steps[1].at_ms: 9007199254740993 is beyond": (
        lambda raw: raw["steps"][1].update(at_ms=2**53 + 1)
    ),
    "messages[0]: from step 2 to 1": lambda raw: raw["messages"][0].update(sent=2, received=1),
    "messages[0]: from step 1 to 6 of 6": lambda raw: raw["messages"][0].update(received=6),
    "messages[1]: a message that is lost": lambda raw: raw["messages"][1].update(received=4),
    "operations[0]: it never ended": lambda raw: raw["operations"][0].update(outcome="ok"),
    "faults[0]: from step -1": lambda raw: raw["faults"][0].update(started=-1),
    "33 lanes": lambda raw: raw.update(lanes=raw["lanes"] * 8 + raw["lanes"][:1]),
}


@pytest.mark.parametrize("message", SPOILED)
def test_what_is_no_story_is_refused_in_clear_words(message: str) -> None:
    with pytest.raises(StoryError) as caught:
        story_json.from_json(spoil(SPOILED[message]))
    assert message in str(caught.value)


def test_files_that_hold_no_story_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    for content, message in {
        b"{": "is no JSON",
        b"[" * 100_000: "is no JSON",
        b"\xff": "is no JSON",
        b"[]": "should be an object",
    }.items():
        path.write_bytes(content)
        with pytest.raises(StoryError, match=message):
            story_json.read(path)


def test_the_states_can_be_read_by_tools_of_the_informal_trace_format() -> None:
    itf = story_json.to_itf(sample())
    assert "broker_log" in itf["vars"]
    assert "zookeeper_controller" not in itf["vars"]
    assert len(itf["states"]) == 6
    last = itf["states"][3]
    assert last["#meta"] == {"index": 3, "action": "replicate", "lane": "b2", "at_ms": 8}
    record = {"base_offset": 0, "epoch": 1, "record_count": 1, "text": "v1"}
    assert last["broker_log"] == {"#map": [["b1", [record]], ["b2", [record]]]}
    assert last["broker_isr"] == {"#map": [["b1", {"#set": ["b1", "b2"]}]]}
