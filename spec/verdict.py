"""The words for an outcome, in one table: mark, meaning, and which of two wins.

The words are those of ISO 9646 (pass, fail, inconclusive, error) with W3C EARL's distinction
between what was not run and what does not apply; none is our own invention.
"""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """In merge order: the first that occurs among a clause's cases is the clause's verdict.

    A violation comes before an error: what was seen broken stays broken, whatever else went wrong.
    """

    FAIL = "fail"
    KNOWN = "known"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    WEAK = "weak"
    PASS = "pass"
    INFO = "info"
    UNSUPPORTED = "unsupported"
    UNOBSERVABLE = "unobservable"
    NOT_RUN = "not run"

    @property
    def mark(self) -> str:
        """One character for matrices and progress lines."""
        return _MARKS[self]

    @property
    def meaning(self) -> str:
        """One sentence for legends."""
        return _MEANINGS[self]

    @property
    def violates(self) -> bool:
        """Whether it contradicts a clause. A known failure is a failure all the same."""
        return self in (Verdict.FAIL, Verdict.KNOWN)


_MARKS = {
    Verdict.ERROR: "‼",
    Verdict.FAIL: "✕",
    Verdict.KNOWN: "✕ᵏ",
    Verdict.INCONCLUSIVE: "?",
    Verdict.WEAK: "◐",
    Verdict.PASS: "✓",
    Verdict.INFO: "i",
    Verdict.UNSUPPORTED: "–",  # noqa: RUF001
    Verdict.UNOBSERVABLE: "○",
    Verdict.NOT_RUN: "·",
}

_MEANINGS = {
    Verdict.ERROR: "The harness or the target broke; nothing is said about the clause.",
    Verdict.FAIL: "The clause is broken, and a counterexample is attached.",
    Verdict.KNOWN: "The clause is broken in a way that the expectations file lists.",
    Verdict.INCONCLUSIVE: "The run could not decide: no answer in time, or no premise arose.",
    Verdict.WEAK: "A SHOULD is not followed.",
    Verdict.PASS: "The premise arose, and the clause held each time.",
    Verdict.INFO: "Something worth knowing that is neither kept nor broken.",
    Verdict.UNSUPPORTED: "The target does not offer the optional feature.",
    Verdict.UNOBSERVABLE: "No client can see it on this target, for the reason given.",
    Verdict.NOT_RUN: "No case ran: none exists yet, or the harness cannot bring it about here.",
}


class Headline(StrEnum):
    """What a whole run says. There is no word for "conformant", and no boolean."""

    VIOLATED = "VIOLATED"
    SHOWN = "SHOWN"
    NOT_SHOWN = "NOT SHOWN"


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a clause from those of its cases; `not run` where there is none."""
    order = list(Verdict)
    return min(verdicts, key=order.index, default=Verdict.NOT_RUN)


def headline(musts: Iterable[Verdict]) -> Headline:
    """VIOLATED once any MUST is broken, SHOWN if every one passed, else NOT SHOWN."""
    found = set(musts)
    if any(verdict.violates for verdict in found):
        return Headline.VIOLATED
    return Headline.SHOWN if found == {Verdict.PASS} else Headline.NOT_SHOWN
