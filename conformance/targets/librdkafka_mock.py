"""librdkafka's embedded mock cluster: a broker known to be wrong, to try the suite on.

It lives in threads of librdkafka in the process that starts it; the suite speaks to it over TCP
as to any address.
"""

from typing import Any

import confluent_kafka

from conformance.outcomes import Unreachable
from conformance.targets.target import Address

BROKERS = 3
START_WITHIN_S = 10.0


class LibrdkafkaMock:
    """Runs until closed."""

    def __init__(self) -> None:
        configuration = {"test.mock.num.brokers": BROKERS, "log_level": 0}
        self._owner: confluent_kafka.Producer | None = confluent_kafka.Producer(configuration)
        try:
            known = self._owner.list_topics(timeout=START_WITHIN_S).brokers
        except confluent_kafka.KafkaException as error:
            raise Unreachable(f"librdkafka's mock cluster did not start: {error}") from error
        self.bootstrap = tuple(Address(b.host, b.port) for _, b in sorted(known.items()))

    def describe(self) -> dict[str, Any]:
        return {"librdkafka": confluent_kafka.libversion()[0], "brokers": BROKERS}

    def close(self) -> None:
        self._owner = None
