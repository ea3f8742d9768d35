"""Produce with bad content: the code of its fault, and no trace of it (ERR-04, ERR-07)."""

import gzip
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.outcomes import Loss, Unsupported
from conformance.partition import NAMED_TOPICS_UP_TO, Appended, Partition
from conformance.records import (
    CONTROL,
    CRC_COVERS_FROM,
    HEADER,
    TRANSACTIONAL,
    Batch,
    Codec,
    NewRecord,
    batch_of,
    varint,
)
from conformance.workload.produce import values_of
from conformance.world import World, worlds

CORRUPT = frozenset({ErrorCode.corrupt_message})
UNAUTHORIZED = frozenset({ErrorCode.transactional_id_authorization_failed})
INVALID = frozenset({ErrorCode.invalid_record, ErrorCode.corrupt_message})
"""Versions may differ in which of the two."""
OLD_FORMAT = INVALID | {ErrorCode.unsupported_for_message_format}
TOO_LARGE = frozenset({ErrorCode.message_too_large})
TOO_LARGE_FOR_A_SEGMENT = frozenset({ErrorCode.record_list_too_large})
WRONG_TIME = frozenset({ErrorCode.invalid_timestamp})
UNSUPPORTED_CODEC = frozenset({ErrorCode.unsupported_compression_type})
ANY = frozenset(ErrorCode) - {ErrorCode.none}
RECORD_ERRORS_FROM, ZSTD_FROM = 8, 7
HOUR_MS = 3_600_000
CRC_AT = 17
Faults = Mapping[str, Batch | bytes | None]

THREE = batch_of(b"one", b"two", b"three")


# ---- how a refusal is seen ----------------------------------------------------------------------


def refused(
    bench: Bench,
    partition: Partition,
    faults: Faults,
    errors: frozenset[ErrorCode],
    version: int | None = None,
) -> dict[str, Appended]:
    """Sends each fault and a good batch behind it. Each fault must be refused with one of the
    errors; no good batch may notice it. Returns the refusals."""
    found: dict[str, Appended] = {}
    names: list[bytes | None] = []
    for name, fault in faults.items():
        over = partition.connect()
        bad = partition.produce(fault, over=over, version=version)
        good = partition.produce(batch_of(name.encode()))
        partition.target.settle(bad, good)
        bench.premise(name)
        assert bad.loss is not Loss.CLOSED_BY_BROKER, f"{name} is answered with an error"
        found[name] = bad.value
        assert bad.value.error in errors, f"{name} is refused with {words(errors)}"
        expected = (ErrorCode.none, len(names))
        assert (good.value.error, good.value.base_offset) == expected, f"{name} takes no offset"
        names.append(name.encode())
    assert values_of(partition) == names, "only what was not refused is there"
    return found


def words(errors: Iterable[ErrorCode]) -> str:
    codes = sorted(errors, key=lambda error: error.value)
    return "an error" if len(codes) > 3 else " or ".join(f"{e.name} ({e.value})" for e in codes)


# ---- ERR-04: faults of the batch ----------------------------------------------------------------


def with_crc(batch: bytes, crc: int) -> bytes:
    return batch[:CRC_AT] + struct.pack(">I", crc) + batch[CRC_COVERS_FROM:]


def flipped(batch: bytes, at: int) -> bytes:
    return batch[:at] + bytes([batch[at] ^ 1]) + batch[at + 1 :]


def wrong_checksums() -> Faults:
    batch = THREE.encode()
    covered = batch[CRC_COVERS_FROM:]
    return {
        "a checksum of zero": with_crc(batch, 0),
        "a checksum that is one too large": with_crc(batch, (crc32c(covered) + 1) & 0xFFFF_FFFF),
        "a CRC-32 instead of a CRC-32C": with_crc(batch, zlib.crc32(covered)),
        "a changed value": flipped(batch, len(batch) - 2),
        "a changed timestamp": flipped(batch, CRC_COVERS_FROM + 10),
        "a changed producer id": flipped(batch, CRC_COVERS_FROM + 25),
    }


