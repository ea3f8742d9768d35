"""Sets of hypotheses that are known to work, one file for each proof.

Whether Z3 finds the proof of a true statement is a matter of how few facts distract it. So the sets
that worked are kept in `spec/proofs/hypotheses/NAME.json` and tried first. They are no evidence:
each is put to the solver again on every run, and one that fails is merely passed over.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spec.checkers.induction import Obligation, Question
from spec.checkers.smt.solver import Answer, ask

FOLDER = Path(__file__).parents[1] / "proofs" / "hypotheses"
SEEDS = (0, 1, 2)
"""A set is kept only if it works with each of these."""
REMEMBERED_STEPS = 2_000_000
"""The limit for remembered sets, in Z3's resource units: about a second."""

Remembered = Mapping[Obligation, tuple[str, ...]]


def load(name: str, folder: Path = FOLDER) -> dict[Obligation, tuple[str, ...]]:
    """The remembered sets of a proof; none if there is no file."""
    path = folder / f"{name}.json"
    if not path.exists():
        return {}
    found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return {Obligation(*key.split("/")): tuple(names) for key, names in found.items()}


def save(name: str, sets: Remembered, folder: Path = FOLDER) -> None:
    """Writes the sets, one line for each obligation, in order; no file if there are none."""
    path = folder / f"{name}.json"
    if not sets:
        path.unlink(missing_ok=True)
        return
    lines = [f"  {json.dumps(str(key))}: {json.dumps(sets[key])}" for key in sorted(sets)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A set of hypotheses to try, with a seed and a limit in Z3's steps."""

    how: str
    names: tuple[str, ...]
    seed: int
    steps: int
    grows: bool = False
    """Whether more may be added where the set is too small: `sat`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What an attempt came to, with the hypotheses that were used in the end."""

    answer: Answer
    names: tuple[str, ...]


def attempt(question: Question, what: Attempt) -> Tried:
    """Makes an attempt in this process."""
    first = ask(question.query(what.names, seed=what.seed, steps=what.steps))
    if first.verdict != "sat" or not what.grows:
        return Tried(answer=first, names=what.names)
    return _grown(question, what, first)


def _grown(question: Question, what: Attempt, first: Answer) -> Tried:
    """Adds what the set lacks.

    A small instance gives some facts for free (ranges above all), so a set that suffices there may
    be too small here: `sat`. Other facts are added one by one, simple ones first, but for those
    that the solver gets lost in (`unknown`); at the end what was not needed is taken away again.
    """
    seconds, steps = first.seconds, first.steps

    def asked(names: Iterable[str]) -> Answer:
        nonlocal seconds, steps
        found = ask(question.query(names, seed=what.seed, steps=what.steps // 4))
        seconds, steps = seconds + found.seconds, steps + found.steps
        return found

    facts = question.facts
    names = list(what.names)
    answer = first
    for name in sorted(facts.keys() - set(names), key=lambda n: (len(facts[n].term), n)):
        more = asked([*names, name])
        if more.verdict != "unknown":
            names.append(name)
            answer = more
        if more.verdict == "unsat":
            break
    if answer.verdict == "unsat":
        for name in names[len(what.names) : -1]:
            fewer = [other for other in names if other != name]
            if asked(fewer).verdict == "unsat":
                names = fewer
    in_order = tuple(name for name in facts if name in set(names))
    return Tried(answer=replace(answer, seconds=seconds, steps=steps), names=in_order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is to be learnt: a question that was answered, and the sets to begin from."""

    question: Question
    sets: tuple[tuple[str, ...], ...]
    steps: int


def learn(lesson: Lesson) -> tuple[str, ...] | None:
    """A small set of hypotheses that works with all seeds and few steps; None if none does."""
    question = lesson.question
    own = (question.obligation.property,)
    if own[0] in question.facts and _cost(question, own) < REMEMBERED_STEPS // 10:
        return own
    costs: list[tuple[int, tuple[str, ...]]] = []
    for begin in lesson.sets:
        least = least_of(question, begin, lesson.steps)
        costs.append((_cost(question, least), least))
        if costs[-1][0] < REMEMBERED_STEPS // 10:
            break
    cost, names = min(costs)
    return names if cost < REMEMBERED_STEPS else None


def least_of(question: Question, names: tuple[str, ...], steps: int) -> tuple[str, ...]:
    """A set from which nothing can be left out without harm, within a set that is known to work."""
    answer = ask(question.query(names, seed=SEEDS[0], steps=steps))
    if answer.verdict != "unsat":
        return names
    least = _core(question, names, steps)
    patience = max(2 * answer.steps, 50_000)
    for name in least:
        fewer = tuple(other for other in least if other != name)
        if ask(question.query(fewer, seed=SEEDS[0], steps=patience)).verdict == "unsat":
            least = fewer
    return least


def _core(question: Question, names: tuple[str, ...], steps: int) -> tuple[str, ...]:
    """What the solver says it used, if a question for that alone succeeds too."""
    answer = ask(question.query(names, seed=SEEDS[0], steps=steps, learn=True))
    used = tuple(name for name in names if f"use.{name}" in answer.core)
    if answer.verdict != "unsat":
        return names
    again = ask(question.query(used, seed=SEEDS[0], steps=steps))
    return used if again.verdict == "unsat" else names


def _cost(question: Question, names: tuple[str, ...]) -> int:
    """The most steps that any seed takes; the limit if one fails."""
    worst = 0
    for seed in SEEDS:
        answer = ask(question.query(names, seed=seed, steps=REMEMBERED_STEPS))
        if answer.verdict != "unsat":
            return REMEMBERED_STEPS
        worst = max(worst, answer.steps)
    return worst
