"""How files and folders of logs are called: as in Kafka, below one folder of the disk."""

from typing import NamedTuple

LOGS = "logs"
PARTITION_METADATA = "partition.metadata"
LEADER_EPOCHS = "leader-epoch-checkpoint"
HIGH_WATERMARKS = f"{LOGS}/replication-offset-checkpoint"
RECOVERY_POINTS = f"{LOGS}/recovery-point-offset-checkpoint"
LOG_STARTS = f"{LOGS}/log-start-offset-checkpoint"
CLEANED_UP_TO = f"{LOGS}/cleaner-offset-checkpoint"
CLEAN_SHUTDOWN = f"{LOGS}/.kafka_cleanshutdown"

SEGMENT, OFFSET_INDEX, TIME_INDEX = ".log", ".index", ".timeindex"
SNAPSHOT = ".snapshot"
SWAP = ".swap"
"""Ends the name of a cleaned segment that is about to replace others."""
OFFSET_DIGITS = 20


class OffsetFile(NamedTuple):
    """A file that is called by the offset where its content begins."""

    offset: int
    suffix: str


def folder_of(topic: str, number: int) -> str:
    return f"{LOGS}/{topic}-{number}"


def file_at(folder: str, offset: int, suffix: str) -> str:
    return f"{folder}/{offset:0{OFFSET_DIGITS}}{suffix}"


def parsed(path: str) -> OffsetFile | None:
    """Returns what the name of a file says, or None if it is not called by an offset."""
    digits, dot, suffix = path.rpartition("/")[2].partition(".")
    if len(digits) != OFFSET_DIGITS or not digits.isdecimal() or not digits.isascii():
        return None
    return OffsetFile(int(digits), dot + suffix)
