"""Proofs by induction, for any number of everything: every obligation, put to Z3 until it holds.

An obligation is proved if some set of hypotheses and the negation of its goal are contradictory.
Which sets are tried, and in which order, is in `_Attempts`; all are tried with a limit counted in
Z3's own steps, each in a solver of its own, so the outcome depends on neither load nor order.

An obligation is *refuted* if it is satisfiable with every hypothesis there is: the conjuncts are
not inductive then, though the protocol may be right. It is *unknown* if no attempt succeeded, and
*vacuous* if in the small instance no state at all meets the conjuncts and the action's guard, or an
axiom is false there: what contradicts itself implies anything. An invariant counts as proved only
if it follows and **every** obligation of the argument is proved.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

from spec.checkers import hypotheses
from spec.checkers.bounded import Decision, Inductive, induction, told
from spec.checkers.bounds import Bounds
from spec.checkers.hypotheses import FOLDER, REMEMBERED_STEPS, Attempt, Lesson, Tried
from spec.checkers.induction import (
    IMPLIES,
    INIT,
    Induction,
    Obligation,
    Question,
    is_unchanged,
    obligations,
    possible_hypotheses,
    usual_hypotheses,
)
from spec.language import Protocol
from spec.language.extension import action_text, changes, leaf_text, normal
from spec.language.model import Model, trace
from spec.proofs.proof import Proof

Verdict = Literal["proved", "refuted", "unknown", "vacuous"]
Progress = Callable[[str], None]
SHORT, LONG = 400_000, 3_000_000
"""Limits of attempts in Z3's steps, of which it makes about two million a second."""
EASY = 30_000
"""What takes fewer steps with all hypotheses needs no remembered ones."""
STEPS_IN_ALL = 1_000_000_000
"""A proof gives up when its attempts have taken this many of Z3's steps (about 10 minutes)."""


class NotAboutTheProtocol(ValueError):
    """A proof class changes what the protocol does, so it would prove something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an obligation."""

    obligation: Obligation
    verdict: Verdict
    seconds: float
    """Of CPU time, all attempts together."""
    attempts: int
    hypotheses: tuple[str, ...]
    """Of the attempt that decided it."""
    how: str
    """Which attempt that was: `remembered`, `all`, ...; `unchanged` took none."""
    steps: int
    """Of that attempt, in Z3's resource units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """All outcomes of a proof, in the order of its obligations."""

    name: str
    seed: int
    outcomes: tuple[Outcome, ...]
    seconds: float
    """Of wall-clock time."""
    properties: Mapping[str, bool]
    """Whether each invariant of the proof is proved; those that it leaves open are not."""

    def count(self, verdict: Verdict) -> int:
        return sum(outcome.verdict == verdict for outcome in self.outcomes)

    @property
    def obligations(self) -> int:
        return len(self.outcomes)

    @property
    def proved(self) -> int:
        return self.count("proved")

    @property
    def refuted(self) -> int:
        return self.count("refuted")

    @property
    def unknown(self) -> int:
        return self.count("unknown")

    @property
    def vacuous(self) -> int:
        return self.count("vacuous")

    @property
    def is_complete(self) -> bool:
        """Whether every obligation is proved."""
        return self.proved == self.obligations

    @property
    def solver_s(self) -> float:
        """CPU seconds spent in solvers, all processes together."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.verdict != "proved")


def run(
    proof: Proof,
    *,
    seed: int = 0,
    workers: int = 2,
    learn: bool = False,
    progress: Progress | None = None,
    folder: Path = FOLDER,
) -> ProofResult:
    """Tries to prove every obligation; with `learn` the sets that worked are written down.

    Raises NotAboutTheProtocol if the proof class does more than add history to its protocol.
    """
    begun = time.monotonic()
    model = trace(proof.proof)
    changed = changes(model, trace(proof.protocol))
    if changed:
        what = ", ".join(changed)
        raise NotAboutTheProtocol(f"{model.name} changes {proof.protocol.__name__}: {what}")
    bounds = Bounds(**proof.small)
    remembered = hypotheses.load(proof.name, folder)
    say = progress or (lambda _: None)
    # The workers only see texts, so that forking is safe and cheap whatever else is loaded.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        loose = Inductive(model, bounds, loose=True)
        attempts = _Attempts(model, loose, remembered, seed)
        outcomes = _decided(model, attempts, pool, say)
        vacuous = _vacuous_actions(model, Inductive(model, bounds))
        if learn:
            hypotheses.save(proof.name, _learnt(model, outcomes, attempts, pool, say), folder)
    final = tuple(_without_vacuous(outcome, vacuous) for outcome in outcomes)
    return ProofResult(
        name=proof.name,
        seed=seed,
        outcomes=final,
        seconds=time.monotonic() - begun,
        properties=_properties(model, final),
    )


def _properties(model: Model, outcomes: Sequence[Outcome]) -> dict[str, bool]:
    """Each invariant: does it follow, and is the whole inductive argument proved?"""
    holds = {o.obligation: o.verdict == "proved" for o in outcomes}
    inductive = all(holds[o] for o in holds if o.action != IMPLIES)
    return {
        name: inductive and holds.get(Obligation(IMPLIES, name), False) for name in model.invariants
    }


