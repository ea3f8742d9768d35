"""`cluster.toml`: a cluster that somebody else has started, and how to do harm to its brokers.

`cluster.example.toml` beside this file has every key. What a node does not tell how to do is not
done to any.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMANDS = ("start", "stop", "kill", "pause", "resume", "running", "partition", "heal")
WITHIN_S = 30.0
PAIRS = (("kill", "start"), ("stop", "start"), ("pause", "resume"), ("partition", "heal"))
"""What may be done only by somebody who can undo it."""


class BadDescription(ValueError):
    """The file cannot be read as a cluster; the message says which, where and why."""


Command = tuple[str, ...]
"""A program with its arguments; a string in the file is one for the shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One broker, and how to harm it."""

    id: int
    host: str
    commands: Mapping[str, Command]
    """By the words of the file, as far as it has them."""
    pidfile: Path | None = None
    """Of the adapter `process`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    within_s: float = WITHIN_S
    """How long a command may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    name: str
    bootstrap: tuple[str, ...]
    nodes: tuple[Node, ...]
    folder: Path
    """Where the file is, and commands are run."""


def load(path: Path) -> Description:
    """Raises `BadDescription`, also where the file cannot be read."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadDescription(f"{path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadDescription(f"{path}: not TOML: {error}") from error
    try:
        return _description(raw, path.absolute())
    except BadDescription as error:
        raise BadDescription(f"{path}: {error}") from error


def _description(raw: dict[str, Any], path: Path) -> Description:
    _check_keys(raw, ("name", "bootstrap", "node"), "the file")
    bootstrap = raw.get("bootstrap")
    if not (isinstance(bootstrap, list) and bootstrap and all(map(_is_text, bootstrap))):
        raise BadDescription("`bootstrap` is not a list of addresses, such as ['127.0.0.1:9092']")
    tables = raw.get("node")
    if not (isinstance(tables, list) and tables and all(isinstance(t, dict) for t in tables)):
        raise BadDescription("there is no [[node]]")
    nodes = tuple(_node(table, f"node #{n}", path.parent) for n, table in enumerate(tables, 1))
    ids = [node.id for node in nodes]
    repeated = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if repeated:
        raise BadDescription(f"id {repeated[0]} is given to two nodes")
    name = raw.get("name", path.stem)
    if not _is_text(name):
        raise BadDescription("`name` is not a text")
    return Description(name=name, bootstrap=tuple(bootstrap), nodes=nodes, folder=path.parent)


def _node(raw: dict[str, Any], where: str, folder: Path) -> Node:
    id_ = raw.get("id")
    if type(id_) is not int or id_ < 0:
        raise BadDescription(f"{where}: `id` is missing, or not the number of a broker")
    where = f"node {id_}"
    adapter = raw.get("adapter")
    if adapter not in ("process", "command"):
        raise BadDescription(f"{where}: `adapter` is {adapter!r}, neither 'process' nor 'command'")
    own = ("pidfile", "start", "partition", "heal") if adapter == "process" else COMMANDS
    _check_keys(raw, ("id", "adapter", "host", "env", "within_s", *own), where)
    pidfile = raw.get("pidfile", "")
    if adapter == "process" and not _is_text(pidfile):
        raise BadDescription(f"{where}: `pidfile` is missing, which the adapter 'process' goes by")
    commands = {n: _command(raw[n], f"{where}: `{n}`") for n in COMMANDS if n in raw}
    for harm, cure in PAIRS:
        if harm in commands and cure not in commands:
            raise BadDescription(f"{where}: there is `{harm}` and no `{cure}` to undo it")
    if "stop" in commands and "running" not in commands:
        raise BadDescription(f"{where}: there is `stop` and no `running` to tell when it is over")
    environment = raw.get("env", {})
    if not (isinstance(environment, dict) and all(map(_is_text, environment.values()))):
        raise BadDescription(f"{where}: `env` is not a table of texts")
    within_s = raw.get("within_s", WITHIN_S)
    if type(within_s) not in (int, float) or within_s <= 0:
        raise BadDescription(f"{where}: `within_s` is not a positive number of seconds")
    host = raw.get("host", str(id_))
    if not _is_text(host):
        raise BadDescription(f"{where}: `host` is not a text")
    return Node(
        id=id_,
        host=host,
        commands=commands,
        pidfile=folder / pidfile if adapter == "process" else None,
        environment=environment,
        within_s=float(within_s),
    )


def _command(raw: object, what: str) -> Command:
    if isinstance(raw, str) and raw.strip():
        return ("/bin/sh", "-c", raw)
    if isinstance(raw, list) and raw and all(map(_is_text, raw)):
        return tuple(raw)
    raise BadDescription(f"{what} is neither a command line nor a list of its words")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check_keys(raw: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    strangers = [key for key in raw if key not in known]
    if strangers:
        words = ", ".join(known)
        raise BadDescription(f"{where}: {strangers[0]!r} is none of {words}")
