"""Text from outside, made safe to read: nothing in it hides or reorders what stands around it."""

import re
from typing import Any

from markupsafe import Markup, escape

# Characters that would vanish, reorder the line around them, or not survive UTF-8.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def visible(value: Any) -> Any:
    """Text with such characters spelled out; anything else, and markup, as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


def escaped(text: str) -> str:
    """For the inside of an element or of an attribute in double quotes."""
    return str(escape(visible(text)))


class Slugs:
    """Names made safe for links, each different from those before it."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def of(self, name: str) -> str:
        slug = re.sub(r"[^A-Za-z0-9.+_-]+", "-", name).strip("-")[:120] or "unnamed"
        unique, number = slug, 2
        while unique in self._used:
            unique, number = f"{slug}-{number}", number + 1
        self._used.add(unique)
        return unique
