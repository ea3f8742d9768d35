"""Why no producer id is issued twice: any number of brokers, blocks and ids."""

from spec.language import all_of, conjunct, for_all, implies, not_
from spec.models.producer_ids import (
    Block,
    BlockClaimedUnconditionally,
    BlockKeptByRestart,
    Broker,
    Index,
    ProducerIds,
)


class ProducerIdsProof(ProducerIds):
    """Blocks belong to one broker each, and ids are issued in order."""

    @conjunct
    def blocks_in_use_are_claimed(self):
        """Or a block could be claimed that somebody has already."""
        return for_all(
            Broker, lambda b: implies(self.has_block[b], self.block[b] < self.next_block)
        )

    @conjunct
    def issued_ids_are_of_claimed_blocks(self):
        """Or a block could be claimed of which ids have been issued."""
        return for_all(Block, Index, lambda k, i: implies(self.issued[k][i], k < self.next_block))

    @conjunct
    def one_broker_has_a_block(self):
        """Or the other one could issue the same id."""
        return for_all(
            Broker,
            Broker,
            lambda a, b: implies(
                all_of(self.has_block[a], self.has_block[b], self.block[a] == self.block[b]), a == b
            ),
        )

    @conjunct
    def the_rest_of_a_block_is_not_issued(self):
        """Or the next id could be one that was issued."""
        return for_all(
            Broker,
            Index,
            lambda b, i: implies(
                all_of(self.has_block[b], self.next_index[b] <= i),
                not_(self.issued[self.block[b]][i]),
            ),
        )

    @conjunct
    def numbers_are_not_negative(self):
        """Or an id would be none of those that the other conjuncts speak of."""
        return all_of(
            self.next_block >= 0,
            for_all(
                Broker,
                lambda b: all_of(
                    self.block[b] >= 0, self.block_read[b] >= 0, self.next_index[b] >= 0
                ),
            ),
        )

    @conjunct
    def nothing_twice(self):
        """The invariant itself."""
        return self.no_id_is_issued_twice()


class ClaimedUnconditionally(BlockClaimedUnconditionally, ProducerIdsProof):
    """Two brokers may claim one block."""


class KeptByRestart(BlockKeptByRestart, ProducerIdsProof):
    """A restarted broker begins its block anew."""
