"""The lives of brokers: registration, sessions, fencing, controlled shutdown.

Whatever a change of a broker means for partitions is decided in an order that leaves nothing unsafe
if the controller fails in between: a broker leaves its partitions before it is fenced or registered
anew, and leads again only after it has been unfenced. Sources: ClusterControlManager.java and
BrokerHeartbeatManager.java of org.apache.kafka.controller.
"""

from dataclasses import replace
from uuid import UUID

from reference.decisions.availability import leave_partitions, look_after_partitions
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.metadata.quorum.messages import (
    BrokerHeartbeat,
    BrokerHeartbeatAnswer,
    BrokerRegistration,
    RegisterBroker,
)
from reference.metadata.records import BrokerRegistered


def registered(
    controller: ControllerState,
    broker: int,
    *,
    broker_epoch: int,
    incarnation: UUID,
    fenced: bool,
) -> None:
    """A broker that leads nothing and is in no ISR any more begins a life."""
    record = BrokerRegistered(
        broker=broker, broker_epoch=broker_epoch, incarnation=incarnation, fenced=fenced
    )
    controller.commit([record])
    controller.shutdowns.pop(broker, None)
    if not fenced:
        look_after_partitions(controller)


def fence(controller: ControllerState, broker: int) -> None:
    """Nobody hears of the broker any more: it leads nothing, and clients are not sent to it."""
    leave_partitions(controller, broker, keeps_log=True)
    known = controller.image.brokers.get(broker)
    if known is not None and not known.fenced:
        controller.commit([replace(known, fenced=True)])
    controller.sessions.pop(broker, None)
    controller.shutdowns.pop(broker, None)


def begin_shutdown(controller: ControllerState, broker: int) -> None:
    """A broker is about to stop: others lead what it leads, and it joins no ISR (KIP-841)."""
    known = controller.image.brokers.get(broker)
    if known is not None and not known.in_controlled_shutdown:
        leave_partitions(controller, broker, keeps_log=True)
        controller.commit([replace(known, in_controlled_shutdown=True)])


def _others_know(controller: ControllerState, broker: int) -> bool:
    """Whether every live broker has applied who leads in the place of one that shuts down."""
    since = controller.shutdowns.setdefault(broker, controller.end_offset)
    return all(
        other == broker or known.fenced or controller.applied.get(other, 0) >= since
        for other, known in controller.image.brokers.items()
    )


# ---- the metadata quorum: brokers register, and say that they are alive ------------------------


def register(controller: ControllerState, sender: int, ask: RegisterBroker) -> None:
    """Answers with the broker epoch of this life, which is the offset of its registration."""
    known = controller.image.brokers.get(ask.broker)
    same = known is not None and known.incarnation == ask.incarnation
    if known is not None and not controller.rules.may_register(
        same_incarnation=same,
        session_alive=_has_session(controller, ask.broker) and not known.in_controlled_shutdown,
    ):
        error = Error.DUPLICATE_BROKER_REGISTRATION
        controller.answer(sender, BrokerRegistration(incarnation=ask.incarnation, error=error))
        return
    if not same:
        # The proof names the life that ended cleanly: an older one proves nothing (KIP-966).
        clean = known is not None and ask.previous_broker_epoch == known.broker_epoch
        leave_partitions(controller, ask.broker, keeps_log=clean)
        registered(
            controller,
            ask.broker,
            broker_epoch=controller.end_offset,
            incarnation=ask.incarnation,
            fenced=True,
        )
    controller.sessions[ask.broker] = controller.elapsed_ms
    controller.applied.pop(ask.broker, None)
    epoch = controller.image.brokers[ask.broker].broker_epoch
    answer = BrokerRegistration(incarnation=ask.incarnation, broker_epoch=epoch)
    controller.answer(sender, answer)


def heartbeat(controller: ControllerState, sender: int, beat: BrokerHeartbeat) -> None:
    """Renews a broker's session, and moves the broker on in its life."""
    rules, known = controller.rules, controller.image.brokers.get(beat.broker)
    if known is None or not rules.broker_epoch_is_current(beat.broker_epoch, known.broker_epoch):
        error = Error.STALE_BROKER_EPOCH
        answer = BrokerHeartbeatAnswer(broker_epoch=beat.broker_epoch, error=error)
        controller.answer(sender, answer)
        return
    controller.sessions[beat.broker] = controller.elapsed_ms
    controller.applied[beat.broker] = beat.applied
    may_stop = False
    if beat.wants_shut_down:
        begin_shutdown(controller, beat.broker)
        may_stop = known.fenced or _others_know(controller, beat.broker)
        if may_stop:
            fence(controller, beat.broker)
    elif _may_return(controller, known, beat.applied):
        controller.commit([replace(known, fenced=False)])
        look_after_partitions(controller)
    answer = BrokerHeartbeatAnswer(
        broker_epoch=beat.broker_epoch,
        fenced=controller.image.brokers[beat.broker].fenced,
        may_stop=may_stop,
    )
    controller.answer(sender, answer)


def _may_return(controller: ControllerState, known: BrokerRegistered, applied: int) -> bool:
    return (
        known.fenced
        and not known.in_controlled_shutdown
        and controller.rules.may_be_unfenced(applied, known.broker_epoch)
    )


def fence_the_silent(controller: ControllerState) -> None:
    """Fences the brokers whose sessions are over. None of them leads in the place of another."""
    must_be_fenced = controller.rules.must_be_fenced
    silent = [
        broker
        for broker in sorted(controller.sessions)
        if must_be_fenced(not _has_session(controller, broker))
    ]
    controller.going = frozenset(silent)
    for broker in silent:
        fence(controller, broker)
    controller.going = frozenset()


def _has_session(controller: ControllerState, broker: int) -> bool:
    heard_ms = controller.sessions.get(broker)
    timeout_ms = controller.session_timeout_ms
    return heard_ms is not None and controller.elapsed_ms - heard_ms <= timeout_ms
