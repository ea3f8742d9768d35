"""Names of partitions and topics, and what several requests share."""

from typing import NamedTuple
from uuid import UUID

TopicRef = str | UUID
NO_TOPIC_ID = UUID(int=0)
NO_OFFSET = -1
NO_EPOCH = -1
NO_TIMESTAMP = -1


class Partition(NamedTuple):
    """A partition by the name of its topic. The core keys its state by `topic_id` where a
    predecessor of the same name must not be mistaken for it."""

    topic: str
    number: int


class LeaderHint(NamedTuple):
    """Who leads instead, for a client that asked the wrong broker (KIP-951)."""

    leader: int
    leader_epoch: int


class EpochEnd(NamedTuple):
    """The largest epoch known up to the asked one, and the offset where it ends (KIP-279)."""

    leader_epoch: int
    end_offset: int


NO_EPOCH_END = EpochEnd(NO_EPOCH, NO_OFFSET)
