"""How producer ids are given out: in blocks, each of which belongs to one broker's one life.

A broker claims a block of ids in ZooKeeper (or from the KRaft controller, where the claim is a
record of the metadata log) and gives them out one by one. What it has left of a block is in its
memory only, so a restart wastes the rest. An id is a block and an index in it.

Sources: KIP-98, KIP-730; ProducerIdManager.scala (RPCProducerIdManager, ZkProducerIdManager).
"""

from spec.language import (
    BOOL,
    Per,
    Protocol,
    action,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    invariant,
    not_,
    number,
    per,
    require,
    var,
    witness,
)

Broker = entity("Broker")
Block = number("Block")
Index = number("Index")  # as many as a block has


class ProducerIds(Protocol):
    """A block is claimed by compare-and-set, and forgotten with the life that claimed it."""

    next_block = var(Block.end, init=0)  # /latest_producer_id_block: the first that is not claimed
    block_read = per(Broker, Block.end, init=0)  # what a broker has last read there
    has_block = per(Broker, BOOL, init=False)
    block = per(Broker, Block, init=0)
    next_index = per(Broker, Index.end, init=0)
    # ---- what producers were told
    issued = per(Block, Per(Index, BOOL), init=False)
    issued_again = per(Block, Per(Index, BOOL), init=False)

    @action
    def broker_reads_next_block(self, new, broker: Broker):
        new.block_read[broker] = self.next_block

    def is_unchanged(self, broker):
        # Without this condition two brokers that have read the same block both give out its ids.
        return self.block_read[broker] == self.next_block

    @action
    def broker_claims_block(self, new, broker: Broker):
        require(self.is_unchanged(broker))
        new.next_block = self.block_read[broker] + 1
        new.block[broker] = self.block_read[broker]
        new.has_block[broker] = True
        new.next_index[broker] = 0

    @action
    def broker_issues_id(self, new, broker: Broker):
        """InitProducerId is answered. The answer may be lost: then nobody uses the id."""
        require(self.has_block[broker])
        block, index = self.block[broker], self.next_index[broker]
        new.issued_again[block][index] = any_of(
            self.issued_again[block][index], self.issued[block][index]
        )
        new.issued[block][index] = True
        new.next_index[broker] = index + 1

    def forget_block(self, new, broker):
        # Without this the next life begins the block anew, and gives its ids to others.
        new.has_block[broker] = False

    @action
    def broker_restarts(self, new, broker: Broker):
        require(self.has_block[broker])
        new.next_index[broker] = 0
        self.forget_block(new, broker)

    @invariant("PROD-09")
    def no_id_is_issued_twice(self):
        return for_all(Block, Index, lambda block, index: not_(self.issued_again[block][index]))

    @witness
    def ids_of_two_blocks_are_issued(self):
        return exists(
            Block,
            Block,
            Index,
            lambda a, b, index: all_of(a < b, self.issued[a][index], self.issued[b][index]),
        )


class BlockClaimedUnconditionally(ProducerIds):
    """A block is claimed without the condition that nobody else has claimed it."""

    def is_unchanged(self, broker):
        return True


class BlockKeptByRestart(ProducerIds):
    """A broker begins its block anew after a restart."""

    def forget_block(self, new, broker):
        pass
