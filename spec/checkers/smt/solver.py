"""Z3, from SMT-LIB text. Each solver lives in a context of its own, so that nothing done before
can change what it answers; limits are counted in Z3's own steps, so that load does not either.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import z3

Verdict = Literal["sat", "unsat", "unknown"]
FINITE_DOMAINS = "QF_FD"
"""The logic of Booleans and bit-vectors, for which Z3 has a solver of its own."""
BACKSTOP_MS = 120_000
"""A wall-clock limit far above the limits in steps, for loops in which Z3 does not count."""


class Session:
    """A solver that text is added to bit by bit; declarations stay known."""

    def __init__(self, logic: str = "", seed: int = 0) -> None:
        self.context = z3.Context()
        self._parser = z3.ParserContext(self.context)
        if logic:
            self.solver: Any = z3.SolverFor(logic, ctx=self.context)
        else:
            self.solver = z3.Solver(ctx=self.context)
            self.solver.set("random_seed", seed)

    def add(self, text: str) -> None:
        """Takes declarations, definitions and assertions."""
        self.solver.add(self._parser.from_string(text))

    def require(self, terms: Iterable[str]) -> None:
        """Asserts terms."""
        self.add("".join(f"(assert {term})" for term in terms))

    def check(
        self, assuming: Sequence[str] = (), *, steps: int = 0, timeout_ms: int = BACKSTOP_MS
    ) -> Verdict:
        """`steps` is a limit in Z3's resource units, 0 for none."""
        self.solver.set("timeout", timeout_ms)
        self.solver.set("rlimit", steps)
        assumptions = [z3.Bool(name, ctx=self.context) for name in assuming]
        return str(self.solver.check(*assumptions))  # type: ignore[return-value]

    def push(self) -> None:
        self.solver.push()

    def pop(self) -> None:
        self.solver.pop()

    def core(self) -> list[str]:
        """The names of assumptions that contradict each other, after `unsat`."""
        return sorted(str(name) for name in self.solver.unsat_core())

    def values(self, terms: Sequence[str]) -> list[int]:
        """The integers (or 0 and 1) that Boolean and bit-vector terms have, after `sat`."""
        model = self.solver.model()
        text = "".join(f"(assert (= {term} {term}))" for term in terms)
        found = []
        for equation in self._parser.from_string(text):
            value = model.eval(equation.arg(0), model_completion=True)
            found.append(int(z3.is_true(value)) if z3.is_bool(value) else value.as_signed_long())
        return found

    def spent(self) -> int:
        """Z3's resource units spent in this context so far."""
        statistics = self.solver.statistics()
        return int(statistics.get_key_value("rlimit count"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Are all goals refuted? `facts` is asserted; each goal alone, in turn."""

    facts: str
    goals: tuple[str, ...]
    seed: int
    steps: int
    assumptions: tuple[str, ...] = ()
    """Names of Boolean constants that are assumed, to learn which of them were needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`unsat` if every goal is; `sat` if one is satisfiable; else `unknown`."""

    verdict: Verdict
    seconds: float
    """Of CPU time."""
    steps: int
    core: tuple[str, ...] = ()


def ask(query: Query) -> Answer:
    """Puts a query to a solver of its own. The same query gets the same answer, anywhere."""
    begun = time.process_time()
    session = Session(seed=query.seed)
    session.add(query.facts)
    verdict: Verdict = "unsat"
    core: set[str] = set()
    for goal in query.goals:
        session.push()
        session.add(goal)
        answer = session.check(query.assumptions, steps=query.steps)
        if answer == "unsat":
            core.update(session.core())
        else:
            verdict = answer
        session.pop()
        if verdict == "sat":
            break
    return Answer(
        verdict=verdict,
        seconds=time.process_time() - begun,
        steps=session.spent(),
        core=tuple(sorted(core)),
    )
