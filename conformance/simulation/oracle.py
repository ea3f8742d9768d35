"""Judges a run by what its clients were told and by what is there in the end.

It knows nothing of how the cluster works, so it can judge any cluster, and it stays beside the
validation of steps: a step that never happens breaks no rule of any model, but a promise.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from conformance.simulation.violation import Violation
from reference.errors import Error
from reference.simulator.history import History, Outcome, Read, ReadRecord, Write

Final = Mapping[int, Sequence[ReadRecord]]
"""By partition, what its leader serves at the end, from the beginning of the log to its end."""


def judge(history: History, final: Final) -> list[Violation]:
    """Everything that is wrong with a run without unclean elections, retention or compaction."""
    found: list[Violation] = []
    for check in (
        acknowledged_writes,
        repetitions,
        order_of_idempotent_writes,
        final_logs,
        reads_agree,
        one_leader_per_epoch,
    ):
        found += check(history, final)
    for look in (marks_of_reads, latest_offsets, sightings):
        found += look(history)
    return found


def premises(history: History) -> dict[str, int]:
    """How often the situation arose that each of these clauses speaks about."""
    writes = history.writes
    safe = sum(write.outcome is Outcome.OK and write.acks == -1 for write in writes)
    read = sum(len(read.records) for read in history.reads)
    answers = sum(not read.error for read in history.reads)
    return {
        "LEAD-04": safe,
        "ALO-01": safe,
        "LOG-02": safe + read,
        "EOS-01": sum(write.is_idempotent for write in writes),
        "AMO-01": sum(not write.is_idempotent and write.attempts == 1 for write in writes),
        "ERR-07": sum(write.outcome is Outcome.FAIL for write in writes),
        "LOG-01": answers,
        "ISR-03": read,
        "OFF-01": answers,
        "ISR-04": len(history.latest_offsets),
        "META-05": len(history.sightings),
        "LEAD-01": sum(write.outcome is Outcome.OK for write in writes),
    }


# ---- writes -------------------------------------------------------------------------------------


def acknowledged_writes(history: History, final: Final) -> Iterator[Violation]:
    """LEAD-04, ALO-01, LOG-02: what was acknowledged with acks=all is where it was said to be.

    ERR-07: what has failed for certain is nowhere.
    """
    places = _places(final)
    for write in history.writes:
        where = places.get(write.value, ())
        if write.outcome is Outcome.OK and write.acks == -1:
            yield from _missing(write, where, final)
        elif write.outcome is Outcome.FAIL and where:
            text = f"{_name(write)} failed for certain ({write.error.name}), but is at {where[0]}"
            yield Violation("ERR-07", text)


def _missing(write: Write, where: Sequence[tuple[int, int]], final: Final) -> Iterator[Violation]:
    if (write.partition, write.offset) in where:
        return
    told = f"{_name(write)} was acknowledged at offset {write.offset} by broker {write.broker}"
    log = final[write.partition]
    there = log[write.offset].value if write.offset < len(log) else None
    holds = f"holds {there!r}" if there is not None else f"ends at {len(log)}"
    yield Violation("LEAD-04", f"{told}, and the leader's log {holds}")
    if not where:
        yield Violation("ALO-01", f"{told}, and is nowhere")
    if there is not None:
        yield Violation("LOG-02", f"{told}, where {there!r} is now")


def repetitions(history: History, final: Final) -> Iterator[Violation]:
    """EOS-01, AMO-01: nothing is there twice, unless its producer has written it twice."""
    places = _places(final)
    for write in history.writes:
        where = places.get(write.value, ())
        if len(where) > 1 and (write.is_idempotent or write.attempts == 1):
            clause = "EOS-01" if write.is_idempotent else "AMO-01"
            offsets = ", ".join(str(offset) for _, offset in where)
            yield Violation(clause, f"{_name(write)} is at the offsets {offsets}")


def order_of_idempotent_writes(history: History, final: Final) -> Iterator[Violation]:
    """EOS-01: a partition keeps the order of what one session of a producer has written."""
    places = _places(final)
    newest: dict[tuple[int, int, int], tuple[int, Write]] = {}
    for write in history.writes:
        if not write.is_idempotent or write.value not in places:
            continue
        offset = places[write.value][0][1]
        key = (write.producer, write.session, write.partition)
        before, earlier = newest.get(key, (-1, write))
        if offset < before:
            text = f"{_name(write)} is at {offset}, before {_name(earlier)} at {before}"
            yield Violation("EOS-01", text)
        newest[key] = (offset, write)


def final_logs(history: History, final: Final) -> Iterator[Violation]:
    """LOG-01: offsets are dense. LOG-02: nothing is there that nobody has written."""
    written = {write.value for write in history.writes}
    for partition, log in sorted(final.items()):
        for index, record in enumerate(log):
            if record.offset != index:
                text = f"partition {partition} has {record.offset} where {index} should be"
                yield Violation("LOG-01", text)
                break
        for record in log:
            if record.value not in written:
                text = f"partition {partition} has {record.value!r} at {record.offset}"
                yield Violation("LOG-02", f"{text}, which nobody has written")


def one_leader_per_epoch(history: History, final: Final) -> Iterator[Violation]:
    """LEAD-01: the records of one leader epoch were acknowledged by one broker."""
    leaders: dict[tuple[int, int], tuple[int, Write]] = {}
    for write in history.writes:
        log = final[write.partition]
        if write.outcome is not Outcome.OK or not write.offset < len(log):
            continue
        if write.is_idempotent and write.attempts > 1:
            continue  # another leader may have recognised what an earlier one has appended
        record = log[write.offset]
        if record.value != write.value:
            continue
        key = (write.partition, record.leader_epoch)
        broker, earlier = leaders.setdefault(key, (write.broker, write))
        if broker != write.broker:
            text = f"in epoch {record.leader_epoch} of partition {write.partition} both acknowledge"
            pair = f"broker {broker} {_name(earlier)} and broker {write.broker} {_name(write)}"
            yield Violation("LEAD-01", f"{text}: {pair}")


def _places(final: Final) -> dict[bytes, list[tuple[int, int]]]:
    """By value, the partitions and offsets where it is."""
    places: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for partition, log in final.items():
        for record in log:
            places[record.value].append((partition, record.offset))
    return dict(places)


def _name(write: Write) -> str:
    return f"{write.value.decode()} (partition {write.partition})"


# ---- reads --------------------------------------------------------------------------------------


def reads_agree(history: History, final: Final) -> Iterator[Violation]:
    """LOG-02, LEAD-04: an offset that was read once holds the same record for ever."""
    first: dict[tuple[int, int], tuple[ReadRecord, str]] = {
        (partition, record.offset): (record, "the final log")
        for partition, log in final.items()
        for record in log
    }
    reported: set[tuple[int, int]] = set()
    for read in history.reads:
        for record in read.records:
            key = (read.partition, record.offset)
            who = f"consumer {read.consumer} at {read.answered_ms} ms"
            place = f"offset {record.offset} of partition {read.partition}"
            if key not in first:
                first[key] = (record, who)
                reported.add(key)
                text = f"{who} has read {record.value!r} at {place}, which is gone in the end"
                yield Violation("LEAD-04", text)
            known, whose = first[key]
            if known != record and key not in reported:
                reported.add(key)
                text = f"{who} has read {_shown(record)} at {place}, {whose} has {_shown(known)}"
                yield Violation("LOG-02", text)


def _shown(record: ReadRecord) -> str:
    return f"{record.value!r} of epoch {record.leader_epoch}"


def marks_of_reads(history: History) -> Iterator[Violation]:
    """ISR-03, OFF-01, LOG-01, OFF-08, LEAD-05: what a single answer says, and what it gives out."""
    stable: dict[tuple[int, int, int], int] = {}
    for read in history.reads:
        who = f"consumer {read.consumer} at {read.answered_ms} ms, partition {read.partition}"
        if read.error is Error.OFFSET_OUT_OF_RANGE:
            yield Violation("OFF-08", f"{who}: offset {read.offset}, read up to, is out of range")
        if read.error:
            continue
        if read.diverging:
            text = f"{who}: told to go back from {read.offset} to {read.diverging.end_offset}"
            yield Violation("LEAD-05", text)
            continue
        yield from _marks(read, who)
        key = (read.consumer, read.partition, read.leader_epoch)
        if read.last_stable_offset < stable.get(key, 0):
            text = f"{who}: the last stable offset fell from {stable[key]}"
            yield Violation("OFF-01", f"{text} to {read.last_stable_offset}")
        stable[key] = read.last_stable_offset


def _marks(read: Read, who: str) -> Iterator[Violation]:
    marks = (read.log_start_offset, read.last_stable_offset, read.high_watermark)
    if list(marks) != sorted(marks):
        yield Violation("OFF-01", f"{who}: log start, stable and high watermark are {marks}")
    expected = read.offset
    for record in read.records:
        if record.offset != expected:
            yield Violation("LOG-01", f"{who}: {record.offset} comes where {expected} should")
            break
        expected += 1
    if read.records and read.records[-1].offset >= read.high_watermark:
        last, mark = read.records[-1].offset, read.high_watermark
        yield Violation("ISR-03", f"{who}: given offset {last} at a high watermark of {mark}")


def latest_offsets(history: History) -> Iterator[Violation]:
    """ISR-04: what a consumer that never goes back to an older epoch is told does not fall."""
    newest: dict[tuple[int, int], int] = {}
    for latest in history.latest_offsets:
        key = (latest.consumer, latest.partition)
        before = newest.get(key, 0)
        if latest.offset < before:
            who = f"consumer {latest.consumer} at {latest.answered_ms} ms"
            text = f"the latest offset of partition {latest.partition} fell from {before}"
            yield Violation("ISR-04", f"{who}: {text} to {latest.offset}")
        newest[key] = max(before, latest.offset)


# ---- metadata -----------------------------------------------------------------------------------


def sightings(history: History) -> Iterator[Violation]:
    """META-05, LEAD-02, ISR-01: what brokers let clients see of leaders and their epochs."""
    newest: dict[tuple[int, int], int] = {}
    leaders: dict[tuple[int, int], int] = {}
    reported: set[tuple[int, int]] = set()
    for seen in history.sightings:
        at = f"broker {seen.broker} at {seen.at_ms} ms, partition {seen.partition}"
        before = newest.get((seen.broker, seen.partition), -1)
        if seen.leader_epoch < before:
            yield Violation("META-05", f"{at}: epoch {seen.leader_epoch} after epoch {before}")
        newest[seen.broker, seen.partition] = seen.leader_epoch
        key = (seen.partition, seen.leader_epoch)
        known = leaders.setdefault(key, seen.leader)
        if known != seen.leader and key not in reported:
            reported.add(key)
            text = f"{at}: epoch {seen.leader_epoch} is led by {seen.leader}"
            yield Violation("LEAD-02", f"{text}, and elsewhere by {known}")
        if seen.leader >= 0 and seen.leader not in seen.isr:
            yield Violation("ISR-01", f"{at}: leader {seen.leader} is not in ISR {seen.isr}")
