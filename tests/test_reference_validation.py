"""What is refused of a client's batch, and how an accepted one is stored."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import Batch, Codec, NewRecord, read_batches
from reference.batch import read_header
from reference.compression import UNPACKED_MAX_BYTES, Undecodable, packed, unpacked
from reference.configs import Configs, TopicConfig
from reference.errors import Error
from reference.rules import Rules
from reference.validation import Accepted, Refused, validated
from tests.core_cluster import NOW_MS, batch, keyless

PRODUCER = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 0}


def config(**overrides: str) -> TopicConfig:
    settings = {name.replace("_", "."): value for name, value in overrides.items()}
    return Configs(1, {}, {(2, "topic"): settings}).topic("topic")


def accept(content: bytes | None, version: int = 9, **overrides: str) -> Accepted:
    return validated(content, config(**overrides), Rules(), now_ms=NOW_MS, api_version=version)


def refusal(content: bytes | None, version: int = 9, **overrides: str) -> Refused:
    with pytest.raises(Refused) as refused:
        accept(content, version, **overrides)
    return refused.value


def made(**header: object) -> bytes:
    return batch(b"one", b"two", **header)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, Error.INVALID_RECORD),
        (b"", Error.INVALID_RECORD),
        (b"short", Error.INVALID_RECORD),
        (bytes(61), Error.CORRUPT_MESSAGE),
        (made(magic=0), Error.INVALID_RECORD),
        (made(magic=1), Error.INVALID_RECORD),
        (made(magic=3), Error.CORRUPT_MESSAGE),
        (made(crc=1), Error.CORRUPT_MESSAGE),
        (made()[:-1], Error.INVALID_RECORD),
        (made() + b"x", Error.INVALID_RECORD),
        (made() + made(), Error.INVALID_RECORD),
        (made(length=20), Error.CORRUPT_MESSAGE),
        (made(length=-1), Error.CORRUPT_MESSAGE),
        (made(base_offset=5), Error.INVALID_RECORD),
        (made(count=3), Error.INVALID_RECORD),
        (made(count=0), Error.INVALID_RECORD),
        (made(count=-1), Error.INVALID_RECORD),
        (made(last_offset_delta=5), Error.INVALID_RECORD),
        (made(last_offset_delta=-1), Error.INVALID_RECORD),
        (made(count=3, last_offset_delta=2), Error.INVALID_RECORD),
        (made(count=1, last_offset_delta=0), Error.INVALID_RECORD),
        (Batch(records=(), timestamp_ms=NOW_MS).encode(), Error.INVALID_RECORD),
        (made(flags=0x20), Error.INVALID_RECORD),
        (
            made(flags=0x10, producer_id=1, producer_epoch=0, base_sequence=0),
            Error.INVALID_TXN_STATE,
        ),
        (made(flags=0x08), Error.INVALID_TIMESTAMP),
        (made(producer_id=1), Error.INVALID_RECORD),
        (made(producer_id=-7), Error.INVALID_RECORD),
        (made(payload=b"\x00\x01\x02"), Error.INVALID_RECORD),
        (made(codec=Codec.GZIP, payload=b"no gzip"), Error.INVALID_RECORD),
        (made(flags=7), Error.INVALID_RECORD),
    ],
)
def test_bad_content_is_refused(content: bytes | None, error: Error) -> None:
    assert refusal(content).error is error


def test_settings_bound_what_is_accepted() -> None:
    size = len(made())
    assert refusal(made(), max_message_bytes=str(size - 1)).error is Error.MESSAGE_TOO_LARGE
    assert accept(made(), max_message_bytes=str(size)).batch == made()
    assert refusal(made(), segment_bytes=str(size - 1)).error is Error.RECORD_LIST_TOO_LARGE
    late, early = made(timestamp_ms=NOW_MS + 11), made(timestamp_ms=NOW_MS - 11)
    for content in (late, early):
        refused = refusal(
            content,
            message_timestamp_after_max_ms="10",
            message_timestamp_before_max_ms="10",
        )
        assert refused.error is Error.INVALID_TIMESTAMP
        assert [each.position for each in refused.record_errors] == [0, 1]
        assert accept(content).batch == content


def test_a_compacted_topic_needs_keys() -> None:
    mixed = Batch(
        records=(NewRecord(value=b"v", key=b"k"), NewRecord(value=b"v")), timestamp_ms=NOW_MS
    ).encode()
    refused = refusal(mixed, cleanup_policy="compact")
    assert refused.error is Error.INVALID_RECORD
    assert [each.position for each in refused.record_errors] == [1]
    assert refusal(keyless(b"v"), cleanup_policy="compact,delete").error is Error.INVALID_RECORD
    assert accept(keyless(b"v"), cleanup_policy="delete").batch == keyless(b"v")


def test_zstd_needs_version_7() -> None:
    content = made(codec=Codec.ZSTD)
    assert refusal(content, version=6).error is Error.UNSUPPORTED_COMPRESSION_TYPE
    assert accept(content, version=7).batch == content


@pytest.mark.parametrize("codec", Codec)
def test_a_good_batch_is_stored_as_it_is(codec: Codec) -> None:
    content = made(codec=codec)
    assert accept(content) == Accepted(content, -1)


@pytest.mark.parametrize("codec", Codec)
def test_append_time_replaces_the_timestamps(codec: Codec) -> None:
    stored = accept(made(codec=codec, timestamp_ms=5), message_timestamp_type="LogAppendTime")
    assert stored.log_append_time_ms == NOW_MS
    (read,) = read_batches(stored.batch)
    assert [record.timestamp_ms for record in read.records] == [NOW_MS, NOW_MS]
    assert [record.value for record in read.records] == [b"one", b"two"]


def test_a_wrong_maximum_timestamp_is_corrected() -> None:
    stored = accept(made(max_timestamp_ms=NOW_MS + 77)).batch
    assert read_header(stored).max_timestamp == NOW_MS
    assert read_batches(stored), "and the checksum fits"


@pytest.mark.parametrize("wanted", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("given", Codec)
def test_a_topic_may_have_its_own_codec(wanted: str, given: Codec) -> None:
    stored = accept(made(codec=given), compression_type=wanted).batch
    (read,) = read_batches(stored)
    assert read.codec.name.lower().replace("none", "uncompressed") == wanted
    assert [record.value for record in read.records] == [b"one", b"two"]
    assert read.count == 2


@given(data=st.data(), codec=st.sampled_from(Codec))
def test_one_changed_byte_is_refused_or_changes_nothing(data: st.DataObject, codec: Codec) -> None:
    content = bytearray(made(codec=codec))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        stored = accept(bytes(content)).batch
    except Refused:
        return
    (read,) = read_batches(stored)
    assert [record.value for record in read.records] == [b"one", b"two"]


@given(junk=st.binary(max_size=200), codec=st.sampled_from(Codec), count=st.integers(1, 3))
def test_no_payload_crashes_the_broker(junk: bytes, codec: Codec, count: int) -> None:
    content = batch(*[b"v"] * count, codec=codec, payload=junk)
    assert outcome(content) in (Error.NONE, Error.INVALID_RECORD)


def outcome(content: bytes) -> Error:
    try:
        accept(content)
    except Refused as refused:
        return refused.error
    return Error.NONE


@given(payload=st.binary(max_size=5_000), codec=st.integers(0, 4))
def test_what_is_packed_unpacks(payload: bytes, codec: int) -> None:
    assert unpacked(codec, packed(codec, payload)) == payload


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_bomb_is_not_unpacked(codec: int) -> None:
    bomb = packed(codec, bytes(UNPACKED_MAX_BYTES + 1))
    assert len(bomb) < UNPACKED_MAX_BYTES / 10
    with pytest.raises(Undecodable):
        unpacked(codec, bomb)


def test_a_bomb_in_a_bare_snappy_block_is_not_unpacked() -> None:
    with pytest.raises(Undecodable):
        unpacked(2, b"\xff\xff\xff\xff\x0f" + struct.pack("<B", 0))
