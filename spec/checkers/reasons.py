"""Why obligations hold: for each a set of hypotheses from which none can be left out."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from spec.checkers import hypotheses
from spec.checkers.induction import (
    Induction,
    Obligation,
    Question,
    is_unchanged,
    obligations,
    usual_hypotheses,
)
from spec.language.model import trace
from spec.proofs.proof import Proof

STEPS = 3_000_000
"""Of each query, in Z3's resource units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """An obligation and what it was proved from; a smaller set may exist, no subset suffices."""

    obligation: Obligation
    hypotheses: tuple[str, ...]


def reasons(proof: Proof, workers: int = 2) -> Iterator[Reason]:
    """For every obligation that an action could break, in the order of the proof.

    An obligation that does not follow from the set that is tried first keeps that set: this
    explains a proof, `prove` makes it.
    """
    model = trace(proof.proof)
    induction, remembered = Induction(model), hypotheses.load(proof.name)
    open_ones = [o for o in obligations(model) if not is_unchanged(model, o)]
    asked = [
        (induction.question(o), remembered.get(o) or usual_hypotheses(model, o)) for o in open_ones
    ]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for obligation, least in zip(open_ones, pool.map(_least, asked, chunksize=4), strict=True):
            yield Reason(obligation=obligation, hypotheses=least)


def _least(asked: tuple[Question, tuple[str, ...]]) -> tuple[str, ...]:
    question, names = asked
    return hypotheses.least_of(question, names, STEPS)