@pytest.mark.clause("ERR-04")
def test_a_wrong_checksum_is_corrupt(bench: Bench) -> None:
    """A batch whose CRC-32C does not fit is refused with CORRUPT_MESSAGE."""
    with bench.partition() as partition:
        refused(bench, partition, wrong_checksums(), CORRUPT)


@pytest.mark.clause("ERR-04")
@given(
    world=worlds(),
    codec=st.sampled_from(Codec),
    values=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    flips=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=4, unique=True),
)
def test_any_flipped_bit_is_corrupt(
    bench: Bench, world: World, codec: Codec, values: list[bytes], flips: list[int]
) -> None:
    """Whichever bit behind the checksum is flipped, the batch is refused with CORRUPT_MESSAGE.

    One bit makes it transactional, and a broker may ask who may write to the transaction before it
    looks at the checksum.
    """
    batch = batch_of(*values, codec=codec).encode()
    bits = 8 * (len(batch) - CRC_COVERS_FROM)
    faults = {}
    transactional = f"bit {TRANSACTIONAL.bit_length() - 1} of byte {CRC_COVERS_FROM + 1}"
    for flip in flips:
        byte, bit = divmod(flip % bits, 8)
        at = CRC_COVERS_FROM + byte
        faults[f"bit {bit} of byte {at}"] = (
            batch[:at] + bytes([batch[at] ^ 1 << bit]) + batch[at + 1 :]
        )
    asked_first = {name: faults.pop(name) for name in list(faults) if name == transactional}
    for some, errors in ((faults, CORRUPT), (asked_first, CORRUPT | UNAUTHORIZED)):
        if some:
            with bench.partition(world=world) as partition:
                refused(bench, partition, some, errors)


def wrong_counts(codec: Codec) -> Faults:
    three = replace(THREE, codec=codec)
    faults = {
        "a count above the last offset delta": replace(three, count=4),
        "a count below the last offset delta": replace(three, count=2),
        "a count of zero": replace(three, count=0),
        "a negative count": replace(three, count=-1),
        "a last offset delta above the count": replace(three, last_offset_delta=3),
        "a last offset delta below the count": replace(three, last_offset_delta=1),
        "a negative last offset delta": replace(three, last_offset_delta=-1),
        "more records announced than sent": replace(three, count=4, last_offset_delta=3),
        "fewer records announced than sent": replace(three, count=2, last_offset_delta=1),
        "no records at all": replace(three, records=()),
    }
    return {f"{name} ({codec.name.lower()})": batch for name, batch in faults.items()}


@pytest.mark.clause("ERR-04")
def test_inconsistent_counts_are_invalid(bench: Bench) -> None:
    """Counts and offsets that contradict each other or the records are INVALID_RECORD."""
    with bench.partition() as partition:
        faults = {name: b for codec in Codec for name, b in wrong_counts(codec).items()}
        refused(bench, partition, faults, INVALID)


def misnumbered(codec: Codec) -> Faults:
    """Right in its header, and with a right checksum: only the records contradict each other."""
    return {
        f"offset deltas {deltas}": replace(THREE, codec=codec, payload=numbered(codec, deltas))
        for deltas in ((0, 0, 0), (1, 2, 3), (0, 2, 1), (0, 1, 5), (0, -1, 2))
    }


def numbered(codec: Codec, deltas: tuple[int, ...]) -> bytes:
    bodies = [
        b"\0" + varint(0) + varint(delta) + varint(-1) + varint(1) + b"v" + varint(0)
        for delta in deltas
    ]
    return compressed(codec, b"".join(varint(len(body)) + body for body in bodies))


def compressed(codec: Codec, payload: bytes) -> bytes:
    return gzip.compress(payload) if codec is Codec.GZIP else payload


