"""What can go wrong with a cluster, and when: a run is a function of its schedule.

The same records drive the simulator and, where a target offers the means, a real cluster, so this
file knows neither. Every fault ends: whoever applies one undoes it after its duration.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

EVERYBODY = 0
"""As `Fault.other`: all other nodes."""
MODES = ("quorum", "zookeeper")


class BadSchedule(ValueError):
    """What is not a schedule: the message names the place and the fault in it."""


class FaultKind(StrEnum):
    CRASH = "crash"
    """The process is killed; the operating system still has all that it wrote."""
    POWER_LOSS = "power_loss"
    """The machine goes down: what was not synced is gone, in whole or in part."""
    PAUSE = "pause"
    """The process stands still, as in a long garbage collection, and then finds all that waited."""
    SHUT_DOWN = "shut_down"
    """A controlled shutdown: the process stops once it has handed over its leaderships."""
    CUT = "cut"
    """Nothing passes between the target and all other nodes, the metadata service included."""
    CUT_ONE_WAY = "cut_one_way"
    """What the target sends is lost; it still hears the others."""
    CUT_FROM_METADATA = "cut_from_metadata"
    """Nothing passes between the target and the voters of the quorum, or ZooKeeper."""
    CUT_PAIR = "cut_pair"
    """Nothing passes between the target and one other node."""
    SLOW = "slow"
    """Whatever the target sends or is sent takes `amount` milliseconds longer."""
    LOSS = "loss"
    """Of the messages between nodes `amount` percent are lost, whatever the target."""
    MOVE_LEADER = "move_leader"
    """An operator makes the target the preferred replica wherever it is one, and elects those."""
    CLOCK_JUMP = "clock_jump"
    """The target's clock is `amount` milliseconds ahead, or behind, and then right again."""
    CLOCK_DRIFT = "clock_drift"
    """The target's clock gains `amount` milliseconds per second, and is then set right."""
    DISK_FULL = "disk_full"
    """The target's disk has no room."""
    DISK_ERROR = "disk_error"
    """Every read and write of the target's disk fails."""


GROUPS: Mapping[str, tuple[FaultKind, ...]] = {
    "process": (FaultKind.CRASH, FaultKind.POWER_LOSS, FaultKind.PAUSE, FaultKind.SHUT_DOWN),
    "network": (
        FaultKind.CUT,
        FaultKind.CUT_ONE_WAY,
        FaultKind.CUT_FROM_METADATA,
        FaultKind.CUT_PAIR,
        FaultKind.SLOW,
        FaultKind.LOSS,
    ),
    "clock": (FaultKind.CLOCK_JUMP, FaultKind.CLOCK_DRIFT),
    "disk": (FaultKind.DISK_FULL, FaultKind.DISK_ERROR),
    "operator": (FaultKind.MOVE_LEADER,),
}
"""What `--faults` chooses from. `operator` is no fault of its own: it comes with any of them."""

AMOUNTS: Mapping[FaultKind, tuple[int, int]] = {
    FaultKind.SLOW: (5, 400),
    FaultKind.LOSS: (5, 60),
    FaultKind.CLOCK_JUMP: (-5_000, 5_000),
    FaultKind.CLOCK_DRIFT: (-200, 200),
}
"""The least and the greatest `amount` of the kinds that have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong at a time and is put right after a duration."""

    at_ms: int
    """Since the faults and the clients began."""
    kind: FaultKind
    target: int
    """A node."""
    duration_ms: int
    other: int = EVERYBODY
    """The other end of a cut between two nodes."""
    amount: int = 0
    """How much, in the unit that the kind names."""

    @property
    def ends_ms(self) -> int:
        return self.at_ms + self.duration_ms

    def __str__(self) -> str:
        """`at 120 ms: crash 2 for 800 ms`"""
        other = f" from {self.other}" if self.other else ""
        amount = f" by {self.amount}" if self.amount else ""
        words = self.kind.replace("_", " ")
        lasts = f" for {self.duration_ms} ms" if self.duration_ms else ""
        return f"at {self.at_ms} ms: {words} {self.target}{other}{amount}{lasts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run consists of besides its faults. A real cluster ignores what it cannot be told."""

    nodes: int = 3
    partitions: int = 2
    replication_factor: int = 3
    min_insync_replicas: int = 2
    until_ms: int = 5_000
    """How long clients work and faults may begin."""
    producers: int = 3
    """Of every three: two idempotent, one that is not; of every four, one that wants acks=1."""
    consumers: int = 1
    think_ms: tuple[int, int] = (1, 80)
    """Between two operations of one client."""
    latency_ms: tuple[int, int] = (1, 5)
    loss: float = 0.0
    """How likely a message between nodes is lost, all the time."""
    duplicate: float = 0.0
    reorder: float = 0.0
    configs: tuple[tuple[str, str], ...] = ()
    """Of all nodes, in addition to those that make the simulation quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All that decides a run, except the code."""

    seed: int
    mode: str = MODES[0]
    faults: tuple[Fault, ...] = ()
    options: RunOptions = field(default_factory=RunOptions)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.mode} mode"]
        return "\n".join([*lines, *(f"  {fault}" for fault in self.faults)])


