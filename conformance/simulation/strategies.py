"""What Hypothesis draws: short schedules, which shrink to few faults of small numbers."""

from collections.abc import Sequence

from hypothesis import strategies as st

from reference.simulator.faults import (
    AMOUNTS,
    DURATION_MS,
    EVERYBODY,
    FAULTS_MAX,
    MODES,
    Fault,
    FaultKind,
    RunOptions,
    Schedule,
    limited,
)

PAIRED = (FaultKind.CUT_PAIR, FaultKind.CUT_ONE_WAY)


@st.composite
def faults(
    draw: st.DrawFn, kinds: Sequence[FaultKind], nodes: int = 3, until_ms: int = 5_000
) -> Fault:
    """One fault that begins before `until_ms`."""
    kind = draw(st.sampled_from(kinds))
    target = draw(st.integers(1, nodes))
    other = EVERYBODY
    if kind in PAIRED:
        others = [node for node in range(1, nodes + 1) if node != target]
        alone = [] if kind is FaultKind.CUT_PAIR else [EVERYBODY]
        other = draw(st.sampled_from([*alone, *others]))
    return Fault(
        at_ms=draw(st.integers(0, until_ms - 1)),
        kind=kind,
        target=target,
        duration_ms=draw(st.integers(*DURATION_MS)),
        other=other,
        amount=draw(st.integers(*AMOUNTS[kind])) if kind in AMOUNTS else 0,
    )


@st.composite
def schedules(
    draw: st.DrawFn,
    modes: Sequence[str] = MODES,
    kinds: Sequence[FaultKind] = tuple(FaultKind),
    options: RunOptions | None = None,
) -> Schedule:
    """A seed and at most eight faults, within what a cluster is promised to survive."""
    chosen = RunOptions() if options is None else options
    drawn = draw(
        st.lists(faults(kinds, chosen.nodes, chosen.until_ms), max_size=FAULTS_MAX)
        if kinds
        else st.just([])
    )
    mode = draw(st.sampled_from(modes))
    return Schedule(
        seed=draw(st.integers(0, 2**16)),
        mode=mode,
        faults=limited(drawn, mode, chosen.min_insync_replicas, chosen.replication_factor),
        options=chosen,
    )
