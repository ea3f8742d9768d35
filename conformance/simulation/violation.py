"""What an oracle reports: the clause that a run has broken, and how."""

from typing import NamedTuple


class Violation(NamedTuple):
    clause: str
    message: str

    def __str__(self) -> str:
        return f"{self.clause}: {self.message}"
