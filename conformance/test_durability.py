"""What a killed broker must find again, and bytes that it may not accept, keep or serve."""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.codec import KEYS, VERSIONS
from conformance.connection import Pending
from conformance.outcomes import Loss, Outcome
from conformance.partition import Appended, Partition
from conformance.records import CRC_COVERS_FROM, Batch, Codec, NewRecord
from conformance.targets.target import Capability
from conformance.workload.restarts import kill_and_restart
from conformance.world import World, worlds

MAGIC_AT, CRC_AT, ATTRIBUTES, RECORDS_AT = 16, 17, range(21, 23), 61
"""Where the fields of a batch stand. Base offset, length, leader epoch and magic come before the
checksum, which does not cover them; the attributes are the first that it covers."""
ZSTD_SINCE = 7
"""The version of Produce that allows zstd (KIP-110)."""
OK = Outcome.OK
RECORDS = (
    NewRecord(key=b"k", value=b"first", headers=(("h", b"1"), ("h", None))),
    NewRecord(key=None, value=b"second" * 4),
    NewRecord(key=b"", value=None),
)
RIGHT = Batch(records=RECORDS)
Content = Sequence[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]]


def content(records: Iterable[NewRecord]) -> Content:
    return [(record.key, record.value, record.headers) for record in records]


def stored(partition: Partition) -> Content:
    """What is on the log. Reading it verifies the checksum of each batch that is served."""
    return [(record.key, record.value, record.headers) for record in partition.read(0)]


def flipped(data: bytes, at: int, mask: int) -> bytes:
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def mask_at(position: int) -> int:
    """A different bit for neighbouring bytes, so that each of the eight has its turn."""
    return 1 << position % 8


def nothing_is_appended(partition: Partition, wrong: Iterable[Pending[Appended]]) -> None:
    """None of the wrong batches has left anything, and a right one finds the place still free."""
    assert OK not in {pending.value.outcome for pending in wrong}, "a wrong batch is refused"
    assert partition.append_batch(RIGHT).base_offset == 0, "nothing is appended"
    assert stored(partition) == content(RECORDS), "only the right batch is stored"


# ---- a process that dies -------------------------------------------------------------------------

CRASHES = 3


@pytest.mark.clause("DUR-01")
@pytest.mark.needs(Capability.KILL)
def test_a_killed_broker_finds_everything_again(bench: Bench) -> None:
    """With one replica, after each of several kills: every acknowledged record is at its offset,
    the last batch of a producer is a duplicate, and its next one follows."""
    with bench.client() as client:
        home = client.brokers[-1]
        with bench.topic(client=client, assignments={0: (home,)}) as topic:
            producer_id, written, epochs = client.init_producer_id(), 0, list[int]()
            for crash in range(CRASHES):
                for _ in range(4):
                    last = numbered(client, producer_id, written)
                    answer = topic[0].produce(last, acks=1).result()
                    assert (answer.error, answer.base_offset) == (ErrorCode.none, written)
                    written += len(RECORDS)
                bench.premise("a broker was killed that had acknowledged records", written)
                epochs.append(topic[0].view.leader_epoch)
                kill_and_restart(topic, home)
                assert topic[0].end_offset == written, "the log ends where it ended"
                assert stored(topic[0]) == [*content(RECORDS)] * 4 * (crash + 1), "all is there"
                again = topic[0].produce(last).result()
                kept = (again.error, again.base_offset)
                assert kept == (ErrorCode.none, written - len(RECORDS)), "it is a duplicate"
                known = [topic[0].epoch_end(epoch).result() for epoch in epochs]
                ends = [4 * len(RECORDS) * (n + 1) for n in range(len(epochs))]
                assert [end.end_offset for end in known] == ends, "epochs end where they ended"


def numbered(client: Client, producer_id: int, sequence: int) -> Batch:
    """With today's date: recovery forgets producers whose last batch is old by its timestamp."""
    return replace(
        RIGHT,
        timestamp_ms=client.target.clock_ms(),
        producer_id=producer_id,
        producer_epoch=0,
        base_sequence=sequence,
    )


# ---- what the checksum covers --------------------------------------------------------------------


@pytest.mark.clause("DUR-03")
@pytest.mark.parametrize("codec", Codec, ids=[codec.name.lower() for codec in Codec])
def test_a_flipped_bit_is_refused(bench: Bench, codec: Codec) -> None:
    """Each byte from the checksum on, changed in turn, has its batch refused and nothing stored."""
    whole = replace(RIGHT, codec=codec).encode()
    with bench.partition() as partition:
        wrong = {
            at: partition.produce(flipped(whole, at, mask_at(at)), acks=1)
            for at in range(CRC_AT, len(whole))
        }
        partition.target.settle(*wrong.values())
        bench.premise("a byte did not match the checksum", len(wrong))
        nothing_is_appended(partition, wrong.values())
        for at, pending in wrong.items():
            if at not in ATTRIBUTES:  # they may ask for what is refused whatever the checksum
                error = pending.value.error
                assert error is ErrorCode.corrupt_message, f"byte {at} does not match the checksum"


