"""Where the brokers' configuration departs from Kafka's defaults, and why."""


def overrides(brokers: int) -> dict[str, str]:
    """What both modes set on every broker.

    What a clause speaks of keeps its default, such as min.insync.replicas, message.max.bytes,
    unclean leader election, retention: only sizes, intervals and time-outs are smaller.
    """
    replicas = str(min(3, brokers))
    in_sync = str(min(2, brokers))
    return {
        # Topics that appear by themselves are replicated, like those that tests create.
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "5",
        # A group of one member need not wait three seconds for a second one.
        "group.initial.rebalance.delay.ms": "0",
        # Long enough that a JVM on two busy cores is not taken for dead (fetches come every
        # replica.fetch.wait.max.ms = 500 ms), short enough to wait for in a test.
        "replica.lag.time.max.ms": "4000",
        # What was asked of a controller that stands still is soon asked of its successor.
        "controller.socket.timeout.ms": "4000",
        # Retention is looked at every 5 s from the start, and not after 30 s every 5 min.
        "log.retention.check.interval.ms": "5000",
        "log.initial.task.delay.ms": "5000",
        # Memory: the defaults are for a server of its own (128 MB for the cleaner alone).
        "log.cleaner.backoff.ms": "2000",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "4",
    }
