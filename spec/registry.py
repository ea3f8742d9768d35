"""All models and all proofs, by name."""

from collections.abc import Mapping

from spec.models import (
    controller,
    delivery,
    eligible_leaders,
    groups_classic,
    groups_consumer,
    idempotence,
    quorum,
    replication,
    replication_messages,
    transactions,
)
from spec.models.family import Family
from spec.proofs import controller as controller_proof
from spec.proofs import delivery as delivery_proof
from spec.proofs import eligible_leaders as eligible_leaders_proof
from spec.proofs import groups_classic as groups_classic_proof
from spec.proofs import groups_consumer as groups_consumer_proof
from spec.proofs import idempotence as idempotence_proof
from spec.proofs import quorum as quorum_proof
from spec.proofs import replication as replication_proof
from spec.proofs import replication_messages as replication_messages_proof
from spec.proofs import transactions as transactions_proof
from spec.proofs.proof import Proof

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        replication.MODEL,
        replication_messages.MODEL,
        eligible_leaders.MODEL,
        controller.MODEL,
        quorum.MODEL,
        idempotence.MODEL,
        transactions.MODEL,
        groups_classic.MODEL,
        groups_consumer.MODEL,
        delivery.MODEL,
    )
}
"""Every model, in the order in which to read them."""

PROOFS: Mapping[str, Proof] = {
    proof.name: proof
    for proof in (
        *replication_proof.PROOFS,
        *replication_messages_proof.PROOFS,
        *eligible_leaders_proof.PROOFS,
        *controller_proof.PROOFS,
        *quorum_proof.PROOFS,
        *idempotence_proof.PROOFS,
        *transactions_proof.PROOFS,
        *groups_classic_proof.PROOFS,
        *groups_consumer_proof.PROOFS,
        *delivery_proof.PROOFS,
    )
}
"""Every proof; its name begins with that of its family."""