# ---- attempts -----------------------------------------------------------------------------------


class _Attempts:
    """What is tried for each obligation, best first."""

    def __init__(
        self,
        model: Model,
        loose: Inductive,
        remembered: Mapping[Obligation, tuple[str, ...]],
        seed: int,
    ) -> None:
        self.model, self.loose, self.remembered, self.seed = model, loose, remembered, seed
        self.induction = Induction(model)

    def of(self, obligation: Obligation) -> Iterator[Attempt]:
        """Remembered sets, hints, everything, what a small instance needs, then more seeds."""
        model, seed = self.model, self.seed
        usual = usual_hypotheses(model, obligation)
        possible = possible_hypotheses(model, obligation)

        def attempt(how: str, names: Sequence[str], plus: int, steps: int) -> Attempt:
            kept = tuple(name for name in possible if name in set(names))
            grows = how == "core"
            return Attempt(how=how, names=kept, seed=seed + plus, steps=steps, grows=grows)

        if obligation in self.remembered:
            yield attempt("remembered", self.remembered[obligation], 0, REMEMBERED_STEPS)
        hint = model.hints.get((obligation.action, obligation.property))
        if hint:
            yield attempt("hint", [*hint], 0, LONG)
        yield attempt("all", usual, 0, SHORT)
        cuts = [name for name in usual if name in model.cuts]
        cores = []
        for core in self.loose.cores(obligation):
            cores.append([*core, *cuts])
            yield attempt("core", cores[-1], 0, SHORT)
        yield attempt("all", usual, 0, LONG)
        for names in cores:
            yield attempt("core", names, 0, LONG)
        yield attempt("all", usual, 100, 2 * LONG)
        if len(possible) > len(usual):
            yield attempt("all, isolated too", possible, 0, 2 * LONG)

    def is_decisive(self, obligation: Obligation, names: Sequence[str]) -> bool:
        """Whether `sat` refutes the obligation: nothing was left out."""
        return set(names) == set(possible_hypotheses(self.model, obligation))


@dataclass(slots=True)
class _Pending:
    """An obligation that is not decided yet."""

    question: Question
    attempts: Iterator[Attempt]
    seconds: float = 0.0
    tried: int = 0
    outcome: Outcome | None = None

    def take(self, how: str, tried: Tried, decisive: bool) -> None:
        """Counts an attempt, and settles the obligation if it can be."""
        self.seconds += tried.answer.seconds
        self.tried += 1
        steps = tried.answer.steps
        if tried.answer.verdict == "unsat":
            self.settle("proved", how, tried.names, steps)
        elif tried.answer.verdict == "sat" and decisive:
            self.settle("refuted", how, tried.names, steps)

    def settle(self, verdict: Verdict, how: str, names: tuple[str, ...], steps: int = 0) -> None:
        self.outcome = Outcome(
            obligation=self.question.obligation,
            verdict=verdict,
            seconds=self.seconds,
            attempts=self.tried,
            hypotheses=names,
            how=how,
            steps=steps,
        )


def _decided(model: Model, attempts: _Attempts, pool: Executor, say: Progress) -> list[Outcome]:
    """Round after round: each obligation that is left makes its next attempt."""
    pending = {
        obligation: _Pending(attempts.induction.question(obligation), attempts.of(obligation))
        for obligation in obligations(model)
    }
    for obligation, each in pending.items():
        if is_unchanged(model, obligation):
            each.settle("proved", "unchanged", (obligation.property,))
    spent = 0
    while spent < STEPS_IN_ALL:
        todo = []
        for each in pending.values():
            attempt = next(each.attempts, None) if each.outcome is None else None
            if attempt is not None:
                todo.append((each, attempt))
        if not todo:
            break
        spent += _round(todo, attempts, pool, say)
    for each in pending.values():
        if each.outcome is None:
            each.settle("unknown", "no attempt", ())
    return [each.outcome for each in pending.values() if each.outcome is not None]


def _round(
    todo: list[tuple[_Pending, Attempt]], attempts: _Attempts, pool: Executor, say: Progress
) -> int:
    """Makes one attempt for each; returns the steps that they took."""
    questions = [each.question for each, _ in todo]
    chunk = 4 if len(todo) > 32 else 1
    made = pool.map(hypotheses.attempt, questions, [a for _, a in todo], chunksize=chunk)
    spent = 0
    for action, group in groupby(
        zip(todo, made, strict=True), lambda found: found[0][0].question.obligation.action
    ):
        asked = proved = 0
        seconds = 0.0
        for (each, attempt), tried in group:
            obligation, answer = each.question.obligation, tried.answer
            each.take(attempt.how, tried, attempts.is_decisive(obligation, tried.names))
            spent += answer.steps
            asked += 1
            proved += answer.verdict == "unsat"
            seconds += answer.seconds
            if answer.verdict != "unsat":
                say(f"  {obligation}: {answer.verdict} ({attempt.how}, {answer.seconds:.1f} s)")
        say(f"{action}: {proved} of {asked} proved in {seconds:.1f} s")
    return spent


