"""What must be true of a history, each rule a pure function that returns what contradicts it.

The words for what goes wrong are Jepsen's where it has any: a lost write, a duplicate.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from conformance.outcomes import Outcome
from conformance.workload.history import FORGOTTEN, End, History, Look, Stored, Write


def lost(history: History) -> list[str]:
    """Acknowledged writes that are not, or not with this value, at the offset acknowledged.

    One that was answered with DUPLICATE_SEQUENCE_NUMBER has been given no offset.
    """
    found = {stored.record.offset: stored.record.value for stored in history.final}
    return [
        f"{write.value!r} at {write.offset}: {found.get(write.offset)!r}"
        for write in history.acknowledged
        if write.offset is not None and found.get(write.offset) != write.value
    ]


def unread(history: History) -> list[str]:
    """Acknowledged writes that are nowhere in the final log (ALO-01)."""
    values = {stored.record.value for stored in history.final}
    return [repr(write.value) for write in history.acknowledged if write.value not in values]


def taken_back(history: History) -> list[str]:
    """Records that a consumer was given and that are not in the final log at their offset."""
    found = {stored.record.offset: stored.record for stored in history.final}
    return [
        f"{seen.reader} was given {seen.record}, now {found.get(seen.record.offset)}"
        for seen in history.seen
        if found.get(seen.record.offset) != seen.record
    ]


def duplicates(history: History) -> list[str]:
    """Values that occur more than once although no producer had a reason to send them again."""
    count = Counter(stored.record.value for stored in history.final)
    return [
        f"{write.value!r} occurs {count[write.value]} times"
        for write in history.writes
        if count[write.value] > (1 if write.is_idempotent else write.attempts)
    ]


def refused_but_there(history: History) -> list[str]:
    """Values in the final log whose write was refused for certain."""
    values = {stored.record.value for stored in history.final}
    return [
        f"{write.value!r} was answered with {write.error.name if write.error else None}"
        for write in history.writes
        if write.outcome is Outcome.FAIL and write.value in values
    ]


def disordered(history: History) -> list[str]:
    """Values of an idempotent producer that stand before one that it sent earlier."""
    place = {stored.record.value: stored.record.offset for stored in history.final}
    found, last = list[str](), dict[str, Write]()
    for write in history.writes:
        if not write.is_idempotent or write.value not in place:
            continue
        earlier = last.get(write.producer)
        if earlier and place[earlier.value] > place[write.value]:
            found.append(f"{write.value!r} stands before {earlier.value!r}")
        last[write.producer] = write
    return found


def shared_epochs(history: History) -> list[str]:
    """Leader epochs in which brokers named two leaders."""
    leaders: dict[int, set[int]] = {}
    for look in _led(history):
        leaders.setdefault(look.leader_epoch, set()).add(look.leader)
    return [f"epoch {e}: {sorted(who)}" for e, who in leaders.items() if len(who) > 1]


def falling_epochs(history: History) -> list[str]:
    """Answers of one broker with an older leader epoch than it had told before (META-05)."""
    found, newest = list[str](), dict[int, Look]()
    for look in history.looks:
        before = newest.get(look.broker)
        if before and look.leader_epoch < before.leader_epoch:
            found.append(f"{look} after {before}")
        else:
            newest[look.broker] = look
    return found


def _led(history: History) -> Iterator[Look]:
    return (look for look in history.looks if look.leader >= 0)


def falling_ends(history: History) -> list[str]:
    """LATEST offsets smaller than one that was answered before the question was asked (ISR-04)."""
    found: list[str] = []
    answered = sorted(history.ends, key=lambda end: end.at_ms)
    for end in sorted(history.ends, key=lambda end: end.asked_ms):
        earlier = _largest_before(answered, end.asked_ms)
        if earlier and earlier.offset > end.offset:
            found.append(f"{end} after {earlier}")
    return found


def _largest_before(answered: list[End], asked_ms: int) -> End | None:
    known = (end for end in answered if end.at_ms < asked_ms)
    return max(known, key=lambda end: end.offset, default=None)


def forgotten(history: History) -> list[str]:
    """Idempotent writes that were refused for good, as if what was before them were not there."""
    return [
        f"{write.value!r} at {write.broker}: {write.error.name}"
        for write in history.writes
        if write.is_idempotent and write.outcome is not Outcome.OK and write.error in FORGOTTEN
    ]


def hung(history: History) -> list[str]:
    """Writes whose connection stayed open without an answer for longer than they had asked for."""
    return [
        f"{write.value!r} to {write.hung_at}"
        for write in history.writes
        if write.hung_at is not None
    ]


def different_replicas(history: History) -> list[str]:
    """Offsets at which a replica holds something else than the leader at the end (LOG-03)."""
    found = []
    leader = {stored.record.offset: stored for stored in history.final}
    for broker, log in history.logs.items():
        here = {stored.record.offset: stored for stored in log}
        for offset in sorted(leader.keys() | here.keys()):
            if here.get(offset) != leader.get(offset):
                found.append(f"{broker} at {offset}: {here.get(offset)} not {leader.get(offset)}")
    return found


def falling_epochs_in_log(log: list[Stored]) -> list[str]:
    """Records that stand behind one of a later leader epoch."""
    return [f"{b} after {a}" for a, b in pairwise(log) if b.leader_epoch < a.leader_epoch]


def marks_out_of_order(history: History) -> list[str]:
    """Fetch answers in which log start, last stable offset and high watermark are out of order.

    The last stable offset may be a moment younger than the high watermark (OFF-01).
    """
    return [str(marks) for marks in history.marks if marks.log_start_offset > marks.high_watermark]
