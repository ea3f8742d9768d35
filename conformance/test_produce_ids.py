"""Producer ids: every caller of InitProducerId is given one that nobody ever had (PROD)."""

from collections.abc import Sequence

import pytest
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import Bench
from conformance.client import Client
from conformance.codec import Entity
from conformance.connection import Pending
from conformance.outcomes import Inconclusive
from conformance.workload.produce import served_versions

BUSY = frozenset({ErrorCode.coordinator_load_in_progress, ErrorCode.coordinator_not_available})
"""What a broker may answer while it has no block of ids at hand; the client asks again."""
BLOCK = 1_000
"""How many ids a broker of Apache Kafka takes at once (ProducerIdsBlock, KIP-730)."""
ROUND = 100


def asked(client: Client, broker: int, version: int, **values: object) -> Pending[Entity]:
    unnamed = {"transactional_id": None, "transaction_timeout": 60_000}
    return client.broker(broker).send(
        codec.request("init_producer_id", version, **unnamed, **values)
    )


def given_ids(bench: Bench, answers: Sequence[Entity]) -> list[int]:
    """The ids in the answers; each must come with epoch 0."""
    ids = list[int]()
    for answer in answers:
        if answer.error_code in BUSY:
            continue
        if answer.error_code is not ErrorCode.none:
            raise Inconclusive(f"no producer id: {answer.error_code.name}")
        assert answer.producer_epoch == 0, "a fresh id comes with epoch 0"
        assert answer.producer_id >= 0, "an id is not negative"
        ids.append(answer.producer_id)
    bench.premise("a producer id was given", times=len(ids))
    return ids


@pytest.mark.clause("PROD-09")
def test_every_version_gives_a_fresh_producer_id(bench: Bench) -> None:
    """Every version of InitProducerId gives every caller an id of its own with epoch 0."""
    with bench.client() as client:
        client.init_producer_id()
        pendings = [
            asked(client, broker, version)
            for broker in client.brokers
            for version in served_versions(client.broker(broker), "init_producer_id") * 2
        ]
        ids = given_ids(bench, client.target.wait(*pendings))
        assert len(set(ids)) == len(ids), "all ids are distinct"


@pytest.mark.clause("PROD-09")
def test_all_brokers_together_give_each_id_once(bench: Bench) -> None:
    """Ids asked of all brokers at once are distinct, beyond the end of a block of ids too."""
    with bench.client() as client:
        ids = list[int]()

        def ask_more() -> int:
            pendings = [asked(client, b, 0) for _ in range(ROUND) for b in client.brokers]
            ids.extend(given_ids(bench, client.target.wait(*pendings)))
            return len(ids)

        enough = (BLOCK + ROUND) * len(client.brokers)
        client.target.eventually(ask_more, lambda count: count >= enough, within_ms=30_000)
        assert len(set(ids)) == len(ids), "no id is given twice, by whatever broker"


@pytest.mark.clause("PROD-09")
def test_a_producer_that_names_an_old_id_is_given_a_fresh_one(bench: Bench) -> None:
    """Without a transactional id, naming the id and epoch one had (KIP-360) gives a fresh id."""
    with bench.client() as client:
        version = client.broker().version("init_producer_id", essential=("producer_id",))
        old = client.init_producer_id()
        pendings = [
            asked(client, broker, version, producer_id=old, producer_epoch=0)
            for broker in client.brokers
        ]
        ids = given_ids(bench, client.target.wait(*pendings))
        assert len({old, *ids}) == len(ids) + 1, "the old id is not given again"
