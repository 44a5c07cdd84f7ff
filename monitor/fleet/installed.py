"""What of Java and of the packages is installed, found as Spark would find it. Starts no Spark."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.fleet.seen import JavaFacts, PackageFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ANSWER_S = 20.0  # a cold JVM on a busy host takes a while
# What a worker of the stateful stage loads; it refuses versions that do not go together.
TRIED = ("pyspark.sql.streaming.stateful_processor_api_client", "pandas", "pyarrow", "confluent_kafka")


def java(environment: Mapping[str, str] = os.environ) -> JavaFacts:
    """The Java of JAVA_HOME, else of PATH, and the version that it tells."""
    home = environment.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environment.get("PATH"))
    if found is None:
        return JavaFacts()
    try:
        done = subprocess.run(
            [found, "-version"], capture_output=True, text=True, errors="replace", timeout=ANSWER_S, check=False
        )
    except FileNotFoundError:
        return JavaFacts(found, problem="there is no such program; JAVA_HOME names its folder")
    except (OSError, subprocess.TimeoutExpired) as error:
        return JavaFacts(found, problem=str(error))
    return JavaFacts(found, major(done.stderr + done.stdout))


def major(told: str) -> int:
    """The major number in what `java -version` says; 0 where it says none.

    >>> [major(text) for text in ('openjdk version "17.0.15" 2025-04-15', 'java version "1.8.0_402"', "?")]
    [17, 8, 0]
    """
    match = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(match[1]) if match else 0


def packages() -> PackageFacts:
    """Every package that the extra `fleet` names, and whether Spark's worker can load them."""
    versions: dict[str, str] = {}
    missing, unfit = [], []
    for name, bounds in _asked_for():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if not fits(versions[name], bounds):
            unfit.append(f"{name} {versions[name]}, where it takes {bounds}")
    problem = "" if missing or unfit else _problem()
    return PackageFacts(versions, tuple(missing), tuple(unfit), problem)


def _asked_for() -> Iterator[tuple[str, str]]:
    """The packages of the extra, each with its bounds."""
    for line in requires("enginewatch") or ():
        asked, _, marker = line.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", asked)
        if match and re.search(r"extra\s*==\s*['\"]fleet['\"]", marker):
            yield match[0], asked[match.end() :].strip()


def fits(found: str, bounds: str) -> bool:
    """Whether a version lies within bounds of >= and <, which is all that the extra uses.

    >>> [fits("2.3.3", "<3,>=2.2"), fits("3.0.1", "<3,>=2.2"), fits("2.10", ">=2.9"), fits("2.2rc1", ">=2.2")]
    [True, False, True, True]
    """
    here = _numbers(found)
    return all(
        here >= _numbers(bound[2:]) if bound.startswith(">=") else here < _numbers(bound[1:])
        for bound in bounds.split(",")
        if bound
    )


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with; 2 and 2.0 are the same."""
    found = [int(re.match(r"\d*", part)[0] or 0) for part in text.split(".")]  # type: ignore[index]  # it may be empty, and always matches
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def _problem() -> str:
    for name in TRIED:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a library raises as it loads
            return f"{name} cannot be loaded: {' '.join(str(error).split())}"
    return ""
