"""Producers and consumers in virtual time: they look for leaders, retry, give up, and take notes.

They put requests to brokers without frames, so that a long hunt spends its time in the cluster.
What they do is a function of the seed and of the answers.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from reference.batch import HEADER_BYTES, NO_PRODUCER, Header, assembled, read_header, split
from reference.errors import Error
from reference.requests import (
    LATEST_TIMESTAMP,
    NO_EPOCH,
    Fetch,
    Fetched,
    FetchPart,
    InitProducerId,
    ListOffsets,
    ListOffsetsPart,
    Metadata,
    MetadataDescribed,
    OffsetsListed,
    Produce,
    Produced,
    ProducePart,
    ProducerIdGiven,
    Request,
    Response,
)
from reference.simulator.agenda import Agenda, Then
from reference.simulator.history import (
    History,
    LatestOffset,
    Outcome,
    Read,
    ReadRecord,
    Sighting,
    Write,
)

TOPIC = "orders"
REQUEST_TIMEOUT_MS = 700
"""After which a client gives a request up; the broker is asked to answer before."""
PRODUCE_TIMEOUT_MS = 500
FETCH_WAIT_MS = 100
BACKOFF_MS = (20, 120)
FETCH_BYTES = 1 << 16

DEFINITE = frozenset(
    {
        Error.NOT_ENOUGH_REPLICAS,
        Error.OUT_OF_ORDER_SEQUENCE_NUMBER,
        Error.INVALID_PRODUCER_EPOCH,
        Error.CORRUPT_MESSAGE,
        Error.INVALID_RECORD,
    }
)
"""After these nothing was appended (ERR-07). After any other error it may have been."""

VALUE_AT = HEADER_BYTES + 6
"""Length, attributes, two deltas, no key, length of the value: one byte each for short values."""


def batch_of(
    value: bytes, now_ms: int, producer_id: int = NO_PRODUCER, sequence: int = -1
) -> bytes:
    """A batch of one record with a value of at most 50 bytes."""
    size = len(value)
    payload = bytes((2 * (size + 6), 0, 0, 0, 1, 2 * size)) + value + b"\0"
    header = Header(
        base_offset=0,
        length=0,
        leader_epoch=NO_EPOCH,
        magic=2,
        crc=0,
        attributes=0,
        last_offset_delta=0,
        base_timestamp=now_ms,
        max_timestamp=now_ms,
        producer_id=producer_id,
        producer_epoch=0 if producer_id != NO_PRODUCER else -1,
        base_sequence=sequence,
        record_count=1,
    )
    return assembled(header, payload)


def records_of(data: bytes) -> tuple[ReadRecord, ...]:
    """What `batch_of` has written, as it is served."""
    found = []
    for batch in split(data):
        header = read_header(batch)
        found.append(ReadRecord(header.base_offset, header.leader_epoch, batch[VALUE_AT:-1]))
    return tuple(found)


# ---- what all clients do -----------------------------------------------------------------------


class Client:
    """Finds leaders: it believes the newest leader epoch that any broker has told it of."""

    letter = ""
    """What its name begins with."""

    def __init__(
        self,
        number: int,
        agenda: Agenda,
        history: History,
        *,
        nodes: tuple[int, ...],
        seed: int,
        partitions: int,
        think_ms: tuple[int, int],
    ) -> None:
        self.number, self.name = number, f"{self.letter}{number}"
        self.agenda, self.history = agenda, history
        self.nodes, self.partitions, self.think_ms = nodes, partitions, think_ms
        self.chance = random.Random(f"{seed} {self.name}")
        self.leaders: dict[int, tuple[int, int]] = {}
        """Leader epoch and leader of each partition."""
        self.is_stopped = False

    def start(self) -> None:
        self.think()

    def stop(self) -> None:
        """Begins nothing new; what is in hand is brought to its end."""
        self.is_stopped = True

    def think(self) -> None:
        """Does the next thing a little later."""
        if not self.is_stopped:
            self.agenda.after(self.chance.randint(*self.think_ms), self.act)

    def act(self) -> None:
        raise NotImplementedError

    def soon(self, action: Callable[[], None]) -> None:
        """Tries again after a pause."""
        self.agenda.after(self.chance.randint(*BACKOFF_MS), action)

    def ask(self, node: int, request: Request, then: Then) -> None:
        self.agenda.ask(self.name, node, request, REQUEST_TIMEOUT_MS, then)

    def refresh(self, then: Callable[[], None]) -> None:
        """Asks any broker who leads, and goes on whether it answers or not."""
        node = self.chance.choice(self.nodes)
        request = Metadata(topics=(TOPIC,), allow_auto_topic_creation=False)
        told = partial(self._on_metadata, node, then)
        self.ask(node, request, told)

    def _on_metadata(self, node: int, then: Callable[[], None], response: Response | None) -> None:
        if isinstance(response, MetadataDescribed):
            for topic in response.topics:
                for part in topic.partitions:
                    self.history.sightings.append(
                        Sighting(
                            client=self.name,
                            broker=node,
                            at_ms=self.agenda.now_ms,
                            partition=part.number,
                            leader=part.leader,
                            leader_epoch=part.leader_epoch,
                            isr=part.isr,
                        )
                    )
                    known = self.leaders.get(part.number, (NO_EPOCH, -1))
                    self.leaders[part.number] = max(known, (part.leader_epoch, part.leader))
        then()

    def leader_of(self, partition: int) -> int | None:
        _, leader = self.leaders.get(partition, (NO_EPOCH, -1))
        return leader if leader in self.nodes else None


# ---- producers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerKind:
    acks: int
    is_idempotent: bool
    attempts_max: int


PRODUCER_KINDS = (
    ProducerKind(acks=-1, is_idempotent=True, attempts_max=12),
    ProducerKind(acks=-1, is_idempotent=False, attempts_max=4),
    ProducerKind(acks=-1, is_idempotent=True, attempts_max=12),
    ProducerKind(acks=1, is_idempotent=False, attempts_max=1),
)
"""Producers in turn. An idempotent one retries until it knows; one with acks=1 never does."""


class Producer(Client):
    letter = "p"

    def __init__(self, number: int, agenda: Agenda, history: History, **about: Any) -> None:
        super().__init__(number, agenda, history, **about)
        self.kind = PRODUCER_KINDS[number % len(PRODUCER_KINDS)]
        self.producer_id = NO_PRODUCER
        self.sequences: dict[int, int] = {}
        self.session = 0
        self.written = 0
        self.is_busy = False

    def act(self) -> None:
        if not self.is_stopped:
            self.write(self.chance.randrange(self.partitions))

    def write(self, partition: int) -> None:
        """Writes the next record, under a value that nobody else writes."""
        self.is_busy = True
        write = Write(
            producer=self.number,
            number=self.written,
            partition=partition,
            value=b"%s.%d" % (self.name.encode(), self.written),
            acks=self.kind.acks,
            is_idempotent=self.kind.is_idempotent,
            began_ms=self.agenda.now_ms,
        )
        self.written += 1
        self._try(write, patience=3 * self.kind.attempts_max)

    def _try(self, write: Write, patience: int) -> None:
        """One step towards the write. `patience` bounds how often it is tried to begin at all."""
        if patience == 0 or write.attempts == self.kind.attempts_max:
            self._give_up(write)
            return
        again = partial(self._try, write, patience - 1)
        if self.kind.is_idempotent and self.producer_id == NO_PRODUCER:
            self._ask_for_id(partial(self.soon, again), again)
            return
        leader = self.leader_of(write.partition)
        if leader is None:
            self.soon(partial(self.refresh, again))
        else:
            self._send(write, leader, again)

    def _ask_for_id(self, failed: Callable[[], None], given: Callable[[], None]) -> None:
        def on_response(response: Response | None) -> None:
            if isinstance(response, ProducerIdGiven) and not response.error:
                self.producer_id = response.producer_id
                self.sequences = {}
                self.session += 1
                given()
            else:
                failed()

        request = InitProducerId(
            transactional_id=None, transaction_timeout_ms=0, producer_id=-1, producer_epoch=-1
        )
        self.ask(self.chance.choice(self.nodes), request, on_response)

    def _send(self, write: Write, leader: int, again: Callable[[], None]) -> None:
        sequence = self.sequences.get(write.partition, 0) if self.kind.is_idempotent else -1
        write.session = self.session
        if write.attempts == 0:
            self.history.writes.append(write)
        write.attempts += 1
        records = batch_of(write.value, self.agenda.cluster.clock_ms, self.producer_id, sequence)
        request = Produce(
            acks=write.acks,
            timeout_ms=PRODUCE_TIMEOUT_MS,
            transactional_id=None,
            parts=(ProducePart(topic=TOPIC, number=write.partition, records=records),),
            api_version=9,
        )
        told = partial(self._on_produced, write, leader, again)
        self.ask(leader, request, told)

    def _on_produced(
        self, write: Write, leader: int, again: Callable[[], None], response: Response | None
    ) -> None:
        if not isinstance(response, Produced):
            write.error = Error.REQUEST_TIMED_OUT
        else:
            (part,) = response.parts
            write.error = part.error
            if not part.error:
                write.outcome, write.offset, write.broker = Outcome.OK, part.base_offset, leader
                self._end(write)
                return
        if write.error not in DEFINITE:
            write.outcome = Outcome.UNKNOWN
        elif write.attempts == 1:
            write.outcome = Outcome.FAIL
        if write.error in (Error.OUT_OF_ORDER_SEQUENCE_NUMBER, Error.INVALID_PRODUCER_EPOCH):
            self._give_up(write)
            return
        self.soon(partial(self.refresh, again))

    def _give_up(self, write: Write) -> None:
        """The next write of an idempotent producer needs a new id: nobody knows whether the
        sequence number of this one is used up (KIP-360)."""
        self.producer_id = NO_PRODUCER
        self._end(write)

    def _end(self, write: Write) -> None:
        if write.outcome is Outcome.OK and self.kind.is_idempotent:
            self.sequences[write.partition] = self.sequences.get(write.partition, 0) + 1
        write.ended_ms = self.agenda.now_ms
        self.is_busy = False
        self.think()


# ---- consumers ---------------------------------------------------------------------------------


class Consumer(Client):
    """Reads all partitions from the beginning, one after another, and asks where their ends are."""

    letter = "c"

    def __init__(self, number: int, agenda: Agenda, history: History, **about: Any) -> None:
        super().__init__(number, agenda, history, **about)
        self.positions = [0] * self.partitions
        self.last_epochs = [NO_EPOCH] * self.partitions

    def act(self) -> None:
        if not self.is_stopped:
            self.read(self.chance.randrange(self.partitions))

    def read(self, partition: int) -> None:
        """Fetches what comes next, or asks for the end, or for the leader if none is known."""
        leader = self.leader_of(partition)
        if leader is None or self.chance.random() < 0.1:
            self.refresh(self.think)
        elif self.chance.random() < 0.25:
            self._ask_for_end(partition, leader)
        else:
            self._fetch(partition, leader)

    def _fetch(self, partition: int, leader: int) -> None:
        epoch, _ = self.leaders[partition]
        request = fetch_of(
            partition, self.positions[partition], epoch, self.last_epochs[partition], FETCH_WAIT_MS
        )
        told = partial(self._on_fetched, partition, leader, epoch, self.agenda.now_ms)
        self.ask(leader, request, told)

    def _on_fetched(
        self, partition: int, leader: int, epoch: int, asked_ms: int, response: Response | None
    ) -> None:
        if not isinstance(response, Fetched) or response.error:
            self.refresh(self.think)
            return
        (part,) = response.parts
        records = () if part.error else records_of(part.records)
        self.history.reads.append(
            Read(
                consumer=self.number,
                broker=leader,
                partition=partition,
                asked_ms=asked_ms,
                answered_ms=self.agenda.now_ms,
                offset=self.positions[partition],
                leader_epoch=epoch,
                error=part.error,
                log_start_offset=part.log_start_offset,
                last_stable_offset=part.last_stable_offset,
                high_watermark=part.high_watermark,
                diverging=part.diverging,
                records=records,
            )
        )
        if records:
            self.positions[partition] = records[-1].offset + 1
            self.last_epochs[partition] = records[-1].leader_epoch
        if part.error:
            self.refresh(self.think)
        else:
            self.think()

    def _ask_for_end(self, partition: int, leader: int) -> None:
        epoch, _ = self.leaders[partition]
        part = ListOffsetsPart(
            topic=TOPIC,
            number=partition,
            timestamp=LATEST_TIMESTAMP,
            current_leader_epoch=epoch,
        )
        request = ListOffsets(replica_id=-1, read_committed=False, parts=(part,), api_version=7)
        told = partial(self._on_end, partition, leader, epoch, self.agenda.now_ms)
        self.ask(leader, request, told)

    def _on_end(
        self, partition: int, leader: int, epoch: int, asked_ms: int, response: Response | None
    ) -> None:
        found = response.parts[0] if isinstance(response, OffsetsListed) else None
        if found is None or found.error:
            self.refresh(self.think)
            return
        self.history.latest_offsets.append(
            LatestOffset(
                consumer=self.number,
                broker=leader,
                partition=partition,
                asked_ms=asked_ms,
                answered_ms=self.agenda.now_ms,
                leader_epoch=epoch,
                offset=found.offset,
            )
        )
        self.think()


def fetch_of(
    partition: int, offset: int, leader_epoch: int, last_epoch: int, max_wait_ms: int
) -> Fetch:
    """A fetch of one partition without a session."""
    part = FetchPart(
        topic=TOPIC,
        number=partition,
        offset=offset,
        max_bytes=FETCH_BYTES,
        current_leader_epoch=leader_epoch,
        last_fetched_epoch=last_epoch,
    )
    return Fetch(
        replica_id=-1,
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=FETCH_BYTES,
        read_committed=False,
        session_id=0,
        session_epoch=-1,
        parts=(part,),
        forgotten=(),
        api_version=12,
    )
