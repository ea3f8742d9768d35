"""A partition under load and a nemesis, and what a test waits for between the two."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.nemesis.nemesis import Nemesis
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import LATEST, Partition
from conformance.targets.target import Target
from conformance.workload.controllers import session_timeout_ms
from conformance.workload.history import History, Look, Stored
from conformance.workload.lines import Brokers
from conformance.workload.load import Load
from conformance.workload.observers import (
    BY_NAME,
    FROM_FOLLOWERS,
    end_seeker,
    onlooker,
    rover,
    tailer,
)
from conformance.workload.producers import idempotent, plain
from conformance.workload.settings import lag_limit_ms

MARGIN_MS = 10_000
"""What an election, and hearing of it, may take beyond the time-out that it waits for."""
PATIENCE = 4
"""How many times the limit is waited for on a machine whose speed is not known."""
HEALS_WITHIN_MS = 180_000
READS_WITHIN_MS = 60_000
TWO_IN_SYNC = {"min.insync.replicas": "2"}


@dataclass(eq=False)
class Siege:
    """Three replicas or more, clients at work, and the means to do harm."""

    bench: Bench
    load: Load
    nemesis: Nemesis
    session_ms: int
    lag_ms: int

    @property
    def partition(self) -> Partition:
        return self.load.partition

    @property
    def target(self) -> Target:
        return self.load.target

    @property
    def history(self) -> History:
        return self.load.history

    @property
    def takeover_ms(self) -> int:
        """Within which a broker that fell silent has to be replaced."""
        return self.patient(self.session_ms + MARGIN_MS)

    @property
    def isr_ms(self) -> int:
        """Within which a follower has to leave the ISR, and to be back: Kafka looks at every half
        of the lag time."""
        return self.patient(2 * self.lag_ms + MARGIN_MS)

    def patient(self, limit_ms: int) -> int:
        """A limit as it is waited for: to the letter where time is virtual."""
        return limit_ms if self.bench.virtual else PATIENCE * limit_ms

    def others(self, *without: int) -> tuple[int, ...]:
        """All brokers but these."""
        return tuple(b for b in self.load.brokers.ids if b not in without)

    # ---- clients --------------------------------------------------------------------------------

    def watch(self) -> None:
        """Lets one client ask each broker for Metadata, all the time."""
        self.load.observe(*(onlooker(self.load, broker) for broker in self.load.brokers.ids))

    def begin(self) -> None:
        """Lets producers and consumers of all kinds work."""
        client = self.partition.client
        ids = [client.init_producer_id() for _ in range(2)]
        self.load.write(
            *(plain(self.load, f"plain {number}") for number in (1, 2)),
            *(idempotent(self.load, f"idempotent {n}", id_) for n, id_ in enumerate(ids, 1)),
        )
        self.load.observe(
            tailer(self.load, "tailer"),
            rover(self.load, "rover"),
            end_seeker(self.load),
        )

    # ---- waiting --------------------------------------------------------------------------------

    def comes(self, holds: Callable[[], object], within_ms: int) -> int | None:
        """How long it takes until this holds; None where it does not within that time."""
        began_ms = self.target.now_ms()
        if not self.target.pass_time(lambda: bool(holds()), within_ms):
            return None
        return self.target.now_ms() - began_ms

    def need(self, what: str, holds: Callable[[], object], within_ms: int) -> int:
        """The same for what a test merely presupposes: raises `Inconclusive`."""
        took_ms = self.comes(holds, within_ms)
        if took_ms is None:
            raise Inconclusive(f"not within {within_ms} ms: {what}")
        return took_ms

    def all_say(self, brokers: tuple[int, ...], holds: Callable[[Look], object]) -> bool:
        """Whether the newest answer of each of these brokers is so."""
        looks = self.load.latest(*brokers)
        return len(looks) == len(brokers) and all(holds(look) for look in looks)

    def more(self, count: int) -> Callable[[], bool]:
        """Whether so many more writes than now have been acknowledged."""
        wanted = self.load.acknowledged + count
        return lambda: self.load.acknowledged >= wanted

    # ---- the end --------------------------------------------------------------------------------

    def is_whole(self) -> bool:
        """Whether all brokers say the same: that all are there, and all replicas in sync."""
        looks = self.load.latest(*self.load.brokers.ids)
        alike = {(look.leader, look.leader_epoch) for look in looks}
        return (
            len(looks) == len(self.load.brokers.ids)
            and len(alike) == 1
            and all(
                look.leader >= 0
                and look.brokers == self.load.brokers.ids
                and set(look.isr) == set(look.replicas)
                for look in looks
            )
        )

    def heal(self) -> None:
        """Ends all faults and waits until all is as before; raises `Inconclusive` if it is not."""
        self.nemesis.heal()
        now_ms = self.target.now_ms()

        def healed() -> bool:
            looks = self.load.latest(*self.load.brokers.ids)
            return self.is_whole() and all(look.at_ms > now_ms for look in looks)

        self.need("all brokers back and in sync", healed, HEALS_WITHIN_MS)

    def finish(self) -> History:
        """Heals, sends the clients home, and reads what each replica holds."""
        self.heal()
        self.load.finish()
        self.history.faults = list(self.nemesis.faults)
        topic = self.partition.topic
        topic.view = topic.client.settled(topic.name)
        self.history.leader = self.partition.view.leader
        end = self.partition.offset_at(LATEST)
        for broker in self.partition.view.replicas:
            self.history.logs[broker] = self.read(broker, end)
        return self.history

    def read(self, broker: int, end: int, partition: Partition | None = None) -> list[Stored]:
        """What a replica serves below `end`; raises `Inconclusive` where it does not come to it.

        From followers too, which serve consumers since KIP-392.
        """
        partition = partition or self.partition
        over = partition.client.broker(broker)
        version = over.version("fetch", at_least=FROM_FOLLOWERS, at_most=BY_NAME)
        found, offset = list[Stored](), 0
        deadline = self.target.now_ms() + READS_WITHIN_MS
        while offset < end:
            if self.target.now_ms() > deadline:
                raise Inconclusive(f"broker {broker} serves nothing at {offset} of {end}")
            answer = partition.fetch(offset, over=over, version=version, max_wait_ms=100).result()
            if answer.error is not ErrorCode.none or not answer.batches:
                self.target.sleep(100)
                continue
            found += [
                Stored(record=record, leader_epoch=batch.leader_epoch)
                for batch in answer.batches
                for record in batch.records
                if offset <= record.offset < end
            ]
            offset = answer.next_offset
        return found


@contextmanager
def besieged(
    bench: Bench, client: Client, replicas: tuple[int, ...] = (), **options: Any
) -> Iterator[Siege]:
    """A siege of a new topic's only partition; the first of `replicas` is to lead it.

    Whatever happens inside the block, all faults are ended and the brokers given time to recover.
    """
    if len(client.brokers) < 3:
        raise Unsupported("there are less than three brokers")
    if replicas:
        options["assignments"] = {0: replicas}
    with bench.partition(client=client, **options) as partition:
        siege = Siege(
            bench,
            Load(partition, Brokers(client)),
            partition.target.nemesis,
            session_ms=session_timeout_ms(client),
            lag_ms=lag_limit_ms(client, partition.view.leader),
        )
        siege.watch()
        siege.need("all brokers say the same", siege.is_whole, HEALS_WITHIN_MS)
        try:
            yield siege
        except KeyboardInterrupt:
            raise
        except BaseException:  # such as what a test decides by; the next test needs the brokers
            with suppress(Inconclusive):
                siege.heal()
            raise
        finally:
            siege.target.dismiss()
            siege.nemesis.heal()
