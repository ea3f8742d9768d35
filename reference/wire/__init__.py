"""Kafka protocol <-> core: which APIs are served, in which versions, by which adapter."""

from reference.wire import configs, elections, metadata, offsets, records, topics
from reference.wire.adapter import Adapter

ADAPTERS: dict[int, Adapter] = {
    adapter.api_key: adapter
    for group in (records, offsets, metadata, topics, configs, elections)
    for adapter in group.ADAPTERS
}
"""By API key. What is not in this table is neither served nor advertised."""
