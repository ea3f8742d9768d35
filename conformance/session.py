"""The target's life in a session: started once, probed, made known to workers, cleaned, stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from conformance.bench import Bench
from conformance.nemesis.controls import Controls
from conformance.outcomes import TargetBroken, Undecided, Unreachable
from conformance.recorder import TARGET_UNREACHABLE
from conformance.targets.spec import Launched, TargetSpec
from conformance.targets.target import Address


class TargetSession:
    """Of the process that runs the session, and of each worker of pytest-xdist."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._launched: Launched | None = None

    @property
    def spec(self) -> TargetSpec:
        return self.bench.spec

    def start(self) -> None:
        """Launches the target where it must be, and makes sure that something answers.

        Ends the session with status 7 where nothing does.
        """
        if self.spec.fresh_per_test:
            return
        self._launch()
        if why := self.bench.unreachable():
            pytest.exit(f"target unreachable: {why}", TARGET_UNREACHABLE)

    def _launch(self) -> None:
        if self.spec.launch and self._launched is None:
            try:
                self._launched = self.spec.launch()
            except (Unreachable, TargetBroken) as error:
                pytest.exit(f"target unreachable: {error}", TARGET_UNREACHABLE)
            launched = self._launched
            self._know(launched.bootstrap, launched.describe(), launched.controls)

    def death(self) -> str:
        """How the launched target has ended by itself; empty where it runs or is not ours."""
        return self._launched.death() if self._launched else ""

    def revive(self) -> None:
        """Launches a target again that ended by itself: later tests have a right to a verdict."""
        if self.death():
            self.stop()
        if not self.spec.shared:
            self._launch()

    def tell_worker(self, workerinput: dict[str, Any]) -> None:
        """Starts a shared target before the first worker, and tells each where it is."""
        if self.spec.shared:
            self._launch()
        workerinput["highwater"] = {
            "run_id": self.bench.run_id,
            "bootstrap": [list(address) for address in self.spec.bootstrap],
            "facts": dict(self.spec.facts),
        }

    def hear(self, workerinput: Mapping[str, Any]) -> None:
        """The other end of `tell_worker`."""
        told = workerinput["highwater"]
        self.bench.run_id, self.bench.worker = told["run_id"], f"{workerinput['workerid']}-"
        if self.spec.shared:
            self._know(told["bootstrap"], told["facts"])

    def clean(self) -> None:
        """Deletes what this run has left on a cluster that outlives it."""
        if self._launched is None and self.spec.bootstrap:
            try:
                self.bench.leftovers()
            except (Exception, Undecided) as error:  # the verdicts stand all the same
                print(f"\ntopics beginning with {self.bench.prefix} may be left: {error}")

    def stop(self) -> None:
        self.bench.heal()
        self.bench.close()
        if self._launched is not None:
            self._launched.close()
            self._launched = None

    def _know(
        self,
        bootstrap: Sequence[Sequence[Any]],
        facts: Mapping[str, Any],
        controls: Controls | None = None,
    ) -> None:
        addresses = tuple(Address(host, port) for host, port in bootstrap)
        self.bench.spec = replace(
            self.spec, bootstrap=addresses, facts=tuple(facts.items()), controls=controls
        )
