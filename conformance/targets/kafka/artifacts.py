"""Apache Kafka's jars: from Maven Central into a cache, or from an installation in `KAFKA_HOME`."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.targets.kafka.errors import TargetUnavailable
from conformance.targets.kafka.java import Java, find_java

_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+(?:-rc\d+|-SNAPSHOT)?")
_CORE_JAR = re.compile(rf"kafka_2\.\d+-(?P<version>{_VERSION.pattern})\.jar")
_COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DOWNLOAD_WITHIN_S = 600

# Kafka's own pom has an API for logging and, to leave the choice to applications, no backend.
# These are the backends that its binary distributions ship (log4j 1's heir until 3.9, KIP-653
# moved 4.0 to log4j 2), so an installation in KAFKA_HOME reads the same configuration.
_LOGGING_BEFORE_4 = (("org.slf4j", "slf4j-reload4j", "1.7.36"),)
_LOGGING = tuple(
    ("org.apache.logging.log4j", artifact, "2.25.5")
    for artifact in ("log4j-slf4j-impl", "log4j-core", "log4j-api")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One version of Apache Kafka and the Java that runs it."""

    version: str
    libraries: Path
    """The folder of its jars."""
    origin: str
    """Where the jars come from, for reports."""
    java: Java

    @property
    def major(self) -> int:
        return release(self.version)[0]

    @property
    def classpath(self) -> str:
        return str(self.libraries / "*")


def release(version: str) -> tuple[int, int]:
    """Major and minor number. Raises `TargetUnavailable` where it is not a version of Kafka."""
    numbers = _VERSION.fullmatch(version)
    if numbers is None:
        raise TargetUnavailable(
            f"{version!r} is not a version of Apache Kafka: write three numbers, such as 4.0.0"
        )
    return int(numbers[1]), int(numbers[2])


def install(version: str) -> Installation:
    """Apache Kafka `version`: the installation that `KAFKA_HOME` names, else the cache, which
    is filled from Maven Central the first time (some 45 MB).

    Raises `TargetUnavailable` where Java, Maven, the version or the network is missing.
    """
    # Kafka 4.0 dropped Java 8 and 11 for brokers (KIP-1013).
    at_least = 17 if release(version) >= (4, 0) else 8
    java = find_java(at_least=at_least, needed_by=f"Apache Kafka {version}")
    home = os.environ.get("KAFKA_HOME")
    if home:
        return Installation(
            version=version,
            libraries=_libraries_of(Path(home).absolute(), version),
            origin=home,
            java=java,
        )
    return Installation(
        version=version, libraries=_cached(version), origin="Maven Central", java=java
    )


def _libraries_of(home: Path, version: str) -> Path:
    libraries = home / "libs"
    versions = {
        name["version"]
        for jar in libraries.glob("kafka_*.jar")
        if (name := _CORE_JAR.fullmatch(jar.name))
    }
    if not versions:
        raise TargetUnavailable(
            f"KAFKA_HOME={home} is not an installation of Apache Kafka, there is no "
            "libs/kafka_2.13-VERSION.jar in it: correct or unset it"
        )
    if versions != {version}:
        raise TargetUnavailable(
            f"KAFKA_HOME={home} holds Apache Kafka {', '.join(sorted(versions))}, not {version}: "
            "name that version, or unset KAFKA_HOME to use Maven Central"
        )
    return libraries


def _cached(version: str) -> Path:
    cache = Path(os.environ.get("HIGHWATER_CACHE") or Path.home() / ".cache/highwater")
    root = cache.absolute() / "kafka"
    folder = root / version
    if folder.is_dir():
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{version}.lock"):
            if not folder.is_dir():
                _download(version, folder)
    except OSError as error:
        raise TargetUnavailable(
            f"the cache {root} cannot be written ({error.strerror}): set HIGHWATER_CACHE to a "
            "folder that can"
        ) from error
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time downloads; the others wait, bounded by its time limit."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(version: str, folder: Path) -> None:
    """Fills `folder` as a whole or not at all."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise TargetUnavailable(
            f"Apache Kafka {version} comes from Maven Central, and there is no mvn in PATH: "
            "install Maven, or set KAFKA_HOME to an installation"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{version}-") as scratch:
        libraries = Path(scratch, "libs")
        pom = Path(scratch, "pom.xml")
        pom.write_text(_pom(version), encoding="utf-8")
        goal = [_COPY_DEPENDENCIES, "-DincludeScope=runtime", f"-DoutputDirectory={libraries}"]
        _run_maven([mvn, "-B", "-q", "-f", str(pom), *goal], version)
        libraries.rename(folder)


def _pom(version: str) -> str:
    logging = _LOGGING if release(version) >= (4, 0) else _LOGGING_BEFORE_4
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{number}</version></dependency>"
        for group, artifact, number in (*logging, ("org.apache.kafka", "kafka_2.13", version))
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>highwater</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def _run_maven(command: list[str], version: str) -> None:
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_DOWNLOAD_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetUnavailable(
            f"Maven did not get Apache Kafka {version} within {_DOWNLOAD_WITHIN_S} s: check the "
            "network, or set KAFKA_HOME to an installation"
        ) from error
    except OSError as error:
        raise TargetUnavailable(
            f"{command[0]} does not run ({error.strerror}): repair Maven, or set KAFKA_HOME to an "
            "installation"
        ) from error
    if result.returncode != 0:
        raise TargetUnavailable(_why_maven_failed(result.stdout, version))


def _why_maven_failed(output: str, version: str) -> str:
    # The second wording is for an absence that Maven remembers from an earlier attempt.
    absent = rf"org\.apache\.kafka:kafka_2\.13:\w+:{re.escape(version)} (in|was not found in) "
    if re.search(absent, output):
        return f"Maven Central has no Apache Kafka {version}: choose a released version"
    _, _, errors = output.partition("[ERROR] ")
    reason, _, _ = (errors or output).strip().partition("\n")
    return (
        f"Maven cannot get Apache Kafka {version}: check the network, or set KAFKA_HOME to an "
        f"installation. It says: {reason.removesuffix('-> [Help 1]').strip() or 'nothing'}"
    )
