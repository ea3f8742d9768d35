"""Faults on demand: what can be done to a cluster, who does it, and how it is always undone."""
