"""The end of a run: everything is healed, and the cluster has to come to rest and work again.

This is the one file of the hunt that looks into the cluster itself.
"""

from collections.abc import Iterator

from conformance.simulation.violation import Violation
from reference.errors import Error
from reference.image import MetadataImage
from reference.metadata.records import NO_LEADER, PartitionState
from reference.replica import Replica
from reference.requests import Fetched, Produce, Produced, ProducePart
from reference.simulator.agenda import Agenda
from reference.simulator.cluster import Cluster
from reference.simulator.history import History, Outcome, ReadRecord, Write
from reference.simulator.workload import TOPIC, batch_of, fetch_of, records_of

SETTLES_WITHIN_MS = 30_000
"""Sessions expire, elections are held and logs are copied several times over within it."""
LOOK_MS = 50
ORACLE = "oracle"
ANSWERS_WITHIN_MS = 5_000
READ_LIMIT = 100_000
"""Fetches, so that a broker which serves nothing does not hang the oracle."""


def settle(agenda: Agenda, within_ms: int = SETTLES_WITHIN_MS) -> Violation | None:
    """Lets time pass until the cluster is at rest; returns what keeps it from that."""
    deadline_ms = agenda.now_ms + within_ms
    while True:
        unrest = next(unsettled(agenda.cluster), None)
        if unrest is None:
            return None
        if agenda.now_ms >= deadline_ms:
            text = f"{within_ms} ms after everything was healed {unrest.message}"
            return Violation(unrest.clause, text)
        agenda.run(LOOK_MS)


def unsettled(cluster: Cluster) -> Iterator[Violation]:
    """What is not as it should be in the end; what comes first explains what follows."""
    for node in cluster.addresses:
        if not cluster.lets_in(node):
            yield Violation("CTL-05", f"broker {node} does not let clients in")
    if cluster.controller is None:
        yield Violation("CTL-03", "there is no controller")
        return
    newest = cluster.image
    for node, broker in cluster.brokers.items():
        if broker.image.topics.keys() != newest.topics.keys():
            yield Violation("META-05", f"broker {node} knows other topics than the controller")
    for topic in newest.topics.values():
        for state in topic.partitions.values():
            yield from _unsettled_metadata(cluster, state)
            yield from _unsettled_replicas(cluster, state)


def partition_states(image: MetadataImage) -> list[PartitionState]:
    """The partitions that the clients of a run use, in order."""
    topic = image.topic(TOPIC)
    return [topic.partitions[number] for number in sorted(topic.partitions)] if topic else []


def _unsettled_metadata(cluster: Cluster, state: PartitionState) -> Iterator[Violation]:
    number = state.id.number
    if state.leader == NO_LEADER:
        yield Violation("LEAD-06", f"partition {number} has no leader")
        return
    for node, broker in cluster.brokers.items():
        known = broker.image.state(state.id)
        if known != state:
            yield Violation("META-05", f"broker {node} knows {known}, not {state}")
    missing = sorted(set(state.replicas) - set(state.isr))
    if missing:
        text = f"{missing} are not in the ISR {state.isr} of partition {number}"
        yield Violation("ISR-07", text)


def _unsettled_replicas(cluster: Cluster, state: PartitionState) -> Iterator[Violation]:
    copies = _copies(cluster, state)
    leader = copies.get(state.leader)
    if leader is None or leader.leadership is None:
        yield Violation("LEAD-06", f"broker {state.leader} does not lead {state.id.number}")
        return
    end = leader.log.end_offset
    for node in state.replicas:
        copy = copies.get(node)
        if copy is None or (copy.log.end_offset, copy.high_watermark) != (end, end):
            where = f"{copy.log.end_offset}, {copy.high_watermark}" if copy else "nothing"
            text = f"broker {node} has {where} of partition {state.id.number}, its leader {end}"
            yield Violation("LOG-03", text)


