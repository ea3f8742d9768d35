"""Launchers of real Apache Kafka: three brokers on 127.0.0.1 that leave nothing behind."""

from conformance.targets.kafka.cluster import KafkaCluster, launch
from conformance.targets.kafka.errors import TargetUnavailable

__all__ = ["KafkaCluster", "TargetUnavailable", "launch"]
