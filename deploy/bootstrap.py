"""Make the checkout's virtual environment, `.venv`, with the packages of `requirements.lock` and this one.

Run by `make setup`, from the checkout's root, with the interpreter that the environment shall have. Needs
the standard library only. Safe to interrupt and to repeat: what is there already is not installed again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
READY = VENV / ".ready"
"""The stamp: written last, holds the folder that the environment was made for."""

PIP_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input")


class SetupError(Exception):
    """One sentence: what is missing, and what to do."""


def works(*command: str | Path) -> bool:
    """Whether a command can be started and ends with 0. What it prints is dropped."""
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def usable() -> bool:
    """Whether `.venv` runs, is of this interpreter's version, and was not made for another folder."""
    if READY.exists() and READY.read_text() != os.getcwd():
        return False
    return works(PYTHON, "-c", f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})")


def create() -> None:
    """An empty environment. Made without pip, which Debian's Python cannot install by itself."""
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(VENV)


def pip_sources() -> Iterator[tuple[str | Path, ...]]:
    """Commands that run some pip of this machine, whichever Python it belongs to."""
    yield sys.executable, "-m", "pip"
    for name in ("pip3", "pip", "pip3.12", "pip3.11", "pip3.13"):
        if path := shutil.which(name):
            yield (path,)
    # Where Debian keeps the wheel that its own `venv` module installs; a wheel is runnable as it is.
    for wheel in sorted(Path("/usr/share/python-wheels").glob("pip-*.whl")):
        yield sys.executable, wheel / "pip"


def install_pip() -> None:
    """pip into the environment: the one Python carries, else one fetched with any other pip."""
    if works(PYTHON, "-m", "pip", "--version") or works(PYTHON, "-m", "ensurepip", "--default-pip"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for pip in pip_sources():
            if works(*pip, "download", *PIP_OPTIONS, "--no-deps", "--only-binary=:all:", "-d", folder, "pip"):
                wheel = next(Path(folder).glob("pip-*.whl"))
                if works(PYTHON, wheel / "pip", "install", *PIP_OPTIONS, "--no-index", wheel):
                    return
    raise SetupError(
        f"{sys.executable} has no ensurepip, and no pip of this machine could fetch one: install your "
        "system's package (Debian and Ubuntu: python3-venv), or check the network if there is a pip, and try "
        "again."
    )


def install(*arguments: str) -> None:
    """`pip install` into the environment, its errors shown as they come."""
    command = [str(PYTHON), "-m", "pip", "install", *PIP_OPTIONS, *arguments]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(
            f"`pip install {' '.join(arguments)}` failed as shown above: check the network, then try again."
        )


def main() -> int:
    """The whole set-up; returns the exit code."""
    try:
        READY.unlink(missing_ok=True) if usable() else create()
        install_pip()
        print("Installing the packages of requirements.lock into .venv", flush=True)
        install("--require-hashes", "-r", "requirements.lock")
        # The build backend is in the lock: nothing is fetched here.
        install("--no-deps", "--no-build-isolation", "-e", ".")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    READY.write_text(os.getcwd())
    return 0


if __name__ == "__main__":
    sys.exit(main())
