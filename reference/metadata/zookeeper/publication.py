"""What the controller tells the brokers: its committed decisions, numbered anew in each epoch.

Kafka has a queue per broker and repeats requests; here a broker that missed something asks for it,
and gets a snapshot where the records are too old to be kept.
Source: ControllerChannelManager.scala (LeaderAndIsr, UpdateMetadata, StopReplica).
"""

from collections.abc import Sequence

from reference.image import MetadataImage
from reference.messages import MetadataUpdate, MetadataWanted
from reference.metadata.records import MetadataRecord

RECORDS_KEPT = 2_000


class Publication:
    __slots__ = ("_first", "_records", "epoch", "image")

    def __init__(self, epoch: int, image: MetadataImage, first: int = 0) -> None:
        """`image` is what is committed, and belongs to the publication from now on."""
        self.epoch = epoch
        self.image = image
        self._first = first
        """The number of the first record that is kept."""
        self._records: list[MetadataRecord] = []

    @property
    def end(self) -> int:
        """The number of the record that comes next."""
        return self._first + len(self._records)

    def snapshot(self) -> MetadataUpdate:
        """Returns everything, in the place of all records so far."""
        records = tuple(self.image.snapshot_records())
        return MetadataUpdate(
            controller_epoch=self.epoch, first=self.end, records=records, snapshot=True
        )

    def add(self, records: Sequence[MetadataRecord]) -> MetadataUpdate:
        """Takes records that were committed; returns what to tell of them."""
        first = self.end
        for record in records:
            self.image.apply(record)
        self._records += records
        if len(self._records) > RECORDS_KEPT:
            dropped = len(self._records) // 2
            del self._records[:dropped]
            self._first += dropped
        return MetadataUpdate(controller_epoch=self.epoch, first=first, records=tuple(records))

    def missing(self, wanted: MetadataWanted) -> MetadataUpdate | None:
        """Returns what a broker lacks that has come so far, if anything."""
        if wanted.controller_epoch != self.epoch or wanted.applied < self._first:
            return self.snapshot()
        records = self._records[wanted.applied - self._first :]
        if not records:
            return None
        return MetadataUpdate(
            controller_epoch=self.epoch, first=wanted.applied, records=tuple(records)
        )