# ---- what a proof says nothing about ------------------------------------------------------------


def _vacuous_actions(model: Model, small: Inductive) -> frozenset[str]:
    """Actions that no state with all conjuncts allows; INIT and IMPLIES where there is no state."""
    impossible = {name for name in model.actions if not small.is_possible(name)}
    if not small.is_possible(IMPLIES):
        impossible |= {IMPLIES}
    return frozenset(impossible)


def _without_vacuous(outcome: Outcome, vacuous: frozenset[str]) -> Outcome:
    if outcome.verdict != "proved" or outcome.obligation.action not in vacuous:
        return outcome
    return replace(outcome, verdict="vacuous")


# ---- remembering what worked --------------------------------------------------------------------


def _learnt(
    model: Model,
    outcomes: Sequence[Outcome],
    attempts: _Attempts,
    pool: Executor,
    say: Progress,
) -> dict[Obligation, tuple[str, ...]]:
    """The remembered sets that still work, and new ones for what took long without."""
    sets: dict[Obligation, tuple[str, ...]] = {}
    lessons = []
    for outcome in outcomes:
        obligation = outcome.obligation
        if outcome.how == "remembered":
            sets[obligation] = outcome.hypotheses
        elif outcome.verdict == "proved" and (outcome.attempts > 1 or outcome.steps > EASY):
            possible = possible_hypotheses(model, obligation)
            cores = [
                tuple(name for name in possible if name in core)
                for core in attempts.loose.cores(obligation, 3)
            ]
            lessons.append(
                Lesson(
                    question=attempts.induction.question(obligation),
                    sets=tuple(dict.fromkeys([outcome.hypotheses, *cores])),
                    steps=2 * LONG,
                )
            )
    for lesson, names in zip(lessons, pool.map(hypotheses.learn, lessons), strict=True):
        obligation = lesson.question.obligation
        if names is not None:
            sets[obligation] = names
        say(f"learnt {obligation}: {'nothing stable' if names is None else ' '.join(names)}")
    return sets


# ---- why not ------------------------------------------------------------------------------------


def explanation(proof: Proof, obligation: Obligation, *, budget_s: float = 60.0) -> str | None:
    """A counterexample to induction in the proof's small instance, as text.

    None if there is none there, or none was found in time. A refuted obligation usually has one; an
    unknown one that has none is likely to be true and to need other hypotheses.
    """
    model, bounds = trace(proof.proof), Bounds(**proof.small)
    (decision,) = induction(model, bounds, [obligation], budget_s=budget_s)
    return None if decision.breach is None else told(model, bounds, decision.breach)


# ---- mutants ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantResult:
    """What a proof with one wrong rule breaks, decided in the proof's small instance."""

    name: str
    summary: str
    obligations: int
    broken: tuple[Decision, ...]
    """Each with its counterexample to induction."""
    undecided: tuple[Obligation, ...]
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether it breaks something, and not everything: the rule matters, and only it."""
        initially = [d for d in self.broken if d.obligation.action == INIT]
        return bool(self.broken) and not initially and len(self.broken) < self.obligations


def mutants(proof: Proof, *, workers: int = 2, budget_s: float = 120.0) -> list[MutantResult]:
    """Decides, by bounded induction, the obligations of each mutant that its wrong rule touches."""
    if not proof.mutants:
        return []
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(workers, len(proof.mutants)), mp_context=context) as pool:
        decide = partial(_mutant, proof, budget_s=budget_s)
        return list(pool.map(decide, proof.mutants))


def _mutant(proof: Proof, wrong: type[Protocol], budget_s: float) -> MutantResult:
    begun = time.monotonic()
    model = trace(wrong)
    touched = _touched(model, trace(proof.proof))
    open_questions = [
        o for o in obligations(model) if o.action in touched and not is_unchanged(model, o)
    ]
    decisions = induction(model, Bounds(**proof.small), open_questions, budget_s=budget_s)
    return MutantResult(
        name=wrong.__name__,
        summary=(wrong.__doc__ or "").strip().split("\n")[0],
        obligations=len(obligations(model)),
        broken=tuple(d for d in decisions if d.breach is not None),
        undecided=tuple(d.obligation for d in decisions if not d.holds and d.breach is None),
        seconds=time.monotonic() - begun,
    )


def _touched(wrong: Model, right: Model) -> set[str]:
    """The actions of which a mutant says something else; all, where it changes what is said of
    states. Obligations of the others are word for word those of the proof."""
    everything = {*wrong.actions, INIT, IMPLIES}
    if _facts(wrong) != _facts(right):
        return everything
    return {name for name in wrong.actions if _text(wrong, name) != _text(right, name)}


def _facts(model: Model) -> object:
    groups = (model.conjuncts, model.invariants, model.cuts)
    initial = [(leaf.name, leaf_text(leaf)) for leaf in model.leaves.values()]
    return initial, [(name, normal(x.expr).id) for group in groups for name, x in group.items()]


def _text(model: Model, name: str) -> object:
    action = model.actions.get(name)
    return None if action is None else action_text(action, model.leaves)
