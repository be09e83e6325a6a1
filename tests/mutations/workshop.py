"""A copy of the source in which guards are taken out, one at a time, and tests run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
from numba.core.caching import UserProvidedCacheLocator

import stream.state.jit  # noqa: F401 - sets where kernels of this checkout are kept
from tests.mutations.guards import Mutation

ROOT = Path(__file__).resolve().parents[2]


class Workshop:
    """The copy, and what was compiled of it."""

    def __init__(self, folder: Path) -> None:
        self._source = folder / "source"
        self._kernels = folder / "kernels"
        self._spoilt = folder / "spoilt"
        shutil.copytree(ROOT, self._source, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        self._kernels.mkdir()
        self._take_over_kernels()

    def _take_over_kernels(self) -> None:
        """Begin with what the checkout has compiled: minutes less.

        numba tells files apart by their content, and names a folder of kernels after that of their source.
        """
        kept = getattr(numba.config, "CACHE_DIR")  # noqa: B009 - numba makes it so
        for package in {path.parent for path in (ROOT / "stream").rglob("*.py")}:
            compiled = Path(kept, _folder_of(package))
            if compiled.is_dir():
                own = self._source / package.relative_to(ROOT)
                shutil.copytree(compiled, self._kernels / _folder_of(own))

    def notices(self, mutation: Mutation) -> bool:
        """Whether the mutation's test fails. Raises `ValueError` when there is nothing to mutate.

        Of a mutated file the kernels are compiled anew, but not those of other files that call them: such a
        mutation would be missed, which is seen at once. Whatever was compiled is thrown away, lest a kernel
        that holds a mutated one fails the next test.
        """
        target = self._source / mutation.path
        source, stamp = target.read_text(), target.stat()
        if source.count(mutation.old) != 1:
            raise ValueError(f"{mutation.path} has {source.count(mutation.old)} times: {mutation.old}")
        shutil.copytree(self._kernels, self._spoilt)
        target.write_text(source.replace(mutation.old, mutation.new))
        try:
            return self._fails(mutation.test)
        finally:
            target.write_text(source)
            os.utime(target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            shutil.rmtree(self._spoilt)

    def _fails(self, test: str) -> bool:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", test],
            cwd=self._source,
            env={
                **os.environ,
                "PYTHONPATH": str(self._source),
                "NUMBA_CACHE_DIR": str(self._spoilt),
                "PROTOCOL_SEEDS": "20",
            },
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            raise ValueError(f"the test could not be run: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.returncode == 1


def _folder_of(package: Path) -> str:
    return str(UserProvidedCacheLocator.get_suitable_cache_subpath(str(package / "any.py")))
