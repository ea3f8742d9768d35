"""The order of the house: who may import whom, how long a thing may be, what README promises."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("spec", "reference", "conformance", "reports")
ARROWS: dict[str, set[str]] = {
    "spec": set(),
    "reference": {"spec"},
    "conformance": {"spec", "reference"},
    "reports": {"spec"},
}
IO_MODULES = {"asyncio", "kio", "os", "random", "selectors", "socket", "threading", "time"}
SHELLS = (
    "reference/wire/",
    "reference/simulator/",
    "reference/server.py",
    "reference/storage/files.py",
)
"""What surrounds the core: it may know bytes, clocks, chance or sockets."""
FILE_LINES_MAX, FUNCTION_LINES_MAX, LINE_MAX = 500, 70, 100


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(part, ast.Import):
            found.update(alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom) and part.module:
            found.add(part.module)
            found.update(f"{part.module}.{alias.name}" for alias in part.names)
    return found


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_arrows(package: str) -> None:
    files = list(sources(package))
    assert files, f"{package} has no Python files"
    for path in files:
        ours = {name.split(".")[0] for name in imported(path)} & {*PACKAGES, "tests"} - {package}
        assert ours <= ARROWS[package], f"{named(path)} imports {sorted(ours - ARROWS[package])}"


def test_the_reference_does_not_know_the_models_it_is_checked_against() -> None:
    for path in sources("reference"):
        assert not [n for n in imported(path) if n.startswith("spec.models")], named(path)


INSIDE_SPEC: dict[str, set[str]] = {
    "language": set(),
    "models": {"language"},
    "checkers": {"language", "proofs.proof"},
    "proofs": {"language", "models"},
}
"""What the formal rooms may know of each other: a text knows no checker, a checker no text."""


@pytest.mark.parametrize("room", INSIDE_SPEC)
def test_a_specification_knows_no_checker_and_a_checker_no_specification(room: str) -> None:
    for path in sources(f"spec/{room}"):
        for name in imported(path):
            other = name.removeprefix("spec.")
            if name == other or other.split(".")[0] == room:
                continue
            allowed = any(other == a or other.startswith(f"{a}.") for a in INSIDE_SPEC[room])
            assert allowed, f"{named(path)} imports {name}"


def test_the_core_of_the_reference_knows_no_io() -> None:
    core = [p for p in sources("reference") if not named(p).startswith(SHELLS)]
    assert len(core) > 5
    for path in core:
        used = {name.split(".")[0] for name in imported(path)} & IO_MODULES
        assert not used, f"{named(path)} imports {sorted(used)}"


def test_files_and_lines_are_short_enough_to_read() -> None:
    for path in sources(*PACKAGES, "tests"):
        lines = path.read_text(encoding="utf-8").splitlines()
        length = len(lines)
        assert length <= FILE_LINES_MAX, f"{named(path)} has {length} lines"
        widest = max(map(len, lines), default=0)
        assert widest <= LINE_MAX, f"{named(path)} has a line of {widest} columns"


def test_functions_fit_a_screen() -> None:
    for path in sources(*PACKAGES, "tests"):
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.end_lineno:
                length = part.end_lineno - part.lineno + 1
                assert length <= FUNCTION_LINES_MAX, f"{named(path)}: {part.name}, {length} lines"


def test_every_module_says_what_it_is() -> None:
    for path in sources(*PACKAGES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) or not tree.body, f"{named(path)} has no docstring"


def test_a_file_of_tests_has_the_name_of_its_clauses() -> None:
    areas = {path.stem for path in (ROOT / "spec" / "clauses").glob("*.py")} - {"__init__"}
    tests = {p.stem.removeprefix("test_") for p in (ROOT / "conformance").glob("test_*.py")}
    strangers = {name for name in tests if not any(name.startswith(area) for area in areas)}
    assert tests
    strangers.discard("replay")  # its clause is that of the finding
    assert not strangers, f"no file of spec/clauses is called like {sorted(strangers)}"


def test_the_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    used = set(re.findall(r"make ([a-z-]+)", readme))
    assert {"conformance", "test"} <= used <= targets
    declared = (ROOT / "conformance" / "options.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--[a-z][a-z-]+)"', declared))
    assert len(options) >= 10
    for option in options:
        assert option in readme, f"README does not tell of {option}"


def test_continuous_integration_runs_the_two_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.index("make test") < script.index("make conformance")
