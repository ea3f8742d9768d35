"""What exhaustive exploration costs: CPU seconds, states per CPU second, memory, growth.

    python -m benchmarks.explore [--repeat 3] [--large]

Prints figures and judges nothing. Each configuration runs in a process of its own, `--repeat`
times, and the least CPU time is shown: a busy machine can only add to it. CPU time is of tracing,
building and searching, with WeakIsr and StrongIsr checked in every state; not of importing Python
modules. Memory is the peak of the whole process. `--large` adds ten million states.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from spec.checkers.bounds import Bounds
from spec.checkers.explore import explore
from spec.language import trace
from spec.models.replication import Kip320, TruncateToHighWatermark, bounds

PROTOCOLS = {"kip-320": Kip320, "truncate-to-high-watermark": TruncateToHighWatermark}
INVARIANTS = ("weak_isr", "strong_isr")
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Configuration:
    """A protocol in an instance n,l,r,e: replicas, log size, records, largest epoch."""

    protocol: str
    instance: tuple[int, int, int, int]
    symmetry: str = ""

    def __str__(self) -> str:
        text = f"{self.protocol} {','.join(map(str, self.instance))}"
        return f"{text} up to permutation" if self.symmetry else text


KIP_320 = "kip-320"
CONFIGURATIONS = (
    Configuration(KIP_320, (2, 2, 2, 1)),
    Configuration(KIP_320, (2, 2, 2, 2)),
    Configuration(KIP_320, (3, 2, 2, 1)),
    Configuration(KIP_320, (3, 2, 2, 2)),
    Configuration("truncate-to-high-watermark", (3, 2, 2, 2)),
    Configuration(KIP_320, (3, 3, 3, 2)),
    Configuration(KIP_320, (3, 2, 2, 2), "Broker"),
    Configuration(KIP_320, (3, 3, 3, 2), "Broker"),
    Configuration(KIP_320, (4, 2, 2, 1), "Broker"),
)
LARGE = (Configuration(KIP_320, (3, 2, 2, 3)),)

TLC = """\
TLC on the published Kip320.tla (hachikuji/kafka-specification d68782b; tlaplus cc6b616, OpenJDK 17,
2 workers, both invariants, on a busy machine with 2 cores; CPU time of the whole process):
  3,2,2,2                    737,794 states  72..75 CPU s  10-12 thousand states/CPU s  2.5 GB
  3,2,2,2 up to permutation  123,311 states    17.9 CPU s"""


def measure(configuration: Configuration) -> dict[str, float]:
    """Figures of one exploration, in this process."""
    started = time.process_time()
    result = explore(
        trace(PROTOCOLS[configuration.protocol]),
        Bounds(**bounds(*configuration.instance)),
        invariants=INVARIANTS,
        symmetry=configuration.symmetry,
    )
    return {
        "distinct": result.distinct,
        "generated": result.generated,
        "depth": result.depth,
        "bits": result.bits,
        "cpu_s": time.process_time() - started,
        "peak_bytes": result.peak_rss_bytes,
    }


def best(number: int, repeat: int, large: bool) -> dict[str, float]:
    """The figures of the fastest of some processes."""
    command = [sys.executable, "-m", "benchmarks.explore", "--only", str(number)]
    command += ["--large"] if large else []
    outputs = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for _ in range(repeat)
    )
    return min(map(json.loads, outputs), key=lambda figures: figures["cpu_s"])


def lines(configurations: tuple[Configuration, ...], repeat: int, large: bool) -> Iterator[str]:
    yield (
        f"{'configuration':46}{'distinct':>11}{'generated':>12}{'depth':>6}{'bits':>5}"
        f"{'CPU s':>8}{'states/CPU s':>14}{'peak MB':>9}"
    )
    for number, configuration in enumerate(configurations):
        f = best(number, repeat, large)
        yield (
            f"{configuration!s:46}{f['distinct']:11,}{f['generated']:12,}{f['depth']:6}"
            f"{f['bits']:5}{f['cpu_s']:8.2f}{f['distinct'] / f['cpu_s']:14,.0f}"
            f"{f['peak_bytes'] / MEBIBYTE:9.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=3, help="processes per configuration")
    parser.add_argument("--large", action="store_true", help="also 3,2,2,3: ten million states")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    configurations = CONFIGURATIONS + (LARGE if options.large else ())
    if options.only is not None:
        print(json.dumps(measure(configurations[options.only])))
        return
    for line in lines(configurations, options.repeat, options.large):
        print(line, flush=True)
    print(f"\nFor comparison\n{TLC}")


if __name__ == "__main__":
    main()
