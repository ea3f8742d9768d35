"""Puts the processes of a cluster together. Each start of one draws its own chances."""

import random
from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from reference.broker import Broker
from reference.metadata.member import MetadataMember
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.metadata.zookeeper.member import ZooKeeperMember
from reference.node import Node
from reference.rules import Rules
from reference.storage.disk import Disk
from reference.storage.manager import LogManager

VOTERS_MAX = 3
"""As many of the first nodes vote in the metadata quorum; the others observe it."""


class Mode(StrEnum):
    """How a cluster keeps its metadata."""

    QUORUM = "quorum"
    ZOOKEEPER = "zookeeper"


class Assembly:
    def __init__(
        self, seed: int, numbers: tuple[int, ...], rules: Rules, configs: Mapping[str, str]
    ) -> None:
        self._seed = seed
        self._numbers = numbers
        self._rules = rules
        self._configs = configs
        self._starts = dict.fromkeys(numbers, 0)

    def ensemble(self) -> Ensemble:
        return Ensemble(self._rules, self._configs)

    def node(self, mode: Mode, number: int, disk: Disk) -> Node:
        """Returns a new process over a disk. Raises DiskError where that cannot be read."""
        self._starts[number] += 1
        life = f"{self._seed} node {number} {self._starts[number]}"
        chance = random.Random(life)
        incarnation = UUID(int=chance.getrandbits(128), version=4)
        logs = LogManager(disk, self._rules)
        broker = Broker(
            id=number,
            incarnation=incarnation,
            cluster_id=f"highwater-reference-{self._seed}",
            rules=self._rules,
            static_configs=self._configs,
            draw=chance.getrandbits,
            logs=logs,
        )
        member = self._member(mode, number, disk, incarnation, logs.clean_broker_epoch)
        return Node(number, broker, member)

    def _member(
        self, mode: Mode, number: int, disk: Disk, incarnation: UUID, clean_broker_epoch: int
    ) -> MetadataMember:
        chance = random.Random(f"{self._seed} member {number} {self._starts[number]}")
        if mode is Mode.QUORUM:
            return QuorumMember(
                number,
                self._numbers[:VOTERS_MAX],
                disk,
                self._rules,
                self._configs,
                chance.getrandbits,
                chance.random,
                incarnation,
                clean_broker_epoch,
            )
        return ZooKeeperMember(
            number,
            disk,
            self._rules,
            self._configs,
            chance.getrandbits,
            chance.random,
            incarnation,
        )
