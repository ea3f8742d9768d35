"""The metadata quorum: its rules, its files, and single voters."""

from uuid import UUID

import pytest

from reference.messages import (
    Cancel,
    Decided,
    Forwarded,
    Message,
    MetadataUpdate,
    NotController,
    Send,
    Wake,
)
from reference.metadata.quorum import codec
from reference.metadata.quorum.log import LOG, SNAPSHOT, MetadataLog
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.quorum.messages import (
    START,
    BeginQuorumEpoch,
    ElectionDue,
    Entry,
    Position,
    QuorumFetch,
    QuorumFetched,
    RegisterBroker,
    Snapshot,
    VoteRequest,
    VoteResponse,
)
from reference.metadata.quorum.replica import Role
from reference.metadata.quorum.vote import QUORUM_STATE, Vote, read_vote, write_vote
from reference.metadata.records import (
    BrokerRegistered,
    ConfigRecord,
    LeaderChange,
    MetadataRecord,
    PartitionId,
    PartitionState,
    ProducerIdsReserved,
    TopicRecord,
    TopicRemoved,
)
from reference.requests import CreateTopics
from reference.rules import Rules
from reference.storage.simulated import SimulatedDisk

TOPIC = UUID(int=7)


def setting(value: str | None) -> ConfigRecord:
    return ConfigRecord(resource_type=4, resource="", name="message.max.bytes", value=value)


def entries(*epochs: int) -> list[Entry]:
    """One entry for each epoch, no two of them alike."""
    return [Entry(epoch, setting(f"{epoch}.{at}")) for at, epoch in enumerate(epochs)]


# ---- rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("voters", range(1, 8))
def test_two_majorities_share_a_voter(voters: int) -> None:
    rules = Rules()
    enough = [votes for votes in range(voters + 1) if rules.has_majority(votes, voters)]
    assert enough[0] * 2 > voters
    assert enough[-1] == voters
    assert [n for n in range(voters + 1) if rules.keeps_leading(n, voters)] == enough


@pytest.mark.parametrize(
    ("ends", "offset"),
    [((5,), 5), ((5, -1), -1), ((9, 3, 5), 5), ((9, 3, 5, 4), 4), ((9, 9, 1, 2, 3), 3)],
)
def test_the_majority_offset_is_on_a_majority(ends: tuple[int, ...], offset: int) -> None:
    assert Rules().majority_offset(ends) == offset
    assert 2 * sum(end >= offset for end in ends) > len(ends)


def test_a_log_is_up_to_date_by_its_last_epoch_and_then_by_its_length() -> None:
    up_to_date = Rules().is_up_to_date
    assert up_to_date(Position(3, 1), Position(2, 9))
    assert up_to_date(Position(2, 9), Position(2, 9))
    assert not up_to_date(Position(2, 8), Position(2, 9))
    assert not up_to_date(Position(1, 99), Position(2, 1))


def test_a_voter_has_one_vote() -> None:
    assert Rules().may_vote(None, 2)
    assert Rules().may_vote(2, 2)
    assert not Rules().may_vote(1, 2)


def test_a_follower_cuts_no_more_than_what_diverges() -> None:
    cut = Rules().diverging_offset
    assert cut(Position(2, 8), Position(2, 5)) == 5
    assert cut(Position(2, 4), Position(2, 5)) == 4
    assert cut(Position(1, 4), Position(2, 9)) == 4


# ---- files -------------------------------------------------------------------------------------