# ---- limits ------------------------------------------------------------------------------------

UNCLEAN = (
    FaultKind.CRASH,
    FaultKind.POWER_LOSS,
    FaultKind.SHUT_DOWN,
    FaultKind.DISK_FULL,
    FaultKind.DISK_ERROR,
)
"""What may end a process before it has marked its logs as complete, a shutdown that is too slow
among them."""


def limited(
    faults: Sequence[Fault], mode: str, min_insync_replicas: int, replication_factor: int
) -> tuple[Fault, ...]:
    """The faults by time, made such that a cluster is promised to lose nothing (ALO-01).

    Up to min.insync.replicas - 1 nodes may lose what they have not synced. The controller cannot
    tell who of those that stopped uncleanly has lost something, so where any does, no other may
    stop so (KIP-966): the others are paused. In ZooKeeper mode there are no eligible leader
    replicas, and even one loss is beyond the promise: it becomes a crash.
    """
    copies = min(min_insync_replicas, replication_factor)
    allowed = copies - 1 if mode == "quorum" else 0
    ordered = sorted(faults, key=lambda fault: fault.at_ms)
    losers = [fault.target for fault in ordered if fault.kind is FaultKind.POWER_LOSS]
    losers = list(dict.fromkeys(losers))[:allowed]
    return tuple(_within(fault, losers) for fault in ordered)


def _within(fault: Fault, losers: Sequence[int]) -> Fault:
    if losers and fault.target not in losers and fault.kind in UNCLEAN:
        return replace(fault, kind=FaultKind.PAUSE)
    if not losers and fault.kind is FaultKind.POWER_LOSS:
        return replace(fault, kind=FaultKind.CRASH)
    return fault


# ---- chance ------------------------------------------------------------------------------------

FAULTS_MAX = 8
DURATION_MS = (50, 6_000)
SOON_MS = 300
"""How closely one fault often follows the beginning of another."""
JUST_THEN_MS = 30
"""And how closely its end."""


def random_fault(
    chance: random.Random, kind: FaultKind, nodes: int, at_ms: int, target: int
) -> Fault:
    """One fault of a kind, of a duration that is as likely to be short as to be long."""
    shortest, longest = DURATION_MS
    duration_ms = int(shortest * (longest / shortest) ** chance.random())
    others = [node for node in range(1, nodes + 1) if node != target]
    paired = kind is FaultKind.CUT_PAIR or (kind is FaultKind.CUT_ONE_WAY and chance.random() < 0.5)
    other = chance.choice(others) if paired and others else EVERYBODY
    amount = chance.randint(*AMOUNTS[kind]) if kind in AMOUNTS else 0
    return Fault(
        at_ms=at_ms, kind=kind, target=target, duration_ms=duration_ms, other=other, amount=amount
    )


def random_schedule(
    seed: int,
    mode: str,
    options: RunOptions | None = None,
    kinds: Sequence[FaultKind] = tuple(FaultKind),
) -> Schedule:
    """The schedule of a seed: up to eight faults, of a random subset of the kinds.

    A mixture of all kinds in every run hides what only a few of them bring about together
    (Groce et al., Swarm Testing, ISSTA 2012).
    """
    chance = random.Random(f"{seed} schedule")
    options = random_options(chance) if options is None else options
    chosen = chance.sample(list(kinds), chance.randint(1, min(4, len(kinds)))) if kinds else []
    if FaultKind.MOVE_LEADER in kinds and chance.random() < 0.6:
        chosen.append(FaultKind.MOVE_LEADER)
    faults: list[Fault] = []
    for _ in range(chance.randint(2, FAULTS_MAX) if chosen else 0):
        at_ms, target = chance.randrange(options.until_ms), chance.randint(1, options.nodes)
        if faults:
            at_ms, target = _related(chance, faults[-1], at_ms, target)
        at_ms = min(options.until_ms - 1, at_ms)
        faults.append(random_fault(chance, chance.choice(chosen), options.nodes, at_ms, target))
    kept = limited(faults, mode, options.min_insync_replicas, options.replication_factor)
    return Schedule(seed=seed, mode=mode, faults=kept, options=options)


def _related(chance: random.Random, before: Fault, at_ms: int, target: int) -> tuple[int, int]:
    """What goes wrong with the same node, soon after something or just as it ends, is more telling
    than what happens anywhere and any time."""
    if chance.random() < 0.4:
        target = before.target
    way = chance.random()
    if way < 0.3:
        at_ms = before.ends_ms + chance.randint(0, JUST_THEN_MS)
    elif way < 0.65:
        at_ms = before.at_ms + chance.randint(0, SOON_MS)
    return at_ms, target


