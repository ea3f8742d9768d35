"""Idempotent producers: a retry is not a second record, a gap is not let in (PROD)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Pending
from conformance.outcomes import Inconclusive
from conformance.partition import Appended, Partition
from conformance.records import Batch, batch_of
from conformance.workload.produce import (
    SEQUENCES,
    TOO_OLD,
    WINDOW,
    Answer,
    Numbers,
    ProducerRule,
    log_end,
    needs_topic_configs,
    values_of,
)
from conformance.world import World, worlds

RETRIED = "the retry of a batch"


def in_a_row(sizes: Sequence[int], first: int = 0) -> list[Numbers]:
    """Batches of these sizes whose sequences follow one another."""
    found = list[Numbers]()
    for size in sizes:
        found.append(Numbers(first=first, count=size))
        first = found[-1].next
    return found


def appended_in_a_row(partition: Partition, producer_id: int, batches: Sequence[Numbers]) -> None:
    """Appends them in one go from an empty log. Raises `Inconclusive` unless all are accepted."""
    sent = [partition.produce(numbers.batch(producer_id)) for numbers in batches]
    for answer in partition.target.wait(*sent):
        if answer.error is not ErrorCode.none:
            raise Inconclusive(f"the premise could not be appended: {answer.error.name}")


def offsets(answers: Sequence[Appended]) -> list[tuple[str, int]]:
    return [(answer.error.name, answer.base_offset) for answer in answers]


# ---- PROD-06: the last five batches are known again ----------------------------------------------

sizes_of_window = st.lists(st.integers(1, 4), min_size=1, max_size=WINDOW)


@pytest.mark.clause("PROD-06")
@given(
    world=worlds(),
    sizes=sizes_of_window,
    again=st.lists(
        st.tuples(st.integers(0, WINDOW - 1), st.sampled_from([1, -1])), min_size=1, max_size=10
    ),
)
def test_a_retry_is_answered_with_the_offset_of_the_original(
    bench: Bench, world: World, sizes: list[int], again: list[tuple[int, int]]
) -> None:
    """Any of the last five batches, again and in any order: its first offset, and no new record."""
    with bench.partition(world=world) as partition:
        producer_id = partition.client.init_producer_id()
        batches = in_a_row(sizes)
        first = partition.target.wait(*(partition.produce(b.batch(producer_id)) for b in batches))
        assert offsets(first) == [("none", b.first) for b in batches], "sequence 0 is at offset 0"
        chosen = [(batches[n % len(batches)], acks) for n, acks in again]
        retries = [
            partition.produce(numbers.batch(producer_id, "retry"), acks=acks)
            for numbers, acks in chosen
        ]
        answers = partition.target.wait(*retries)
        bench.premise(RETRIED, times=len(answers))
        wanted = [("none", numbers.first) for numbers, _ in chosen]
        assert offsets(answers) == wanted, "the answer repeats the original base offset"
        assert log_end(partition) == sum(sizes), "nothing is appended again"
        assert not any(b"retry" in (value or b"") for value in values_of(partition)), (
            "the log keeps the original"
        )


@pytest.mark.clause("PROD-06")
def test_each_of_the_last_five_is_known_after_more_batches(bench: Bench) -> None:
    """After eight batches each of the last five is known, and no older one is appended again."""
    with bench.partition() as partition:
        producer_id = partition.client.init_producer_id()
        batches = in_a_row([1, 3, 2, 1, 2, 4, 1, 2])
        appended_in_a_row(partition, producer_id, batches)
        end = log_end(partition)
        for numbers in reversed(batches):
            answer = partition.produce(numbers.batch(producer_id, "retry")).result()
            bench.premise(RETRIED)
            known = answer.error is ErrorCode.none and answer.base_offset == numbers.first
            refused = answer.error in TOO_OLD and answer.error is not ErrorCode.none
            if numbers in batches[-WINDOW:]:
                assert known, f"one of the last five is at offset {numbers.first}: {answer}"
            else:
                assert known or refused, f"an older one is known or refused: {answer}"
        assert log_end(partition) == end + 1, "nothing is appended again"


@pytest.mark.clause("PROD-06")
def test_a_retry_is_known_behind_the_batches_of_others(bench: Bench) -> None:
    """Batches of many other producers, and of none, do not push a batch out of the window."""
    with bench.partition() as partition:
        client = partition.client
        mine, others = client.init_producer_id(), [client.init_producer_id() for _ in range(7)]
        batches = in_a_row([2] * WINDOW)
        sent = list[Pending[Appended]]()
        for numbers in batches:
            sent.append(partition.produce(numbers.batch(mine)))
            sent += [partition.produce(numbers.batch(other)) for other in others]
            sent.append(partition.produce(batch_of(b"of no producer")))
        answers = partition.target.wait(*sent)
        if any(answer.error is not ErrorCode.none for answer in answers):
            raise Inconclusive("the premise could not be appended")
        own = answers[:: len(others) + 2]
        end = log_end(partition)
        retries = partition.target.wait(*(partition.produce(n.batch(mine)) for n in batches))
        bench.premise(RETRIED, times=len(retries))
        assert offsets(retries) == offsets(own), "the answer repeats the original base offset"
        assert log_end(partition) == end + 1, "nothing is appended again"


@pytest.mark.clause("PROD-06")
@given(world=worlds(), sizes=sizes_of_window)
def test_an_original_and_its_retry_at_the_same_time_are_appended_once(
    bench: Bench, world: World, sizes: list[int]
) -> None:
    """A batch that comes over two connections at once is appended by one and known to the other."""
    with bench.partition(world=world) as partition:
        producer_id = partition.client.init_producer_id()
        connections = [partition.connect() for _ in range(3)]
        for numbers in in_a_row(sizes):
            sent = [
                partition.produce(numbers.batch(producer_id), acks=acks, over=connection)
                for connection, acks in zip(connections, (-1, 1, -1), strict=True)
            ]
            answers = partition.target.wait(*sent)
            bench.premise("a batch over several connections at once")
            wanted = [("none", numbers.first)] * len(connections)
            assert offsets(answers) == wanted, "all are answered with the one base offset"
        assert log_end(partition) == sum(sizes), "each batch is appended once"


@pytest.mark.clause("PROD-06")
def test_a_retry_with_acks_0_is_not_appended(bench: Bench) -> None:
    """A retry that wants no answer is known as well, and is no error: the connection goes on."""
    with bench.partition() as partition:
        producer_id, connection = partition.client.init_producer_id(), partition.connect()
        batches = in_a_row([2, 1, 3])
        for _ in range(2):
            for numbers in batches:
                partition.produce(numbers.batch(producer_id), acks=0, over=connection)
        after = partition.produce(batch_of(b"after"), over=connection)
        partition.target.settle(after)
        bench.premise("retries without an answer", times=len(batches))
        assert connection.loss is None, "a retry is no error, so the connection is not closed"
        assert after.value.base_offset == 6, "each batch is appended once"


@pytest.mark.clause("PROD-06")
def test_a_batch_without_a_producer_id_is_never_taken_for_a_retry(bench: Bench) -> None:
    """The same bytes without a producer id are as many batches as were sent."""
    with bench.partition() as partition:
        batch = batch_of(b"same", b"bytes")
        answers = partition.target.wait(*(partition.produce(batch) for _ in range(4)))
        bench.premise("a batch without a producer id, again", times=len(answers) - 1)
        wanted = [("none", 0), ("none", 2), ("none", 4), ("none", 6)]
        assert offsets(answers) == wanted, "each is appended"


@pytest.mark.clause("PROD-02")
def test_a_retry_is_answered_with_the_append_time_of_the_original(bench: Bench) -> None:
    """With LogAppendTime a retry is given the time of its original, because that is in the log."""
    with bench.partition(configs={"message.timestamp.type": "LogAppendTime"}) as partition:
        needs_topic_configs(partition)
        producer_id = partition.client.init_producer_id()
        batches = [numbers.batch(producer_id) for numbers in in_a_row([1, 2, 1])]
        first = [partition.append_batch(batch) for batch in batches]
        again = partition.target.wait(*(partition.produce(batch) for batch in batches))
        if offsets(again) != offsets(first):
            raise Inconclusive("a retry was not known again")
        bench.premise(RETRIED, times=len(again))
        times = [answer.log_append_time_ms for answer in again]
        assert times == [answer.log_append_time_ms for answer in first], "the original's time"


# ---- PROD-07: sequences and epochs ---------------------------------------------------------------

OUT_OF_ORDER = ErrorCode.out_of_order_sequence_number
FENCED = ErrorCode.invalid_producer_epoch
LAST = SEQUENCES - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A batch, and the error that it must be answered with."""

    numbers: Numbers
    error: ErrorCode = ErrorCode.none


