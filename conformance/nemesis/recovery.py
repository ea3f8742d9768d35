"""The end of all faults: every broker back, and the replicas of Kafka's own topics in sync."""

from conformance.client import Client, topic_view
from conformance.codec import Entity
from conformance.connection import Pending
from conformance.outcomes import TargetBroken
from conformance.targets.target import Address, Target

RECOVERS_WITHIN_MS = 180_000
ANSWERS_WITHIN_MS = 2_000
ASKS_EVERY_MS = 100


def recover(client: Client) -> None:
    """Undoes what the nemesis still does, and waits until each broker says that all are there.

    Other topics than Kafka's own are not looked at: they may have been in need before. Raises
    `TargetBroken` where that does not come about.
    """
    target = client.target
    target.dismiss()
    target.nemesis.heal()
    addresses = {*target.bootstrap, *client.addresses.values()}
    deadline = target.now_ms() + RECOVERS_WITHIN_MS
    for address in sorted(addresses):
        while why := _unwell(target, address):
            if target.now_ms() > deadline:
                seconds = RECOVERS_WITHIN_MS / 1000
                raise TargetBroken(f"{address} has not recovered within {seconds:g} s: {why}")
            target.sleep(ASKS_EVERY_MS)
    client.metadata()


def _unwell(target: Target, address: Address) -> str:
    """What is still amiss, as this broker sees it; empty where nothing is."""
    over = target.connect(address)
    try:
        # Every release knows this version, so nothing need be negotiated with one that starts.
        over.versions = {3: (1, 1)}
        request = over.build("metadata", at_least=1, at_most=1, topics=None)
        pending: Pending[Entity] = over.send(request)
        target.settle(pending, within_ms=ANSWERS_WITHIN_MS)
        if not pending.answered:
            return "no answer"
        answer = pending.value
        missing = {*target.nemesis.brokers} - {broker.node_id for broker in answer.brokers}
        if missing:
            return f"brokers {sorted(missing)} are not there"
        for topic in answer.topics:
            if topic.is_internal and not topic_view(topic).settled:
                return f"{topic.name} is not in sync"
        return ""
    finally:
        over.close()
