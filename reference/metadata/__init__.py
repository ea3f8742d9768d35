"""Who keeps the cluster's metadata: a quorum of voters, or ZooKeeper."""
