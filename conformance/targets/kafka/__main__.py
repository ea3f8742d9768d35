"""`python -m conformance.targets.kafka VERSION [--zookeeper]`: a cluster to develop against.

Prints one line of JSON with the bootstrap addresses, serves until its standard input ends or it
gets SIGINT or SIGTERM, and then removes everything. Exit status 7 where it cannot start.
"""

import argparse
import json
import signal
import sys

from conformance.targets.kafka import TargetUnavailable, launch

_UNAVAILABLE = 7


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.targets.kafka")
    parser.add_argument("version", help="of Apache Kafka, such as 4.0.0")
    parser.add_argument("--zookeeper", action="store_true", help="ZooKeeper mode, up to 3.9")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        with launch(arguments.version, zookeeper=arguments.zookeeper) as cluster:
            bootstrap = ",".join(f"{host}:{port}" for host, port in cluster.bootstrap)
            print(json.dumps({"bootstrap": bootstrap, **cluster.describe()}), flush=True)
            sys.stdin.read()
    except TargetUnavailable as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    return 0


def _end(number: int, frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
