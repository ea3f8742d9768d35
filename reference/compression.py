"""The four codecs of record batches, bounded: a small batch must not unpack into all memory.

Snappy comes in the framing of the xerial library, which the Java client writes, or bare, as
librdkafka writes it. The others are their ordinary frame formats.
"""

import struct
import zlib
from typing import Any

import cramjam

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CODEC_NAMES = {"uncompressed": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

UNPACKED_MAX_BYTES = 64 << 20
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 << 10


class Undecodable(Exception):
    """The bytes are not of the codec, or unpack into more than `UNPACKED_MAX_BYTES`."""


def unpacked(codec: int, payload: bytes) -> bytes:
    """Returns the payload without its compression. Raises Undecodable."""
    try:
        if codec == NONE:
            return payload
        if codec == GZIP:
            return _gunzip(payload)
        if codec == SNAPPY:
            return _unsnap(payload)
        if codec == LZ4:
            return _unpacked_frame(cramjam.lz4, payload)
        if codec == ZSTD:
            return _unpacked_frame(cramjam.zstd, payload)
    except (zlib.error, struct.error, cramjam.DecompressionError, ValueError, OSError) as error:
        raise Undecodable(str(error)) from error
    raise Undecodable(f"no codec has number {codec}")


def packed(codec: int, payload: bytes) -> bytes:
    """Returns the payload under a codec, as Kafka's clients expect it."""
    if codec == GZIP:
        compressor = zlib.compressobj(wbits=31)
        return compressor.compress(payload) + compressor.flush()
    if codec == SNAPPY:
        return XERIAL_HEADER + b"".join(map(_xerial_block, _blocks(payload)))
    if codec == LZ4:
        return bytes(cramjam.lz4.compress(payload))
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(payload))
    return payload


def _gunzip(payload: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    data = stream.decompress(payload, UNPACKED_MAX_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("the gzip stream does not end with the payload, or unpacks into too much")
    return data


def _unsnap(payload: bytes) -> bytes:
    if not payload.startswith(XERIAL_MAGIC):
        return _unsnap_block(payload, UNPACKED_MAX_BYTES)
    blocks, at, left = [], len(XERIAL_HEADER), UNPACKED_MAX_BYTES
    while at < len(payload):
        (size,) = struct.unpack_from(">i", payload, at)
        at += 4
        if not 0 < size <= len(payload) - at:
            raise ValueError("a snappy block is cut off")
        blocks.append(_unsnap_block(payload[at : at + size], left))
        left -= len(blocks[-1])
        at += size
    return b"".join(blocks)


def _unsnap_block(block: bytes, at_most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > at_most:
        raise ValueError("a snappy block unpacks into too much")
    return bytes(cramjam.snappy.decompress_raw(block))


def _unpacked_frame(codec: Any, payload: bytes) -> bytes:
    """Tries growing buffers: the frame need not say its size, and must not choose it alone."""
    size = max(4096, 4 * len(payload))
    while True:
        size = min(size, UNPACKED_MAX_BYTES)
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: codec.decompress_into(payload, buffer)])
        except cramjam.DecompressionError:
            if size == UNPACKED_MAX_BYTES:
                raise
            size *= 8


def _blocks(payload: bytes) -> list[bytes]:
    return [
        payload[at : at + XERIAL_BLOCK_BYTES] for at in range(0, len(payload), XERIAL_BLOCK_BYTES)
    ]


def _xerial_block(block: bytes) -> bytes:
    data = bytes(cramjam.snappy.compress_raw(block))
    return struct.pack(">i", len(data)) + data
