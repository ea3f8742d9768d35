"""What the tests of an area share: oracles, strategies, producers of known content."""