@pytest.mark.clause("DUR-03")
@given(
    world=worlds(),
    codec=st.sampled_from(Codec),
    changes=st.lists(
        st.tuples(st.integers(CRC_COVERS_FROM, 2_000), st.binary(min_size=1, max_size=6)),
        min_size=1,
        max_size=12,
    ),
)
def test_damaged_content_is_refused(
    bench: Bench, world: World, codec: Codec, changes: list[tuple[int, bytes]]
) -> None:
    """However the covered bytes are damaged, the batch is refused or is none of it changed."""
    whole = replace(RIGHT, codec=codec).encode()
    damaged = [written_over(whole, at % len(whole), bytes_) for at, bytes_ in changes]
    with bench.partition(world=world) as partition:
        wrong = [partition.produce(data, acks=1) for data in damaged if data != whole]
        partition.target.settle(*wrong)
        bench.premise("content did not match the checksum", len(wrong))
        nothing_is_appended(partition, wrong)


def written_over(whole: bytes, at: int, new: bytes) -> bytes:
    """The batch with bytes replaced, none of them before those that the checksum covers."""
    at = max(at, CRC_COVERS_FROM)
    return (whole[:at] + new + whole[at + len(new) :])[: len(whole)]


def with_checksum(batch: bytes, checksum: Callable[[bytes], int]) -> bytes:
    return batch[:CRC_AT] + struct.pack(">I", checksum(batch)) + batch[CRC_COVERS_FROM:]


CHECKSUMS: Mapping[str, Callable[[bytes], int]] = {
    "CRC-32": lambda batch: zlib.crc32(batch[CRC_COVERS_FROM:]),
    "zero": lambda _: 0,
    "inverted": lambda batch: crc32c(batch[CRC_COVERS_FROM:]) ^ 0xFFFF_FFFF,
    "in the other byte order": lambda batch: swapped(crc32c(batch[CRC_COVERS_FROM:])),
    "of the records alone": lambda batch: crc32c(batch[RECORDS_AT:]),
    "from the magic on": lambda batch: crc32c(batch[MAGIC_AT:CRC_AT] + batch[CRC_COVERS_FROM:]),
    "of the whole batch": lambda batch: crc32c(batch[:CRC_AT] + bytes(4) + batch[CRC_COVERS_FROM:]),
    "of nothing": lambda _: crc32c(b""),
}


def swapped(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "big"), "little")


@pytest.mark.clause("DUR-03")
@pytest.mark.parametrize("acks", [0, 1, -1], ids=["acks-0", "acks-1", "acks-all"])
def test_no_other_checksum_is_taken_for_crc_32c(bench: Bench, acks: int) -> None:
    """Another function, another range or another byte order is refused with CORRUPT_MESSAGE."""
    with bench.partition() as partition:
        wrong = {
            f"{name}, {codec.name}": send(partition, with_checksum(whole, checksum), acks)
            for codec in (Codec.NONE, Codec.ZSTD)
            for whole in [replace(RIGHT, codec=codec).encode()]
            for name, checksum in CHECKSUMS.items()
        }
        partition.target.settle(*wrong.values())
        bench.premise("a batch had another checksum", len(wrong))
        nothing_is_appended(partition, wrong.values() if acks else ())
        for name, pending in wrong.items():
            if acks:
                assert pending.value.error is ErrorCode.corrupt_message, f"{name} is not CRC-32C"
            else:
                pending.connection.close()


def send(partition: Partition, batch: bytes, acks: int) -> Pending[Appended]:
    """With acks=0 on a connection of its own, which a broker closes to say that it refuses, and
    followed by a request that is answered once the batch has been dealt with."""
    if acks:
        return partition.produce(batch, acks=acks)
    connection = partition.connect()
    partition.produce(batch, acks=0, over=connection)
    return partition.produce(replace(RIGHT, crc=1), acks=1, over=connection)


