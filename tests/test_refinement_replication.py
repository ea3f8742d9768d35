"""The reference cluster is a cluster of the message-level model, and no mutant of it is."""

import itertools
from uuid import UUID

import pytest

from conformance.refinement import ModelRefused, Refusal
from conformance.refinement.carried import Carried
from conformance.refinement.decisions import Change
from conformance.refinement.machines import FIRST, Counts, embedded, larger, machine, model
from conformance.refinement.records import Batches
from conformance.refinement.refusal import CLAUSES
from reference.messages import Effect, Event, FromPeer, MetadataUpdate, ReplicaFetch, Send
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from reference.mutants.mutant import Mutant
from reference.mutants.truncation import MUTANTS
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Mode
from spec.clauses import CLAUSES as ALL_CLAUSES
from tests.refinement_runs import TOPIC, chaotic_run, observed_cluster, write

SEEDS = range(1, 31)
RARE = {"controller_depose_leader"}
"""ZooKeeper's controller finds several members of the ISR dead at once."""
RUNS_MAX = 400
"""Within which each mutant is refused; most of them within a few dozen."""


def settle(cluster: Cluster, ms: int = 1_000) -> None:
    cluster.run(lambda: False, ms)
    assert not cluster.crashes, cluster.crashes[0]


def leader(cluster: Cluster) -> int:
    return decided(cluster)[-1].leader


def decided(cluster: Cluster) -> list[PartitionState]:
    """All that was decided about the one partition."""
    (states,) = cluster.committed.values()
    return states


# ---- the right cluster --------------------------------------------------------------------------


def test_every_step_of_chaotic_runs_is_one_of_the_model() -> None:
    taken: dict[str, int] = dict.fromkeys(model().actions, 0)
    for seed, mode in itertools.product(SEEDS, Mode):
        refusal, actions = chaotic_run(seed, mode)
        assert refusal is None, f"seed {seed}, {mode}: {refusal}"
        for action, count in actions.items():
            taken[action] += count
    assert {action for action, count in taken.items() if not count} <= RARE


def test_a_run_outgrows_one_machine_after_another() -> None:
    cluster, observer = observed_cluster()
    for number in range(70):
        write(cluster, leader(cluster), b"%d" % number)
        settle(cluster, 20)
    settle(cluster)
    observer.compare_whole()
    (validator,) = observer.validators.values()
    assert validator.carried.taken["leader_write"] == 70
    assert validator.carried.machine.bounds.counts["Offset"] > dict(FIRST)["Offset"]
    assert not observer.outgrown


def test_a_state_means_the_same_in_a_larger_machine() -> None:
    small = machine(3, FIRST)
    counts: Counts = FIRST
    for sort in dict(FIRST):
        counts = larger(counts, sort) or counts
    large = machine(3, counts)
    assert embedded(small.initial, small.initial, large.initial) == large.initial
    steps = (
        ("controller_elect_leader", (0, False)),
        ("apply_decision", (0, 1)),
        ("apply_decision", (1, 1)),
        ("leader_write", (0,)),
        ("follower_append", (1, 0)),
        ("leader_handle_fetch", (0, 1, 0, 0, 1, 0)),
    )
    states = [small.initial, large.initial]
    for action, params in steps:
        for index, each in enumerate((small, large)):
            states[index] = each.step[action](states[index], *params) or ()
        assert embedded(states[0], small.initial, large.initial) == states[1]


def test_batches_are_found_by_the_offsets_between_them() -> None:
    batches = Batches()
    for epoch, end_offset in ((0, 2), (0, 3), (1, 7)):
        batches.add(epoch, end_offset, b"")
    log = (0, 1, 2, 0, 0)
    assert [batches.offset(log, place) for place in range(4)] == [0, 2, 3, 7]
    assert [batches.place(log, 3, offset) for offset in range(9)] == [0, 0, 1, 2, 2, 2, 2, 3, 3]


def test_every_refusal_has_clauses_that_exist() -> None:
    assert set(model().actions) <= set(CLAUSES)
    assert {clause for clauses in CLAUSES.values() for clause in clauses} <= set(ALL_CLAUSES)


