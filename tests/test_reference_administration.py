"""Topics, settings, elections and reassignments: what the controller decides."""

import pytest

from reference.configs import Configs
from reference.errors import Error
from reference.metadata.records import PartitionId
from reference.requests import (
    AlterPartitionReassignments,
    ConfigChange,
    ConfigEntry,
    ConfigsAltered,
    ConfigsDescribed,
    ConfigSource,
    CreatePartitions,
    CreateTopics,
    DeleteRecords,
    DeleteRecordsPart,
    DescribeConfigs,
    ElectLeaders,
    IncrementalAlterConfigs,
    LeadersElected,
    ListPartitionReassignments,
    MorePartitions,
    NewTopic,
    Partition,
    PartitionsCreated,
    Reassignment,
    ReassignmentsAltered,
    ReassignmentsListed,
    ResourceDescribed,
    ResourceToAlter,
    ResourceToDescribe,
    TopicCreated,
    TopicsCreated,
)
from reference.simulator.cluster import Cluster
from reference.simulator.network import Plane
from tests.core_cluster import (
    ask,
    batch,
    cluster,
    create,
    described,
    fetch,
    leader_of,
    produce,
    replica,
    settle,
)

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)


# ---- topics -------------------------------------------------------------------------------------


def created(running: Cluster, *topics: NewTopic, validate_only: bool = False) -> list[TopicCreated]:
    request = CreateTopics(topics=topics, timeout_ms=1_000, validate_only=validate_only)
    answer = ask(running, 2, request)
    assert isinstance(answer, TopicsCreated)
    return list(answer.topics)


def new(name: str, partitions: int = 1, factor: int = 1, **fields: object) -> NewTopic:
    return NewTopic(
        name=name,
        partitions=partitions,
        replication_factor=factor,
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        (new("known"), Error.TOPIC_ALREADY_EXISTS),
        (new("known", partitions=0), Error.TOPIC_ALREADY_EXISTS),
        (new("known", factor=9), Error.TOPIC_ALREADY_EXISTS),
        (new("a_b"), Error.INVALID_TOPIC_EXCEPTION),
        (new(""), Error.INVALID_TOPIC_EXCEPTION),
        (new("."), Error.INVALID_TOPIC_EXCEPTION),
        (new(".."), Error.INVALID_TOPIC_EXCEPTION),
        (new("a/b"), Error.INVALID_TOPIC_EXCEPTION),
        (new("x" * 250), Error.INVALID_TOPIC_EXCEPTION),
        (new("t", partitions=0), Error.INVALID_PARTITIONS),
        (new("t", partitions=-2), Error.INVALID_PARTITIONS),
        (new("t", partitions=10_001), Error.POLICY_VIOLATION),
        (new("t", factor=0), Error.INVALID_REPLICATION_FACTOR),
        (new("t", factor=-2), Error.INVALID_REPLICATION_FACTOR),
        (new("t", factor=4), Error.INVALID_REPLICATION_FACTOR),
        (new("t", configs=(("no.such.config", "1"),)), Error.INVALID_CONFIG),
        (new("t", configs=(("retention.ms", "soon"),)), Error.INVALID_CONFIG),
        (new("t", configs=(("retention.ms", "-2"),)), Error.INVALID_CONFIG),
        (new("t", configs=(("retention.ms", None),)), Error.INVALID_CONFIG),
        (new("t", configs=(("cleanup.policy", ""),)), Error.INVALID_CONFIG),
        (new("t", assignments=((0, (1,)),)), Error.INVALID_REQUEST),
        (new("t", -1, 1, assignments=((0, (1,)),)), Error.INVALID_REQUEST),
        (new("t", -1, -1, assignments=((0, ()),)), Error.INVALID_REPLICA_ASSIGNMENT),
        (new("t", -1, -1, assignments=((0, (1, 1)),)), Error.INVALID_REPLICA_ASSIGNMENT),
        (new("t", -1, -1, assignments=((0, (1, 9)),)), Error.INVALID_REPLICA_ASSIGNMENT),
        (new("t", -1, -1, assignments=((1, (1,)),)), Error.INVALID_REPLICA_ASSIGNMENT),
        (new("t", -1, -1, assignments=((0, (1,)), (0, (2,)))), Error.INVALID_REPLICA_ASSIGNMENT),
        (new("t", -1, -1, assignments=((0, (1,)), (1, (1, 2)))), Error.INVALID_REPLICA_ASSIGNMENT),
    ],
)
@pytest.mark.parametrize("validate_only", [True, False])
def test_a_bad_topic_leaves_nothing_behind(
    topic: NewTopic, error: Error, validate_only: bool
) -> None:
    running = cluster()
    create(running, "known")
    create(running, "a.b")
    records = running.image.applied
    (answer,) = created(running, topic, validate_only=validate_only)
    assert (answer.name, answer.error) == (topic.name, error)
    assert running.image.applied == records


