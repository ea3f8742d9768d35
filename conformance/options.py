"""The suite's options on pytest's command line, and what a slip in one of them is answered with."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, configuration, settings
from hypothesis.internal.conjecture import engine, providers
from hypothesis.internal.constants_ast import Constants

from conformance.expectations import BadExpectations, Expectations, load
from conformance.nemesis.capability import NOTHING, WORDS
from conformance.simulation.finding import REFERENCE_RAISED, BadFinding, Finding
from conformance.simulation.finding import load as load_finding
from conformance.targets.spec import TargetSpec, described, parse
from spec.clauses import CLAUSES
from spec.profile import PROFILES, Profile

SHRINKS_WITHIN_S = 20
"""Hypothesis would shrink for five minutes; it offers no setting, only this constant of its own."""
EXAMPLES_IN_VIRTUAL_TIME, EXAMPLES_ON_SOCKETS = 40, 8


def add(parser: pytest.Parser) -> None:
    """Declares them in a group of their own."""
    group = parser.getgroup("conformance", "Highwater: conformance of a Kafka-style cluster")
    group.addoption(
        "--target",
        default="reference",
        metavar="TARGET",
        help="reference | reference+MUTANT | host:port[,host:port...] | kafka:VERSION | "
        "kafka:VERSION+zookeeper | librdkafka-mock (default: reference)",
    )
    group.addoption(
        "--target-config",
        metavar="FILE",
        type=Path,
        help="in the place of --target: a cluster and how to start and stop its brokers, in TOML",
    )
    group.addoption(
        "--faults",
        choices=WORDS,
        help="what may be done to the target (default: all in simulation, else none)",
    )
    group.addoption(
        "--clause",
        action="append",
        default=[],
        metavar="GLOB",
        help="only these clauses, such as PROD-06 or 'LOG-*'; may be repeated",
    )
    group.addoption(
        "--profile",
        default="all",
        choices=sorted(PROFILES),
        help="only the clauses of this profile (default: all)",
    )
    group.addoption("--level", choices=["must", "should"], help="only clauses of this level")
    group.addoption("--seed", type=int, default=0, help="of the simulation and of Hypothesis")
    group.addoption(
        "--examples",
        type=int,
        metavar="N",
        help="per Hypothesis test (default: "
        f"{EXAMPLES_IN_VIRTUAL_TIME} in virtual time, {EXAMPLES_ON_SOCKETS} on sockets)",
    )
    group.addoption(
        "--time-limit", type=float, metavar="SECONDS", help="start no further test after this time"
    )
    group.addoption(
        "--expect",
        metavar="FILE",
        help="known failures: a path or the name of a shipped list; chosen by --target if absent",
    )
    group.addoption(
        "--report",
        metavar="DIR",
        type=Path,
        help="where evidence and report go (default: build/conformance/TARGET)",
    )
    group.addoption(
        "--replay",
        metavar="FILE",
        type=Path,
        help="run only a stored schedule of faults, such as tests/findings has, on the reference",
    )
    group.addoption("--list-clauses", action="store_true", help="print the clauses and stop")
    group.addoption("--list-mutants", action="store_true", help="print the mutants and stop")


def check(config: pytest.Config) -> None:
    """Raises `UsageError`, which names the option and its value."""
    option = config.option
    if option.examples is not None and option.examples < 1:
        raise pytest.UsageError(f"--examples: {option.examples} is not a positive number")
    if option.time_limit is not None and option.time_limit <= 0:
        seconds = f"{option.time_limit:g}"
        raise pytest.UsageError(f"--time-limit: {seconds} is not a positive number of seconds")
    if option.replay is not None:
        option.finding = _finding(option.replay)
    for glob in option.clause:
        if not any(fnmatchcase(id_, glob) for id_ in CLAUSES):
            raise pytest.UsageError(f"--clause: no clause matches {glob!r}; see --list-clauses")


def _finding(path: Path) -> Finding:
    try:
        finding = load_finding(path)
    except BadFinding as error:
        raise pytest.UsageError(f"--replay: {error}") from error
    if finding.clause == REFERENCE_RAISED:
        how = f"python -m conformance.simulation replay {path}"
        raise pytest.UsageError(f"--replay: {path} is about no clause; run {how}")
    return finding


def target_spec(config: pytest.Config) -> TargetSpec:
    """What `--target` or `--target-config` means. Raises `UsageError`."""
    path = config.option.target_config
    if path is not None:
        try:
            spec = described(path, config.option.faults)
        except ValueError as error:
            raise pytest.UsageError(f"--target-config: {error}") from error
        if spec.faults != NOTHING and getattr(config.option, "numprocesses", None):
            raise pytest.UsageError(
                f"--faults={spec.faults}: a fault that one worker means would befall the tests of "
                "all; leave out -n"
            )
        return spec
    try:
        return parse(config.option.target, config.option.seed, config.option.faults)
    except ValueError as error:
        raise pytest.UsageError(f"--target: {error}") from error


def expectations(config: pytest.Config, target: str) -> Expectations:
    """What `--expect` names, or the list for this target. Raises `UsageError`."""
    try:
        return load(config.option.expect, target)
    except (BadExpectations, OSError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"--expect: {error}") from error


def profile(config: pytest.Config) -> Profile:
    """The clauses that are run and that the headline speaks about."""
    globs, level = config.option.clause, config.option.level
    chosen = PROFILES[config.option.profile]
    clauses = (
        id_
        for id_ in chosen.clauses
        if (not globs or any(fnmatchcase(id_, glob) for glob in globs))
        and (level is None or CLAUSES[id_].level.lower() == level)
    )
    narrowed = " ".join([*globs, *([level] if level else [])])
    if not narrowed:
        return chosen
    meaning = f"Of {chosen.name}, what the command line names: {narrowed}."
    return Profile(name=narrowed, meaning=meaning, clauses=frozenset(clauses))


def report_folder(config: pytest.Config, target: str) -> Path:
    """What `--report` names, or a folder of the target's own below `build`."""
    given: Path | None = config.option.report
    slug = re.sub(r"[^A-Za-z0-9.+-]+", "_", target)
    return given or Path("build") / "conformance" / slug


def configure_hypothesis(config: pytest.Config, *, virtual_time: bool) -> None:
    """Loads a profile in which nothing but the seed decides what is drawn.

    Its parent is named, because under `CI` and its like the current profile derandomizes: it
    draws by a digest of the test's source, and no seed counts. And Hypothesis also draws literals
    of whatever local modules happen to be imported, which differ by target, by selection of tests
    and between a clone and an installed wheel; it offers no setting, only a function of its own.
    """
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(config.option.seed)
    configuration.set_hypothesis_home_dir(Path("build") / "hypothesis")
    default = EXAMPLES_IN_VIRTUAL_TIME if virtual_time else EXAMPLES_ON_SOCKETS
    settings.register_profile(
        "conformance",
        settings.get_profile("default"),
        max_examples=config.option.examples or default,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("conformance")
    engine.MAX_SHRINKING_SECONDS = SHRINKS_WITHIN_S
    providers._get_local_constants = Constants
