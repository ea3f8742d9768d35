"""Wrong rules of topics and their metadata."""

from typing import TYPE_CHECKING
from uuid import UUID

from reference.mutants.mutant import Mutant
from reference.rules import Rules

if TYPE_CHECKING:
    from reference.image import MetadataImage, TopicImage


class ValidateOnlyIgnored(Rules):
    def takes_effect(self, validate_only: bool) -> bool:
        return True


class NamesNeverCollide(Rules):
    def names_collide(self, name: str, other: str) -> bool:
        return False


class DeletedIdMeansNewestTopic(Rules):
    def topic_by_id(self, topic_id: UUID, image: "MetadataImage") -> "TopicImage | None":
        newest = next(reversed(image.topics.values()), None)
        return image.topics.get(topic_id, newest)


class TopicIdPerBroker(Rules):
    def answered_topic_id(self, topic_id: UUID, broker: int) -> UUID:
        return UUID(int=topic_id.int ^ broker)


class LeaderLeftOutOfIsr(Rules):
    def answered_isr(self, isr: tuple[int, ...], leader: int) -> tuple[int, ...]:
        return tuple(broker for broker in isr if broker != leader)


class AutoCreateAlways(Rules):
    def may_create_automatically(self, enabled: bool, allowed: bool) -> bool:
        return enabled


class FewerPartitionsAccepted(Rules):
    def partition_count_allowed(self, current: int, wanted: int) -> bool:
        return wanted > 0


MUTANTS = (
    Mutant(
        name="validate-only-ignored",
        id="M-38",
        clauses=("META-02",),
        rules=ValidateOnlyIgnored,
        wrong="A request with validate_only=true takes effect.",
    ),
    Mutant(
        name="names-never-collide",
        id="H-21",
        clauses=("META-02",),
        rules=NamesNeverCollide,
        wrong="Topics may differ only in '.' and '_'.",
    ),
    Mutant(
        name="delete-is-lazy-name-reuse",
        id="M-114",
        clauses=("META-04", "META-03"),
        rules=DeletedIdMeansNewestTopic,
        wrong="The id of a deleted topic, or any other, stands for the newest topic.",
    ),
    Mutant(
        name="topic-id-per-broker",
        id="H-22",
        clauses=("META-01",),
        rules=TopicIdPerBroker,
        wrong="Each broker reports another id for the same topic.",
    ),
    Mutant(
        name="leader-left-out-of-isr",
        id="H-23",
        clauses=("ISR-01",),
        rules=LeaderLeftOutOfIsr,
        wrong="Metadata reports an ISR without the leader.",
    ),
    Mutant(
        name="auto-create-always",
        id="M-116",
        clauses=("META-07",),
        rules=AutoCreateAlways,
        wrong="Metadata creates topics although the request forbids it.",
    ),
    Mutant(
        name="create-partitions-shuffles",
        id="M-115",
        clauses=("META-06",),
        rules=FewerPartitionsAccepted,
        wrong="CreatePartitions accepts a smaller number of partitions.",
    ),
)