@pytest.mark.clause("ERR-04")
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP], ids=["none", "gzip"])
def test_records_that_number_themselves_wrongly_are_invalid(bench: Bench, codec: Codec) -> None:
    """Offset deltas that are not 0, 1, 2 are INVALID_RECORD, or the broker sets its own."""
    for name, fault in misnumbered(codec).items():
        with bench.partition() as partition:
            answer = partition.produce(fault).result()
            bench.premise(name)
            offsets = [record.offset for record in partition.read()]
            kept = [0, 1, 2] if answer.error is ErrorCode.none else []
            assert offsets == kept, f"{name}: the offsets are those that the broker assigned"
            assert answer.error in INVALID | {ErrorCode.none}, f"{name} is refused with 87 or 2"


def several_batches() -> Faults:
    one = THREE.encode()
    return {
        "two batches": one + one,
        "two batches of which the second is empty": one + replace(THREE, records=()).encode(),
        "three batches": one * 3,
    }


@pytest.mark.clause("ERR-04")
def test_more_than_one_batch_is_invalid(bench: Bench) -> None:
    """A Produce holds exactly one batch per partition."""
    with bench.partition() as partition:
        refused(bench, partition, several_batches(), INVALID)


def no_batches() -> Faults:
    batch = THREE.encode()
    return {
        "no bytes": b"",
        "half a header": batch[: HEADER.size // 2],
        "a batch without its last byte": batch[:-1],
        "a length beyond the end": replace(THREE, length=1 << 20).encode(),
        "a length of zero": replace(THREE, length=0).encode(),
        "a negative length": replace(THREE, length=-1).encode(),
        "a length that ends within the header": replace(THREE, length=30).encode(),
        "zeros": bytes(200),
        "text": b"GET / HTTP/1.1\r\n" * 8,
    }


@pytest.mark.clause("ERR-04")
def test_what_is_no_batch_is_refused(bench: Bench) -> None:
    """Bytes that are not a whole batch are refused with INVALID_RECORD or CORRUPT_MESSAGE."""
    with bench.partition() as partition:
        refused(bench, partition, no_batches(), INVALID)


def old_message(magic: int) -> bytes:
    """A message of the formats before KIP-98, right in itself."""
    time = struct.pack(">q", 0) if magic == 1 else b""
    body = struct.pack(">bb", magic, 0) + time + struct.pack(">i", -1) + struct.pack(">i", 1) + b"x"
    return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body


def other_formats() -> Faults:
    return {
        "a message of magic 0": old_message(0),
        "a message of magic 1": old_message(1),
        "a batch that says magic 0": replace(THREE, magic=0),
        "a batch that says magic 1": replace(THREE, magic=1),
        "a batch that says magic 3": replace(THREE, magic=3),
        "a batch that says magic -1": replace(THREE, magic=-1),
    }


@pytest.mark.clause("ERR-04")
def test_another_magic_is_refused(bench: Bench) -> None:
    """From version 3 on a Produce holds batches of magic 2 only."""
    with bench.partition() as partition:
        refused(bench, partition, other_formats(), OLD_FORMAT)


def control_batches() -> Faults:
    commit = NewRecord(key=struct.pack(">hh", 0, 1), value=struct.pack(">hi", 0, 0))
    control = Batch(records=(commit,), flags=CONTROL)
    return {
        "a control batch": control,
        "a control batch without a marker": replace(control, records=THREE.records),
        "a control batch of a producer": replace(
            control, producer_id=1, producer_epoch=0, base_sequence=0
        ),
    }


@pytest.mark.clause("ERR-04")
def test_a_client_may_not_write_control_batches(bench: Bench) -> None:
    """Markers are written by brokers; a client's are refused with INVALID_RECORD."""
    with bench.partition() as partition:
        refused(bench, partition, control_batches(), INVALID)


@pytest.mark.clause("ERR-04")
def test_every_version_refuses_with_the_code_of_the_fault(bench: Bench) -> None:
    """The codes do not depend on the version of Produce."""
    faults = {"a wrong checksum": (with_crc(THREE.encode(), 1), CORRUPT)} | {
        "a wrong count": (replace(THREE, count=2).encode(), INVALID),
        "a control batch": (control_batches()["a control batch"], INVALID),
    }
    with bench.partition() as partition:
        asked = [
            (f"{name} in v{version}", partition.produce(batch, version=version), errors)
            for version in produce_versions(partition)
            for name, (batch, errors) in faults.items()
        ]
        for name, pending, errors in asked:
            bench.premise(name)
            assert pending.result().error in errors, f"{name} is refused with {words(errors)}"
        assert partition.append(b"x").base_offset == 0, "nothing took an offset"


def produce_versions(partition: Partition, at_least: int = 3) -> range:
    """Those that name topics by name."""
    _, high = partition.leader.versions[0]
    return range(at_least, min(high, NAMED_TOPICS_UP_TO) + 1)


# ---- ERR-04: codecs -----------------------------------------------------------------------------


@pytest.mark.clause("ERR-04")
def test_zstd_needs_version_7(bench: Bench) -> None:
    """Before version 7 zstd is refused with UNSUPPORTED_COMPRESSION_TYPE, from then on taken."""
    with bench.partition() as partition:
        batch = replace(THREE, codec=Codec.ZSTD)
        for version in produce_versions(partition):
            answer = partition.produce(batch, version=version).result()
            bench.premise(f"zstd was sent in version {version}")
            expected = UNSUPPORTED_CODEC if version < ZSTD_FROM else {ErrorCode.none}
            assert answer.error in expected, f"version {version}"
        accepted = sum(version >= ZSTD_FROM for version in produce_versions(partition))
        assert len(partition.read()) == accepted * len(THREE.records), "the refused are not there"


def unreadable_payloads() -> Faults:
    return {
        f"{codec.name.lower()} that is none": replace(THREE, codec=codec, payload=b"no such thing")
        for codec in Codec
    } | {f"codec {number}": replace(THREE, flags=number) for number in (5, 6, 7)}


@pytest.mark.clause("ERR-04")
def test_a_payload_that_cannot_be_read_is_refused(bench: Bench) -> None:
    """Records in no codec, or in another than the batch says, are refused with an error."""
    with bench.partition() as partition:
        refused(bench, partition, unreadable_payloads(), ANY)


# ---- ERR-04: limits of the topic ----------------------------------------------------------------


def configurable(bench: Bench) -> None:
    """A topic's limits can only be tested where they can be set."""
    with bench.client() as client:
        if not client.controller().serves("create_topics"):
            raise Unsupported("topics cannot be given a configuration")


@pytest.mark.clause("ERR-04")
def test_a_batch_above_max_message_bytes_is_too_large(bench: Bench) -> None:
    """One byte more than max.message.bytes is MESSAGE_TOO_LARGE; exactly as many fit."""
    configurable(bench)
    fits = batch_of(b"x" * 1_000)
    limit = str(len(fits.encode()))
    with bench.partition(configs={"max.message.bytes": limit}) as partition:
        faults = {
            "one byte too many": batch_of(b"x" * 1_001),
            "twice as many": batch_of(b"x" * 2_000),
            "compressed, but too many": batch_of(
                b"x" * 2_000, codec=Codec.GZIP, payload=b"x" * 2_000
            ),
        }
        refused(bench, partition, faults, TOO_LARGE)
        assert partition.produce(fits).result().error is ErrorCode.none, "the limit itself fits"


SEGMENT_BYTES = 1 << 20
"""The least that Apache Kafka 4 lets a topic have (KIP-1030)."""


@pytest.mark.clause("ERR-04")
def test_a_batch_above_segment_bytes_is_too_large(bench: Bench) -> None:
    """What is no larger than max.message.bytes but than a segment is RECORD_LIST_TOO_LARGE."""
    configurable(bench)
    configs = {"segment.bytes": str(SEGMENT_BYTES), "max.message.bytes": str(4 * SEGMENT_BYTES)}
    with bench.partition(configs=configs) as partition:
        faults = {"more than a segment": batch_of(b"x" * (SEGMENT_BYTES + 1))}
        refused(bench, partition, faults, TOO_LARGE_FOR_A_SEGMENT)


@pytest.mark.clause("ERR-04")
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4], ids=["none", "lz4"])
def test_a_timestamp_out_of_bounds_is_invalid(bench: Bench, codec: Codec) -> None:
    """Too far before or after the broker's clock is INVALID_TIMESTAMP; in between is taken."""
    configurable(bench)
    bounds = {f"message.timestamp.{side}.max.ms": str(HOUR_MS) for side in ("before", "after")}
    with bench.partition(configs=bounds) as partition:
        now = partition.target.clock_ms()
        faults = {
            "two hours ago": batch_of(b"x", timestamp_ms=now - 2 * HOUR_MS, codec=codec),
            "in two hours": batch_of(b"x", timestamp_ms=now + 2 * HOUR_MS, codec=codec),
            "one record of several in two hours": late(now, codec),
        }
        for version in produce_versions(partition):
            for name, fault in faults.items():
                answer = partition.produce(fault, version=version).result()
                bench.premise(f"{name}, in version {version}")
                assert answer.error in WRONG_TIME, f"{name} is INVALID_TIMESTAMP (32)"
                if version >= RECORD_ERRORS_FROM:
                    expected = [1] if name.startswith("one record") else [0]
                    assert named_records(answer) == expected, f"{name}: which records are at fault"
        good = partition.produce(batch_of(b"x", timestamp_ms=now, codec=codec)).result()
        assert (good.error, good.base_offset) == (ErrorCode.none, 0), "the present is in bounds"


