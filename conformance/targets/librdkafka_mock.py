"""librdkafka's embedded mock cluster: a broker known to be wrong, to try the suite on.

It lives in a process of its own, because bad input makes it abort the process it lives in:

    python -m conformance.targets.librdkafka_mock

prints its addresses as one line of JSON and serves until the end of its standard input.
"""

import json
import subprocess
import sys
from typing import Any

import confluent_kafka

from conformance.outcomes import Unreachable
from conformance.targets.target import Address

BROKERS = 3
START_WITHIN_S = 10.0


class LibrdkafkaMock:
    """Runs until it is closed, dies, or this process ends."""

    controls = None

    def __init__(self) -> None:
        command = [sys.executable, "-m", "conformance.targets.librdkafka_mock"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise Unreachable("librdkafka's mock cluster did not start")
        self.bootstrap = tuple(Address(host, port) for host, port in json.loads(line))

    def death(self) -> str:
        """How it ended; empty while it runs."""
        status = self._process.poll()
        return "" if status is None else f"librdkafka's mock cluster ended with status {status}"

    def describe(self) -> dict[str, Any]:
        return {"librdkafka": confluent_kafka.libversion()[0], "brokers": BROKERS}

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve() -> int:
    """Runs the mock cluster in this process."""
    owner = confluent_kafka.Producer({"test.mock.num.brokers": BROKERS, "log_level": 0})
    known = owner.list_topics(timeout=START_WITHIN_S).brokers
    print(json.dumps([[b.host, b.port] for _, b in sorted(known.items())]), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(serve())
