"""Invented clauses and evidence with every verdict: what the tests of the report start from."""

from dataclasses import dataclass, replace

from spec.clause import Clause, Kind, Level, Need
from spec.evidence import Counterexample, Evidence, WireEntry
from spec.verdict import Verdict

HOSTILE = '</script><b title="x">\'&lt;\u202e\x00'


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleProfile:
    name: str
    meaning: str
    clauses: frozenset[str]


def clause(number: int, area: str = "LOG", level: Level = Level.MUST) -> Clause:
    return Clause(
        id=f"{area}-{number:02}",
        level=level,
        kind=Kind.SAFETY,
        sentence=f"Sample {number}: a broker {level.value} keep the batch, or say that it did not.",
        reason="A record that was acknowledged would be gone.",
        needs=(Need.WIRE, Need.KILL),
        sources=("KIP-98", "core/src/main/scala/kafka/log/UnifiedLog.scala"),
        observe="produce, then fetch and compare",
        model="log[b]",
        varies="An old broker answers with another error.",
        calibrated="The word 'at once' was taken out: no release promises it.",
    )


CLAUSES = {
    found.id: found
    for found in [clause(n) for n in range(1, len(Verdict) + 2)]
    + [clause(1, "PROD", Level.SHOULD), clause(2, "PROD")]
}
"""LOG-01 to LOG-10 get one verdict each, LOG-11 and PROD-02 never have a record."""
PROFILE = SampleProfile(name="core", meaning="Everything, here.", clauses=frozenset(CLAUSES))
TARGETS = ("reference", "kafka:4.1.0", "127.0.0.1:9092,127.0.0.1:9093")


def record(
    clause: str, verdict: Verdict, target: str = "reference", *, slug: str = "a-case"
) -> Evidence:
    """A record as the suite would write it: what the verdict calls for is there."""
    broken = verdict in (Verdict.FAIL, Verdict.KNOWN, Verdict.WEAK)
    ran = verdict not in (Verdict.NOT_RUN, Verdict.UNSUPPORTED, Verdict.UNOBSERVABLE)
    return Evidence(
        clause=clause,
        checker="conformance",
        target=target,
        verdict=verdict,
        case=f"{clause}/{slug}",
        title=f"{slug.replace('-', ' ')} of {clause}",
        premise_count=7 if ran else 0,
        premises={"a batch was sent twice": 7} if ran else {},
        seed=42,
        note="" if verdict in (Verdict.PASS, Verdict.FAIL) else f"why it is {verdict.value}",
        link="https://issues.apache.org/jira/browse/KAFKA-1" if verdict is Verdict.KNOWN else "",
        counterexample=COUNTEREXAMPLE if broken else None,
        wire=WIRE if ran else (),
        reproduce=f"pytest conformance --target={target} --clause={clause} --seed=42",
        run={"brokers": 3, "trace": f"{clause} on {target}"},
        duration_s=0.25,
        tool_version="0.1.0",
        commit="0123456789abcdef",
        at="2026-01-02T03:04:05Z",
    )


COUNTEREXAMPLE = Counterexample(
    expected="base offset 0, and 3 records in the log",
    observed="base offset 3, and 6 records in the log",
    falsifying="batches=[3],\nrepeat=1",
)
WIRE = (
    WireEntry(
        at_ms=0,
        connection=1,
        broker="1",
        direction="!",
        name="connected",
        correlation_id=None,
        fields={"text": "127.0.0.1:9092"},
    ),
    WireEntry(
        at_ms=2,
        connection=1,
        broker="1",
        direction=">",
        name="Produce v9",
        correlation_id=1,
        fields={"acks": -1, "topic_data": [{"name": "t", "records": ["v" * 90, "w" * 90]}]},
    ),
    WireEntry(
        at_ms=5,
        connection=1,
        broker="1",
        direction="<",
        name="Produce v9",
        correlation_id=1,
        fields={"responses": [{"error_code": "CORRUPT_MESSAGE (2)", "error_message": None}]},
    ),
    WireEntry(
        at_ms=9,
        connection=0,
        broker="",
        direction="#",
        name="cut 1 from 2",
        correlation_id=None,
        fields={},
    ),
)


def evidence() -> list[Evidence]:
    """Every verdict on the second target, passes on the others, and two mutants."""
    verdicts = dict(zip(list(CLAUSES), Verdict, strict=False))
    records = [record(id, Verdict.PASS) for id in verdicts]
    records += [record(id, verdict, TARGETS[1]) for id, verdict in verdicts.items()]
    records += [record("LOG-01", Verdict.PASS, TARGETS[2])]
    records += [record("LOG-02", Verdict.PASS, slug="another-case")]
    records += [record("PROD-01", Verdict.WEAK, target) for target in TARGETS]
    return records + mutated("crc_not_checked", Verdict.FAIL) + mutated("unnoticed", Verdict.PASS)


def mutated(name: str, verdict: Verdict) -> list[Evidence]:
    """A mutant on which LOG-03's case comes to `verdict`, and LOG-04 passes."""
    target = f"reference+{name}"
    found = [record("LOG-03", verdict, target), record("LOG-04", Verdict.PASS, target)]
    return [replace(one, mutant=name) for one in found]


def hostile() -> list[Evidence]:
    """Text that would break out of HTML, JSON, Markdown or UTF-8, and a value of 1 MB."""
    bad, huge = f"{HOSTILE} `x` | \ud800", "x" * 1_000_000
    entry = replace(WIRE[1], name=bad, broker=bad, fields={bad: [bad, huge], "deep": _nested(200)})
    found = replace(
        record("LOG-01", Verdict.KNOWN, bad, slug=bad),
        title=bad,
        note=bad + huge,
        link="javascript:alert(1)",
        counterexample=Counterexample(expected=bad, observed=huge, falsifying=bad),
        wire=(entry, replace(entry, direction="#", fields={"text": huge})),
        reproduce=bad,
        run={bad: huge},
        premises={bad: 3},
        tool_version=bad,
        commit=bad,
        at=bad,
    )
    return [found, replace(found, mutant=bad, target="reference")]


def _nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"in": value}
    return value