def _copies(cluster: Cluster, state: PartitionState) -> dict[int, Replica]:
    found = {}
    for node, broker in cluster.brokers.items():
        copy = broker.replicas.get(state.id)
        if copy is not None:
            found[node] = copy
    return found


def replicas_agree(cluster: Cluster) -> Iterator[Violation]:
    """LOG-03: at rest all replicas are the same, byte for byte."""
    for state in partition_states(cluster.image):
        copies = _copies(cluster, state)
        model = copies[state.leader].log.batches
        for node, copy in copies.items():
            if copy.log.batches == model:
                continue
            differ = next(
                (
                    n
                    for n, (a, b) in enumerate(zip(copy.log.batches, model, strict=False))
                    if a != b
                ),
                min(len(copy.log.batches), len(model)),
            )
            text = f"broker {node} and leader {state.leader} differ from batch {differ} on"
            yield Violation("LOG-03", f"partition {state.id.number}: {text}")


# ---- as a client sees it ------------------------------------------------------------------------


def write_once_more(agenda: Agenda, history: History) -> Iterator[Violation]:
    """LEAD-06: every partition takes a record with acks=all, which joins the history."""
    for state in partition_states(agenda.cluster.image):
        write = Write(
            producer=-1,
            number=state.id.number,
            partition=state.id.number,
            value=b"last.%d" % state.id.number,
            acks=-1,
            is_idempotent=False,
            began_ms=agenda.now_ms,
        )
        history.writes.append(write)
        records = batch_of(write.value, agenda.cluster.clock_ms)
        part = ProducePart(topic=TOPIC, number=write.partition, records=records)
        request = Produce(
            acks=-1,
            timeout_ms=ANSWERS_WITHIN_MS,
            transactional_id=None,
            parts=(part,),
            api_version=9,
        )
        answer = _written(agenda, write, request)
        if answer is None or answer.parts[0].error:
            text = f"partition {write.partition} takes no record after all was healed: {answer}"
            yield Violation("LEAD-06", text)
            continue
        write.outcome = Outcome.OK
        write.offset = answer.parts[0].base_offset


def _written(agenda: Agenda, write: Write, request: Produce) -> Produced | None:
    """The leader's answer. A session that was silent before all was healed may expire only now,
    and leadership move once more: the old leader refuses, and the new one is asked."""
    deadline_ms = agenda.now_ms + SETTLES_WITHIN_MS
    while True:
        state = partition_states(agenda.cluster.image)[write.partition]
        write.attempts, write.broker = write.attempts + 1, state.leader
        answer = asked(agenda, state.leader, request)
        if not isinstance(answer, Produced):
            return None
        moved = answer.parts[0].error is Error.NOT_LEADER_OR_FOLLOWER
        if not moved or agenda.now_ms >= deadline_ms:
            return answer
        settle(agenda)
        agenda.run(LOOK_MS)


def read_all(agenda: Agenda) -> dict[int, tuple[ReadRecord, ...]]:
    """What the leader of each partition serves to a consumer that reads from the beginning."""
    final = {}
    for state in partition_states(agenda.cluster.image):
        records: list[ReadRecord] = []
        offset = 0
        for _ in range(READ_LIMIT):
            request = fetch_of(state.id.number, offset, state.leader_epoch, -1, 0)
            answer = asked(agenda, state.leader, request)
            part = answer.parts[0] if isinstance(answer, Fetched) and not answer.error else None
            found = records_of(part.records) if part and not part.error else ()
            if not found:
                break
            records += found
            offset = found[-1].offset + 1
        final[state.id.number] = tuple(records)
    return final


def asked(agenda: Agenda, node: int, request: object) -> object:
    """The answer of a node, or None."""
    answers: list[object] = []
    agenda.ask(ORACLE, node, request, ANSWERS_WITHIN_MS, answers.append)  # type: ignore[arg-type]
    agenda.run(ANSWERS_WITHIN_MS + 1, lambda: bool(answers))
    return answers[0] if answers else None