RECORDS: list[MetadataRecord] = [
    TopicRecord(name="ä\n", topic_id=TOPIC),
    PartitionState(
        id=PartitionId(TOPIC, 3),
        replicas=(1, 2),
        leader=1,
        leader_epoch=4,
        isr=(1,),
        partition_epoch=9,
        elr=(2,),
        recovering=True,
    ),
    TopicRemoved(topic_id=TOPIC),
    setting(None),
    BrokerRegistered(broker=2, broker_epoch=17, incarnation=UUID(int=1), fenced=False),
    ProducerIdsReserved(next_producer_id=3_000),
    LeaderChange(leader=3),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_survives_the_disk(record: MetadataRecord) -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append([Entry(5, record)])
    assert MetadataLog(disk).read(0, 1) == (Entry(5, record),)


def test_what_was_appended_survives_a_loss_of_power() -> None:
    disk = SimulatedDisk()
    log = MetadataLog(disk)
    log.append(entries(1, 1, 2))
    log.truncate(2)
    log.append(entries(4))
    disk.lose_power(lambda: 0.0)
    again = MetadataLog(disk)
    assert again.read(0, 3) == log.read(0, 3)
    assert again.end == Position(4, 3)


def test_a_torn_tail_was_never_written() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 1, 2))
    whole = disk.read(LOG)
    first_line = len(codec.line(START))
    for size_bytes in range(first_line, len(whole)):
        disk.replace(LOG, whole[:size_bytes])
        log = MetadataLog(disk)
        assert list(log.read(0, log.end.offset)) == entries(1, 1, 2)[: log.end.offset]
        assert log.end.offset == whole[first_line:size_bytes].count(b"\n")
        log.append(entries(3))
        assert MetadataLog(disk).end == Position(3, log.end.offset)


def test_a_flipped_bit_ends_the_log() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 2, 3))
    line = codec.entry_line(entries(1, 2, 3)[2])
    disk.flip(LOG, disk.size_bytes(LOG) - len(line) // 2, 1)
    assert MetadataLog(disk).end == Position(2, 2)


@pytest.mark.parametrize(
    ("asked", "end"),
    [
        (0, START),
        (1, Position(1, 2)),
        (2, Position(1, 2)),
        (3, Position(3, 5)),
        (9, Position(4, 6)),
    ],
)
def test_where_an_epoch_ends(asked: int, end: tuple[int, int]) -> None:
    log = MetadataLog(SimulatedDisk())
    log.append(entries(1, 1, 3, 3, 3, 4))
    assert log.end_of(asked) == Position(*end)


def test_the_log_begins_where_the_last_snapshot_but_one_ends() -> None:
    disk = SimulatedDisk()
    log = MetadataLog(disk)
    log.append(entries(1, 1, 2, 2, 3))
    log.keep_snapshot(Snapshot(end=Position(1, 2), records=(setting("a"),)))
    assert log.start == START
    log.keep_snapshot(Snapshot(end=Position(2, 4), records=(setting("b"),)))
    for one in (log, MetadataLog(disk)):
        assert one.start == Position(1, 2)
        assert one.end == Position(3, 5)
        assert one.records(5) == ((setting("b"),), [setting("3.4")])
        assert list(one.read(2, 5)) == entries(1, 1, 2, 2, 3)[2:]
        assert one.end_of(1) == Position(1, 2)


def test_a_leaders_snapshot_replaces_the_log_even_if_power_is_lost_in_between() -> None:
    disk = SimulatedDisk()
    log = MetadataLog(disk)
    log.append(entries(1, 1))
    old = disk.read(LOG)
    log.begin_after(Snapshot(end=Position(4, 9), records=(setting("a"),)))
    log.append(entries(5))
    assert MetadataLog(disk).end == Position(5, 10)
    disk.replace(LOG, old)
    assert MetadataLog(disk).start == MetadataLog(disk).end == Position(4, 9)


def test_a_damaged_snapshot_or_vote_is_refused() -> None:
    disk = SimulatedDisk()
    snapshot = Snapshot(end=Position(1, 2), records=(setting("a"), setting("b")))
    log = MetadataLog(disk)
    log.append(entries(1, 1))
    log.keep_snapshot(snapshot)
    assert MetadataLog(disk).snapshot == snapshot
    write_vote(disk, Vote(epoch=3, candidate=2))
    assert read_vote(disk) == Vote(epoch=3, candidate=2)
    lines = disk.read(SNAPSHOT).splitlines(keepends=True)
    for damaged in (lines[:-1], lines[:1], [lines[0], lines[1][:-1]]):
        disk.replace(SNAPSHOT, b"".join(damaged))
        with pytest.raises(codec.Damaged):
            MetadataLog(disk)
    disk.flip(QUORUM_STATE, 10, 1)
    with pytest.raises(codec.Damaged):
        read_vote(disk)


# ---- one voter ---------------------------------------------------------------------------------


def voter(
    disk: SimulatedDisk | None = None,
    *,
    voters: tuple[int, ...] = (1, 2, 3),
    rules: Rules | None = None,
) -> QuorumMember:
    one = QuorumMember(
        1,
        voters,
        disk or SimulatedDisk(),
        rules or Rules(),
        {},
        lambda bits: 0,
        lambda: 0.5,
        UUID(int=1),
        -1,
    )
    one.start(0)
    return one


def messages(one: QuorumMember) -> list[Message]:
    """What the member has sent since the last call."""
    effects, one.effects = one.effects, []
    return [effect.message for effect in effects if isinstance(effect, Send)]


def test_a_vote_is_on_disk_before_it_is_sent_and_binds_the_next_life() -> None:
    disk = SimulatedDisk()
    one = voter(disk)
    one.on_message(2, VoteRequest(epoch=4, log_end=START), 1)
    assert read_vote(disk) == Vote(epoch=4, candidate=2)
    assert messages(one) == [VoteResponse(epoch=4, granted=True)]
    disk.lose_power(lambda: 0.0)
    again = voter(disk)
    again.on_message(3, VoteRequest(epoch=4, log_end=Position(3, 9)), 2)
    again.on_message(2, VoteRequest(epoch=4, log_end=START), 3)
    assert messages(again) == [
        VoteResponse(epoch=4, granted=False),
        VoteResponse(epoch=4, granted=True),
    ]


def test_a_voter_refuses_who_lacks_records_but_moves_to_its_epoch() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 2))
    one = voter(disk)
    one.on_message(2, VoteRequest(epoch=5, log_end=Position(2, 1)), 1)
    assert messages(one) == [VoteResponse(epoch=5, granted=False)]
    assert read_vote(disk) == Vote(epoch=5)
    one.on_message(3, VoteRequest(epoch=5, log_end=Position(2, 2)), 2)
    assert messages(one) == [VoteResponse(epoch=5, granted=True)]


