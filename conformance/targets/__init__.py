"""Targets: the reference, any address, launchers of real brokers."""
