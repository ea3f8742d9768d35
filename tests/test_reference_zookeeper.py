"""Metadata in ZooKeeper: who is the controller, what it may do, and what becomes of the old one."""

from collections.abc import Callable
from uuid import UUID

import pytest

from reference.image import MetadataImage
from reference.messages import ZOOKEEPER, FromPeer, MetadataUpdate, MetadataWanted, NotController
from reference.metadata.records import ConfigRecord
from reference.metadata.zookeeper import election, znodes
from reference.metadata.zookeeper.messages import (
    ANY_VERSION,
    Asked,
    Create,
    Delete,
    Failure,
    Operation,
    Outcome,
    SetData,
)
from reference.metadata.zookeeper.publication import RECORDS_KEPT, Publication
from reference.metadata.zookeeper.tree import Tree, is_read
from reference.mutants import zookeeper as wrong
from reference.mutants.controller import SecondProcessRegistered
from reference.mutants.mutant import Mutant
from reference.requests import (
    AlterOperation,
    ConfigChange,
    DeleteTopics,
    IncrementalAlterConfigs,
    ResourceToAlter,
    ResourceType,
    TopicsCreated,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Submission
from tests import core_cluster
from tests.zookeeper_runs import (
    TIMEOUT_MS,
    Prepare,
    Watched,
    controller_epoch,
    run_with_faults,
    submit_topic,
    watched,
)

QUICK_MS = 300
"""Enough for a few messages to and fro, and too short for a session to expire."""


def done(cluster: Cluster, submission: Submission) -> object:
    assert cluster.run(lambda: submission.is_done, 5_000), "no answer"
    return submission.response


def created(cluster: Cluster, broker: int, name: str) -> None:
    answer = done(cluster, submit_topic(cluster, broker, name))
    assert isinstance(answer, TopicsCreated)
    assert not answer.topics[0].error, answer


def leader(cluster: Cluster, name: str, number: int = 0) -> int:
    found = cluster.image.topic(name)
    assert found is not None
    return found.partitions[number].leader


def controller_of(found: Watched) -> int:
    """Who owns /controller."""
    node = found.ensemble.tree.get(znodes.CONTROLLER)
    assert node is not None
    return znodes.controller_of(node.data)


def assert_well(found: Watched) -> None:
    found.judge()
    assert found.wrong == []


# ---- joining ------------------------------------------------------------------------------------


def test_all_register_and_one_is_elected() -> None:
    found = watched()
    nodes = found.cluster.nodes
    assert found.ensemble.tree.children(znodes.BROKER_IDS) == ("1", "2", "3")
    assert [n for n in nodes if nodes[n].member.is_active] == [controller_of(found)]
    assert {node.member.controller for node in nodes.values()} == {controller_of(found)}
    assert {node.member.epoch for node in nodes.values()} == {controller_epoch(found.ensemble)}
    for number, broker in found.cluster.brokers.items():
        node = found.ensemble.tree.get(znodes.broker_path(number))
        assert node is not None
        assert broker.broker_epoch == node.stat.czxid, "KIP-380"


def test_a_restarted_broker_waits_for_the_end_of_its_former_session() -> None:
    found = watched()
    cluster = found.cluster
    created(cluster, 1, "topic")
    restarted = leader(cluster, "topic")
    before = cluster.brokers[restarted].broker_epoch
    cluster.crash(restarted)
    cluster.restart(restarted)
    found.let_pass(QUICK_MS)
    assert not cluster.lets_in(restarted)
    found.let_pass(3 * TIMEOUT_MS)
    assert cluster.brokers[restarted].broker_epoch > before
    assert leader(cluster, "topic") != restarted
    found.let_pass(3 * TIMEOUT_MS)
    assert_well(found)


def converse(tree: Tree, program: election.Waiting, session: int, steps: int = 20) -> int | str:
    """Lets a conversation with a tree go on until it returns, or waits for a watch."""
    outcome: Outcome | None = None
    for _ in range(steps):
        try:
            asked = program.send(outcome)  # type: ignore[arg-type]
        except StopIteration as end:
            returned: int = end.value
            return returned
        if isinstance(asked, str):
            return asked
        outcome = perform(tree, asked, session)
    raise AssertionError("it goes on for ever")


def perform(tree: Tree, operations: tuple[Operation, ...], session: int) -> Outcome:
    if all(map(is_read, operations)):
        return tree.read(operations)  # type: ignore[arg-type]
    written = tree.write(operations, session)
    return written if isinstance(written, Failure) else written.results


@pytest.mark.parametrize("rules", [Rules(), SecondProcessRegistered()])
def test_a_second_process_with_the_same_broker_id_has_to_wait(rules: Rules) -> None:
    tree = Tree()
    for path, data in znodes.PERSISTENT.items():
        perform(tree, (Create(path, data),), 0)
    first = converse(tree, election.register(rules, 1, UUID(int=1)), session=1)
    assert isinstance(first, int)
    waiting = election.register(rules, 1, UUID(int=2))
    second = converse(tree, waiting, session=2)
    if isinstance(rules, SecondProcessRegistered):
        assert isinstance(second, int), "the mutant takes the id of a live process"
        return
    assert second == znodes.broker_path(1)
    perform(tree, (Delete(second, ANY_VERSION),), 1)
    registered = converse(tree, waiting, session=2)
    assert isinstance(registered, int)
    assert registered > first


# ---- failover -----------------------------------------------------------------------------------


def test_the_broker_that_is_controller_and_leader_dies() -> None:
    found = watched()
    cluster = found.cluster
    dead = controller_of(found)
    created(cluster, dead, "topic")
    created(cluster, dead, "another")
    names = [
        (name, number)
        for name in ("topic", "another")
        for number in (0, 1)
        if leader(cluster, name, number) == dead
    ]
    assert names, "with four partitions each of three brokers leads one"
    epoch = controller_epoch(found.ensemble)
    cluster.crash(dead)
    found.let_pass(2 * TIMEOUT_MS)
    assert controller_epoch(found.ensemble) == epoch + 1
    assert controller_of(found) != dead
    for name, number in names:
        topic = cluster.image.topic(name)
        assert topic is not None
        state = topic.partitions[number]
        assert state.leader not in (dead, -1)
        assert dead not in state.isr
        assert state.leader_epoch == 1
    created(cluster, controller_of(found), "later")
    cluster.restart(dead)
    found.let_pass(3 * TIMEOUT_MS)
    assert_well(found)


def test_everything_acknowledged_survives_the_death_of_all_nodes() -> None:
    found = watched()
    cluster = found.cluster
    for name in ("kept", "deleted"):
        created(cluster, 1, name)
    change = ConfigChange(name="retention.ms", operation=AlterOperation.SET, value="77")
    for kind, name in ((ResourceType.TOPIC, "kept"), (ResourceType.BROKER, "")):
        wanted = "retention.ms" if kind == ResourceType.TOPIC else "log.retention.ms"
        resource = ResourceToAlter(
            type=kind, name=name, changes=(ConfigChange(wanted, change.operation, "77"),)
        )
        ask = IncrementalAlterConfigs(resources=(resource,), validate_only=False)
        done(cluster, cluster.submit(2, ask))
    done(cluster, cluster.submit(3, DeleteTopics(topics=("deleted",), timeout_ms=5_000)))
    found.let_pass(QUICK_MS)
    before = cluster.image.copy()
    for number in cluster.addresses:
        cluster.crash(number, power_loss=True)
    for number in cluster.addresses:
        cluster.restart(number)
    found.let_pass(6 * TIMEOUT_MS)
    after = cluster.image
    assert set(after.ids) == {"kept"}
    assert after.ids == before.ids
    assert after.configs == before.configs
    assert len(after.configs) == 2
    assert after.next_producer_id == before.next_producer_id
    assert not found.ensemble.tree.get(znodes.topic_path("deleted"))
    assert_well(found)


def test_a_controlled_shutdown_moves_leadership_without_waiting_for_a_session() -> None:
    for stops_controller in (False, True):
        found = watched()
        cluster = found.cluster
        created(cluster, 1, "topic")
        stopping = controller_of(found)
        if not stops_controller:
            stopping = next(n for n in (1, 2, 3) if n != stopping)
        cluster.shut_down(stopping)
        found.let_pass(QUICK_MS)
        assert stopping not in cluster.nodes
        assert stopping not in (leader(cluster, "topic", 0), leader(cluster, "topic", 1))
        assert controller_of(found) != stopping
        cluster.restart(stopping)
        found.let_pass(3 * TIMEOUT_MS)
        assert_well(found)


def test_a_node_that_the_controller_does_not_let_go_stops_all_the_same() -> None:
    found = watched()
    cluster = found.cluster
    stopping = next(n for n in (1, 2, 3) if n != controller_of(found))
    cluster.cut(stopping, controller_of(found))
    cluster.shut_down(stopping)
    found.let_pass(TIMEOUT_MS)
    assert stopping in cluster.nodes
    found.let_pass(2 * TIMEOUT_MS)
    assert stopping not in cluster.nodes


def power_lost(rules: Rules) -> tuple[Watched, int, list[int]]:
    """The node that leads and is the controller loses its power right after an acknowledgement, and
    is back before its session ends: then it registers sooner than a new controller can look.

    Returns also that node, and where the log of each broker ends.
    """
    found = watched(rules=rules)
    cluster = found.cluster
    lost = controller_of(found)
    while "topic" not in cluster.image.ids or leader(cluster, "topic") != lost:
        for name in tuple(cluster.image.ids):
            done(cluster, cluster.submit(1, DeleteTopics(topics=(name,), timeout_ms=5_000)))
        created(cluster, 1, "topic")
        found.let_pass(QUICK_MS)
    part = core_cluster.produce(cluster, "topic", core_cluster.batch(b"acknowledged"))
    assert not part.error
    cluster.crash(lost, power_loss=True)
    cluster.restart(lost)
    found.let_pass(4 * TIMEOUT_MS)
    replicas = (core_cluster.replica(cluster, number, "topic") for number in cluster.addresses)
    return found, lost, [replica.log.end_offset for replica in replicas]


def test_nothing_acknowledged_is_lost_with_the_power_of_leader_and_controller() -> None:
    found, lost, ends = power_lost(Rules())
    assert leader(found.cluster, "topic") != lost
    assert ends == [1, 1, 1]
    assert_well(found)


def test_who_takes_a_restarted_broker_for_its_former_life_loses_what_that_had() -> None:
    found, lost, ends = power_lost(wrong.RestartOverlooked())
    assert leader(found.cluster, "topic") == lost
    assert ends == [0, 0, 0]


# ---- zombies ------------------------------------------------------------------------------------


def zombie_story(rules: Rules, *, prepare: Prepare | None = None) -> tuple[Watched, list[object]]:
    """The controller sleeps, is deposed, wakes, and decides about a request that it slept over.

    Returns also what its node answered at once.
    """
    found = watched(rules=rules, prepare=prepare)
    cluster = found.cluster
    created(cluster, 1, "topic")
    zombie = controller_of(found)
    answers: list[object] = []

    def note(number: int, event: object, effects: list[object]) -> None:
        node = cluster.nodes.get(number)
        for heard in node.heard if node is not None else ():
            if isinstance(heard, FromPeer) and isinstance(heard.message, NotController):
                answers.append(heard.message)

    cluster.observers.append(note)  # type: ignore[arg-type]
    other = next(n for n in (1, 2, 3) if n != zombie)
    cluster.pause(zombie)
    asked = submit_topic(cluster, other, "asked-of-a-sleeper")
    found.let_pass(2 * TIMEOUT_MS)
    assert controller_of(found) != zombie
    created(cluster, other, "of-the-successor")
    cluster.resume(zombie)
    found.let_pass(3 * TIMEOUT_MS)
    assert asked.is_done
    return found, answers


def test_a_zombie_changes_nothing() -> None:
    found, answers = zombie_story(Rules())
    assert found.refused_writes == 1, "it did try"
    assert answers, "and its asker was told to go elsewhere"
    assert "asked-of-a-sleeper" in found.cluster.image.ids, "which it did"
    assert_well(found)


def test_a_zombie_whose_epoch_is_not_checked_writes() -> None:
    found, _ = zombie_story(wrong.ControllerEpochUnchecked())
    assert found.refused_writes == 0
    assert [w for w in found.wrong if w.startswith("CTL-02")]


def stale_candidate(rules: Rules, *, prepare: Prepare | None = None) -> Watched:
    """A candidate reads the epoch and sleeps; another is elected and goes; the first wakes."""
    found = watched(rules=rules, prepare=prepare)
    cluster = found.cluster
    dead = controller_of(found)
    sleeper = min(n for n in (1, 2, 3) if n != dead)
    cluster.crash(dead)

    def put_to_sleep(number: int, event: object, effects: list[object]) -> None:
        if number != ZOOKEEPER or not isinstance(event, FromPeer) or event.sender != sleeper:
            return
        asked, vacant = event.message, not found.ensemble.tree.get(znodes.CONTROLLER)
        if vacant and isinstance(asked, Asked) and is_read(asked.operations[0]):
            cluster.pause(sleeper)

    cluster.observers.append(put_to_sleep)  # type: ignore[arg-type]
    successor = 6 - dead - sleeper
    assert cluster.run(lambda: cluster.controller == successor, 2 * TIMEOUT_MS)
    cluster.shut_down(successor)
    found.let_pass(QUICK_MS)
    assert not found.ensemble.tree.get(znodes.CONTROLLER)
    cluster.observers.remove(put_to_sleep)  # type: ignore[arg-type]
    cluster.resume(sleeper)
    found.let_pass(QUICK_MS)
    assert controller_of(found) == sleeper
    return found


def test_a_candidate_takes_no_epoch_that_was_taken_while_it_slept() -> None:
    found = stale_candidate(Rules())
    assert controller_epoch(found.ensemble) == 3
    assert found.wrong == []


def test_without_compare_and_set_two_controllers_have_one_epoch() -> None:
    found = stale_candidate(wrong.EpochWithoutCompareAndSet())
    assert controller_epoch(found.ensemble) == 2
    assert found.wrong[0].startswith("CTL-01")


# ---- conflicts, and what brokers are told -------------------------------------------------------


def test_a_controller_that_meets_a_foreign_write_starts_from_there() -> None:
    """Tools of old wrote past the controller (kafka-topics --zookeeper)."""
    found = watched()
    cluster = found.cluster
    created(cluster, 1, "topic")
    path = znodes.topic_path("topic")
    node = found.ensemble.tree.get(path)
    assert node is not None
    written = found.ensemble.tree.write((SetData(path, node.data, node.stat.version),), 0)
    assert not isinstance(written, Failure)
    answer = done(cluster, cluster.submit(1, DeleteTopics(topics=("topic",), timeout_ms=5_000)))
    assert answer is not None
    found.let_pass(TIMEOUT_MS)
    assert not found.ensemble.tree.get(path)
    assert "topic" not in cluster.image.ids
    assert controller_epoch(found.ensemble) == 1, "no new controller was needed"
    created(cluster, 2, "later")
    found.let_pass(TIMEOUT_MS)
    assert_well(found)


def setting(number: int) -> ConfigRecord:
    return ConfigRecord(resource_type=4, resource="", name="name", value=str(number))


def test_brokers_are_told_what_they_lack() -> None:
    publication = Publication(5, MetadataImage(), first=1)
    update = publication.add([setting(1), setting(2)])
    assert (update.first, update.snapshot, len(update.records)) == (1, False, 2)

    def missing(epoch: int, applied: int) -> MetadataUpdate | None:
        return publication.missing(MetadataWanted(controller_epoch=epoch, applied=applied))

    assert missing(5, 3) is None
    assert missing(5, 2) == MetadataUpdate(controller_epoch=5, first=2, records=(setting(2),))
    for behind in (missing(5, 0), missing(4, 3), missing(6, 3)):
        assert behind is not None
        assert (behind.first, behind.snapshot) == (3, True)
        assert setting(2) in behind.records
        assert setting(1) not in behind.records, "it is overwritten"


def test_old_records_give_way_to_a_snapshot() -> None:
    publication = Publication(5, MetadataImage())
    for number in range(RECORDS_KEPT + 1):
        publication.add([setting(number)])
    assert publication.end == RECORDS_KEPT + 1
    late = publication.missing(MetadataWanted(controller_epoch=5, applied=0))
    assert late is not None
    assert late.snapshot
    recent = publication.missing(MetadataWanted(controller_epoch=5, applied=RECORDS_KEPT))
    assert recent is not None
    assert recent.records == (setting(RECORDS_KEPT),)


# ---- runs full of faults ------------------------------------------------------------------------

SEEDS_PER_TEST = 50


@pytest.mark.parametrize("first", range(0, 200, SEEDS_PER_TEST))
def test_nothing_goes_wrong_in_runs_full_of_faults(first: int) -> None:
    controllers = stopped = 0
    for seed in range(first, first + SEEDS_PER_TEST):
        found = run_with_faults(seed)
        assert found.wrong == [], f"seed {seed}"
        controllers += len(found.reigns)
        stopped += found.refused_writes
    assert controllers > 2 * SEEDS_PER_TEST, "too few controllers died to say anything"
    assert stopped, "no zombie tried to write"


def loses_a_run(rules: Callable[[], Rules], seeds: range) -> str | None:
    """The first thing that goes wrong, if anything does."""
    for seed in seeds:
        try:
            found = run_with_faults(seed, rules())
        except RuntimeError as error:  # it does not even start
            return str(error)
        if found.wrong:
            return found.wrong[0]
    return None


DIRECTED = ("epoch-without-compare-and-set", "restart-overlooked-at-failover")
"""Mutants that need more than luck; they have tests of their own above."""


@pytest.mark.parametrize(
    "mutant", [m for m in wrong.MUTANTS if m.name not in DIRECTED], ids=lambda m: str(m.name)
)
def test_every_wrong_rule_makes_some_run_go_wrong(mutant: Mutant) -> None:
    assert loses_a_run(mutant.rules, range(100)), "no run shows it"
