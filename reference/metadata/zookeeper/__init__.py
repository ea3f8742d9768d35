"""The metadata in ZooKeeper: sessions, ephemeral nodes, and a controller that they elect."""