def sending(
    first: int, count: int = 1, *, epoch: int = 0, error: ErrorCode = ErrorCode.none
) -> Sending:
    return Sending(numbers=Numbers(epoch=epoch, first=first, count=count), error=error)


RULES: dict[str, Sequence[Sending]] = {
    "a gap is refused, and may be filled": [
        sending(0, 2),
        sending(3, error=OUT_OF_ORDER),
        sending(LAST, error=OUT_OF_ORDER),
        sending(2),
        sending(3),
    ],
    "what overlaps with batches is not their repetition": [
        sending(0, 2),
        sending(2, 2),
        sending(0, 1, error=OUT_OF_ORDER),
        sending(1, 1, error=OUT_OF_ORDER),
        sending(0, 4, error=OUT_OF_ORDER),
        sending(2, 3, error=OUT_OF_ORDER),
        sending(1, 3, error=OUT_OF_ORDER),
        sending(4),
    ],
    "2147483647 is followed by 0": [
        sending(LAST - 1),
        sending(0, error=OUT_OF_ORDER),
        sending(LAST),
        sending(1, error=OUT_OF_ORDER),
        sending(0, 2),
        sending(2),
    ],
    "a batch may hold 2147483647 and 0": [
        sending(LAST - 1, 4),
        sending(0, error=OUT_OF_ORDER),
        sending(3, error=OUT_OF_ORDER),
        sending(2, 2),
        sending(4),
    ],
    "a larger epoch begins at 0": [
        sending(0, 3),
        sending(3, epoch=1, error=OUT_OF_ORDER),
        sending(1, epoch=1, error=OUT_OF_ORDER),
        sending(LAST, epoch=7, error=OUT_OF_ORDER),
        sending(3),
        sending(0, 2, epoch=1),
        sending(2, epoch=1),
        sending(0, epoch=32767),
        sending(1, epoch=32767),
    ],
    "a smaller epoch is fenced, even a repetition": [
        sending(0, epoch=3),
        sending(1, epoch=2, error=FENCED),
        sending(0, epoch=2, error=FENCED),
        sending(0, epoch=0, error=FENCED),
        sending(1, epoch=3),
        sending(0, epoch=4),
        sending(0, epoch=3, error=FENCED),
        sending(2, epoch=3, error=FENCED),
        sending(1, epoch=4),
    ],
    "without state any sequence is the first": [sending(41, 2), sending(43)],
    "without state any epoch is the first": [sending(LAST, epoch=9), sending(0, epoch=9)],
    "a larger epoch has its own window": [
        sending(0, 2),
        sending(2, 2),
        sending(0, 2, epoch=1),
        sending(2, 2, epoch=1),
        sending(0, 2, error=FENCED),
    ],
}