def led_by_2(disk: SimulatedDisk) -> tuple[QuorumMember, QuorumFetch]:
    """A follower of node 2 in epoch 3, and its fetch."""
    one = voter(disk)
    one.on_message(2, BeginQuorumEpoch(epoch=3), 1)
    fetches = [m for m in messages(one) if isinstance(m, QuorumFetch)]
    assert len(fetches) == 1
    return one, fetches[0]


def answer(fetch: QuorumFetch, **fields: object) -> QuorumFetched:
    known = {
        "epoch": fetch.epoch,
        "leader": 2,
        "attempt": fetch.attempt,
        "log_end": fetch.log_end,
        "high_watermark": 0,
    }
    return QuorumFetched(**{**known, **fields})  # type: ignore[arg-type]


def test_a_follower_takes_only_the_answer_that_it_waits_for() -> None:
    one, fetch = led_by_2(SimulatedDisk())
    log = one.replica.log
    for wrong in (
        answer(fetch, entries=tuple(entries(3)), attempt=fetch.attempt - 1),
        answer(fetch, entries=tuple(entries(3)), log_end=Position(1, 1)),
        answer(fetch, entries=tuple(entries(3)), epoch=2),
    ):
        one.on_message(2, wrong, 2)
        assert log.end == START
    one.on_message(3, answer(fetch, entries=tuple(entries(3))), 2)
    assert log.end == START
    right = answer(fetch, entries=tuple(entries(3)))
    one.on_message(2, right, 2)
    assert log.end == Position(3, 1)
    one.on_message(2, right, 3)
    assert log.end == Position(3, 1)


