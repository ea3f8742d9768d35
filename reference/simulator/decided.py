"""The history of every partition as it was decided, whoever has heard of it by now.

It is what really happened, for those who judge a run. No member of the cluster knows it.
"""

from reference.metadata.quorum.member import QuorumMember
from reference.metadata.records import MetadataRecord, PartitionId, PartitionState
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.node import Node


class Decided:
    def __init__(self) -> None:
        self.states: dict[PartitionId, list[PartitionState]] = {}
        self._records = 0
        """How many records of the quorum's log have been seen committed."""

    def note_written(self, ensemble: Ensemble) -> None:
        """In ZooKeeper, what is written is decided."""
        for state in ensemble.take_written_states():
            self._note(state)

    def note_committed(self, node: Node) -> None:
        """The log of the quorum is committed as far as some broker was told of it."""
        for update in node.told:
            if not update.snapshot:
                self._note_records(update.first, update.records)
            elif update.first > self._records and isinstance(node.member, QuorumMember):
                # Nobody who was told of the newest records in time is alive any more.
                unseen = node.member.replica.log.read(self._records, update.first)
                self._note_records(self._records, tuple(entry.record for entry in unseen))

    def _note_records(self, first: int, records: tuple[MetadataRecord, ...]) -> None:
        for record in records[max(0, self._records - first) :]:
            if isinstance(record, PartitionState):
                self._note(record)
        self._records = max(self._records, first + len(records))

    def _note(self, state: PartitionState) -> None:
        self.states.setdefault(state.id, []).append(state)