def test_good_topics_are_created_beside_bad_ones() -> None:
    running = cluster(configs={"num.partitions": "4", "default.replication.factor": "2"})
    answers = created(
        running,
        new("twice"),
        new("good", -1, -1),
        new("twice"),
        new("a.c"),
        new("a_c"),
        new("mine", -1, -1, assignments=((1, (3, 1)), (0, (2, 3)))),
    )
    assert [(each.name, each.error) for each in answers] == [
        ("twice", Error.INVALID_REQUEST),
        ("good", Error.NONE),
        ("a.c", Error.NONE),
        ("a_c", Error.INVALID_TOPIC_EXCEPTION),
        ("mine", Error.NONE),
    ]
    good, mine = answers[1], answers[4]
    assert (good.partitions, good.replication_factor) == (4, 2)
    assert (mine.partitions, mine.replication_factor) == (2, 2)
    states = running.image.topics[mine.topic_id].partitions
    assert [states[number].replicas for number in (0, 1)] == [(2, 3), (3, 1)]
    assert [states[number].leader for number in (0, 1)] == [2, 3]


def test_validation_answers_and_does_nothing() -> None:
    running = cluster()
    topic = new("t", 3, 2, configs=(("retention.ms", " 77 "),))
    (answer,) = created(running, topic, validate_only=True)
    assert (answer.error, answer.partitions, answer.replication_factor) == (Error.NONE, 3, 2)
    assert not running.image.ids
    (again,) = created(running, topic)
    entry = {each.name: each for each in again.configs or ()}["retention.ms"]
    assert (entry.value, entry.source) == ("77", ConfigSource.TOPIC)
    assert again.configs == answer.configs


def grown(running: Cluster, count: int, **fields: object) -> Error:
    more = MorePartitions(topic="t", count=count, **fields)  # type: ignore[arg-type]
    request = CreatePartitions(topics=(more,), timeout_ms=1_000, validate_only=False)
    answer = ask(running, 3, request)
    assert isinstance(answer, PartitionsCreated)
    settle(running)
    return answer.topics[0].error


def test_partitions_are_only_added() -> None:
    running = cluster()
    topic_id = create(running, "t", partitions=2, replication_factor=2)
    produce(running, "t", batch(b"a"))
    before = running.image.topics[topic_id].partitions[0]
    for count in (2, 1, 0, -1):
        assert grown(running, count) is Error.INVALID_PARTITIONS
    for assignments in (((1, 2), (2, 3)), ((1,),), ((1, 9),), ((1, 1),), ((),)):
        error = grown(running, 3, assignments=assignments)
        assert error is Error.INVALID_REPLICA_ASSIGNMENT
    assert grown(running, 3, assignments=((3, 1),)) is Error.NONE
    assert grown(running, 5) is Error.NONE
    states = running.image.topics[topic_id].partitions
    assert sorted(states) == [0, 1, 2, 3, 4]
    assert states[0] == before
    assert states[2].replicas == (3, 1)
    assert fetch(running, "t", 0).high_watermark == 1
    for state in states.values():
        assert running.brokers[state.leader].replicas[state.id].leadership


# ---- settings -----------------------------------------------------------------------------------


def alter(
    running: Cluster, kind: int, name: str, *changes: ConfigChange, validate_only: bool = False
) -> Error:
    resource = ResourceToAlter(type=kind, name=name, changes=changes)
    request = IncrementalAlterConfigs(resources=(resource,), validate_only=validate_only)
    answer = ask(running, 1, request)
    assert isinstance(answer, ConfigsAltered)
    settle(running, 100)
    return answer.resources[0].error


def describe(
    running: Cluster, broker: int, kind: int, name: str, *keys: str, synonyms: bool = True
) -> ResourceDescribed:
    resource = ResourceToDescribe(type=kind, name=name, keys=keys or None)
    request = DescribeConfigs(
        resources=(resource,), include_synonyms=synonyms, include_documentation=False
    )
    answer = ask(running, broker, request)
    assert isinstance(answer, ConfigsDescribed)
    return answer.resources[0]


def setting(running: Cluster, broker: int, kind: int, name: str, key: str) -> ConfigEntry:
    (entry,) = describe(running, broker, kind, name, key).configs
    return entry


