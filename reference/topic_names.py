"""What a topic may be called (org.apache.kafka.common.internals.Topic)."""

import re

LEGAL = re.compile(r"[a-zA-Z0-9._-]+")
LENGTH_MAX = 249


def name_error(name: str) -> str | None:
    """Returns why no topic can have this name, or None."""
    if not name:
        return "the empty string is not allowed"
    if name in (".", ".."):
        return "'.' or '..' is not allowed"
    if len(name) > LENGTH_MAX:
        return f"the length of '{name[:40]}...' is longer than {LENGTH_MAX}"
    if not LEGAL.fullmatch(name):
        return f"'{name}' contains characters other than ASCII alphanumerics, '.', '_' and '-'"
    return None
