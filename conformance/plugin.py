"""The pytest plugin: selection, fixtures, and the verdict of every test.

Named by the root conftest, because `--target` must exist before any conftest below is read.
"""

import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.main import wrap_session

from conformance import hooks, options
from conformance.bench import Bench, fresh_run_id
from conformance.expectations import Expectations
from conformance.judge import (
    WELL_FORMED,
    Judgement,
    Subject,
    case_name,
    judge,
    reproduce,
    subjects,
    title,
)
from conformance.listing import clause_lines, mutant_lines
from conformance.nemesis.capability import Capability
from conformance.outcomes import MalformedAnswer, NotRun, TargetBroken, TargetDied, Unreachable
from conformance.recorder import Recorder
from conformance.session import TargetSession
from spec.clauses import CLAUSES
from spec.evidence import Evidence
from spec.profile import Profile
from spec.provenance import commit, now, tool_version
from spec.verdict import Verdict, merge

BENCH, SESSION = pytest.StashKey[Bench](), pytest.StashKey[TargetSession]()
PROFILE, EXPECTATIONS = pytest.StashKey[Profile](), pytest.StashKey[Expectations]()
STARTED, COMMIT = pytest.StashKey[float](), pytest.StashKey[str]()

# ---- configuration ------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "clause(*ids, level=...): the clauses that the test decides")
    config.addinivalue_line("markers", "needs(*capabilities): what the harness must be able to do")
    options.check(config)
    spec = options.target_spec(config)
    bench = config.stash[BENCH] = Bench(spec, fresh_run_id())
    session = config.stash[SESSION] = TargetSession(bench)
    config.stash[PROFILE] = options.profile(config)
    config.stash[EXPECTATIONS] = options.expectations(config, spec.name)
    options.configure_hypothesis(config, virtual_time=bench.virtual)
    config.option.report = options.report_folder(config, spec.name)
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "short"
    if _is_worker(config):
        session.hear(config.workerinput)  # type: ignore[attr-defined]


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _only_looks(config: pytest.Config) -> bool:
    """Whether this session runs no tests itself: a worker's are recorded elsewhere."""
    return _is_worker(config) or config.option.collectonly or config.option.list_clauses


def pytest_report_header(config: pytest.Config) -> list[str]:
    spec, option = config.stash[BENCH].spec, config.option
    known = config.stash[EXPECTATIONS].source
    lines = [f"target: {spec.name}, clauses: {config.stash[PROFILE].name}, seed: {option.seed}"]
    if known:
        lines.append(f"known failures: {known}")
    if not spec.fresh_per_test:
        prefix = config.stash[BENCH].prefix
        lines.append(
            f"plan: creates topics named {prefix}*, writes to them, changes their configuration "
            "and no other, and deletes them at the end"
        )
    return lines


# ---- lists --------------------------------------------------------------------------------------


def pytest_cmdline_main(config: pytest.Config) -> int | pytest.ExitCode | None:
    if config.option.list_mutants:
        print(*mutant_lines(), sep="\n")
        return pytest.ExitCode.OK
    if config.option.list_clauses:
        return wrap_session(config, _list_clauses)
    return None


def _list_clauses(config: pytest.Config, session: pytest.Session) -> None:
    session.perform_collect()
    wanted = [c for c in CLAUSES.values() if c.id in config.stash[PROFILE].clauses]
    print("", *clause_lines(wanted, session.items), sep="\n")