def test_settings_follow_their_precedence() -> None:
    running = cluster(configs={"message.max.bytes": "1000"})
    create(running, "t")

    def holds(broker: int) -> tuple[str | None, ConfigSource]:
        entry = setting(running, broker, TOPIC, "t", "max.message.bytes")
        return entry.value, entry.source

    assert holds(1) == ("1000", ConfigSource.STATIC_BROKER)
    assert alter(running, BROKER, "", ConfigChange("message.max.bytes", SET, "900")) is Error.NONE
    assert holds(1) == ("900", ConfigSource.DYNAMIC_DEFAULT_BROKER)
    assert alter(running, BROKER, "2", ConfigChange("message.max.bytes", SET, "800")) is Error.NONE
    assert holds(1) == ("900", ConfigSource.DYNAMIC_DEFAULT_BROKER)
    assert holds(2) == ("800", ConfigSource.DYNAMIC_BROKER)
    assert alter(running, TOPIC, "t", ConfigChange("max.message.bytes", SET, "700")) is Error.NONE
    assert holds(1) == holds(2) == ("700", ConfigSource.TOPIC)
    synonyms = setting(running, 2, TOPIC, "t", "max.message.bytes").synonyms
    assert [each.value for each in synonyms] == ["700", "800", "900", "1000", "1048588"]
    assert describe(running, 2, TOPIC, "t", synonyms=False).configs[0].synonyms == ()
    assert alter(running, TOPIC, "t", ConfigChange("max.message.bytes", DELETE, None)) is Error.NONE
    assert holds(2) == ("800", ConfigSource.DYNAMIC_BROKER)


def test_altered_settings_take_effect_on_every_broker() -> None:
    running = cluster()
    create(running, "t")
    content = batch(b"x" * 300)
    for limit, error in ((len(content) - 1, Error.MESSAGE_TOO_LARGE), (len(content), Error.NONE)):
        change = ConfigChange("max.message.bytes", SET, str(limit))
        assert alter(running, TOPIC, "t", change) is Error.NONE
        for target in ((2, 1, 3), (3, 1, 2), (1, 2, 3)):
            move(running, target)
            assert produce(running, "t", content).error is error


