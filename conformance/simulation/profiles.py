"""How long Hypothesis looks: dev while working, ci before a change is taken, nightly otherwise.

HIGHWATER_PROFILE names one of them; the default is dev.
"""

import os
from collections.abc import Mapping

from hypothesis import HealthCheck, Phase, settings

VARIABLE = "HIGHWATER_PROFILE"
EXAMPLES: Mapping[str, int] = {"dev": 15, "ci": 60, "nightly": 3_000}
STEPS = 25
"""Of a state machine's example."""


def chosen() -> settings:
    """Raises ValueError where the environment names none of the profiles."""
    name = os.environ.get(VARIABLE, "dev")
    if name not in EXAMPLES:
        raise ValueError(f"{VARIABLE}: {name!r} is none of {', '.join(EXAMPLES)}")
    return settings(
        max_examples=EXAMPLES[name],
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=name != "nightly",
        print_blob=name == "nightly",
        report_multiple_bugs=False,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
