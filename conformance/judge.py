"""From the end of a test to a verdict on a case, with the words that go into the evidence."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis.errors import FlakyFailure

from conformance.expectations import Expectations
from conformance.outcomes import MalformedAnswer, TargetDied, Undecided, Unreachable
from spec.clause import Level
from spec.clauses import CLAUSES
from spec.evidence import Counterexample
from spec.verdict import Verdict

TEXT_MAX = 6_000
NEVER_CRASH = "ERR-03"
"""The clause by which a broker that dies of what it is sent is broken, and not merely an error."""
WELL_FORMED = "ERR-02"
"""The clause that every answer bears on, whatever the test that met it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of one case of one clause."""

    verdict: Verdict
    note: str = ""
    link: str = ""
    counterexample: Counterexample | None = None
    expected: bool = False
    """Listed in the expectations: it does not change the exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A clause that a test decides, and at which level."""

    clause: str
    level: Level


def subjects(item: pytest.Item) -> tuple[Subject, ...]:
    """The clauses of a test, from its marks. `level="SHOULD"` weakens a MUST clause's part."""
    return tuple(
        Subject(clause=id_, level=Level(mark.kwargs.get("level", CLAUSES[id_].level)))
        for mark in item.iter_markers("clause")
        for id_ in mark.args
    )


def case_name(item: pytest.Item) -> str:
    """`a-repeated-batch-keeps-its-offset`, from the name of the test."""
    return item.name.removeprefix("test_").replace("_", "-")


def title(item: pytest.Item) -> str:
    """The first sentence of the test's docstring, or its name in words."""
    doc = (getattr(getattr(item, "obj", None), "__doc__", "") or "").strip().split("\n\n")[0]
    return " ".join(doc.split()) or case_name(item).replace("-", " ")


def judge(
    subject: Subject,
    error: BaseException | None,
    premise_count: int,
    expectations: Expectations,
    case: str,
) -> Judgement:
    """The judgement, after the expectations have had their say."""
    found = _found(subject, error, premise_count)
    listed = expectations.of(case)
    if listed is None:
        return found
    why = f"{listed.reason} (listed in {expectations.source}; evidence: {listed.evidence})"
    if found.verdict is listed.verdict:
        verdict = Verdict.KNOWN if found.verdict is Verdict.FAIL else found.verdict
        return Judgement(
            verdict=verdict,
            note=why,
            link=listed.link,
            counterexample=found.counterexample,
            expected=True,
        )
    if found.verdict is Verdict.PASS:
        note = f"it passes, but {expectations.source} lists it as {listed.verdict}: take it off"
        counterexample = Counterexample(expected=f"{listed.verdict}: {why}", observed="pass")
        return Judgement(verdict=Verdict.FAIL, note=note, counterexample=counterexample)
    return found


def _found(subject: Subject, error: BaseException | None, premise_count: int) -> Judgement:
    if error is None:
        if premise_count:
            return Judgement(verdict=Verdict.PASS)
        return Judgement(verdict=Verdict.INCONCLUSIVE, note="the premise never arose")
    if isinstance(error, Undecided):
        return Judgement(verdict=error.verdict, note=_cut(str(error.msg)))
    if isinstance(error, Unreachable):
        return Judgement(verdict=Verdict.ERROR, note=f"target unreachable: {error}")
    if isinstance(error, TargetDied) and subject.clause == NEVER_CRASH:
        counterexample = Counterexample(
            expected=CLAUSES[NEVER_CRASH].sentence, observed=f"the broker crashed: {error}"
        )
        return Judgement(verdict=Verdict.FAIL, counterexample=counterexample)
    if isinstance(error, MalformedAnswer) and subject.clause != WELL_FORMED:
        note = f"{WELL_FORMED} is broken, so the test could not go on: {error}"
        return Judgement(verdict=Verdict.INCONCLUSIVE, note=_cut(note))
    seen = _assertion(error)
    if seen is not None:
        verdict = Verdict.FAIL if subject.level is Level.MUST else Verdict.WEAK
        note = "seen, but not on every replay of the same input" if seen is not error else ""
        return Judgement(verdict=verdict, note=note, counterexample=_counterexample(subject, seen))
    return Judgement(verdict=Verdict.ERROR, note=_cut(f"{type(error).__name__}: {error}"))


def _assertion(error: BaseException) -> AssertionError | None:
    """The failed assertion. One that a replay does not repeat was seen nevertheless: on a real
    cluster a race is lost only sometimes, and once is enough to break a promise."""
    if isinstance(error, AssertionError):
        return error
    if isinstance(error, FlakyFailure):
        return next((e for e in error.exceptions if isinstance(e, AssertionError)), None)
    return None


def _counterexample(subject: Subject, error: AssertionError) -> Counterexample:
    """`assert x == y, "what should be"` becomes: expected what should be, observed x == y."""
    text = str(error)
    message, separator, comparison = text.partition("\nassert ")
    if separator:
        expected, observed = message, "assert " + comparison
    else:
        expected, observed = CLAUSES[subject.clause].sentence, text
    notes = "\n".join(getattr(error, "__notes__", ()))
    return Counterexample(
        expected=_cut(expected),
        observed=_cut(observed or "an assertion without words"),
        falsifying=_cut(notes),
    )


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}… ({len(text)} characters)"


def reproduce(item: pytest.Item, options: dict[str, Any]) -> str:
    """A command that runs this case again, quoted for a POSIX shell."""
    given = " ".join(f"--{name}={value}" for name, value in options.items() if value is not None)
    return f"pytest '{item.nodeid}' {given}"