@pytest.mark.clause("PROD-07")
@pytest.mark.parametrize("case", RULES)
def test_sequences_and_epochs_are_checked(bench: Bench, case: str) -> None:
    """Batches with these epochs and sequences are accepted or refused one by one."""
    with bench.partition() as partition:
        end = 0
        for acks in (1, -1):
            producer_id = partition.client.init_producer_id()
            for step in RULES[case]:
                batch = step.numbers.batch(producer_id)
                answer = partition.produce(batch, acks=acks).result()
                bench.premise(case)
                wanted = f"acks={acks}, {step.numbers} is answered {step.error.name}"
                assert answer.error is step.error, wanted
                if step.error is ErrorCode.none:
                    assert answer.base_offset == end, "it is appended at the end of the log"
                    end += step.numbers.count
        assert log_end(partition) == end, "what was refused is not appended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a producer does next, in terms of what the broker knows of it."""

    producer: int
    epoch_step: int
    what: str
    amount: int
    count: int


steps = st.lists(
    st.builds(
        Step,
        producer=st.integers(0, 1),
        epoch_step=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, -1]),
        what=st.sampled_from(["next", "next", "next", "repeat", "repeat", "gap", "zero", "back"]),
        amount=st.integers(0, 7),
        count=st.integers(1, 3),
    ),
    min_size=4,
    max_size=30,
)
starts = st.sampled_from([0, 1, 1000, LAST - 5, LAST])


def numbers_for(step: Step, rule: ProducerRule, start: int, sent: Sequence[Numbers]) -> Numbers:
    """The numbers of the batch that a step means."""
    if rule.epoch < 0:
        return Numbers(epoch=max(0, step.epoch_step), first=start, count=step.count)
    if step.what == "repeat":
        known = sent[-1 - step.amount % len(sent)]
        return replace(known, epoch=max(0, known.epoch + step.epoch_step))
    away = {"next": 0, "gap": 1 + step.amount, "back": -1 - step.amount}.get(step.what)
    first = 0 if away is None else (rule.next_sequence + away) % SEQUENCES
    if step.epoch_step > 0 and step.what == "next":
        first = 0
    return Numbers(epoch=max(0, rule.epoch + step.epoch_step), first=first, count=step.count)


