"""The stream of a connection, cut into frames: four bytes of length, then so many bytes."""

import struct
from collections.abc import Callable, Iterator

from reference.wire.refusals import MalformedRequest

LENGTH = struct.Struct(">i")
HEAD_BYTES = 8
"""API key, version and correlation id: no request is shorter."""


class FrameReader:
    """Holds what has arrived and no more: a length that is only announced allocates nothing."""

    def __init__(self, accepts_frame: Callable[[int], bool]) -> None:
        self._accepts_frame = accepts_frame
        self._received = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Adds bytes in the order in which they arrived."""
        self._received += chunk

    def frames(self) -> Iterator[bytes]:
        """Yields and forgets each complete frame, without its length.

        Raises MalformedRequest at a length that is too small, negative, or refused by the rule;
        the frames before it have been yielded by then.
        """
        received = self._received
        while len(received) >= LENGTH.size:
            (size_bytes,) = LENGTH.unpack_from(received)
            if size_bytes < HEAD_BYTES or not self._accepts_frame(size_bytes):
                raise MalformedRequest(f"a frame of {size_bytes} bytes")
            end = LENGTH.size + size_bytes
            if len(received) < end:
                return
            with memoryview(received) as view:
                frame = bytes(view[LENGTH.size : end])
            del received[:end]
            yield frame