def state(leader: int, epoch: int, isr: tuple[int, ...], *elr: int) -> PartitionState:
    partition = PartitionId(UUID(int=1), 0)
    return PartitionState(
        id=partition,
        replicas=(1, 2, 3),
        leader=leader,
        leader_epoch=epoch,
        isr=isr,
        elr=elr,
        partition_epoch=0,
    )


CHANGES = {
    "nobody leads, and the ISR stays": (
        state(1, 0, (1, 3)),
        state(NO_LEADER, 1, (1, 3)),
        ["controller_depose_leader"],
    ),
    "the leader goes, a member follows it": (
        state(1, 0, (1, 2, 3)),
        state(2, 1, (2, 3)),
        ["controller_fence_broker"],
    ),
    "two go at once": (
        state(1, 0, (1, 2, 3)),
        state(2, 1, (2,), 1, 3),
        ["controller_fence_broker"] * 2,
    ),
    "the last goes to the ELR": (
        state(1, 0, (1,), 2),
        state(NO_LEADER, 1, (), 1, 2),
        ["controller_fence_broker"],
    ),
    "somebody of the ELR leads": (
        state(NO_LEADER, 1, (), 1, 2),
        state(2, 2, (2,), 1),
        ["controller_elect_leader"],
    ),
    "one of the ELR has lost its log": (
        state(1, 0, (1,), 2, 3),
        state(1, 0, (1,), 3),
        ["controller_remove_broker"],
    ),
    "the last has lost its log": (
        state(1, 0, (1,)),
        state(NO_LEADER, 1, ()),
        ["controller_remove_broker"],
    ),
    "the preferred replica leads": (
        state(2, 0, (1, 2, 3)),
        state(1, 1, (1, 2, 3)),
        ["controller_elect_leader"],
    ),
    "replicas are moved": (
        state(1, 0, (1, 2, 3)),
        state(1, 1, (1, 2, 3)),
        ["controller_decide_anew"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_decision_is_these_actions(name: str) -> None:
    before, after, names = CHANGES[name]
    change = Change(
        before=before,
        after=after,
        number={1: 0, 2: 1, 3: 2},
        version=1,
        life=(0, 0, 0),
        was_asked=lambda asked: False,
    )
    actions = change.actions()
    assert [action for action, _ in actions] == names
    epochs = {params[2] for action, params in actions if len(params) == 4}
    assert not epochs or max(epochs) == after.leader_epoch


# ---- wrong clusters -----------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_refused(mutant: Mutant) -> None:
    for seed, mode in zip(range(1, RUNS_MAX), itertools.cycle(Mode), strict=False):
        refusal, _ = chaotic_run(seed, mode, mutant.rules())
        if refusal is not None:
            assert refusal.reason
            return
    pytest.fail(f"{mutant.name} is not refused in {RUNS_MAX} runs")


def refused(cluster: Cluster, ms: int = 2_000) -> Refusal:
    with pytest.raises(ModelRefused) as found:
        settle(cluster, ms)
    return found.value.refusal


def test_a_refusal_says_what_and_where() -> None:
    """A leader that commits what nobody has fetched."""
    cluster, _ = observed_cluster()
    (partition,) = cluster.committed
    leads = leader(cluster)
    for other in cluster.addresses:
        if other != leads:
            cluster.pause(other)
    write(cluster, leads, b"alone")
    settle(cluster, 50)
    replica = cluster.brokers[leads].replicas[partition]
    replica.high_watermark = replica.log.end_offset
    write(cluster, leads, b"once more")
    refusal = refused(cluster)
    assert refusal.clauses[0] == "ISR-02"
    assert refusal.action == "leader_increment_high_watermark"
    assert "replication_messages_core.py:" in refusal.reason
    assert (refusal.node, refusal.partition, refusal.event) == (leads, "orders-0", "Produce")
    assert "orders-0" in str(refusal)


def test_a_batch_that_changes_on_its_way_is_refused() -> None:
    cluster, observer = observed_cluster()
    (partition,) = cluster.committed
    write(cluster, leader(cluster), b"right")
    settle(cluster)
    follower = next(n for n in cluster.addresses if n != leader(cluster))
    log = cluster.brokers[follower].replicas[partition].log
    log.batches[-1] = log.batches[-1][:-1] + b"?"
    with pytest.raises(ModelRefused) as found:
        observer.compare_whole()
    assert found.value.refusal.clauses == CLAUSES["log"]


class OldDecisionsApplied(Rules):
    def is_newer_decision(self, given: int, known: int) -> bool:
        return given != known


def test_an_older_decision_is_refused() -> None:
    """Metadata come in order, so no run of the cluster brings one about: it is forged here."""
    cluster, observer = observed_cluster(rules=OldDecisionsApplied())
    (partition,) = cluster.committed
    leads = leader(cluster)
    other = next(n for n in sorted(cluster.addresses) if n != leads)
    cluster.pause(other)
    write(cluster, leads, b"without it")
    settle(cluster, 2_000)
    old, new = decided(cluster)[0], decided(cluster)[-1]
    assert new.partition_epoch > old.partition_epoch
    node = cluster.nodes[leads]
    node.broker.replicas[partition].become(old, cluster.clock_ms, first=False)
    update = MetadataUpdate(controller_epoch=0, first=0, records=(old,))
    node.heard = [FromPeer(leads, update)]
    with pytest.raises(ModelRefused) as found:
        observer(leads, None, [])
    assert found.value.refusal.action == "apply_decision"


class FormerLifeCounts(Rules):
    def is_latest_life(self, broker_epoch: int, heard: int) -> bool:
        return True


@pytest.mark.parametrize("rules", [Rules(), FormerLifeCounts()], ids=["right", "wrong"])
def test_a_fetch_of_a_former_life_counts_no_more(rules: Rules) -> None:
    """It was held up on its way until the follower had lost its log, and had come back."""
    cluster, _ = observed_cluster(rules=rules)
    (partition,) = cluster.committed
    leads = leader(cluster)
    follower = next(n for n in sorted(cluster.addresses) if n != leads)
    sent: list[ReplicaFetch] = []

    def note(member: int, event: Event | None, effects: list[Effect]) -> None:
        for effect in effects:
            if (
                member == follower
                and isinstance(effect, Send)
                and isinstance(effect.message, ReplicaFetch)
            ):
                sent.append(effect.message)

    cluster.observers.append(note)
    for number in range(3):
        write(cluster, leads, b"%d" % number)
        settle(cluster, 100)
    held_up = sent[-1]
    cluster.crash(follower)
    lose_log(cluster, follower, partition)
    cluster.restart(follower)
    epoch = decided(cluster)[-1].leader_epoch
    cluster.run(lambda: bool(sent) and sent[-1].broker_epoch != held_up.broker_epoch, 5_000)
    settle(cluster, 10)
    assert decided(cluster)[-1].leader_epoch == epoch == held_up.leader_epoch
    assert sent[-1].broker_epoch > held_up.broker_epoch

    def deliver() -> None:
        cluster.give(leads, FromPeer(follower, held_up))

    if isinstance(rules, FormerLifeCounts):
        with pytest.raises(ModelRefused) as found:
            deliver()
        assert found.value.refusal.action == "leader_handle_fetch"
        assert "remembered_life" in found.value.refusal.reason
    else:
        deliver()


def lose_log(cluster: Cluster, node: int, partition: PartitionId) -> None:
    """What a power loss may do: nothing of the partition's log was on the disk."""
    disk = cluster.disks[node]
    for path in disk.files():
        if path.startswith(f"logs/{TOPIC}-{partition.number}/"):
            disk.delete(path)


def test_carried_state_grows_only_where_it_must() -> None:
    carried = Carried(3)
    carried.take("controller_elect_leader", 0, False)
    assert not carried.allows("leader_write", (1,))
    assert carried.machine is machine(3, FIRST)
