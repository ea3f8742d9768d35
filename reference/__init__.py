"""A broker cluster that keeps every clause: a deterministic state machine and its shells."""
