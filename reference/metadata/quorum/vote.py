"""The quorum state file: the epoch that a voter is in, and whom it has voted for in it (KIP-595).

Source: raft/src/main/java/org/apache/kafka/raft/FileQuorumStateStore.java.
"""

from dataclasses import dataclass

from reference.metadata.quorum import codec
from reference.storage.disk import Disk

QUORUM_STATE = "quorum/state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    epoch: int = 0
    candidate: int | None = None


def read_vote(disk: Disk) -> Vote:
    """Returns what was written last; epoch 0 on a new disk. Raises Damaged, DiskError."""
    try:
        data = disk.read(QUORUM_STATE)
    except FileNotFoundError:
        return Vote()
    epoch, candidate = codec.all_lines(data)[0]
    return Vote(epoch=epoch, candidate=candidate)


def write_vote(disk: Disk, vote: Vote) -> None:
    """Returns once the vote would survive a loss of power. Raises DiskError."""
    disk.replace(QUORUM_STATE, codec.line((vote.epoch, vote.candidate)))
