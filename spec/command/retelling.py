"""Counterexamples of the replication models as stories, which the report draws and plays.

`replication` keeps what the controller decided in `quorum` and what a broker was told in variables
of its own; `replication_messages` numbers decisions, and a broker knows which one it has applied.
Other models are about other things than the logs of one partition: they have no story.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spec.checkers.explore import Trace
from spec.command.replay import itf_document
from spec.story import Changes, Lane, LogEntry, Narrator, StepKind, Story, StoryMessage, Value

Itf = Mapping[str, Any]
"""A state, or a part of one, in the Informal Trace Format."""
CONTROLLER = "controller"
NONE = "none"
LETTERS = 26
OBEYING = {
    "become_leader": "epoch",
    "become_follower": "epoch",
    "apply_decision": "partition_epoch",
}
"""Actions by which a broker obeys a decision, and the parameter that says which."""


def story_of(trace: Trace, title: str) -> Story | None:
    """The path of a replication model that ends where `title` is violated; None for others."""
    document = itf_document(trace)
    kept = set(document["vars"])
    if {"log", "high_watermark", "quorum", "leader"} <= kept:
        return _told(document["states"], title, _of_shared_memory)
    if {"log", "high_watermark", "decision", "leading"} <= kept:
        return _told(document["states"], title, _of_messages)
    return None


def _told(states: Sequence[Itf], title: str, state_of: Any) -> Story:
    brokers = [name for name, _ in states[0]["log"]["#map"]]
    lanes = [Lane(id=CONTROLLER, kind="controller", name="controller")]
    lanes += [Lane(id=name, kind="broker", name=f"broker {name}") for name in brokers]
    story = Narrator(title, lanes, is_logical=True)
    decided: dict[int, int] = {}
    """In which step each decision was made, by the number that brokers know it by."""
    for number, state in enumerate(states):
        meta = state["#meta"]
        action, params = meta.get("action", ""), meta.get("params", {})
        lane = _lane(action, params, brokers)
        said = ", ".join(f"{name}={value}" for name, value in params.items())
        kind: StepKind = "violation" if number == len(states) - 1 else ""
        told: Changes = state_of(state, brokers)
        story.step(
            f"{action}({said})" if action else "initial state",
            lane,
            at_ms=number,
            state=told,
            kind=kind,
        )
        decided.setdefault(_newest(state), number)
        for sender, receiver, label, sent in _messages(action, lane, params, decided, brokers):
            at = number if sent is None else sent
            story.messages.append(
                StoryMessage(
                    sender=sender, receiver=receiver, label=label, sent=at, received=number
                )
            )
    return story.story()


def _lane(action: str, params: Mapping[str, Any], brokers: Sequence[str]) -> str:
    """Who acts: the controller where the action says so, else the first broker it names."""
    actors = [value for value in params.values() if value in brokers]
    return CONTROLLER if action.startswith("controller") or not actors else actors[0]


def _messages(
    action: str,
    lane: str,
    params: Mapping[str, Any],
    decided: Mapping[int, int],
    brokers: Sequence[str],
) -> list[tuple[str, str, str, int | None]]:
    """What the step must have been told of, or tells: a decision of the controller, another's log,
    a change of the ISR.

    Sender, receiver, label, and the step in which it was sent: None where it is this one."""
    if lane == CONTROLLER:
        return []
    if action in OBEYING:
        epoch = params[OBEYING[action]]
        decision = (CONTROLLER, lane, f"decision {epoch}", decided.get(epoch))
        return [decision] if epoch in decided else []
    if action.endswith("_isr"):
        return [(lane, CONTROLLER, "ISR", None)]
    others = [value for value in params.values() if value in brokers and value != lane]
    return [(others[0], lane, "fetch" if "fetch" in action else "", None)] if others else []


def _newest(state: Itf) -> int:
    """The number of the newest decision."""
    return int(state["newest"] if "newest" in state else state["quorum"]["epoch"])


def _of_shared_memory(state: Itf, brokers: Sequence[str]) -> Changes:
    leaders, epochs, isrs = (_map(state[name]) for name in ("leader", "leader_epoch", "isr"))
    told = {
        name: {
            "role": _role(name, leaders[name], leads=leaders[name] == name),
            "leader_epoch": epochs[name],
            "isr": _names(isrs[name]),
        }
        for name in brokers
    }
    return _with_logs(state, told, state["quorum"])


def _of_messages(state: Itf, brokers: Sequence[str]) -> Changes:
    decisions, applied = _map(state["decision"]), _map(state["partition_epoch"])
    told = {}
    for name in brokers:
        known = decisions[applied[name]]
        told[name] = {
            "role": _role(name, known["leader"], leads=name in state["leading"]["#set"]),
            "leader_epoch": known["epoch"],
            "isr": _names(known["isr"]),
        }
    return _with_logs(state, told, decisions[state["newest"]])


def _with_logs(state: Itf, told: dict[str, dict[str, Value]], decided: Itf) -> Changes:
    logs, marks = _map(state["log"]), _map(state["high_watermark"])
    for name, fields in told.items():
        records = enumerate(logs[name])
        fields["log"] = tuple(LogEntry(n, r["epoch"], 1, _letter(r["id"])) for n, r in records)
        fields["high_watermark"] = marks[name]
    leader = None if decided["leader"] == NONE else decided["leader"]
    epoch, isr = decided["epoch"], _names(decided["isr"])
    return {**told, CONTROLLER: {"leader": leader, "leader_epoch": epoch, "isr": isr}}


def _role(name: str, leader: str, *, leads: bool) -> str:
    if leads:
        return "leader"
    return "idle" if leader in (NONE, name) else f"follows {leader}"


def _map(itf: Itf) -> dict[Any, Any]:
    return dict(itf["#map"])


def _names(itf: Itf) -> tuple[str, ...]:
    return tuple(itf["#set"])


def _letter(record_id: int) -> str:
    """As counterexamples in words name records: a, b, c."""
    return chr(ord("a") + record_id) if record_id < LETTERS else str(record_id)
