"""The configurations that the cluster honours: names, types, defaults and legal values.

A name that is not here is refused, since a setting that is stored and ignored is a lie. Names and
defaults are Kafka's (docs/configuration of 3.9).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reference.compression import CODEC_NAMES
from reference.requests import ConfigType

LONG_MAX = 2**63 - 1
INT_MAX = 2**31 - 1

Check = Callable[[str], str | None]
"""Returns what is wrong with a value, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    name: str
    type: ConfigType
    default: str
    check: Check
    documentation: str
    broker_name: str = ""
    """For a topic's setting: the broker's that gives its default."""
    dynamic: bool = True
    """Whether it can be altered while the broker runs."""


def number(type_: ConfigType, at_least: int, at_most: int | None = None) -> Check:
    limits = {ConfigType.SHORT: 2**15 - 1, ConfigType.INT: INT_MAX, ConfigType.LONG: LONG_MAX}
    most = limits[type_] if at_most is None else at_most

    def check(text: str) -> str | None:
        digits = text.strip()
        if not digits.removeprefix("-").isdecimal() or len(digits) > 20:
            return f"{text!r} is not a number of type {type_.name}"
        if not at_least <= int(digits) <= most:
            return f"{text!r} is not between {at_least} and {most}"
        return None

    return check


def boolean(text: str) -> str | None:
    return None if text.strip().lower() in ("true", "false") else f"{text!r} is not true or false"


def ratio(text: str) -> str | None:
    """A fraction from 0 to 1, without an exponent."""
    digits = text.strip()
    if len(digits) > 20 or not digits.replace(".", "", 1).isdecimal() or float(digits) > 1:
        return f"{text!r} is not a number from 0 to 1"
    return None


def one_of(*values: str) -> Check:
    def check(text: str) -> str | None:
        return None if text in values else f"{text!r} is not one of {', '.join(values)}"

    return check


def some_of(*values: str) -> Check:
    def check(text: str) -> str | None:
        items = list_items(text)
        if items and all(item in values for item in items):
            return None
        return f"{text!r} is not a list of {', '.join(values)}"

    return check