def late(now: int, codec: Codec) -> Batch:
    times = (now, now + 2 * HOUR_MS, now)
    records = tuple(NewRecord(value=b"x", timestamp_ms=time) for time in times)
    return Batch(records=records, timestamp_ms=now, codec=codec)


def named_records(answer: Appended) -> list[int]:
    """The positions in the batch that `record_errors` names (KIP-467)."""
    return [record.batch_index for record in answer.raw.record_errors]


@pytest.mark.clause("ERR-04")
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP], ids=["none", "gzip"])
def test_a_compacted_topic_refuses_records_without_a_key(bench: Bench, codec: Codec) -> None:
    """They are INVALID_RECORD, and from version 8 on record_errors names each of them."""
    configurable(bench)
    with bench.partition(configs={"cleanup.policy": "compact"}) as partition:
        keys = (b"k", None, b"k", None)
        batch = Batch(records=tuple(NewRecord(key=k, value=b"x") for k in keys), codec=codec)
        for version in produce_versions(partition):
            answer = partition.produce(batch, version=version).result()
            bench.premise(f"records without a key were sent in version {version}")
            assert answer.error in INVALID, f"version {version}"
            if version >= RECORD_ERRORS_FROM:
                assert named_records(answer) == [1, 3], "record_errors names those without a key"
        keyed = Batch(records=[NewRecord(key=b"", value=b"x")], codec=codec)
        good = partition.produce(keyed).result()
        assert (good.error, good.base_offset) == (ErrorCode.none, 0), "an empty key is a key"


@pytest.mark.clause("ERR-04")
def test_a_base_offset_of_the_client_s_is_refused_or_replaced(bench: Bench) -> None:
    """A base_offset other than 0 may be refused; where it is not, the broker sets its own."""
    with bench.partition() as partition:
        partition.append(b"first")
        answer = partition.produce(batch_of(b"second", base_offset=7)).result()
        bench.premise("a client set a base offset")
        expected = [b"first", b"second"] if answer.error is ErrorCode.none else [b"first"]
        assert answer.error in INVALID | {ErrorCode.none}
        assert [(r.offset, r.value) for r in partition.read()] == list(enumerate(expected))
