"""Compacting a log: how far, when it is worth it, and in which order the disk learns of it.

Only whole segments are cleaned, and never the active one, so the end of a log stays as it is. Small
segments are put together. Source: core/.../log/LogCleanerManager.scala, LogCleaner.scala.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from reference.batch import read_header
from reference.configs import TopicConfig
from reference.log import Log
from reference.storage.compaction import Compaction
from reference.storage.segment import OFFSETS_MAX


@dataclass(slots=True)
class _Group:
    """Segments that follow each other, and what is left of them: the next segment."""

    bases: list[int] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    is_changed: bool = False


def compact(log: Log, config: TopicConfig, now_ms: int, committed: int) -> bool:
    """Cleans a log if enough of it is dirty; returns whether it did.

    Nothing at or above `committed` is touched: the smaller of high watermark and last stable
    offset. Raises DiskError.
    """
    end = _cleanable_end(log, config, now_ms, committed)
    if not _is_dirty_enough(log, config, end):
        return False
    count = bisect_right(log.ends, end)
    outcome = Compaction(
        batches=log.batches,
        headers=log.headers,
        count=count,
        producers=log.producers.producers,
        now_ms=now_ms,
        delete_retention_ms=config.delete_retention_ms,
        rules=log.rules,
    ).outcome()
    groups = list(_groups(log, outcome, end, config.segment_bytes))
    if log.store is not None:
        # The oldest first: a tombstone must not be gone while an older value is still there.
        for group in groups:
            if group.is_changed:
                headers = list(map(read_header, group.batches))
                log.store.replace_segments(group.bases, group.batches, headers)
        log.store.marks.cleaned_up_to = end
        log.store.save_cleaned()
    left = [group for group in groups if group.batches]
    batches = [batch for group in left for batch in group.batches]
    log.replace_front([group.bases[0] for group in left], batches, end)
    return True


def _cleanable_end(log: Log, config: TopicConfig, now_ms: int, committed: int) -> int:
    """The end of the last segment that may be cleaned."""
    limit = log.rules.cleanable_end(committed, log.end_offset)
    found = log.cleaned_up_to
    for end in log.segments[1:]:
        if end > limit:
            break
        if end <= found:
            continue
        if config.min_compaction_lag_ms and not _is_old_enough(log, found, end, config, now_ms):
            break
        found = end
    return found


def _is_old_enough(log: Log, start: int, end: int, config: TopicConfig, now_ms: int) -> bool:
    first, stop = bisect_right(log.ends, start), bisect_right(log.ends, end)
    newest = max((header.max_timestamp for header in log.headers[first:stop]), default=0)
    return newest <= now_ms - config.min_compaction_lag_ms


def _is_dirty_enough(log: Log, config: TopicConfig, end: int) -> bool:
    if end <= log.cleaned_up_to:
        return False
    first = bisect_right(log.ends, log.cleaned_up_to)
    stop = bisect_right(log.ends, end)
    clean = sum(map(len, log.batches[:first]))
    dirty = sum(map(len, log.batches[first:stop]))
    return dirty > config.min_cleanable_dirty_ratio * (clean + dirty)


def _groups(
    log: Log, outcome: list[bytes | None], end: int, segment_bytes: int
) -> Iterator[_Group]:
    """Puts segments together as long as what is left of them fits into one."""
    group, position = _Group(), 0
    bounds = [*log.segments[1:], log.end_offset]
    for base, stop_offset in zip(log.segments, bounds, strict=True):
        if base >= end:
            break
        stop = bisect_right(log.ends, stop_offset)
        kept = [batch for batch in outcome[position:stop] if batch is not None]
        size = sum(map(len, kept))
        is_far = bool(group.bases) and stop_offset - group.bases[0] > OFFSETS_MAX
        if group.bases and (group.size_bytes + size > segment_bytes or is_far):
            yield group
            group = _Group()
        group.is_changed |= bool(group.bases) or kept != log.batches[position:stop]
        group.bases.append(base)
        group.batches += kept
        group.size_bytes += size
        position = stop
    yield group
