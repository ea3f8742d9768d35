"""Whole runs: the same every time, clean without a mutant, and what Hypothesis makes of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.stateful import run_state_machine_as_test

from conformance.simulation.finding import load
from conformance.simulation.machine import ClusterMachine
from conformance.simulation.profiles import EXAMPLES, VARIABLE, chosen
from conformance.simulation.replay import again
from conformance.simulation.run import Outgrown, RunResult, Simulation, StepRefused, run
from conformance.simulation.strategies import schedules
from conformance.simulation.swarm import Hunt, run_seeds, swarm
from conformance.simulation.validation import VALIDATORS
from reference.messages import Effect, Event
from reference.mutants import MUTANTS
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from reference.simulator.faults import (
    MODES,
    Fault,
    FaultKind,
    RunOptions,
    Schedule,
    random_schedule,
)
from spec.clauses import CLAUSES

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*.json"))
SHORT = RunOptions(until_ms=1_000, partitions=1)


@pytest.mark.parametrize("mode", MODES)
def test_a_schedule_decides_a_run(mode: str) -> None:
    first, second, other = (run(random_schedule(seed, mode), traced=True) for seed in (7, 7, 8))
    assert first == second
    assert first.digest
    assert first.digest != other.digest


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_keeps_its_promises(mode: str) -> None:
    tally = swarm(Hunt(mode=mode), range(24))
    assert [
        (found.seed, found.result.violations, found.result.error) for found in tally.broken
    ] == []
    assert tally.steps > 100 * tally.runs
    for clause in ("LEAD-04", "EOS-01", "ISR-03", "ISR-04", "META-05", "LEAD-03", "CTL-05"):
        assert tally.premises[clause] > 20, clause
    assert set(tally.premises) <= set(CLAUSES)
    assert tally.faults.total() > 24


def test_several_processes_find_what_one_does() -> None:
    hunt = Hunt(mode="quorum", mutant="ack-before-replication", is_validated=False)
    alone, together = swarm(hunt, range(20)), swarm(hunt, range(20), workers=2)
    assert alone.counts == together.counts
    assert alone.events == together.events
    assert alone.broken
    assert [found.seed for found in alone.broken] == [found.seed for found in together.broken]


def test_a_swarm_stops_when_it_is_told_to() -> None:
    hunt = Hunt(mode="quorum", mutant="ack-before-replication", is_validated=False)
    assert swarm(hunt, range(1_000), stops_at_first=True).runs < 50
    assert swarm(hunt, range(1_000), time_limit_s=0).runs < 50
    assert swarm(hunt, range(1_000), workers=2, stops_at_first=True).runs < 100


class Raises(Rules):
    def crc_is_right(self, batch: bytes) -> bool:
        raise RuntimeError("a fault of the reference")


def test_an_exception_in_the_reference_is_an_error_and_no_violation() -> None:
    result = Simulation(Schedule(seed=1, options=SHORT), Raises()).result()
    assert result.clause == "error"
    assert result.violations == ()
    assert "a fault of the reference" in result.error
    assert "(test_simulation_runs.py:" in result.error


class Counting:
    """A validator that gives up, or refuses, after so many steps."""

    def __init__(self, cluster: Cluster, limit: int, error: Exception) -> None:
        self.limit, self.error = limit, error
        self.steps = 0
        self.outgrown: dict[str, str] = {}

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        self.steps += 1
        if self.steps == self.limit:
            if isinstance(self.error, Outgrown):
                self.outgrown["all"] = str(self.error)
            raise self.error

    def compare_whole(self) -> None:
        """Nothing more is known."""


def counted(limit: int, error: Exception) -> RunResult:
    schedule = Schedule(seed=1, options=SHORT)
    return run(schedule, None, [lambda cluster: Counting(cluster, limit, error)])


def test_a_run_that_outgrows_a_model_goes_on_without_it() -> None:
    result = counted(50, Outgrown("too many records"))
    assert (result.steps, result.outgrown, result.clause) == (50, "too many records", "")
    assert result.premises["LEAD-06"] == 1


def test_a_refused_step_ends_the_run_with_its_clause() -> None:
    result = counted(50, StepRefused("ISR-02", "no such step"))
    assert result.is_refused
    assert [str(violation) for violation in result.violations] == ["ISR-02: no such step"]
    assert result.premises["LEAD-06"] == 0


def test_what_never_comes_back_is_missed() -> None:
    """A leader that is never replaced breaks no step of any model; the oracle notices."""

    class Deaf(Simulation):
        def judgement(self) -> list:  # type: ignore[type-arg]
            self.injector.end_all()
            for node in (1, 2):
                self.cluster.network.cut(node, 3)
            self.injector.end_all = lambda: None  # type: ignore[method-assign]
            return super().judgement()

    result = Deaf(Schedule(seed=1, options=SHORT)).result()
    assert result.clause in ("ISR-07", "META-05", "CTL-05")
    assert "after everything was healed" in result.violations[0].message


# ---- Hypothesis ---------------------------------------------------------------------------------


@chosen()
@given(schedule=schedules())
def test_drawn_schedules_break_nothing(schedule: Schedule) -> None:
    result = run(schedule, None, VALIDATORS[schedule.mode])
    assert (result.violations, result.error) == ((), "")


def test_drawn_schedules_find_a_wrong_rule_and_shrink() -> None:
    found: list[Schedule] = []

    @chosen()
    @given(schedule=schedules(modes=["quorum"]))
    def find(schedule: Schedule) -> None:
        result = run(schedule, "ack-before-replication")
        if result.clauses & {"LEAD-04", "ISR-05"}:
            found.append(schedule)
            raise AssertionError(result.violations[0])

    with pytest.raises(AssertionError, match=r"ISR-05|LEAD-04"):
        find()
    assert len(found[-1].faults) <= 1


def test_a_state_machine_over_clients_and_fate_breaks_nothing() -> None:
    run_state_machine_as_test(ClusterMachine, settings=chosen())


class WrongMachine(ClusterMachine):
    rules_class = MUTANTS["ack-before-replication"].rules


def test_the_state_machine_finds_a_wrong_rule() -> None:
    with pytest.raises(AssertionError, match=r"ISR-05|LEAD-04|ISR-02"):
        run_state_machine_as_test(WrongMachine, settings=chosen())


def test_profiles_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, examples in EXAMPLES.items():
        monkeypatch.setenv(VARIABLE, name)
        assert chosen().max_examples == examples
    monkeypatch.setenv(VARIABLE, "yearly")
    with pytest.raises(ValueError, match="'yearly' is none of dev, ci, nightly"):
        chosen()


# ---- findings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_stays_found(path: Path) -> None:
    """Of a mutant: it is still killed. Of the reference: the fault is gone."""
    finding = load(path)
    assert len(finding.schedule.faults) <= 6
    if finding.mutant:
        replayed = again(finding, mutant=finding.mutant)
        assert replayed.breaks, replayed.result
    plain = again(finding, mutant=None).result
    assert (plain.violations, plain.error) == ((), "")


def test_there_are_findings_in_both_modes() -> None:
    assert {load(path).schedule.mode for path in FINDINGS} == set(MODES)


def test_results_of_seeds_come_in_order() -> None:
    hunt = Hunt(mode="zookeeper", kinds=(FaultKind.PAUSE,), is_validated=False)
    found = run_seeds(hunt, range(3))
    assert [each.seed for each in found] == [0, 1, 2]
    assert all(set(each.result.faults) == {"pause"} for each in found)


def test_a_run_without_faults_has_no_election() -> None:
    calm = run(Schedule(seed=1, options=SHORT))
    assert calm.premises["LEAD-03"] == 0
    moves = tuple(
        Fault(at_ms=300 * node, kind=FaultKind.MOVE_LEADER, target=node, duration_ms=0)
        for node in (1, 2, 3)
    )
    options = RunOptions(until_ms=1_500, partitions=1)
    assert run(Schedule(seed=1, faults=moves, options=options)).premises["LEAD-03"] >= 2