@pytest.mark.parametrize(
    ("kind", "name", "change", "error"),
    [
        (TOPIC, "t", ConfigChange("no.such", SET, "1"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("flush.ms", SET, "1"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("retention.ms", SET, "x"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("retention.ms", SET, "9" * 19), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("min.insync.replicas", SET, "0"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("compression.type", SET, "brotli"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("retention.ms", APPEND, "1"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("cleanup.policy", APPEND, "shred"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("cleanup.policy", SUBTRACT, "delete"), Error.INVALID_CONFIG),
        (TOPIC, "t", ConfigChange("retention.ms", SET, None), Error.INVALID_REQUEST),
        (TOPIC, "t", ConfigChange("retention.ms", 9, "1"), Error.INVALID_REQUEST),
        (TOPIC, "u", ConfigChange("retention.ms", SET, "1"), Error.UNKNOWN_TOPIC_OR_PARTITION),
        (BROKER, "9", ConfigChange("log.retention.ms", SET, "1"), Error.INVALID_REQUEST),
        (BROKER, "1", ConfigChange("broker.id", SET, "1"), Error.INVALID_CONFIG),
        (BROKER, "1", ConfigChange("retention.ms", SET, "1"), Error.INVALID_CONFIG),
        (8, "1", ConfigChange("root", SET, "DEBUG"), Error.INVALID_REQUEST),
        (77, "t", ConfigChange("retention.ms", SET, "1"), Error.INVALID_REQUEST),
    ],
)
def test_bad_changes_change_nothing(
    kind: int, name: str, change: ConfigChange, error: Error
) -> None:
    running = cluster()
    create(running, "t")
    records = running.image.applied
    good = ConfigChange("segment.bytes", SET, "500")
    assert alter(running, kind, name, good, change) is error or kind == BROKER
    assert alter(running, kind, name, change) is error
    assert running.image.applied == records


def test_lists_grow_and_shrink() -> None:
    running = cluster()
    create(running, "t")

    def after(operation: int, value: str) -> str | None:
        change = ConfigChange("cleanup.policy", operation, value)
        assert alter(running, TOPIC, "t", change) is Error.NONE
        return setting(running, 3, TOPIC, "t", "cleanup.policy").value

    assert after(APPEND, "compact") == "delete,compact"
    assert after(APPEND, "compact") == "delete,compact"
    assert after(SUBTRACT, "delete") == "compact"
    change = ConfigChange("cleanup.policy", SET, "delete")
    assert alter(running, TOPIC, "t", change, validate_only=True) is Error.NONE
    assert setting(running, 3, TOPIC, "t", "cleanup.policy").value == "compact"


def test_what_cannot_be_described() -> None:
    running = cluster()
    create(running, "t")
    assert describe(running, 1, TOPIC, "u").error is Error.UNKNOWN_TOPIC_OR_PARTITION
    assert describe(running, 1, BROKER, "2").error is Error.INVALID_REQUEST
    assert describe(running, 1, 8, "1").error is Error.INVALID_REQUEST
    assert describe(running, 1, TOPIC, "t", "no.such").configs == ()
    names = [entry.name for entry in describe(running, 1, BROKER, "1").configs]
    assert "replica.lag.time.max.ms" in names
    assert setting(running, 2, BROKER, "2", "broker.id").value == "2"
    assert setting(running, 2, BROKER, "2", "broker.id").read_only
    assert describe(running, 1, BROKER, "").configs == ()


def test_bad_static_settings_are_refused() -> None:
    for configs in ({"no.such": "1"}, {"num.partitions": "0"}):
        with pytest.raises(ValueError, match=r"no\.such|num\.partitions"):
            cluster(configs=configs)


def test_every_default_is_legal() -> None:
    for entry in (*Configs(1, {}, {}).describe_topic("t"), *Configs(1, {}, {}).describe_broker()):
        running = entry.synonyms[-1].value
        assert running == entry.value or entry.name == "broker.id"


# ---- elections and reassignments ----------------------------------------------------------------


def reassign(running: Cluster, target: tuple[int, ...] | None) -> Error:
    wanted = Reassignment(partition=Partition("t", 0), replicas=target)
    answer = ask(running, 1, AlterPartitionReassignments(reassignments=(wanted,), timeout_ms=1_000))
    assert isinstance(answer, ReassignmentsAltered)
    settle(running)
    return answer.reassignments[0].error


def elect(running: Cluster, election: int = 0) -> Error:
    request = ElectLeaders(election=election, partitions=(Partition("t", 0),), timeout_ms=1_000)
    answer = ask(running, 1, request)
    assert isinstance(answer, LeadersElected)
    settle(running)
    return answer.partitions[0].error


def move(running: Cluster, target: tuple[int, ...]) -> None:
    """Makes the first of the target replicas the leader."""
    assert reassign(running, target) is Error.NONE
    assert elect(running) in (Error.NONE, Error.ELECTION_NOT_NEEDED)
    assert leader_of(running, "t") == target[0]


def ongoing(running: Cluster) -> ReassignmentsListed:
    answer = ask(running, 1, ListPartitionReassignments(partitions=None))
    assert isinstance(answer, ReassignmentsListed)
    return answer


def test_leadership_moves_with_a_new_epoch_and_all_records() -> None:
    running = cluster()
    create(running, "t")
    for turn, target in enumerate(((2, 3, 1), (3, 1, 2), (1, 2, 3), (2, 1, 3))):
        move(running, target)
        assert described(running, 1, "t").leader_epoch == turn + 1
        assert produce(running, "t", batch(b"a", b"b")).base_offset == 2 * turn
        assert elect(running) is Error.ELECTION_NOT_NEEDED
    assert elect(running, election=1) is Error.ELECTION_NOT_NEEDED
    for number in running.brokers:
        epochs = replica(running, number, "t").log.epochs
        assert (epochs.epochs[-4:], epochs.starts[-4:]) == ([1, 2, 3, 4], [0, 2, 4, 6])
    assert fetch(running, "t", 0, current_leader_epoch=3).error is Error.FENCED_LEADER_EPOCH
    for epoch, offset, diverging in ((1, 2, None), (1, 3, (1, 2)), (2, 6, (2, 4)), (0, 1, (0, 0))):
        part = fetch(running, "t", offset, last_fetched_epoch=epoch)
        assert part.diverging == diverging
        assert bool(part.records) == (diverging is None)
    assert fetch(running, "t", 3, last_fetched_epoch=9).error is Error.OFFSET_OUT_OF_RANGE


def test_who_is_out_of_sync_is_not_elected() -> None:
    running = cluster(configs={"replica.lag.time.max.ms": "1000"})
    create(running, "t", assignments=((0, (1, 2, 3)),), partitions=-1, replication_factor=-1)
    assert reassign(running, (2, 1, 3)) is Error.NONE
    running.cut(2, 1, plane=Plane.REPLICATION)
    produce(running, "t", batch(b"a"))
    settle(running, 3_000)
    assert described(running, 1, "t").isr == (1, 3)
    assert elect(running) is Error.PREFERRED_LEADER_NOT_AVAILABLE
    running.heal(2, 1)
    settle(running, 3_000)
    assert elect(running) is Error.NONE


def test_only_what_needs_it_is_elected_among_all() -> None:
    running = cluster()
    create(running, "t")
    create(running, "u")
    reassign(running, (2, 3, 1) if leader_of(running, "t") != 2 else (1, 2, 3))
    answer = ask(running, 1, ElectLeaders(election=0, partitions=None, timeout_ms=1_000))
    assert isinstance(answer, LeadersElected)
    assert [each.partition for each in answer.partitions] == [Partition("t", 0)]
    none = ElectLeaders(election=0, partitions=(Partition("x", 0),), timeout_ms=1_000)
    answer = ask(running, 1, none)
    assert isinstance(answer, LeadersElected)
    assert answer.partitions[0].error is Error.UNKNOWN_TOPIC_OR_PARTITION
    answer = ask(running, 1, ElectLeaders(election=7, partitions=None, timeout_ms=1_000))
    assert isinstance(answer, LeadersElected)
    assert answer.error is Error.INVALID_REQUEST


def test_replicas_move_with_their_records() -> None:
    running = cluster()
    topic_id = create(
        running, "t", assignments=((0, (1, 2)),), partitions=-1, replication_factor=-1
    )
    produce(running, "t", batch(b"a"))
    assert reassign(running, (3,)) is Error.NONE
    settle(running, 2_000)
    assert ongoing(running).ongoing == ()
    state = described(running, 2, "t")
    assert (state.leader, state.replicas, state.isr) == (3, (3,), (3,))
    assert fetch(running, "t", 0).high_watermark == 1
    for gone in (1, 2):
        assert PartitionId(topic_id, 0) not in running.brokers[gone].replicas


@pytest.mark.parametrize("before", [1, 2, 3, 4])
def test_a_new_replica_starts_where_the_log_does(before: int) -> None:
    """Also inside a batch, and with the producers of the batches that are gone."""
    running = cluster()
    create(running, "t", assignments=((0, (1,)),), partitions=-1, replication_factor=-1)
    header = {"producer_id": 7, "producer_epoch": 0}
    first, second = (batch(b"a", b"b", base_sequence=n, **header) for n in (0, 2))
    assert produce(running, "t", first).base_offset == 0
    assert produce(running, "t", second).base_offset == 2
    part = DeleteRecordsPart(topic="t", number=0, before_offset=before)
    ask(running, 1, DeleteRecords(timeout_ms=1_000, parts=(part,)))
    assert reassign(running, (2, 1)) is Error.NONE
    settle(running)
    old, new = (replica(running, number, "t").log for number in (1, 2))
    assert (new.start_offset, new.end_offset) == (old.start_offset, 4) == (before, 4)
    assert new.batches == old.batches
    assert new.last_epoch == old.last_epoch == 0
    move(running, (2, 1))
    assert produce(running, "t", first).base_offset == 0, "a retry is recognised"
    assert produce(running, "t", batch(b"c", base_sequence=4, **header)).base_offset == 4


def test_a_reassignment_waits_for_the_whole_target_and_can_be_cancelled() -> None:
    running = cluster()
    create(running, "t", assignments=((0, (1,)),), partitions=-1, replication_factor=-1)
    produce(running, "t", batch(b"a"))
    running.cut(3, 1, plane=Plane.REPLICATION)
    assert reassign(running, None) is Error.NO_REASSIGNMENT_IN_PROGRESS
    assert reassign(running, (2, 3)) is Error.NONE
    (entry,) = ongoing(running).ongoing
    assert (entry.replicas, entry.adding, entry.removing) == ((2, 3, 1), (2, 3), (1,))
    assert described(running, 1, "t").isr == (1, 2)
    assert reassign(running, None) is Error.NONE
    assert ongoing(running).ongoing == ()
    state = described(running, 2, "t")
    assert (state.leader, state.replicas, state.isr) == (1, (1,), (1,))
    assert reassign(running, (3, 1)) is Error.NONE
    running.heal(3, 1)
    settle(running, 2_000)
    assert ongoing(running).ongoing == ()
    assert described(running, 2, "t").isr == (1, 3)


@pytest.mark.parametrize("target", [(), (1, 1), (9,)])
def test_bad_targets_are_refused(target: tuple[int, ...]) -> None:
    running = cluster()
    create(running, "t")
    assert reassign(running, target) is Error.INVALID_REPLICA_ASSIGNMENT
    assert ongoing(running).ongoing == ()
