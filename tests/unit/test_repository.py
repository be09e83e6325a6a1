"""What holds for the repository as a whole: its files, its lock, its modules."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "deploy",
    "docker-compose.yml",
    "docs",
    "pyproject.toml",
    "requirements.lock",
    "stream",
    "tests",
}

MODULE_LINES_MAX = 400
"""No file of Python is longer: what cannot be held in the head is split."""

# `stream` is the user inside the container image, on no machine.
MACHINE_PATH = re.compile(r"/(?:root|home/(?!stream/)\w+|Users/\w+|work/(?:main|shared)|tmp/w)/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|maven\.org|maven\.apache\.org|crates\.io|proxy\.golang\.org"
)
LEFT_OVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b|<{7} |>{7} ")


def project_files() -> list[Path]:
    """Every file of the project: what git tracks or would track, else (a plain copy) the known entries."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        entries = [ROOT / name for name in TOP_LEVEL]
        files = [file for entry in entries for file in (entry.rglob("*") if entry.is_dir() else [entry])]
    return sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts)


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    """`file:line: text` of every line of a text file that the pattern is found in."""
    found = []
    for file in project_files():
        data = file.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode().splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def modules(*folders: str) -> list[Path]:
    """The Python files of these top-level folders."""
    return [
        file
        for file in project_files()
        if file.suffix == ".py" and file.relative_to(ROOT).parts[0] in (folders or TOP_LEVEL)
    ]


def locked() -> dict[str, list[str]]:
    """The lock's pins: `name` to [version, hash, hash, ...], markers dropped."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    pins = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin, *rest = line.split()
            name, version = pin.split("==")
            pins[name] = [version, *re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", " ".join(rest))]
    return pins


def declared() -> list[Requirement]:
    """What pyproject.toml asks for: the core's dependencies and those of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in [*project["dependencies"], *(r for extra in extras for r in extra)]]


def test_the_top_level_is_tidy():
    assert {file.relative_to(ROOT).parts[0] for file in project_files()} <= TOP_LEVEL


@pytest.mark.parametrize(
    "pattern", [MACHINE_PATH, REGISTRY, LEFT_OVER], ids=["machine paths", "registries", "left-overs"]
)
def test_no_file_holds(pattern):
    assert lines_matching(pattern) == []


def test_the_lock_names_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links| @ ", lock)


def test_every_pin_has_hashes():
    pins = locked()
    assert len(pins) > 50
    assert [name for name, (_, *hashes) in pins.items() if not hashes] == []


def test_the_lock_holds_everything_declared():
    pins = locked()
    wanted = declared()
    assert [r.name for r in wanted if r.name not in pins] == []
    assert [str(r) for r in wanted if not r.specifier.contains(pins[r.name][0], prereleases=True)] == []


def test_faust_is_pinned_exactly():
    (faust,) = [r for r in declared() if r.name == "faust-streaming"]
    assert str(faust.specifier) == "==0.15.3"


def test_every_module_says_what_it_is():
    silent = [
        str(file.relative_to(ROOT))
        for file in modules("stream", "benchmarks", "deploy")
        if not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def test_every_package_has_its_init():
    folders = {file.parent for file in modules("stream", "benchmarks")}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_no_module_is_too_long():
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_the_package_is_marked_as_typed():
    assert (ROOT / "stream" / "py.typed").exists()
