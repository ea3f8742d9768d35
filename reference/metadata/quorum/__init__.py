"""The metadata log, replicated by a quorum of voters: KRaft (KIP-595, KIP-630, KIP-631)."""
