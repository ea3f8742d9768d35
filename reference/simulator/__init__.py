"""The cluster in one process: virtual time, a seeded network, and faults on demand."""
