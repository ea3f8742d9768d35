"""Quantifiers and searches over offsets."""

import inspect
from collections.abc import Callable
from typing import Any

from spec.language.errors import SpecError
from spec.language.expression import TRUE, Expr, all_of, fresh, implies, lift, make
from spec.language.sorts import BOOL, Domain, Sort


def for_all(*arguments: Any) -> Expr:
    """`for_all(Broker, Offset, lambda broker, offset: ...)`: it holds for all of them.

    Each domain is a sort, a set, or a sort cut off by `.below(x)` or `.upto(x)`.
    """
    variables, guard, body = _bound(arguments[:-1], arguments[-1])
    body = implies(guard, body)
    return body if body.op == "const" else make("forall", (variables, body), BOOL)


def exists(*arguments: Any) -> Expr:
    """It holds for at least one; domains as for `for_all`."""
    variables, guard, body = _bound(arguments[:-1], arguments[-1])
    body = all_of(guard, body)
    return body if body.op == "const" else make("exists", (variables, body), BOOL)


def end_of_last(below: Any, condition: Callable[[Expr], Any]) -> Expr:
    """1 + the largest offset < below where the condition holds; 0 if there is none."""
    return _search("lastend", below, condition)


def first_where(below: Any, condition: Callable[[Expr], Any]) -> Expr:
    """The smallest offset < below where the condition holds; `below` itself if there is none."""
    return _search("first", below, condition)


def _search(op: str, below: Any, condition: Callable[[Expr], Any]) -> Expr:
    if not isinstance(below, Expr) or below.sort.kind != "number":
        raise SpecError("a search needs a number that it stays below")
    (name,) = inspect.signature(condition).parameters
    variable = fresh(name, below.sort)
    return make(op, ((variable,), below, lift(condition(variable), BOOL)), below.sort.base)


def _bound(domains: tuple[Any, ...], body: Any) -> tuple[tuple[Expr, ...], Expr, Expr]:
    if not domains or not callable(body) or isinstance(body, Sort):
        raise SpecError("a quantifier takes domains and then a lambda")
    names = list(inspect.signature(body).parameters)
    if len(names) != len(domains):
        raise SpecError(f"{len(domains)} domains, but {len(names)} variables")
    ranges = [_domain(domain) for domain in domains]
    variables = tuple(fresh(n, domain.sort) for n, domain in zip(names, ranges, strict=True))
    guards = [d.condition(variable) for variable, d in zip(variables, ranges, strict=True)]
    return variables, all_of(*guards), lift(body(*variables), BOOL)


def _domain(domain: Any) -> Domain:
    if isinstance(domain, Sort):
        return Domain(domain, lambda _: TRUE)
    if isinstance(domain, Domain):
        return domain
    if hasattr(domain, "equals") and hasattr(domain, "element"):
        return Domain(domain.element, domain.has)
    raise SpecError(f"cannot quantify over {domain!r}")
