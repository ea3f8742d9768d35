"""The idempotent producer, and what goes wrong without each of its rules.

The protocol is in `idempotence_protocol`; where its producer ids come from is in `producer_ids`.
Each variant here leaves out one rule, and its refutation says how short the way to the damage is.
"""

from spec.language import Protocol, action, all_of, any_of, not_, require
from spec.models.family import Family, Refutation, Variant
from spec.models.idempotence_protocol import Idempotence, ProducerId
from spec.models.producer_ids import BlockClaimedUnconditionally, BlockKeptByRestart, ProducerIds


class RetriesWithoutIdempotence(Idempotence):
    """The leader does not look at sequences: every request that arrives is stored."""

    def is_next(self, producer, epoch, sequence):
        return True


class GapAccepted(Idempotence):
    """Any larger sequence is accepted, not only the next one."""

    def is_in_sequence(self, producer, sequence):
        return sequence >= self.sequence_expected[producer]


class OlderEpochAccepted(Idempotence):
    """A batch 0 of any other epoch begins a new numbering, be it of an older epoch."""

    def begins_epoch(self, producer, epoch, sequence):
        return all_of(epoch != self.epoch_known[producer], sequence == 0)


class EpochBeginsAnywhere(Idempotence):
    """A newer epoch may begin with any sequence."""

    def begins_epoch(self, producer, epoch, sequence):
        return epoch > self.epoch_known[producer]


class AnyFirstSequence(Idempotence):
    """KIP-360's licence for an unknown producer, on a network that may change the order.

    Kafka relies on the connection here: it delivers the batches of a producer in order, and after
    a failover the producer sends the oldest one first.
    """

    def is_next(self, producer, epoch, sequence):
        return any_of(super().is_next(producer, epoch, sequence), not_(self.is_known(producer)))


class OneBatchRemembered(Idempotence):
    """Only the last batch is recognised (before KAFKA-5494), with five in flight."""

    batches_remembered = 1


class SixInFlight(Idempotence):
    """max.in.flight.requests.per.connection=6 with an idempotent producer."""

    in_flight_max = 6


class DuplicateAnsweredWithLastOffset(Idempotence):
    """The answer to a duplicate names the last offset of the log, not that of the original."""

    def is_answer(self, producer, epoch, sequence, offset):
        return offset + 1 == self.log.end_offset


class AnsweredBeforeCommit(Idempotence):
    """acks=1: the leader answers as soon as it has the batch itself."""

    def is_durable(self, offset):
        return True


class UncleanElection(Idempotence):
    """unclean.leader.election.enable=true: the next leader may lack committed batches."""

    def survives(self, end):
        return True


class ProducersForgotten(Idempotence):
    """A new leader starts without memory and reads nothing from its log."""

    def leader_loads_producer(self, new, producer):
        require(not_(self.is_loaded[producer]))
        new.epoch_known[producer] = 0
        new.sequence_expected[producer] = 0
        new.is_loaded[producer] = True


class MemoryNotTruncated(Idempotence):
    """The log is cut, but what is known of producers stays as it was."""

    def forget_producers(self, new):
        pass


class DeletedBatchesForgotten(Idempotence):
    """A new leader learns of producers only from the records that are not deleted (KAFKA-7190)."""

    def is_replayed(self, offset):
        return offset >= self.log_start


class ProducerExpiresEarly(Idempotence):
    """What is known of a producer expires although its retry is still on its way (PROD-10)."""

    @action
    def leader_forgets_producer(self, new, producer: ProducerId):
        require(self.is_loaded[producer])
        new.epoch_known[producer] = 0
        new.sequence_expected[producer] = 0


ONE_EPOCH = {"ProducerId": 1, "ProducerEpoch": 1, "Sequence": 3, "Offset": 3}
TWO_EPOCHS = {"ProducerId": 1, "ProducerEpoch": 2, "Sequence": 2, "Offset": 4}
SIX_BATCHES = {"ProducerId": 1, "ProducerEpoch": 1, "Sequence": 6, "Offset": 6}
TWO_BLOCKS = {"Broker": 2, "Block": 2, "Index": 2}
TWO_EPOCHS_OF_SIX = {**SIX_BATCHES, "ProducerEpoch": 2}


def wrong(
    name: str, protocol: type[Protocol], broken: str, steps: int, bounds: dict[str, int]
) -> Variant:
    refutation = Refutation(invariant=broken, bounds=bounds, steps=steps)
    return Variant(name=name, protocol=protocol, bounds=bounds, refutations=(refutation,))


MODEL = Family(
    name="idempotence",
    summary="the idempotent producer: sequences, retries, five in flight, failover of its state",
    bounds={
        "producers": "ProducerId",
        "epochs": "ProducerEpoch",
        "sequences": "Sequence",
        "log_size": "Offset",
        "brokers": "Broker",
        "blocks": "Block",
        "ids": "Index",
    },
    variants=(
        Variant(name="five-in-flight", protocol=Idempotence, bounds=TWO_EPOCHS_OF_SIX),
        wrong("no-sequence-check", RetriesWithoutIdempotence, "stored_once", 3, ONE_EPOCH),
        wrong("gap-accepted", GapAccepted, "stored_without_gaps", 3, ONE_EPOCH),
        wrong("older-epoch-accepted", OlderEpochAccepted, "stored_in_order", 5, TWO_EPOCHS),
        wrong("epoch-begins-anywhere", EpochBeginsAnywhere, "stored_without_gaps", 4, TWO_EPOCHS),
        wrong("any-first-sequence", AnyFirstSequence, "stored_without_gaps", 3, ONE_EPOCH),
        wrong("one-remembered", OneBatchRemembered, "duplicates_are_recognised", 4, ONE_EPOCH),
        wrong("six-in-flight", SixInFlight, "duplicates_are_recognised", 12, SIX_BATCHES),
        wrong(
            "last-offset-answered",
            DuplicateAnsweredWithLastOffset,
            "answers_are_true",
            7,
            ONE_EPOCH,
        ),
        wrong("answered-before-commit", AnsweredBeforeCommit, "answers_are_true", 4, ONE_EPOCH),
        wrong("unclean-election", UncleanElection, "answers_are_true", 5, ONE_EPOCH),
        wrong("producers-forgotten", ProducersForgotten, "stored_once", 5, ONE_EPOCH),
        wrong("memory-not-truncated", MemoryNotTruncated, "stored_without_gaps", 5, ONE_EPOCH),
        wrong("deleted-batches-forgotten", DeletedBatchesForgotten, "stored_once", 7, ONE_EPOCH),
        wrong("producer-expires-early", ProducerExpiresEarly, "stored_once", 4, ONE_EPOCH),
        Variant(
            name="ids-in-blocks",
            protocol=ProducerIds,
            bounds={"Broker": 3, "Block": 4, "Index": 3},
            symmetry="Broker",
        ),
        wrong(
            "block-without-condition",
            BlockClaimedUnconditionally,
            "no_id_is_issued_twice",
            4,
            TWO_BLOCKS,
        ),
        wrong("block-kept-by-restart", BlockKeptByRestart, "no_id_is_issued_twice", 4, TWO_BLOCKS),
    ),
)
