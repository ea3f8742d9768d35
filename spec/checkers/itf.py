"""Traces as files, in the shapes of the Informal Trace Format that Apalache and others write.

    {"#meta": {"format": "ITF", "model": "Kip320", "bounds": {"Broker": 3, ...}},
     "vars": ["log", "high_watermark", ...],
     "states": [{"#meta": {"index": 0}, "log": ..., ...},
                {"#meta": {"index": 1, "action": "leader_write", "params": {"leader": "b1"}}, ...}]}

A number stands for itself, an entity or an abstract value is a text ("b1", "none"), a record an
object, a log a list of records, a map {"#map": [[index, value], ...]}, and a truth value for each
index is the {"#set": [index, ...]} where it is true; several indices are a {"#tup": [...]}. An
implementation need not say everything: variables, fields and indices of maps may be missing.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from spec.checkers.bounds import Bounds
from spec.checkers.trace import Step
from spec.language.model import Model
from spec.language.sorts import BOOL, Scalar, Sort
from spec.language.views import Leaf

Json = Any
Getter = Callable[..., int | bool]
"""getter(leaf, *index): what a cell holds."""
BYTES_MAX = 64 << 20
STATES_MAX = 100_000
END = "end_offset"
META = "#meta"


class ItfError(ValueError):
    """A file is not a trace of the model. The message says where in it and what is wrong."""


# ---- writing ------------------------------------------------------------------------------------


def state_to_itf(model: Model, bounds: Bounds, getter: Getter) -> dict[str, Json]:
    """A state: each variable by name."""
    writer = _Writer(bounds, getter)
    return {name: writer.written(name, leaves, ()) for name, leaves in _variables(model).items()}


def trace_to_itf(
    model: Model, bounds: Bounds, moments: Iterable[tuple[str, Sequence[int], Getter]]
) -> dict[str, Json]:
    """A document. Of each moment: the action that led to it ("" for the first), its parameters and
    what the state holds."""
    states = []
    for number, (action, params, getter) in enumerate(moments):
        meta: dict[str, Json] = {"index": number}
        if action:
            sorts = [(param.args[0], param.sort) for param in model.actions[action].params]
            pairs = zip(sorts, params, strict=True)
            texts = {name: value_to_itf(sort, value, bounds) for (name, sort), value in pairs}
            meta |= {"action": action, "params": texts}
        states.append({META: meta, **state_to_itf(model, bounds, getter)})
    header = {"format": "ITF", "model": model.name, "bounds": dict(bounds.counts)}
    return {META: header, "vars": list(_variables(model)), "states": states}


def value_to_itf(sort: Sort, value: int | bool, bounds: Bounds) -> Json:
    """A truth value, a number, or the text of an entity or of an abstract value."""
    if sort is BOOL:
        return bool(value)
    return int(value) if sort.is_ordered else sort.text(int(value), bounds.counts)


def _variables(model: Model) -> dict[str, list[Leaf]]:
    return _by_field("", list(model.leaves.values()))


def _by_field(name: str, leaves: Sequence[Leaf]) -> dict[str, list[Leaf]]:
    """The leaves of each field of `name`, by the field's name."""
    start = len(name) + 1 if name else 0
    found: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        found.setdefault(leaf.name[start:].split(".")[0], []).append(leaf)
    return found


def _is_log(name: str, leaves: Sequence[Leaf], depth: int) -> bool:
    return any(leaf.name == f"{name}.{END}" and len(leaf.dims) == depth for leaf in leaves)


class _Writer:
    def __init__(self, bounds: Bounds, getter: Getter) -> None:
        self.bounds, self.getter = bounds, getter

    def written(self, name: str, leaves: Sequence[Leaf], at: tuple[int, ...]) -> Json:
        """What `name` holds at the first indices."""
        depth = len(at)
        first = leaves[0]
        if len(leaves) == 1 and first.name == name:
            if depth == len(first.dims):
                return value_to_itf(first.scalar.sort, self.getter(name, *at), self.bounds)
            if first.scalar.sort is BOOL and not (depth == 0 and len(first.dims) == 2):
                return {"#set": list(self._members(first, at))}
            return self._map(name, leaves, at, first.dims[depth])
        if _is_log(name, leaves, depth):
            return self._log(name, leaves, at)
        sorts = {leaf.dims[depth] if depth < len(leaf.dims) else None for leaf in leaves}
        (sort,) = sorts if len(sorts) == 1 else (None,)
        if sort is not None:
            return self._map(name, leaves, at, sort)
        return self._record(name, leaves, at)

    def _map(self, name: str, leaves: Sequence[Leaf], at: tuple[int, ...], sort: Sort) -> Json:
        entries = []
        for index in self.bounds.domain(sort):
            value = self.written(name, leaves, (*at, int(index)))
            entries.append([value_to_itf(sort, index, self.bounds), value])
        return {"#map": entries}

    def _log(self, name: str, leaves: Sequence[Leaf], at: tuple[int, ...]) -> Json:
        fields = [leaf for leaf in leaves if leaf.name != f"{name}.{END}"]
        end = int(self.getter(f"{name}.{END}", *at))
        return [self._record(name, fields, (*at, offset)) for offset in range(end)]

    def _record(self, name: str, leaves: Sequence[Leaf], at: tuple[int, ...]) -> Json:
        return {
            field: self.written(f"{name}.{field}", parts, at)
            for field, parts in _by_field(name, leaves).items()
        }

    def _members(self, leaf: Leaf, at: tuple[int, ...]) -> Iterator[Json]:
        sorts = leaf.dims[len(at) :]
        for index in itertools.product(*(self.bounds.domain(sort) for sort in sorts)):
            if self.getter(leaf.name, *at, *map(int, index)):
                pairs = zip(sorts, index, strict=True)
                member = [value_to_itf(sort, value, self.bounds) for sort, value in pairs]
                yield member[0] if len(member) == 1 else {"#tup": member}