@pytest.mark.clause("DUR-03")
@pytest.mark.parametrize(
    "config", [{}, {"message.timestamp.type": "LogAppendTime"}], ids=["create-time", "append-time"]
)
def test_every_version_of_produce_verifies_the_checksum(
    bench: Bench, config: Mapping[str, str]
) -> None:
    """Also where the broker is about to compute a new checksum, because it sets the time."""
    with bench.partition(configs=config) as partition:
        newest = partition.leader.version("produce", at_least=3)
        low = partition.leader.versions[KEYS["produce"]][0]
        wrong = {
            (version, codec): partition.produce(
                replace(RIGHT, codec=codec, crc=1), acks=1, version=version
            )
            for version in VERSIONS["produce"]
            if max(low, 3) <= version <= newest
            for codec in Codec
            if codec is not Codec.ZSTD or version >= ZSTD_SINCE
        }
        partition.target.settle(*wrong.values())
        bench.premise("a batch had a wrong checksum", len(wrong))
        nothing_is_appended(partition, wrong.values())
        for (version, codec), pending in wrong.items():
            error = pending.value.error
            assert error is ErrorCode.corrupt_message, f"v{version} {codec.name} is verified"


@pytest.mark.clause("DUR-03")
def test_a_refused_batch_is_not_remembered(bench: Bench) -> None:
    """An idempotent producer sends its batch again undamaged, and it is no duplicate."""
    with bench.partition() as partition:
        producer_id = partition.client.init_producer_id()
        right = replace(RIGHT, producer_id=producer_id, producer_epoch=0, base_sequence=0)
        wrong = partition.produce(replace(right, crc=1))
        again = partition.produce(right)
        partition.target.settle(wrong, again)
        bench.premise("a numbered batch was damaged")
        assert wrong.value.error is ErrorCode.corrupt_message, "damage is found in any batch"
        assert (again.value.error, again.value.base_offset) == (ErrorCode.none, 0), "no duplicate"
        assert stored(partition) == content(RECORDS), "it is appended once"


# ---- what the checksum does not cover ------------------------------------------------------------


@pytest.mark.clause("DUR-03")
def test_a_flip_before_the_checksum_changes_no_content(bench: Bench) -> None:
    """Base offset, length, leader epoch and magic, changed in turn: an error, or as it was."""
    whole = RIGHT.encode()
    with bench.partition() as partition:
        sent = [
            partition.produce(flipped(whole, at, mask), acks=1, over=partition.connect())
            for at in range(CRC_AT)
            for mask in ((1, 2, 3, 0x80) if at == MAGIC_AT else (mask_at(at), 0x80))
        ]
        partition.target.settle(*sent)
        bench.premise("a byte before the checksum was changed", len(sent))
        for pending in sent:
            pending.connection.close()
        kept = [p for p in sent if p.loss is not Loss.CLOSED_BY_BROKER and p.value.outcome is OK]
        bases = sorted(pending.value.base_offset for pending in kept)
        assert bases == list(range(0, 3 * len(kept), 3)), "each that is accepted has its place"
        last = partition.append_batch(RIGHT).base_offset
        assert last == 3 * len(kept), "what was refused left nothing"
        assert stored(partition) == [*content(RECORDS)] * (len(kept) + 1), "the same content"


@pytest.mark.clause("DUR-03")
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP], ids=["none", "gzip"])
def test_the_broker_sets_what_the_checksum_does_not_cover(bench: Bench, codec: Codec) -> None:
    """A producer's base offset and leader epoch are refused or replaced, never served."""
    with bench.partition() as partition:
        first = partition.append_batch(RIGHT)
        sent = [
            partition.produce(replace(RIGHT, codec=codec, base_offset=offset, leader_epoch=epoch))
            for offset in (0, 1, 3, 1 << 40, -1)
            for epoch in (-1, 0, 77, 1 << 30)
        ]
        partition.target.settle(*sent)
        batches = partition.read_batches(first.base_offset)
        bench.premise("a producer set base offset and leader epoch", len(sent))
        bases = [batch.base_offset for batch in batches]
        assert bases == list(range(0, 3 * len(batches), 3)), "base offsets are the log's own"
        answered = [p.value.base_offset for p in sent if p.value.outcome is OK]
        assert sorted(answered) == bases[1:], "each is where its answer says"
        epochs = {batch.leader_epoch for batch in batches}
        assert epochs == {batches[0].leader_epoch}, "all of them were appended in one epoch"
        assert stored(partition) == [*content(RECORDS)] * len(batches), "the same content"


@pytest.mark.clause("DUR-03")
@pytest.mark.parametrize("codec", Codec, ids=[codec.name.lower() for codec in Codec])
def test_what_is_served_matches_its_checksum(bench: Bench, codec: Codec) -> None:
    """Offset, epoch and perhaps time are set by the broker, and the checksum is right after."""
    for time_type in ("CreateTime", "LogAppendTime"):
        configs = {"message.timestamp.type": time_type}
        with bench.partition(configs=configs) as partition:
            for _ in range(2):
                partition.append_batch(replace(RIGHT, codec=codec))
            assert stored(partition) == [*content(RECORDS)] * 2, "the content is unchanged"
            bench.premise("a batch was served after the broker had set its fields", 2)
