"""Small files that hold offsets: text, with a version and a number of lines before the lines.

Source: server-common/.../checkpoint/CheckpointFile.java. A line of the broker-wide files names a
partition by the id of its topic, where Kafka's have the name: what was known of a deleted topic
says nothing about a new one of its name (KIP-516).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from reference.epochs import EpochCache
from reference.metadata.records import PartitionId
from reference.storage.disk import DiskError

VERSION = "0"
DIGITS_MAX = 19
"""Of an offset, which is below 2^63."""
OFFSET_MAX = 2**63 - 1


class Damaged(DiskError):
    """A file holds what nobody has written."""


def encoded_offsets(offsets: Mapping[PartitionId, int]) -> bytes:
    return _encoded(
        f"{id_text(topic_id)} {number} {offset}"
        for (topic_id, number), offset in sorted(offsets.items())
    )


def decoded_offsets(data: bytes) -> dict[PartitionId, int]:
    """Raises Damaged."""
    found: dict[PartitionId, int] = {}
    for line in _lines(data):
        words = line.split(" ")
        if len(words) != 3:
            raise Damaged(f"a line of {len(words)} words instead of 3: {line!r}")
        partition = PartitionId(id_of(words[0]), _number(words[1]))
        if partition in found:
            raise Damaged(f"a partition has two offsets: {line!r}")
        found[partition] = _number(words[2])
    return found


def encoded_epochs(cache: EpochCache) -> bytes:
    entries = zip(cache.epochs, cache.starts, strict=True)
    return _encoded(f"{epoch} {start}" for epoch, start in entries)


def decoded_epochs(data: bytes) -> EpochCache:
    """Raises Damaged unless epochs and start offsets ascend (LOG-06)."""
    cache = EpochCache()
    for line in _lines(data):
        words = line.split(" ")
        if len(words) != 2:
            raise Damaged(f"a line of {len(words)} words instead of 2: {line!r}")
        epoch, start = map(_number, words)
        if cache.epochs and (epoch <= cache.epochs[-1] or start < cache.starts[-1]):
            raise Damaged(f"epochs or start offsets do not ascend: {line!r}")
        cache.epochs.append(epoch)
        cache.starts.append(start)
    return cache


def encoded_topic_id(topic_id: UUID) -> bytes:
    """The content of `partition.metadata`, as in Kafka (KIP-516)."""
    return f"version: {VERSION}\ntopic_id: {id_text(topic_id)}\n".encode()


def decoded_topic_id(data: bytes) -> UUID:
    """Raises Damaged."""
    lines = _text(data).splitlines()
    if len(lines) != 2 or lines[0] != f"version: {VERSION}":
        raise Damaged(f"not the metadata of a partition: {data[:80]!r}")
    name, colon, text = lines[1].partition(": ")
    if (name, colon) != ("topic_id", ": "):
        raise Damaged(f"no topic id: {lines[1][:80]!r}")
    return id_of(text)


def id_text(topic_id: UUID) -> str:
    """An id as Kafka writes it."""
    return urlsafe_b64encode(topic_id.bytes).decode().rstrip("=")


def id_of(text: str) -> UUID:
    """Raises Damaged."""
    try:
        found = UUID(bytes=urlsafe_b64decode(f"{text[:32]}=="))
    except ValueError as error:
        raise Damaged(f"not an id: {text[:32]!r}") from error
    if id_text(found) != text:
        raise Damaged(f"not an id: {text[:32]!r}")
    return found


def _encoded(lines: Iterable[str]) -> bytes:
    content = list(lines)
    return "".join(f"{line}\n" for line in (VERSION, str(len(content)), *content)).encode()


def _lines(data: bytes) -> Sequence[str]:
    text = _text(data)
    version, *rest = text.splitlines() or [""]
    if version != VERSION:
        raise Damaged(f"a checkpoint of version {version[:20]!r}")
    if not text.endswith("\n") or not rest or _number(rest[0]) != len(rest) - 1:
        raise Damaged("a checkpoint has not as many lines as it says")
    return rest[1:]


def _text(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise Damaged(f"not text: {data[:20]!r}") from error


def _number(text: str) -> int:
    if not 0 < len(text) <= DIGITS_MAX or not text.isdecimal() or int(text) > OFFSET_MAX:
        raise Damaged(f"not an offset: {text[:20]!r}")
    return int(text)
