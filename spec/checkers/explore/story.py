"""A path as a story: who did what, and what each broker then has; and the same as JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

from spec.checkers.explore.result import Moment, Trace
from spec.checkers.explore.shape import Layout, Map, Plain, Record, Sequence, Set, Shape

CHANGED = "*"
"""Stands before what the action of the step has changed."""
WIDTH = 100
"""Columns of a line; a longer value has a line of its own."""
Variables = Mapping[str, Shape]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tell(trace: Trace) -> str:
    """The path as text: each action, then a line for each entity and one for everything else.

    A log is `[0:a@1 1:b@2]`: the record at offset 0 is a, written in epoch 1. Entries of a map that
    are as they were in the beginning are left out.
    """
    return "\n".join(_Telling(trace).lines())


def header(moment: Moment, layout: Layout) -> str:
    """`leader_write(leader=b1)`: the action that led to a state."""
    if not moment.action:
        return "initial state"
    params = layout.params(moment.action, moment.params)
    return f"{moment.action}({', '.join(f'{name}={x.text}' for name, x in params.items())})"


class _Telling:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.layout = Layout(trace.model, trace.bounds, trace.layout)
        self.states = [self.layout.variables(moment.cells) for moment in trace.moments]

    def lines(self) -> Iterator[str]:
        before = self.states[0]
        for number, (moment, state) in enumerate(zip(self.trace.moments, self.states, strict=True)):
            yield f"{number + 1:3d}. {header(moment, self.layout)}"
            items = list(self._items(state, before))
            owners = list(dict.fromkeys(owner for owner, _ in items if owner))
            for owner in owners:
                yield from _wrapped(f"       {owner}: ", [text for o, text in items if o == owner])
            shared = [text for owner, text in items if not owner]
            if shared:
                yield from _wrapped(f"{'':7}", shared)
            before = state

    def _items(
        self, state: dict[str, Shape], before: dict[str, Shape]
    ) -> Iterator[tuple[str, str]]:
        """(the entity that it belongs to or "", the text) of everything in a state."""
        for name, shape in state.items():
            initial, old = self.states[0][name], before[name]
            if self.layout.owner(name) is None:
                yield "", _marked(name, shape, old, initial)
                continue
            parts = zip(_entries(shape), _entries(old), _entries(initial), strict=True)
            for (owner, now), (_, then), (_, first) in parts:
                yield owner.text, _marked(name, now, then, first)


def _entries(shape: Shape) -> tuple[tuple[Plain, Shape], ...]:
    assert isinstance(shape, Map)
    return shape.entries


def _wrapped(head: str, texts: list[str]) -> Iterator[str]:
    """The texts side by side, on as many lines as they need."""
    line = head
    for text in texts:
        if len(line) + len(text) > WIDTH and line.strip() != head.strip():
            yield line.rstrip()
            line = " " * len(head)
        line += text + "  "
    yield line.rstrip()


def _marked(name: str, shape: Shape, before: Shape, initial: Shape) -> str:
    mark = "" if shape == before else CHANGED
    return f"{mark}{name}={text_of(shape, initial)}"


def text_of(shape: Shape, initial: Shape | None = None) -> str:
    """A value as text; of maps only what is not as in `initial`, if that is given."""
    if isinstance(shape, Plain):
        return shape.text
    if isinstance(shape, Set):
        return "{" + ",".join(_tuple(member) for member in shape.members) + "}"
    if isinstance(shape, Sequence):
        records = (f"{offset}:{_record(record)}" for offset, record in enumerate(shape.records))
        return "[" + " ".join(records) + "]"
    if isinstance(shape, Record):
        fields = (f"{name}={text_of(part)}" for name, part in shape.fields.items())
        return "(" + " ".join(fields) + ")"
    same = initial.entries if isinstance(initial, Map) else ()
    shown = (entry for entry in shape.entries if entry not in same)
    return "{" + ", ".join(f"{key.text}: {text_of(value)}" for key, value in shown) + "}"


def _tuple(member: tuple[Plain, ...]) -> str:
    texts = [part.text for part in member]
    return texts[0] if len(texts) == 1 else "(" + " ".join(texts) + ")"


def _record(record: Shape) -> str:
    """`a@1`: ids are letters, an epoch is where it was written; other fields have their names."""
    if not isinstance(record, Record):
        return text_of(record)
    texts = []
    for name, part in record.fields.items():
        if name == "id" and isinstance(part, Plain) and isinstance(part.value, int):
            texts.append(_LETTERS[part.value] if part.value < len(_LETTERS) else part.text)
        elif name == "epoch":
            texts.append(f"@{text_of(part)}")
        else:
            texts.append(("," if texts else "") + f"{name}={text_of(part)}")
    return "".join(texts)


# ---- JSON ---------------------------------------------------------------------------------------


def as_json(trace: Trace) -> list[dict[str, Any]]:
    """The path as a list of {action, params, state}, ready for `json.dumps`.

    A state has its variables by name, in the shapes of the Informal Trace Format of Apalache:
    {"#set": [..]}, {"#map": [[key, value], ..]}, {"#tup": [..]}, and records as objects. The first
    action is "". Entities are texts such as "b1".
    """
    layout = Layout(trace.model, trace.bounds, trace.layout)
    steps = []
    for number, moment in enumerate(trace.moments):
        variables = layout.variables(moment.cells)
        params = layout.params(moment.action, moment.params) if moment.action else {}
        state: dict[str, Any] = {"#meta": {"index": number}}
        state |= {name: _json(shape) for name, shape in variables.items()}
        values = {name: param.value for name, param in params.items()}
        steps.append({"action": moment.action, "params": values, "state": state})
    return steps


def _json(shape: Shape) -> Any:
    if isinstance(shape, Plain):
        return shape.value
    if isinstance(shape, Record):
        return {name: _json(part) for name, part in shape.fields.items()}
    if isinstance(shape, Sequence):
        return [_json(record) for record in shape.records]
    if isinstance(shape, Map):
        return {"#map": [[key.value, _json(value)] for key, value in shape.entries]}
    members = ([part.value for part in member] for member in shape.members)
    return {"#set": [m[0] if len(m) == 1 else {"#tup": m} for m in members]}