# ---- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that has the shape of a trace, of whatever model."""

    model: str
    """The model's name; "" if the file does not say."""
    bounds: Mapping[str, int]
    states: Sequence[Mapping[str, Json]]


def read_document(path: Path) -> Document:
    """Reads a file of at most BYTES_MAX bytes and STATES_MAX states. Raises ItfError, OSError."""
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ItfError(f"{path.name} has more than {BYTES_MAX} bytes")
    try:
        return document_of(json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse))
    except ItfError as error:
        raise ItfError(f"{path.name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ItfError(f"{path.name} is no JSON: {error}") from None


def document_of(parsed: Json) -> Document:
    """What a parsed file says. Raises ItfError."""
    top = _object(parsed, "the file")
    states = top.get("states")
    if not isinstance(states, list) or not states:
        raise ItfError("`states` should be a list of at least one state")
    if len(states) > STATES_MAX:
        raise ItfError(f"{len(states)} states; at most {STATES_MAX} are read")
    meta = _object(top.get(META, {}), META)
    model, counts = meta.get("model", ""), _object(meta.get("bounds", {}), f"{META}.bounds")
    if not isinstance(model, str):
        raise ItfError(f"{META}.model should be a text, not {_short(model)}")
    for name, count in counts.items():
        if type(count) is not int:
            raise ItfError(f"{META}.bounds.{name} should be a number, not {_short(count)}")
    objects = [_object(state, f"states[{number}]") for number, state in enumerate(states)]
    return Document(model=model, bounds=counts, states=objects)


def steps_of(document: Document, model: Model, bounds: Bounds) -> list[Step]:
    """The steps of a document, the initial state first. Raises ItfError where it does not fit."""
    if document.model not in ("", model.name):
        raise ItfError(f"this is a trace of {document.model}, not of {model.name}")
    reader = _Reader(model, bounds)
    return [reader.step(number, state) for number, state in enumerate(document.states)]


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ItfError(f"an object has {_short(twice)} twice")
    return found


def _refuse(text: str) -> NoReturn:
    raise ItfError(f"{text} is no number of a trace")


def _object(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ItfError(f"{where} should be an object, not {_short(value)}")
    return value


def _list(value: Json, where: str, length: int | None = None) -> list[Json]:
    if not isinstance(value, list) or length not in (None, len(value)):
        wanted = "a list" if length is None else f"a list of {length}"
        raise ItfError(f"{where} should be {wanted}, not {_short(value)}")
    return value


def _short(value: Json) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        text = f"a deep {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:40]}..."


class _Reader:
    def __init__(self, model: Model, bounds: Bounds) -> None:
        self.model, self.bounds = model, bounds
        self.variables = _variables(model)
        self._texts: dict[Sort, dict[str, int]] = {}

    def step(self, number: int, state: Mapping[str, Json]) -> Step:
        where = f"states[{number}]"
        meta = _object(state.get(META, {}), f"{where}.{META}")
        cells: dict[tuple[str | int, ...], int | bool] = {}
        for name, value in state.items():
            if name == META:
                continue
            if name not in self.variables:
                raise ItfError(f"{where}: {self.model.name} has no variable {_short(name)}")
            self._read(name, self.variables[name], (), value, f"{where}.{name}", cells)
        action = meta.get("action", "")
        if number == 0 or not action:
            return Step(observed=cells)
        if not isinstance(action, str) or action not in self.model.actions:
            raise ItfError(f"{where}: {self.model.name} has no action {_short(action)}")
        params = _object(meta.get("params", {}), f"{where}.{META}.params")
        return Step(action=action, params=self._params(action, params, where), observed=cells)

    def _params(self, action: str, params: dict[str, Json], where: str) -> tuple[int, ...]:
        wanted = {param.args[0]: param.sort for param in self.model.actions[action].params}
        if set(params) != set(wanted):
            names = ", ".join(wanted) or "nothing"
            raise ItfError(f"{where}: the parameters of {action} should be exactly {names}")
        return tuple(
            int(self._value(Scalar(sort), params[name], f"{where}.{META}.params.{name}"))
            for name, sort in wanted.items()
        )

    def _read(
        self,
        name: str,
        leaves: Sequence[Leaf],
        at: tuple[int, ...],
        value: Json,
        where: str,
        cells: dict[tuple[str | int, ...], int | bool],
    ) -> None:
        """Adds what a value says of the cells of `name` at the first indices."""
        leaf = leaves[0] if len(leaves) == 1 and leaves[0].name == name else None
        if leaf is not None and len(leaf.dims) == len(at):
            cells[(name, *at)] = self._value(leaf.scalar, value, where)
        elif isinstance(value, list) and _is_log(name, leaves, len(at)):
            cells[(f"{name}.{END}", *at)] = len(value)
            self._records(name, leaves, at, value, where, cells)
        elif leaf is not None and leaf.scalar.sort is BOOL and _is_tagged(value, "#set"):
            self._members(leaf, at, value["#set"], where, cells)
        elif _is_tagged(value, "#map"):
            sort = self._index_sort(leaves, len(at), where)
            seen = set[int]()
            for number, entry in enumerate(_list(value["#map"], where)):
                place = f"{where}[{number}]"
                shown, part = _list(entry, place, 2)
                index = int(self._value(Scalar(sort), shown, place))
                if index in seen:
                    raise ItfError(f"{place}: the map has {_short(shown)} twice")
                seen.add(index)
                self._read(name, leaves, (*at, index), part, place, cells)
        elif leaf is None and isinstance(value, dict) and not any(k[:1] == "#" for k in value):
            fields = _by_field(name, leaves)
            for field, part in value.items():
                if field not in fields:
                    raise ItfError(f"{where} has no field {_short(field)}")
                self._read(f"{name}.{field}", fields[field], at, part, f"{where}.{field}", cells)
        else:
            raise ItfError(f"{where}: {_short(value)} does not have the shape of {name}")

    def _records(
        self,
        name: str,
        leaves: Sequence[Leaf],
        at: tuple[int, ...],
        records: list[Json],
        where: str,
        cells: dict[tuple[str | int, ...], int | bool],
    ) -> None:
        fields = [leaf for leaf in leaves if leaf.name != f"{name}.{END}"]
        offsets = self.bounds.domain(fields[0].dims[len(at)])
        if len(records) > len(offsets):
            raise ItfError(f"{where} has {len(records)} records; there is room for {len(offsets)}")
        for offset, record in enumerate(records):
            place = f"{where}[{offset}]"
            self._read(name, fields, (*at, offset), _object(record, place), place, cells)

    def _members(
        self,
        leaf: Leaf,
        at: tuple[int, ...],
        members: Json,
        where: str,
        cells: dict[tuple[str | int, ...], int | bool],
    ) -> None:
        sorts = leaf.dims[len(at) :]
        for index in itertools.product(*(self.bounds.domain(sort) for sort in sorts)):
            cells[(leaf.name, *at, *map(int, index))] = False
        for number, member in enumerate(_list(members, where)):
            place = f"{where}[{number}]"
            if len(sorts) == 1:
                parts = [member]
            else:
                parts = _list(_object(member, place).get("#tup"), place, len(sorts))
            pairs = zip(sorts, parts, strict=True)
            found = [int(self._value(Scalar(sort), part, place)) for sort, part in pairs]
            cells[(leaf.name, *at, *found)] = True

    def _index_sort(self, leaves: Sequence[Leaf], depth: int, where: str) -> Sort:
        sorts = {leaf.dims[depth] if depth < len(leaf.dims) else None for leaf in leaves}
        (sort,) = sorts if len(sorts) == 1 else (None,)
        if sort is None:
            raise ItfError(f"{where} is no map")
        return sort

    def _value(self, scalar: Scalar, value: Json, where: str) -> int | bool:
        """A value of a sort. Raises ItfError for any other."""
        sort = scalar.sort
        domain = self.bounds.domain(sort)
        if sort is BOOL:
            if isinstance(value, bool):
                return value
        elif sort.is_ordered:
            if type(value) is int and value in domain:
                return value
        elif isinstance(value, str) and value in self._values(scalar):
            return self._values(scalar)[value]
        first, last = (value_to_itf(sort, end, self.bounds) for end in (domain[0], domain[-1]))
        raise ItfError(f"{where}: {_short(value)} is no {sort} ({first} to {last})")

    def _values(self, scalar: Scalar) -> dict[str, int]:
        """The values of an entity or abstract sort by their text."""
        sort, counts = scalar.sort, self.bounds.counts
        if sort not in self._texts:
            values = map(int, self.bounds.domain(sort))
            self._texts[sort] = {sort.text(value, counts): value for value in values}
        none = {sort.text(-1, counts): -1} if scalar.optional else {}
        return {**self._texts[sort], **none}


def _is_tagged(value: Json, tag: str) -> bool:
    return isinstance(value, dict) and list(value) == [tag]
