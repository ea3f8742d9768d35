"""Expressions as text, for messages, and to compare what two classes say."""

from typing import Any

from spec.language.expression import Expr

INFIX = {"add": "+", "sub": "-", "lt": "<", "le": "<=", "eq": "==", "and": "and", "or": "or"}


def show(e: Expr) -> str:
    """The expression as one would read it aloud; the same for the same text, in any process."""
    op, args = e.op, e.args
    if op in ("const", "var"):
        return str(args[0])
    if op == "none":
        return "NONE"
    if op == "get":
        return str(args[0]) + (f"[{_list(args[1:])}]" if len(args) > 1 else "")
    if op == "apply":
        return str(args[0].name) + (f"({_list(args[1:])})" if len(args) > 1 else "")
    if op in INFIX:
        return f"({f' {INFIX[op]} '.join(map(show, args))})"
    if op in ("forall", "exists"):
        names = " ".join(variable.args[0] for variable in args[0])
        return f"{op} {names}: {show(args[1])}"
    if op in ("lastend", "first"):
        return f"{op}({args[0][0].args[0]} < {show(args[1])}: {show(args[2])})"
    return f"{op}({_list(args)})"


def _list(args: tuple[Any, ...]) -> str:
    return ", ".join(map(show, args))
