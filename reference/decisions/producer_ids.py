"""Blocks of producer ids (KIP-730, ProducerIdControlManager.java)."""

from reference.decisions.state import ControllerState
from reference.messages import ProducerIdsGranted
from reference.metadata.records import ProducerIdsReserved

PRODUCER_ID_BLOCK = 1_000


def grant(controller: ControllerState, broker: int) -> None:
    """Grants a block. The record comes first: a later controller must not grant it again."""
    first = controller.image.next_producer_id
    following = controller.rules.next_producer_id(first, PRODUCER_ID_BLOCK)
    controller.commit([ProducerIdsReserved(next_producer_id=following)])
    controller.answer(broker, ProducerIdsGranted(first=first, count=PRODUCER_ID_BLOCK))