# ---- session ------------------------------------------------------------------------------------


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--replay` the one file that replays is collected; without, all others."""
    if collection_path.suffix != ".py" or collection_path.parent.name != "conformance":
        return None
    return (collection_path.name == "test_replay.py") != (config.option.replay is not None) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of wanted clauses; a test of none stays unless clauses are named."""
    wanted = config.stash[PROFILE].clauses
    kept, dropped = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        ids = [subject.clause for subject in _checked_subjects(item)]
        keep = any(id_ in wanted for id_ in ids) if ids else len(wanted) == len(CLAUSES)
        (kept if keep else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _checked_subjects(item: pytest.Item) -> tuple[Subject, ...]:
    try:
        return subjects(item)
    except (KeyError, ValueError) as error:
        raise pytest.UsageError(f"{item.nodeid}: no clause or level {error}") from error


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if not _only_looks(config):
        signal.signal(signal.SIGTERM, _interrupt)
        recorder = Recorder(config, config.stash[PROFILE], config.option.report)
        config.pluginmanager.register(recorder, "highwater-recorder")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt("terminated")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Starts the target once it is known that there are tests for it; with workers, at once."""
    result = yield
    config = session.config
    workers = bool(getattr(config.option, "numprocesses", None))
    if not _only_looks(config) and (workers or any(map(subjects, session.items))):
        config.stash[SESSION].start()
        if workers and not config.stash[BENCH].spec.shared:
            config.stash[SESSION].stop()  # it can be had; each worker has one of its own
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist is about to start a worker."""
    node.config.stash[SESSION].tell_worker(node.workerinput)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leaves no topic behind: a worker cleans up after its tests, this process after all."""
    config = session.config
    if config.pluginmanager.has_plugin("highwater-recorder"):
        config.stash[SESSION].clean()


def pytest_unconfigure(config: pytest.Config) -> None:
    if SESSION in config.stash:
        config.stash[SESSION].stop()


# ---- tests --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Bench:
    """Topics on the target, and the count of premises. One for the session, so that Hypothesis
    can use it in every example."""
    return pytestconfig.stash[BENCH]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    config = item.config
    config.stash[SESSION].revive()
    config.stash[BENCH].begin_case()
    limit = config.option.time_limit
    begun = config.stash.setdefault(STARTED, time.monotonic())
    if limit is not None and time.monotonic() - begun > limit:
        raise NotRun(f"the time limit of {limit:g} s was over")
    if why := config.stash[BENCH].spec.forbids(_needed(item)):
        raise NotRun(why)


def _needed(item: pytest.Item) -> frozenset[Capability]:
    """What its marks say that the harness must be able to do."""
    return frozenset(c for mark in item.iter_markers("needs") for c in mark.args)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Leaves no fault behind, and a cluster that has had some in good health."""
    if _needed(item):
        item.config.stash[BENCH].recover()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    decided = call.when == "call" or (call.when == "setup" and not report.passed)
    if decided and subjects(item):
        _decide(item, call, report)
    return report


def _decide(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Makes a record per clause, and lets pytest's own outcome follow the worst verdict."""
    config, error = item.config, call.excinfo.value if call.excinfo else None
    if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
        return
    bench, expectations = config.stash[BENCH], config.stash[EXPECTATIONS]
    if death := config.stash[SESSION].death():
        error = TargetDied(death)
    premises = bench.premises.total()
    judged = {
        f"{s.clause}/{case_name(item)}": judge(
            s, error, premises, expectations, f"{s.clause}/{case_name(item)}"
        )
        for s in subjects(item)
    }
    if isinstance(error, MalformedAnswer) and not any(c.startswith(WELL_FORMED) for c in judged):
        subject = Subject(clause=WELL_FORMED, level=CLAUSES[WELL_FORMED].level)
        case = f"{WELL_FORMED}/met-in-{case_name(item)}"
        judged[case] = judge(subject, error, premises, expectations, case)
    worst = merge(j.verdict for j in judged.values())
    records = [_record(item, report, case, found).line() for case, found in judged.items()]
    attached: dict[str, Any] = {
        "records": records,
        "expected": all(j.expected for j in judged.values()),
    }
    gone = isinstance(error, Unreachable | TargetBroken) and not isinstance(error, TargetDied)
    if gone and (why := bench.unreachable()):
        attached["unreachable"] = why
        item.session.shouldstop = "target unreachable"
    report.highwater = attached  # type: ignore[attr-defined]
    _follow(report, worst, next(j for j in judged.values() if j.verdict is worst))
    report.user_properties += [
        ("clauses", ",".join(s.clause for s in subjects(item))),
        ("verdict", worst.value),
        ("premise_count", premises),
        ("seed", config.option.seed),
    ]
    if worst in (Verdict.FAIL, Verdict.ERROR):
        report.sections.append(("clause", _explanation(item, judged)))


def _follow(report: pytest.TestReport, worst: Verdict, judgement: Judgement) -> None:
    """pytest's outcome from the verdict: failed, passed, or skipped with its reason."""
    if worst in (Verdict.FAIL, Verdict.ERROR):
        if report.outcome != "failed":
            report.outcome, report.longrepr = "failed", judgement.note
    elif worst in (Verdict.PASS, Verdict.WEAK, Verdict.INFO):
        report.outcome, report.longrepr = "passed", None
    else:
        path, line, _ = report.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, f"{worst.value}: {judgement.note}")


def _record(item: pytest.Item, report: pytest.TestReport, case: str, found: Judgement) -> Evidence:
    config = item.config
    bench = config.stash[BENCH]
    spec = bench.spec
    options = {
        "target": None if config.option.target_config else _quoted(spec.name),
        "target-config": config.option.target_config,
        "seed": config.option.seed,
        "examples": config.option.examples,
        "expect": config.option.expect,
        "faults": config.option.faults,
    }
    return Evidence(
        clause=case.partition("/")[0],
        checker="conformance",
        target=spec.name,
        mutant=config.option.target.partition("+")[2] if spec.mutant else None,
        verdict=found.verdict,
        case=case,
        title=title(item),
        premise_count=bench.premises.total(),
        premises=dict(bench.premises),
        seed=config.option.seed,
        note=found.note,
        link=found.link,
        counterexample=found.counterexample,
        wire=bench.wire_log.render(),
        wire_dropped=bench.wire_log.dropped,
        reproduce=reproduce(item, options),
        run=bench.run_facts(),
        duration_s=round(report.duration, 4),
        tool_version=tool_version(),
        commit=_commit(config),
        at=now(),
    )


def _quoted(name: str) -> str:
    return f"'{name}'" if "," in name else name


def _commit(config: pytest.Config) -> str:
    if COMMIT not in config.stash:
        config.stash[COMMIT] = commit()
    return config.stash[COMMIT]


def _explanation(item: pytest.Item, judged: dict[str, Judgement]) -> str:
    """What a developer of the broker reads first."""
    lines: list[str] = []
    for case, found in judged.items():
        clause = CLAUSES[case.partition("/")[0]]
        lines += [f"{clause.id} {clause.level}: {clause.sentence}"]
        if found.counterexample:
            if found.counterexample.expected != clause.sentence:
                lines += [f"expected: {found.counterexample.expected}"]
            lines += [f"observed: {found.counterexample.observed}"]
        if found.note:
            lines += [f"note: {found.note}"]
    folder, case = item.config.option.report, next(iter(judged))
    lines += [f"replay: {_replay(item)}"]
    if folder:
        lines += [f"report: {folder}/index.html#{case}"]
    return "\n".join(lines)


def _replay(item: pytest.Item) -> str:
    option = item.config.option
    target = None if option.target_config else option.target
    given = {name: getattr(option, name) for name in ("seed", "examples", "expect", "faults")}
    return reproduce(item, {"target": target, "target-config": option.target_config, **given})


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> Any:
    found = dict(getattr(report, "user_properties", ())).get("verdict")
    if report.when == "teardown" or found is None:
        return None
    verdict = Verdict(str(found))
    category = {Verdict.PASS: "passed", Verdict.FAIL: "failed"}.get(verdict, verdict.value)
    return category, verdict.mark, verdict.value.upper()
