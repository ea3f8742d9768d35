"""`cluster.toml`: what is read from it, what is refused, and that its commands are run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance.nemesis.capability import Capability
from conformance.nemesis.nemesis import Nemesis
from conformance.outcomes import TargetBroken
from conformance.targets.described import DescribedControls
from conformance.targets.description import BadDescription, load
from conformance.targets.spec import described
from conformance.wirelog import WireLog
from spec.verdict import Verdict
from tests.suite import ROOT, run

EXAMPLE = ROOT / "conformance" / "targets" / "cluster.example.toml"
HEAD = 'bootstrap = ["127.0.0.1:9"]\n[[node]]\nid = 1\n'
COMMAND = HEAD + 'adapter = "command"\n'
SERVER = "import socket, time; time.sleep(600)"
WITHIN_S = 10


def file(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return path


def wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WITHIN_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


# ---- what is read -------------------------------------------------------------------------------


def test_the_example_is_one() -> None:
    spec = described(EXAMPLE, "all")
    assert spec.name == "staging"
    assert [str(address) for address in spec.bootstrap] == ["127.0.0.1:9092", "10.0.0.2:9092"]
    assert spec.controls is not None
    assert spec.controls.capabilities == {
        Capability.KILL,
        Capability.PAUSE,
        Capability.SHUT_DOWN,
        Capability.ISOLATE,
    }


def test_only_what_all_nodes_can_is_offered(tmp_path: Path) -> None:
    other = '[[node]]\nid = 2\nadapter = "command"\nstart = "true"\nkill = "true"\n'
    pauses = 'start = "true"\nkill = "true"\npause = "true"\nresume = "true"\n'
    controls = DescribedControls(load(file(tmp_path, COMMAND + pauses + other)))
    assert controls.capabilities == {Capability.KILL}
    assert tuple(controls.brokers) == (1, 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("=", "not TOML"),
        ("", "`bootstrap` is not a list of addresses"),
        ('bootstrap = ["a:1"]', "there is no [[node]]"),
        ('bootstrap = ["a:1"]\nnodes = 3', "the file: 'nodes' is none of name, bootstrap, node"),
        ('bootstrap = ["a:1"]\n[[node]]\nadapter = "command"', "node #1: `id` is missing"),
        (HEAD, "node 1: `adapter` is None, neither 'process' nor 'command'"),
        (HEAD + 'adapter = "docker"', "`adapter` is 'docker'"),
        (HEAD + 'adapter = "process"', "node 1: `pidfile` is missing"),
        (HEAD + 'adapter = "process"\npidfile = "p"\nkill = "x"', "node 1: 'kill' is none of"),
        (COMMAND + "start = 3", "node 1: `start` is neither a command line nor a list"),
        (COMMAND + 'kill = "x"', "node 1: there is `kill` and no `start` to undo it"),
        (COMMAND + 'pause = "x"', "there is `pause` and no `resume`"),
        (COMMAND + 'partition = "x"', "there is `partition` and no `heal`"),
        (COMMAND + 'start = "x"\nstop = "x"', "there is `stop` and no `running`"),
        (COMMAND + "within_s = 0", "`within_s` is not a positive number"),
        (COMMAND + "[[node]]\nid = 1\n" + 'adapter = "command"', "id 1 is given to two nodes"),
        (COMMAND.replace("127.0.0.1:9", "nowhere"), "bootstrap: 'nowhere' is neither host:port"),
    ],
)
def test_a_slip_is_named_and_where_it_is(tmp_path: Path, text: str, why: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ValueError, match=r".") as raised:
        described(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert why in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDescription, match="No such file"):
        load(tmp_path / "none.toml")


# ---- commands -----------------------------------------------------------------------------------

NOTES = """
start = "echo start {id} $WHO >> notes"
kill = ["/bin/sh", "-c", "echo kill >> notes"]
partition = "echo partition {peers} >> notes"
heal = "echo heal {peers} >> notes"
env = { WHO = "us" }
host = "h1"
"""
OTHERS = "".join(
    f'[[node]]\nid = {n}\nadapter = "command"\nhost = "h{n}"\n'
    'start = "true"\nkill = "true"\npartition = "true"\nheal = "true"\n'
    for n in (2, 3)
)


def test_faults_are_commands_with_their_words_filled_in(tmp_path: Path) -> None:
    controls = DescribedControls(load(file(tmp_path, COMMAND + NOTES + OTHERS)))
    nemesis = Nemesis(controls, WireLog(), lambda: 0)
    with nemesis.kill(1), nemesis.isolate(1):
        pass
    notes = (tmp_path / "notes").read_text(encoding="utf-8").splitlines()
    assert notes == ["kill", "partition h2 h3", "heal h2 h3", "start 1 us"]


def test_a_command_that_fails_or_takes_too_long_breaks_the_target(tmp_path: Path) -> None:
    text = 'start = "true"\nkill = "echo no such host; exit 3"\npause = "sleep 60"\n'
    rest = 'resume = "true"\nwithin_s = 0.2\n'
    controls = DescribedControls(load(file(tmp_path, COMMAND + text + rest)))
    with pytest.raises(TargetBroken, match=r"`kill` of node 1 .* exit status 3: no such host"):
        controls.kill(1)
    with pytest.raises(TargetBroken, match="timed out"):
        controls.pause(1)


# ---- processes ----------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DescribedControls]:
    start = f'start = ["{sys.executable}", "-c", "{SERVER}"]'
    text = HEAD + f'adapter = "process"\npidfile = "1.pid"\n{start}\n'
    controls = DescribedControls(load(file(tmp_path, text)))
    controls.start(1)
    yield controls
    if controls.is_running(1):
        controls.kill(1)


def pid_of(folder: Path) -> int:
    return int((folder / "1.pid").read_text(encoding="utf-8"))


def state_of(pid: int) -> str:
    """`S` for one that sleeps, `T` for one that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_a_process_is_killed_and_started_again(process: DescribedControls, tmp_path: Path) -> None:
    first = pid_of(tmp_path)
    process.start(1)
    assert pid_of(tmp_path) == first, "one that runs is not started again"
    with Nemesis(process, WireLog(), lambda: 0).kill(1):
        assert not process.is_running(1)
    assert process.is_running(1)
    assert pid_of(tmp_path) != first


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells the state")
def test_a_process_stands_still_while_it_is_paused(
    process: DescribedControls, tmp_path: Path
) -> None:
    pid = pid_of(tmp_path)
    with Nemesis(process, WireLog(), lambda: 0).pause(1):
        assert wait_until(lambda: state_of(pid) == "T")
        assert process.is_running(1)
    assert wait_until(lambda: state_of(pid) != "T")


