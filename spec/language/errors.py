"""The one error of the specification language, which says where in the text the slip is."""

import contextlib
import sys
from pathlib import Path
from types import CodeType, FrameType

_NOT_OF_THE_TEXT = (str(Path(__file__).parent), contextlib.__file__, "<")
"""Where files of this package are, of `with`, and of code without a file."""


def place(code: CodeType, line: int) -> str:
    """`replication.py:112 leader_write`, as every message and every refused step names a line."""
    return f"{Path(code.co_filename).name}:{line} {code.co_name}"


def spec_frame() -> FrameType | None:
    """The innermost frame that is not of this package: the line of the specification."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_OF_THE_TEXT):
        frame = frame.f_back
    return frame


class SpecError(TypeError):
    """A text is not in the language: Python control flow on symbolic values, mixed sorts, ...

    The message ends with the place in the specification that it is about: the line that was being
    run, or the one that is given.
    """

    def __init__(self, message: str, where: str = "") -> None:
        frame = spec_frame()
        if not where and frame is not None:
            where = place(frame.f_code, frame.f_lineno)
        super().__init__(f"{message} [{where}]" if where else message)


class UnknownName(SpecError, AttributeError):
    """A name that the text uses and nothing declares; an `AttributeError`, as Python expects."""