def random_options(chance: random.Random) -> RunOptions:
    """Sizes and network of a run; most are small and quick."""
    latency_ms = chance.choice([(1, 5), (1, 5), (0, 2), (1, 40), (10, 120)])
    return RunOptions(
        partitions=chance.choice([1, 1, 2, 3]),
        min_insync_replicas=chance.choice([2, 2, 2, 1]),
        producers=chance.randint(1, 4),
        consumers=chance.randint(0, 2),
        latency_ms=latency_ms,
        loss=chance.choice([0.0, 0.0, 0.0, 0.02, 0.1]),
        duplicate=chance.choice([0.0, 0.0, 0.0, 0.1]),
        reorder=chance.choice([0.0, 0.0, 0.0, 0.1, 0.3]),
    )


# ---- JSON --------------------------------------------------------------------------------------


def to_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule as plain JSON values; what has its default is left out of faults."""
    raw = asdict(schedule)
    raw["faults"] = [_fault_to_json(fault) for fault in schedule.faults]
    raw["options"] = json.loads(json.dumps(raw["options"]))
    return raw


def _fault_to_json(fault: Fault) -> dict[str, Any]:
    optional = {"other": EVERYBODY, "amount": 0}
    raw = asdict(fault) | {"kind": fault.kind.value}
    return {name: value for name, value in raw.items() if value != optional.get(name, "")}


def from_json(raw: Any) -> Schedule:
    """Raises `BadSchedule` for what `to_json` cannot have made."""
    known = _known(raw, Schedule, "the schedule")
    mode = known.get("mode", MODES[0])
    if mode not in MODES:
        raise BadSchedule(f"mode: {mode!r} is none of {', '.join(MODES)}")
    options = _options(known.get("options", {}))
    listed = known.get("faults", [])
    if not isinstance(listed, list):
        raise BadSchedule(f"faults: {listed!r:.40} is not a list")
    faults = tuple(_fault(each, f"faults[{n}]", options) for n, each in enumerate(listed))
    return Schedule(
        seed=_whole(known.get("seed"), "seed"), mode=mode, faults=faults, options=options
    )


def _options(raw: Any) -> RunOptions:
    known = _known(raw, RunOptions, "options")
    default = RunOptions()
    for name, value in known.items():
        wanted = getattr(default, name)
        if isinstance(wanted, int):
            least = 0 if name == "consumers" else 1
            known[name] = _whole(value, f"options.{name}", least)
        elif isinstance(wanted, float):
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise BadSchedule(f"options.{name}: {value!r:.40} is not a probability")
            known[name] = float(value)
    for name in ("think_ms", "latency_ms"):
        if name in known:
            known[name] = _span(known[name], f"options.{name}")
    if "configs" in known:
        known["configs"] = _configs(known["configs"])
    return RunOptions(**known)


def _span(raw: Any, where: str) -> tuple[int, int]:
    if not isinstance(raw, list) or len(raw) != 2:
        raise BadSchedule(f"{where}: {raw!r:.40} is not [SHORTEST, LONGEST]")
    shortest, longest = (_whole(each, where) for each in raw)
    if shortest > longest:
        raise BadSchedule(f"{where}: {shortest} is above {longest}")
    return shortest, longest


def _configs(raw: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, list):
        raise BadSchedule(f"options.configs: {raw!r:.40} is not a list")
    for pair in raw:
        if not isinstance(pair, list) or [type(each) for each in pair] != [str, str]:
            raise BadSchedule(f"options.configs: {pair!r:.40} is not [NAME, VALUE]")
    return tuple((name, value) for name, value in raw)


def _fault(raw: Any, where: str, options: RunOptions) -> Fault:
    known = _known(raw, Fault, where)
    kind = known.get("kind")
    if kind not in tuple(FaultKind):
        raise BadSchedule(f"{where}.kind: {kind!r:.40} is none of {', '.join(FaultKind)}")
    numbers = {}
    for name in ("at_ms", "target", "duration_ms", "other", "amount"):
        default = 0 if name in ("other", "amount") else None
        least = None if name == "amount" else 0
        numbers[name] = _whole(known.get(name, default), f"{where}.{name}", least)
    for name in ("target", "other"):
        least = EVERYBODY if name == "other" else 1
        if not least <= numbers[name] <= options.nodes:
            raise BadSchedule(f"{where}.{name}: there is no node {numbers[name]}")
    return Fault(kind=FaultKind(kind), **numbers)


def _known(raw: Any, record: type, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadSchedule(f"{where}: {raw!r:.40} is not an object")
    names = {each.name for each in fields(record)}
    strangers = [name for name in raw if name not in names]
    if strangers:
        raise BadSchedule(f"{where}: {strangers[0]!r} is none of {', '.join(sorted(names))}")
    return dict(raw)


def _whole(value: Any, where: str, least: int | None = 0) -> int:
    if type(value) is not int:
        raise BadSchedule(f"{where}: {value!r:.40} is not a whole number")
    if least is not None and value < least:
        raise BadSchedule(f"{where}: {value} is below {least}")
    return value