def test_a_process_is_asked_to_end(process: DescribedControls) -> None:
    with Nemesis(process, WireLog(), lambda: 0).shut_down(1):
        assert wait_until(lambda: not process.is_running(1))
    assert process.is_running(1)


def test_a_pidfile_of_nobody_is_named(tmp_path: Path) -> None:
    text = HEAD + 'adapter = "process"\npidfile = "1.pid"\nstart = "true"\n'
    controls = DescribedControls(load(file(tmp_path, text)))
    assert not controls.is_running(1)
    with pytest.raises(TargetBroken, match=r"1\.pid names no process"):
        controls.kill(1)


# ---- the command line ---------------------------------------------------------------------------


def test_a_slip_in_the_file_is_one_of_the_command_line(tmp_path: Path) -> None:
    path = file(tmp_path, HEAD)
    found = run(tmp_path / "out", f"--target-config={path}")
    assert found.status == 4
    assert f"--target-config: {path}: node 1: `adapter` is None" in found.output


def test_faults_and_workers_do_not_go_together_on_a_cluster_that_lasts(tmp_path: Path) -> None:
    path = file(tmp_path, COMMAND)
    found = run(tmp_path / "out", f"--target-config={path}", "--faults=all", "-n2")
    assert found.status == 4
    assert "leave out -n" in found.output


def test_what_the_option_does_not_allow_is_not_run_and_says_so(tmp_path: Path) -> None:
    options = ("--clause=DUR-0[12]", "--faults=network", "conformance/test_durability_faults.py")
    found = run(tmp_path, *options)
    assert set(found.verdicts.values()) == {Verdict.NOT_RUN}
    notes = {record.note for record in found.evidence}
    assert "--faults=network does not allow the harness to kill and restart brokers" in notes
    assert run(tmp_path, *options[:1], "--faults=rain").status == 4


def test_a_described_process_is_harmed_and_healed_in_a_run(tmp_path: Path) -> None:
    """The reference as a server: one process for all brokers, so that pausing one pauses all."""
    own = ROOT / "build" / "own" / tmp_path.name / "test_own.py"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(PAUSES, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "reference.server", "--until-eof"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        bootstrap = json.loads(server.stdout.readline())["bootstrap"].split(",")[0]
        (tmp_path / "1.pid").write_text(str(server.pid), encoding="utf-8")
        text = f'bootstrap = ["{bootstrap}"]\n[[node]]\nid = 1\nadapter = "process"\n'
        path = file(tmp_path, text + 'pidfile = "1.pid"\n')
        found = run(tmp_path / "out", str(own), f"--target-config={path}", "--faults=process")
        server.terminate()
    assert found.status == 0, found.output
    assert found.verdicts == {"META-01": Verdict.PASS}
    [record] = found.evidence
    assert record.target == "cluster"
    assert f"--target-config={path}" in record.reproduce
    assert [e.name for e in record.wire if e.direction == "#"] == ["pause 1", "end of: pause 1"]


PAUSES = """
import pytest
from conformance.nemesis.capability import Capability

@pytest.mark.clause("META-01")
@pytest.mark.needs(Capability.PAUSE)
def test_a_pause_is_seen(bench):
    with bench.client() as client:
        over = client.broker()
        client.metadata()
        with client.target.nemesis.pause(1):
            pending = over.send(over.build("metadata", at_least=1, at_most=1, topics=None))
            assert not client.target.settle(pending, within_ms=300)
            bench.premise("paused")
        assert client.target.settle(pending)
"""