def list_items(text: str) -> list[str]:
    """The entries of a LIST value; blanks around the commas do not count."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _number(
    name: str, type_: ConfigType, default: int, at_least: int, broker_name: str, about: str
) -> Definition:
    return Definition(
        name=name,
        type=type_,
        default=str(default),
        check=number(type_, at_least),
        broker_name=broker_name,
        documentation=about,
    )


INT, LONG = ConfigType.INT, ConfigType.LONG

_TOPIC = (
    Definition(
        name="cleanup.policy",
        type=ConfigType.LIST,
        default="delete",
        check=some_of("delete", "compact"),
        broker_name="log.cleanup.policy",
        documentation="Delete old segments, keep the last value of each key, or both.",
    ),
    Definition(
        name="compression.type",
        type=ConfigType.STRING,
        default="producer",
        check=one_of("producer", *CODEC_NAMES),
        broker_name="compression.type",
        documentation="The codec that batches are stored in; 'producer' keeps the client's.",
    ),
    _number(
        "delete.retention.ms",
        LONG,
        86_400_000,
        0,
        "log.cleaner.delete.retention.ms",
        "How long at least a tombstone stays readable after it was cleaned.",
    ),
    _number(
        "flush.messages",
        LONG,
        LONG_MAX,
        1,
        "log.flush.interval.messages",
        "After how many records a log is forced to the disk.",
    ),
    _number(
        "max.message.bytes",
        INT,
        1_048_588,
        0,
        "message.max.bytes",
        "The largest record batch that a client may write.",
    ),
    _number(
        "message.timestamp.after.max.ms",
        LONG,
        LONG_MAX,
        0,
        "log.message.timestamp.after.max.ms",
        "How far a record's timestamp may lie after the broker's clock.",
    ),
    _number(
        "message.timestamp.before.max.ms",
        LONG,
        LONG_MAX,
        0,
        "log.message.timestamp.before.max.ms",
        "How far a record's timestamp may lie before the broker's clock.",
    ),
    Definition(
        name="message.timestamp.type",
        type=ConfigType.STRING,
        default="CreateTime",
        check=one_of("CreateTime", "LogAppendTime"),
        broker_name="log.message.timestamp.type",
        documentation="Whether a record's timestamp is the client's or that of its append.",
    ),
    Definition(
        name="min.cleanable.dirty.ratio",
        type=ConfigType.DOUBLE,
        default="0.5",
        check=ratio,
        broker_name="log.cleaner.min.cleanable.ratio",
        documentation="How much of a log must be dirty before it is compacted.",
    ),
    _number(
        "min.compaction.lag.ms",
        LONG,
        0,
        0,
        "log.cleaner.min.compaction.lag.ms",
        "How long at least a record stays as it is.",
    ),
    _number(
        "min.insync.replicas",
        INT,
        1,
        1,
        "min.insync.replicas",
        "How many in-sync replicas acks=-1 needs, the leader among them.",
    ),
    _number(
        "retention.bytes",
        LONG,
        -1,
        -1,
        "log.retention.bytes",
        "The size of a partition above which its oldest segments are deleted; -1 is none.",
    ),
    _number(
        "retention.ms",
        LONG,
        604_800_000,
        -1,
        "log.retention.ms",
        "The age above which segments are deleted; -1 is none.",
    ),
    _number(
        "segment.bytes",
        INT,
        1_073_741_824,
        14,
        "log.segment.bytes",
        "The size at which a new segment begins; no batch may be larger.",
    ),
    _number(
        "segment.ms",
        LONG,
        604_800_000,
        1,
        "log.roll.ms",
        "The age at which a new segment begins.",
    ),
    Definition(
        name="unclean.leader.election.enable",
        type=ConfigType.BOOLEAN,
        default="false",
        check=boolean,
        broker_name="unclean.leader.election.enable",
        documentation="Whether a replica outside the ISR may become leader as a last resort.",
    ),
)


def _static(
    name: str, type_: ConfigType, default: str, check: Check, documentation: str
) -> Definition:
    return Definition(
        name=name,
        type=type_,
        default=default,
        check=check,
        documentation=documentation,
        dynamic=False,
    )


_BROKER = (
    _static(
        "auto.create.topics.enable",
        ConfigType.BOOLEAN,
        "true",
        boolean,
        "Whether asking for the metadata of a topic may create it.",
    ),
    _static("broker.id", INT, "-1", number(INT, -1), "The broker's number."),
    _static(
        "broker.session.timeout.ms",
        INT,
        "9000",
        number(INT, 1),
        "How long a broker may be silent before the controller fences it.",
    ),
    _static(
        "controller.quorum.election.timeout.ms",
        INT,
        "1000",
        number(INT, 1),
        "How long a voter waits for a leader before it stands for election.",
    ),
    _static(
        "controller.quorum.fetch.timeout.ms",
        INT,
        "2000",
        number(INT, 1),
        "How long a voter goes without the leader, and the leader without a majority.",
    ),
    _static(
        "default.replication.factor",
        INT,
        "1",
        number(INT, 1),
        "Replicas of a topic that is created without saying how many.",
    ),
    _static(
        "eligible.leader.replicas.enable",
        ConfigType.BOOLEAN,
        "true",
        boolean,
        "Whether partitions keep an ELR (KIP-966); in Kafka a feature of the metadata quorum.",
    ),
    _static(
        "fetch.max.bytes",
        INT,
        "57671680",
        number(INT, 1024),
        "The largest response to a fetch request, except for a first batch that is larger.",
    ),
    _static(
        "log.cleaner.backoff.ms",
        LONG,
        "15000",
        number(LONG, 1),
        "How often logs are checked for having enough to compact.",
    ),
    _static(
        "log.retention.check.interval.ms",
        LONG,
        "300000",
        number(LONG, 1),
        "How often segments are checked for being too old or too many.",
    ),
    _static(
        "max.incremental.fetch.session.cache.slots",
        INT,
        "1000",
        number(INT, 0),
        "How many incremental fetch sessions are kept.",
    ),
    _static(
        "num.partitions",
        INT,
        "1",
        number(INT, 1),
        "Partitions of a topic that is created without saying how many.",
    ),
    _static(
        "replica.fetch.wait.max.ms",
        INT,
        "500",
        number(INT, 1),
        "How long a follower waits for the leader's response before it asks again.",
    ),
    _static(
        "replica.high.watermark.checkpoint.interval.ms",
        LONG,
        "5000",
        number(LONG, 1),
        "How often the high watermarks are written to the disk.",
    ),
    _static(
        "replica.lag.time.max.ms",
        LONG,
        "30000",
        number(LONG, 1),
        "How long a follower may lag behind the leader's end before it leaves the ISR.",
    ),
    _static(
        "zookeeper.session.timeout.ms",
        INT,
        "18000",
        number(INT, 1),
        "After how long a silence ZooKeeper ends a broker's session, where the metadata are there.",
    ),
)


def _broker_side(topic: Definition) -> Definition:
    return Definition(
        name=topic.broker_name,
        type=topic.type,
        default=topic.default,
        check=topic.check,
        documentation=topic.documentation,
    )


def _by_name(definitions: tuple[Definition, ...]) -> Mapping[str, Definition]:
    return {each.name: each for each in sorted(definitions, key=lambda each: each.name)}


TOPIC_CONFIGS = _by_name(_TOPIC)
BROKER_CONFIGS = _by_name((*map(_broker_side, _TOPIC), *_BROKER))
