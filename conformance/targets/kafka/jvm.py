"""Command lines: small, quickly started JVMs, and where they log."""

from collections.abc import Sequence
from pathlib import Path

from conformance.targets.kafka.artifacts import Installation

# Three brokers share two cores and a laptop's memory: some 150 MB each. The first compiler tier
# alone makes them ready with half the processor time; peak speed does not matter here.
_OPTIONS = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)

# The loggers that only list the configuration say nothing that we did not write ourselves.
_LOG4J = """\
log4j.rootLogger=INFO, stdout
log4j.logger.org.apache.kafka.common.config=WARN
log4j.logger.org.apache.zookeeper=WARN
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d %p %m (%c)%n
"""
_LOG4J2 = """\
rootLogger.level=INFO
rootLogger.appenderRef.stdout.ref=stdout
logger.config.name=org.apache.kafka.common.config
logger.config.level=WARN
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %m (%c)%n
"""


def java_command(
    installation: Installation,
    folder: Path,
    main: str,
    *arguments: str,
    options: Sequence[str] = (),
) -> list[str]:
    """The command that runs class `main`, logging to standard output; `options` are the JVM's.

    Writes the logging configuration into `folder`; temporary files go there as well, for the
    compression libraries unpack native code that a killed JVM does not remove.
    """
    if installation.major >= 4:
        configuration = folder / "log4j2.properties"
        configuration.write_text(_LOG4J2, encoding="utf-8")
        logging = f"-Dlog4j2.configurationFile={configuration.as_uri()}"
    else:
        configuration = folder / "log4j.properties"
        configuration.write_text(_LOG4J, encoding="utf-8")
        logging = f"-Dlog4j.configuration={configuration.as_uri()}"
    return [
        str(installation.java.path),
        *_OPTIONS,
        *options,
        f"-Djava.io.tmpdir={folder}",
        logging,
        "-cp",
        installation.classpath,
        main,
        *arguments,
    ]


def write_properties(path: Path, properties: dict[str, str]) -> None:
    """A Java properties file. No key or value of ours has a character to escape."""
    lines = (f"{key}={value}\n" for key, value in properties.items())
    path.write_text("".join(lines), encoding="utf-8")