@pytest.mark.clause("PROD-07")
@given(world=worlds(), plan=steps, start=starts, acks=st.sampled_from([1, -1]))
def test_any_run_of_batches_is_answered_by_the_rule(
    bench: Bench, world: World, plan: list[Step], start: int, acks: int
) -> None:
    """Random epochs, sequences, gaps and retries of two producers: each answer is the rule's."""
    with bench.partition(world=world) as partition:
        producer_ids = [partition.client.init_producer_id() for _ in range(2)]
        rules, sent = [ProducerRule(), ProducerRule()], [list[Numbers](), list[Numbers]()]
        end, values = 0, list[bytes | None]()
        expected = list[tuple[Numbers, Answer, Pending[Appended]]]()
        for number, step in enumerate(plan):
            who = step.producer
            numbers = numbers_for(step, rules[who], start, sent[who])
            answer = rules[who].answer(numbers, end)
            batch = numbers.batch(producer_ids[who], f"sent as number {number}")
            if answer.appends:
                end += numbers.count
                values += [record.value for record in batch.records]
                sent[who].append(numbers)
            expected.append((numbers, answer, partition.produce(batch, acks=acks)))
        partition.target.wait(*(pending for _, _, pending in expected))
        for numbers, answer, pending in expected:
            bench.premise(answer.name)
            assert answer.agrees(pending.value), f"{numbers} is answered {answer}"
        assert log_end(partition) == end, "what was refused or repeated is not appended"
        assert values_of(partition)[:-1] == values, "the log holds what was accepted, once"


# ---- PROD-10: deleting records does not forget producers -----------------------------------------


def delete_all(partition: Partition) -> None:
    """Deletes all records up to the high watermark. Raises `Inconclusive` if that fails."""
    end = partition.end_offset
    deleted = partition.delete_records(-1).result()
    if deleted.error_code is not ErrorCode.none or deleted.low_watermark < end:
        raise Inconclusive(f"DeleteRecords: {deleted}")


def answers_after_deletion(
    bench: Bench, partition: Partition, batches: Sequence[Batch], wanted: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    """What is answered once all records are deleted, if it was as wanted before."""

    def ask() -> list[tuple[str, int]]:
        return offsets(partition.target.wait(*map(partition.produce, batches)))

    if (before := ask()) != wanted:
        raise Inconclusive(f"answered wrongly before anything was deleted: {before}")
    delete_all(partition)
    bench.premise("a batch after all records of its producer were deleted", times=len(batches))
    return ask()


@pytest.mark.clause("PROD-10")
def test_retries_and_gaps_are_known_after_records_were_deleted(bench: Bench) -> None:
    """After DeleteRecords up to the high watermark retries are still known, and gaps refused."""
    with bench.partition() as partition:
        producer_id, sizes = partition.client.init_producer_id(), (1, 3, 2, 1, 2)
        numbers = in_a_row(sizes)
        appended_in_a_row(partition, producer_id, numbers)
        following = Numbers(first=sum(sizes))
        gap = Numbers(first=following.next)
        batches = [n.batch(producer_id) for n in (*numbers, gap)]
        wanted = [*(("none", n.first) for n in numbers), (OUT_OF_ORDER.name, -1)]
        found = answers_after_deletion(bench, partition, batches, wanted)
        assert found == wanted, "the answers are those from before the deletion"
        accepted = partition.produce(following.batch(producer_id)).result()
        assert accepted.error is ErrorCode.none, "the next sequence is still the next"
        assert accepted.base_offset == sum(sizes), "nothing was appended again"


@pytest.mark.clause("PROD-10")
def test_an_old_epoch_is_fenced_after_its_records_were_deleted(bench: Bench) -> None:
    """After DeleteRecords up to the high watermark a smaller epoch is still refused with 47."""
    with bench.partition() as partition:
        producer_id = partition.client.init_producer_id()
        appended_in_a_row(partition, producer_id, [Numbers(epoch=0), Numbers(epoch=2)])
        zombies = [Numbers(epoch=epoch, first=first) for epoch, first in ((0, 1), (1, 0), (0, 0))]
        batches = [zombie.batch(producer_id) for zombie in zombies]
        wanted = [(FENCED.name, -1)] * len(zombies)
        found = answers_after_deletion(bench, partition, batches, wanted)
        assert found == wanted, "an old epoch is still fenced"
        assert log_end(partition) == 2, "nothing is appended"
