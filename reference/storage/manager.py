"""All logs of a broker on its disk: found again at the start, made, deleted, closed.

A folder is called by the topic's name, for people; whose log it holds says its `partition.metadata`
(KIP-516). That file is written first and deleted first: a folder without one is half made or half
deleted, and goes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from reference.log import Log
from reference.metadata.records import PartitionId
from reference.rules import Rules
from reference.storage import names
from reference.storage.checkpoints import Damaged, decoded_topic_id, encoded_topic_id
from reference.storage.disk import Disk
from reference.storage.ledger import Ledger
from reference.storage.log_directory import LogDirectory
from reference.storage.recovery import Recovery

UNCLEAN = -1
"""In the place of a broker epoch: the last process did not come to shut down cleanly."""


@dataclass(slots=True)
class LoadedLog:
    log: Log
    high_watermark: int
    """What was written down last, as far as the log goes."""


class LogManager:
    """Every method raises DiskError; after that the process must end."""

    def __init__(self, disk: Disk, rules: Rules) -> None:
        """Loads what is there."""
        self._disk = disk
        self._rules = rules
        self._folders: dict[PartitionId, str] = {}
        self._logs: dict[PartitionId, LoadedLog] = {}
        self.clean_broker_epoch = self._take_clean_shutdown()
        """The epoch of the process before, if it shut down cleanly, or -1 (KIP-966)."""
        self._ledger = Ledger(disk)
        self._load()

    @property
    def was_clean(self) -> bool:
        """Whether nothing can have been lost since the process before."""
        return self.clean_broker_epoch != UNCLEAN

    # ---- logs ----------------------------------------------------------------------------------

    def partitions(self) -> list[PartitionId]:
        """Everything that there is a log of, in ascending order."""
        return sorted(self._logs)

    def has(self, partition: PartitionId) -> bool:
        return partition in self._logs

    def open(self, partition: PartitionId, topic: str) -> tuple[Log, int]:
        """Returns the log of a partition, a new one if there is none, and its high watermark."""
        loaded = self._logs.get(partition) or self._made(partition, topic)
        return loaded.log, loaded.high_watermark

    def delete(self, partition: PartitionId) -> None:
        """Removes a log, if it is there."""
        folder = self._folders.pop(partition, None)
        if folder is None:
            return
        loaded = self._logs.pop(partition)
        if loaded.log.store is not None:
            loaded.log.store.retire()
        self._delete_folder(folder)
        self._ledger.forget(partition)

    def _made(self, partition: PartitionId, topic: str) -> LoadedLog:
        folder = names.folder_of(topic, partition.number)
        for other, taken in tuple(self._folders.items()):
            if taken == folder:
                if self._rules.is_log_of(other.topic_id, partition.topic_id):
                    return self._logs[other]
                # A topic that has been deleted while this broker could not hear of it.
                self.delete(other)
        self._disk.replace(
            f"{folder}/{names.PARTITION_METADATA}", encoded_topic_id(partition.topic_id)
        )
        marks = self._ledger.of(partition)
        marks.log_start = 0
        log = Log(self._rules, store=LogDirectory(self._disk, folder, self._ledger, marks))
        return self._keep(partition, folder, LoadedLog(log, 0))

    def _keep(self, partition: PartitionId, folder: str, loaded: LoadedLog) -> LoadedLog:
        self._folders[partition] = folder
        self._logs[partition] = loaded
        return loaded

    # ---- all together --------------------------------------------------------------------------

    def checkpoint(self, high_watermarks: Mapping[PartitionId, int]) -> None:
        """Writes down how far each log is committed and flushed."""
        self._ledger.save_high_watermarks(high_watermarks)
        self._ledger.save_recovery_points()

    def close(self, high_watermarks: Mapping[PartitionId, int], broker_epoch: int) -> None:
        """Puts everything on the disk, and last a mark that nothing is missing."""
        for loaded in self._logs.values():
            log = loaded.log
            if log.store is not None:
                log.store.close(log.end_offset, log.state_at_end())
        self.checkpoint(high_watermarks)
        self._ledger.save_log_starts()
        self._ledger.save_cleaned()
        content = json.dumps({"version": 0, "brokerEpoch": broker_epoch})
        self._disk.replace(names.CLEAN_SHUTDOWN, content.encode())

    def _take_clean_shutdown(self) -> int:
        """Removes the mark: it is true until something is written."""
        try:
            data = self._disk.read(names.CLEAN_SHUTDOWN)
        except FileNotFoundError:
            return UNCLEAN
        self._disk.delete(names.CLEAN_SHUTDOWN)
        try:
            epoch = json.loads(data)["brokerEpoch"]
        except (ValueError, KeyError, TypeError):
            return UNCLEAN
        return epoch if isinstance(epoch, int) and epoch >= 0 else UNCLEAN

    def _load(self) -> None:
        for folder in self._stored_folders():
            try:
                data = self._disk.read(f"{folder}/{names.PARTITION_METADATA}")
            except FileNotFoundError:
                self._delete_folder(folder)
                continue
            number = folder.rpartition("-")[2]
            if not number.isdecimal():
                raise Damaged(f"{folder} is not the folder of a partition")
            partition = PartitionId(decoded_topic_id(data), int(number))
            marks = self._ledger.of(partition)
            log = Recovery(
                self._disk, folder, self._rules, self._ledger, marks, self.was_clean
            ).log()
            stored = self._ledger.high_watermarks.get(partition, log.start_offset)
            high_watermark = self._rules.recovered_high_watermark(
                stored, log.start_offset, log.end_offset
            )
            self._keep(partition, folder, LoadedLog(log, high_watermark))
        for partition in tuple(self._ledger.marks):
            if partition not in self._logs:
                self._ledger.forget(partition)
        self._ledger.save_recovery_points()

    def _stored_folders(self) -> list[str]:
        paths = self._disk.files(names.LOGS)
        return sorted({path.rpartition("/")[0] for path in paths} - {names.LOGS})

    def _delete_folder(self, folder: str) -> None:
        self._disk.delete(f"{folder}/{names.PARTITION_METADATA}")
        for path in reversed(self._disk.files(folder)):
            self._disk.delete(path)
