"""Every partition after a broker has gone or come: who leaves its ISR, and who leads instead.

Where Kafka makes one record of several steps, here each step is a state of its own, so that one who
checks the history of a partition sees one thing happen at a time. All come in one decision.
"""

from collections.abc import Iterable
from dataclasses import replace

from reference.decisions.partition_change import Terms, next_state
from reference.decisions.state import ControllerState
from reference.image import TopicImage
from reference.metadata.records import NO_LEADER, PartitionState


def leave_partitions(controller: ControllerState, broker: int, *, keeps_log: bool) -> None:
    """A broker is to lead nothing, and to be in no ISR unless it is the last that has the data.

    Without `keeps_log` it may have lost what it had, and is no longer eligible either (KIP-966).
    """
    for topic in controller.image.topics.values():
        terms: Terms | None = None
        for state in list(topic.partitions.values()):
            if broker in state.isr or broker in state.elr or broker == state.leader:
                terms = terms or controller.terms(topic, without=broker)
                if state.leader not in (NO_LEADER, broker) and not terms.is_active(state.leader):
                    # It has gone as well: that nobody leads is its step, not this broker's.
                    state = _leave(controller, terms, state, state.leader, keeps_log=True)
                _leave(controller, terms, state, broker, keeps_log=keeps_log)


def look_after_partitions(
    controller: ControllerState, topics: Iterable[TopicImage] | None = None
) -> None:
    """Makes the elections that have become possible, and completes what was left undone.

    A new controller finds brokers that died while there was none; a setting may have changed who
    may lead, or how large an ISR has to be.
    """
    is_active = controller.is_active
    for topic in controller.image.topics.values() if topics is None else topics:
        terms: Terms | None = None
        for state in list(topic.partitions.values()):
            if is_active(state.leader) and not state.elr and all(map(is_active, state.isr)):
                continue
            terms = terms or controller.terms(topic)
            for broker in _leader_first(state):
                if not is_active(broker):
                    state = _leave(controller, terms, state, broker, keeps_log=True)
            _commit(controller, next_state(state, terms), state)


def _leader_first(state: PartitionState) -> list[int]:
    return sorted(state.isr, key=lambda broker: broker != state.leader)


def _leave(
    controller: ControllerState,
    terms: Terms,
    state: PartitionState,
    broker: int,
    *,
    keeps_log: bool,
) -> PartitionState:
    restarted = None
    if terms.keeps_elr and not controller.rules.may_stay_eligible(keeps_log):
        restarted = broker
    isr = controller.rules.isr_without(state.isr, broker)
    if terms.keeps_elr and not isr:
        # First nobody leads. Then, of those who are eligible, somebody may.
        nobody = replace(terms, is_active=lambda _: False, elects_uncleanly=False)
        left = next_state(state, nobody, isr=isr, restarted=restarted)
        state = _commit(controller, left, state)
        return _commit(controller, next_state(state, terms), state)
    return _commit(controller, next_state(state, terms, isr=isr, restarted=restarted), state)


def _commit(
    controller: ControllerState, changed: PartitionState | None, state: PartitionState
) -> PartitionState:
    if changed is None:
        return state
    controller.commit([changed])
    return changed
