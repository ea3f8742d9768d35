"""What to compute for a block of states, in which order, and what of it may be forgotten when.

The guards of all steps share most of their parts. They are computed once, on the whole block, and
so are the properties; the new values of cells are computed only for the states in which their step
is possible. All of this is decided once for a model, here; `successors.py` then only follows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spec.checkers.explore.evaluation import in_order
from spec.checkers.explore.packing import Field, Packing
from spec.checkers.ground import Node, Step, Value


@dataclass(slots=True, kw_only=True)
class Copy:
    """Neighbouring bits that a step copies as they are, from a word into a word."""

    source: int
    shift: int
    bits: int
    target: int
    to: int

    def is_followed_by(self, other: "Copy") -> bool:
        return (
            (self.source, self.target) == (other.source, other.target)
            and self.shift + self.bits == other.shift
            and self.to + self.bits == other.to
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a step does to the words of a state: keep some bits, copy some, set and compute some."""

    keep: Mapping[int, int]
    """The bits that stay, for each word that changes."""
    constant: Mapping[int, int]
    copies: tuple[Copy, ...]
    computed: tuple[tuple[Field, Node], ...]
    gathered: tuple[Node, ...]
    """Nodes known for the whole block, of which the rows of the step are taken."""
    cells: tuple[Node, ...]
    """Cells that are read from the rows of the step."""
    nodes: tuple[Node, ...]
    """What else is computed on these rows, in order."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """Nodes to compute on the block for one step or one property, and what is then not needed."""

    nodes: tuple[Node, ...]
    root: Value
    effect: Effect | None
    dead: list[int] = field(default_factory=list)


class Plan:
    """One stage for each step, in their order, and then one for each property, by name."""

    def __init__(self, packing: Packing, properties: Mapping[str, Value]) -> None:
        self._packing = packing
        steps = packing.ground.steps
        shared = {node.number for node in in_order([step.guard for step in steps], set())}
        last_use: dict[int, Stage] = {}
        known: set[int] = set()
        self.steps = [self._of_step(step, shared, known, last_use) for step in steps]
        self.properties = {
            name: self._stage(value, [value], None, known, last_use)
            for name, value in properties.items()
        }
        for number, stage in last_use.items():
            stage.dead.append(number)
        self.nodes_alive = _most_alive([*self.steps, *self.properties.values()])

    def _of_step(
        self, step: Step, shared: set[int], known: set[int], last_use: dict[int, Stage]
    ) -> Stage:
        effect = self._effect(step, shared)
        return self._stage(step.guard, [step.guard, *effect.gathered], effect, known, last_use)

    def _stage(
        self,
        root: Value,
        needed: list[Value],
        effect: Effect | None,
        known: set[int],
        last_use: dict[int, Stage],
    ) -> Stage:
        nodes = tuple(in_order(needed, known))
        known.update(node.number for node in nodes)
        stage = Stage(nodes=nodes, root=root, effect=effect)
        args = (arg for node in nodes for arg in node.args if isinstance(arg, Node))
        for node in (*nodes, *args, *needed):
            if isinstance(node, Node):
                last_use[node.number] = stage
        return stage

    def _effect(self, step: Step, shared: set[int]) -> Effect:
        fields = self._packing.fields
        keep: dict[int, int] = {}
        constant: dict[int, int] = {}
        copies: list[Copy] = []
        computed: list[tuple[Field, Node]] = []
        for number, value in sorted(step.updates.items()):
            place = fields[number]
            whole = (1 << 64) - 1
            keep[place.word] = keep.get(place.word, whole) & ~(place.mask << place.shift)
            if not isinstance(value, Node):
                bits = (int(value) - place.low) << place.shift
                constant[place.word] = constant.get(place.word, 0) | bits
            elif value.op == "cell" and _alike(fields[value.args[0]], place):
                _add(copies, _copy(fields[value.args[0]], place))
            else:
                computed.append((place, value))
        needed = in_order([node for _, node in computed], shared)
        roots = [node for _, node in computed]
        args = [arg for node in needed for arg in node.args if isinstance(arg, Node)]
        gathered = {node.number: node for node in (*roots, *args) if node.number in shared}
        return Effect(
            keep=keep,
            constant=constant,
            copies=tuple(copies),
            computed=tuple(computed),
            gathered=tuple(gathered.values()),
            cells=tuple(node for node in needed if node.op == "cell"),
            nodes=tuple(node for node in needed if node.op != "cell"),
        )


def _alike(one: Field, other: Field) -> bool:
    return (one.bits, one.low) == (other.bits, other.low)


def _copy(source: Field, target: Field) -> Copy:
    return Copy(
        source=source.word,
        shift=source.shift,
        bits=source.bits,
        target=target.word,
        to=target.shift,
    )


def _add(copies: list[Copy], copy: Copy) -> None:
    """Neighbours that stay neighbours are copied together."""
    if copies and copies[-1].is_followed_by(copy):
        copies[-1].bits += copy.bits
    else:
        copies.append(copy)


def _most_alive(stages: list[Stage]) -> int:
    """How many nodes are held at once, at most."""
    alive = most = 0
    for stage in stages:
        alive += len(stage.nodes)
        most = max(most, alive)
        alive -= len(stage.dead)
    return most