def test_a_follower_cuts_where_the_leader_says_that_they_diverge() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 1, 2, 2))
    one, fetch = led_by_2(disk)
    assert fetch.log_end == Position(2, 4)
    one.on_message(2, answer(fetch, diverging=Position(1, 5)), 2)
    assert one.replica.log.end == Position(1, 2)
    again = [m for m in messages(one) if isinstance(m, QuorumFetch)]
    assert again[0].log_end == Position(1, 2)
    assert MetadataLog(disk).end == Position(1, 2)


def test_a_broker_hears_nothing_before_its_node_has_caught_up() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 2))
    one, fetch = led_by_2(disk)
    assert not one.outbox
    one.on_message(2, answer(fetch, high_watermark=0), 2)
    assert not one.outbox
    one.on_message(2, answer(again(one), high_watermark=3), 2)
    assert not one.outbox
    last = again(one)
    one.on_message(2, answer(last, high_watermark=3, entries=tuple(entries(3))), 2)
    whole = tuple(entry.record for entry in [*entries(1, 2), *entries(3)])
    assert one.outbox == [MetadataUpdate(controller_epoch=0, first=3, records=whole, snapshot=True)]


def again(one: QuorumMember) -> QuorumFetch:
    fetches = [m for m in messages(one) if isinstance(m, QuorumFetch)]
    assert len(fetches) == 1
    return fetches[0]


def test_a_single_voter_leads_and_decides_at_once() -> None:
    one = voter(voters=(1,))
    assert one.is_active
    assert one.controller == 1
    assert one.registration.is_registered
    assert isinstance(one.outbox[0], MetadataUpdate)
    request = CreateTopics(topics=(), timeout_ms=1_000, validate_only=False)
    one.outbox.clear()
    one.to_controller(Forwarded(ticket=3, request=request), 5)
    assert [type(told) for told in one.outbox] == [Decided]


def test_who_is_no_controller_says_so_to_a_forwarded_request_only() -> None:
    one, _ = led_by_2(SimulatedDisk())
    messages(one)
    request = CreateTopics(topics=(), timeout_ms=1_000, validate_only=False)
    one.on_controller_message(3, Forwarded(ticket=9, request=request), 2)
    assert messages(one) == [NotController(ticket=9)]
    one.on_message(3, RegisterBroker(broker=3, incarnation=UUID(int=3)), 2)
    assert messages(one) == []


@pytest.mark.parametrize("counts_any_epoch", [False, True])
def test_a_fetch_of_another_epoch_acknowledges_nothing(*, counts_any_epoch: bool) -> None:
    """The rule is seen to matter: without it the leader commits by such a fetch."""

    class AnyEpoch(Rules):
        def fetches_in_epoch(self, asked: int, epoch: int) -> bool:
            return True

    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 2))
    write_vote(disk, Vote(epoch=2))
    one = voter(disk, rules=AnyEpoch() if counts_any_epoch else Rules())
    one.on_timer(ElectionDue(), 600)
    one.on_message(2, VoteResponse(epoch=one.epoch, granted=True), 601)
    leader = one.replica
    assert leader.role is Role.LEADER
    fetch = QuorumFetch(epoch=leader.epoch - 1, attempt=1, log_end=leader.log.end, high_watermark=0)
    one.on_message(2, fetch, 602)
    assert leader.high_watermark == (fetch.log_end.offset if counts_any_epoch else 0)


def test_a_candidate_that_cannot_win_keeps_nobody_from_standing() -> None:
    disk = SimulatedDisk()
    MetadataLog(disk).append(entries(1, 2))
    one = voter(disk)
    assert waits_anew(one)
    for epoch in range(3, 9):
        one.on_message(3, VoteRequest(epoch=epoch, log_end=START), epoch)
    assert not waits_anew(one)
    one.on_message(2, VoteRequest(epoch=9, log_end=one.replica.log.end), 9)
    assert waits_anew(one)


def waits_anew(one: QuorumMember) -> bool:
    """Whether the voter has begun to wait for a leader since the last call."""
    effects, one.effects = one.effects, []
    return any(isinstance(e, Wake | Cancel) and e.timer == ElectionDue() for e in effects)
