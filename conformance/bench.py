"""The fixture that tests work at: it hands out topics and counts premises."""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from conformance.client import Client
from conformance.nemesis.recovery import recover
from conformance.outcomes import Undecided
from conformance.partition import Partition, Topic
from conformance.targets.spec import TargetSpec
from conformance.targets.target import Capability, Target, Trait
from conformance.wirelog import Entry, WireLog
from conformance.world import World

T = TypeVar("T")
DEFAULT = World()
PROBE_WITHIN_MS = 5_000
KEEP_ALL = {"retention.ms": "-1"}
"""Test records have timestamps of long ago; a broker may lawfully delete them within a second."""


@dataclass(slots=True)
class _Memory:
    """What `Bench.once` has made, or why it could not."""

    made: Any = None
    why: Undecided | None = None
    remarks: list[Entry] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)


class Bench:
    """Where a cluster costs nothing, a topic comes with a fresh cluster and its own clock.

    Everything that is created on a shared cluster has the run's prefix, and is deleted at the end
    of its `with` block; what a killed run left behind is recognised by the prefix.
    """

    def __init__(self, spec: TargetSpec, run_id: str) -> None:
        self.spec, self.run_id = spec, run_id
        self.worker = ""
        """Tells the workers of one run apart; they share its id."""
        self.wire_log = WireLog()
        self.premises: Counter[str] = Counter()
        self._memory: dict[str, _Memory] = {}
        self._runs: list[dict[str, Any]] = []
        self._shared: Client | None = None
        self._names = 0

    def __repr__(self) -> str:
        return "bench"

    @property
    def prefix(self) -> str:
        return f"highwater-{self.run_id}-"

    # ---- for tests ------------------------------------------------------------------------------

    def premise(self, what: str, times: int = 1) -> None:
        """The situation that the clause speaks about arose. Without one nothing is shown."""
        self.premises[what] += times

    def can(self, capability: Capability) -> bool:
        return not self.spec.forbids(frozenset({capability}))

    @property
    def virtual(self) -> bool:
        """Whether time costs nothing here, so that a test may wait at length."""
        return Trait.VIRTUAL_TIME in self.spec.traits

    @contextmanager
    def client(self, world: World = DEFAULT) -> Iterator[Client]:
        """A client of the target."""
        self.wire_log.clear()
        client = self._fresh(world) if self.spec.fresh_per_test else self._share()
        try:
            yield client
        finally:
            if self.spec.fresh_per_test:
                self._runs.append(client.target.transport.describe())
                client.close()
                client.target.close()

    @contextmanager
    def topic(
        self,
        *,
        world: World = DEFAULT,
        client: Client | None = None,
        partitions: int = 1,
        replication_factor: int = -1,
        assignments: Mapping[int, tuple[int, ...]] | None = None,
        configs: Mapping[str, str] | None = None,
    ) -> Iterator[Topic]:
        """A topic of the test's own; a second one for the same client where that is given."""
        if client is None:
            with self.client(world) as found:
                with self.topic(
                    client=found,
                    partitions=partitions,
                    replication_factor=replication_factor,
                    assignments=assignments,
                    configs=configs,
                ) as topic:
                    yield topic
                return
        name = self.name()
        try:
            view = client.create_topic(
                name,
                partitions=partitions,
                replication_factor=replication_factor,
                assignments=assignments,
                configs=KEEP_ALL | dict(configs or {}),
            )
            yield Topic(client, name, view)
        finally:
            self.discard(client, name)

    @contextmanager
    def partition(self, **options: Any) -> Iterator[Partition]:
        """The only partition of a topic of the test's own; options are those of `topic`."""
        with self.topic(**options) as topic:
            yield topic[0]

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What several tests judge and what costs too much to bring about for each of them.

        The first of them makes it. The others are given the same, with the remarks in its wire log
        and the facts of the run, or the reason why it decided nothing.
        """
        known = self._memory.get(name)
        if known is None:
            before = len(self._runs)
            try:
                known = _Memory(made=make())
            except Undecided as why:
                known = _Memory(why=why)
            known.remarks = list(self.wire_log.remarks)
            known.runs = self._runs[before:]
            self._memory[name] = known
        else:
            self.wire_log.remarks.extend(known.remarks)
            self._runs += known.runs
        if known.why:
            raise known.why
        return cast(T, known.made)

    def name(self, suffix: str = "") -> str:
        """A topic name that nobody else uses. Whoever creates it outside `topic` discards it."""
        self._names += 1
        if self.spec.fresh_per_test:  # the same in every run, so that a seed names the whole run
            return f"highwater-{self._names}{suffix}"
        return f"{self.prefix}{self.worker}{self._names}{suffix}"

    def discard(self, client: Client, *names: str) -> None:
        """Deletes topics, if they are there, and waits for the answer but not for its success.

        Raises nothing, so that it hides nothing where it stands in a `finally`. After Ctrl-C it
        does nothing: the connections stopped in mid-frame, and the session's end cleans up.
        """
        if self.spec.fresh_per_test or sys.exc_info()[0] is KeyboardInterrupt:
            return
        with suppress(Exception, Undecided):
            for name in names:
                client.delete_topic(name)

    # ---- for the plugin -------------------------------------------------------------------------

    def begin_case(self) -> None:
        self.premises.clear()
        self._runs.clear()
        self._names = 0 if self.spec.fresh_per_test else self._names
        self.wire_log.clear()

    def recover(self) -> None:
        """Ends all faults on a lasting cluster, and waits until it is in good health.

        Raises `TargetBroken` where it does not recover.
        """
        if self._shared and self._shared.target.transport.nemesis:
            recover(self._shared)

    def heal(self) -> None:
        """Ends all faults and waits for nothing, as is right after Ctrl-C."""
        if self._shared and self._shared.target.transport.nemesis:
            self._shared.target.transport.nemesis.heal()

    def run_facts(self) -> dict[str, Any]:
        """What the evidence of a test keeps of all its clusters together."""
        if not self._runs:
            return dict(self.spec.facts)
        digests = "".join(run["trace"] for run in self._runs)
        return {
            "trace": hashlib.sha256(digests.encode()).hexdigest()[:16],
            "clusters": len(self._runs),
            "events": sum(run["events"] for run in self._runs),
            "virtual_ms": sum(run["virtual_ms"] for run in self._runs),
        }

    def leftovers(self) -> list[str]:
        """Deletes the topics of this run that are still there; returns their names."""
        if self.spec.fresh_per_test or self.unreachable():
            return []
        client = self._fresh(DEFAULT)  # the shared one may have been interrupted
        try:
            answer = client.broker().call("metadata", at_most=8, at_least=1, topics=None)
            names = [t.name for t in answer.topics if (t.name or "").startswith(self.prefix)]
            for name in names:
                client.delete_topic(name)
        finally:
            client.close()
            client.target.close()
        return names

    def unreachable(self) -> str:
        """Why none of the target's addresses answers; empty where one does."""
        reasons: list[str] = []
        for address in self.spec.bootstrap:
            target = self._open(DEFAULT)
            try:
                target.connect(address).negotiate(PROBE_WITHIN_MS)
                return ""
            except (Exception, Undecided) as error:  # whatever it does instead of answering
                reasons.append(str(error) or repr(error))
            finally:
                target.close()
        return "; ".join(reasons)

    def close(self) -> None:
        if self._shared:
            self._shared.close()
            self._shared.target.close()
            self._shared = None

    def _open(self, world: World) -> Target:
        return self.spec.open(world, self.wire_log)

    def _fresh(self, world: World) -> Client:
        return Client(self._open(world))

    def _share(self) -> Client:
        if self._shared is None:
            self._shared = self._fresh(DEFAULT)
        return self._shared


def fresh_run_id() -> str:
    """Short, and different for every run on a shared cluster."""
    return os.urandom(4).hex()
