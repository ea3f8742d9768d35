"""The next state of a partition: who leads, who is in sync, who is eligible beside them.

A pure function of the present state and of what has happened. Each decision of the controller about
a partition that exists is made here. Source: metadata/.../controller/PartitionChangeBuilder.java.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from reference.metadata.records import NO_LEADER, PartitionState
from reference.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for the partitions of a topic besides their states."""

    rules: Rules
    is_active: Callable[[int], bool]
    """Whether a broker is unfenced and not shutting down."""
    elects_uncleanly: bool
    """unclean.leader.election.enable; or somebody asks for it (KIP-460)."""
    min_insync_replicas: int
    keeps_elr: bool
    """Whether KIP-966 is on."""


def next_state(
    state: PartitionState,
    terms: Terms,
    *,
    isr: tuple[int, ...] | None = None,
    restarted: int | None = None,
    leader: int | None = None,
) -> PartitionState | None:
    """Returns the state under the next partition epoch, or None where nothing changes.

    `isr` is the ISR that is wanted, `restarted` a broker that stopped without a proof that its log
    is whole, `leader` one that was chosen; otherwise a leader that may lead stays.
    """
    wanted = state.isr if isr is None else isr
    if not wanted and not terms.rules.isr_may_be_empty(terms.keeps_elr):
        wanted = state.isr
    elr = _elr(state, terms, wanted, restarted)
    elected, clean = (leader, True) if leader is not None else _elected(state, terms, wanted, elr)
    if not clean:
        # What the others have may be missing here: they have to follow, and start anew.
        wanted, elr = (elected,), ()
    elif elected in elr:
        wanted = (elected,)
        elr = _elr(state, terms, wanted, restarted)
    epoch = state.leader_epoch
    if elected != state.leader:
        # A smaller ISR under the same leader needs no new epoch (KAFKA-15021).
        epoch = terms.rules.next_leader_epoch(epoch, clean=clean)
    changed = replace(
        state,
        leader=elected,
        leader_epoch=epoch,
        isr=wanted,
        elr=elr,
        last_known_elr=_last_known(state, terms, elected, wanted, elr),
        recovering=state.recovering or not clean,
    )
    return None if changed == state else replace(changed, partition_epoch=state.partition_epoch + 1)


def reassigned(
    state: PartitionState,
    terms: Terms,
    *,
    replicas: tuple[int, ...],
    adding: tuple[int, ...],
    removing: tuple[int, ...],
) -> PartitionState:
    """Returns the state with other replicas. Those that go leave ISR, ELR and leadership."""
    moved = replace(
        state,
        replicas=replicas,
        adding=adding,
        removing=removing,
        isr=_among(replicas, state.isr),
        elr=_among(replicas, state.elr),
        last_known_elr=_among(replicas, state.last_known_elr),
    )
    changed = next_state(moved, terms) or moved
    epoch = changed.leader_epoch
    if epoch == state.leader_epoch and not set(state.replicas) <= set(replicas):
        # The leader stays, but what a removed replica acknowledged is void.
        epoch = terms.rules.next_leader_epoch(epoch, clean=True)
    return replace(changed, leader_epoch=epoch, partition_epoch=state.partition_epoch + 1)


def _among(replicas: tuple[int, ...], brokers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(broker for broker in brokers if broker in replicas)


def _elr(
    state: PartitionState, terms: Terms, isr: tuple[int, ...], restarted: int | None
) -> tuple[int, ...]:
    """Who left the ISR since it became too small to acknowledge, and has kept its log."""
    # A topic of fewer replicas than it asks for acknowledges with all of them (KAFKA-15583).
    minimum = min(terms.min_insync_replicas, len(state.replicas))
    if not terms.keeps_elr or not terms.rules.elr_is_needed(len(isr), minimum):
        return ()
    eligible = {*state.elr, *state.isr}.difference(isr)
    return tuple(sorted(broker for broker in eligible if broker != restarted))


def _elected(
    state: PartitionState, terms: Terms, isr: tuple[int, ...], elr: tuple[int, ...]
) -> tuple[int, bool]:
    """Returns the leader, and whether it is sure to have all that is committed."""
    rules, is_active = terms.rules, terms.is_active

    def may_lead(broker: int) -> bool:
        return rules.may_be_elected(
            active=is_active(broker),
            in_isr=broker in isr,
            in_elr=broker in elr,
            isr_is_empty=not isr,
        )

    if state.leader != NO_LEADER and may_lead(state.leader):
        return state.leader, True
    leader = next(filter(may_lead, state.replicas), NO_LEADER)
    if leader != NO_LEADER:
        return leader, True
    if terms.keeps_elr and not isr and not elr and state.last_known_elr:
        last = state.last_known_elr[0]
        if rules.may_be_elected_as_last_known(is_active(last)):
            return last, False
    if rules.may_elect_uncleanly(terms.elects_uncleanly):
        leader = next(filter(is_active, state.replicas), NO_LEADER)
    return leader, leader == NO_LEADER


def _last_known(
    state: PartitionState,
    terms: Terms,
    leader: int,
    isr: tuple[int, ...],
    elr: tuple[int, ...],
) -> tuple[int, ...]:
    if not terms.keeps_elr or leader != NO_LEADER:
        return ()
    if isr or state.last_known_elr:
        return state.last_known_elr
    if state.leader != NO_LEADER:
        return (state.leader,)
    # Nobody led any more when the last of the eligible was lost: it is the best that there is.
    return () if elr else (state.elr or state.isr)[:1]
