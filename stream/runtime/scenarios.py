"""The scenario files of this package, and a shop's own beside them or in their place."""

from __future__ import annotations

from pathlib import Path

from stream.errors import InputError
from stream.rules.scenario import Scenario, parse_all

_SHIPPED = Path(__file__).resolve().parent.parent / "rules" / "scenarios"

_BYTES_MAX = 1 << 16


def load(folder: Path | None = None) -> dict[str, Scenario]:
    """The shipped scenarios, and those in `folder` (`*.toml`), which take the place of shipped ones of their
    name; 2 ms.

    Raises `InputError`, one sentence that names the folder or the file, if one cannot be used.
    """
    files = _read(_SHIPPED)
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"The folder of scenarios {folder} does not exist.")
        files |= _read(folder)
    return parse_all(files)


def _read(folder: Path) -> dict[str, str]:
    files = {}
    for path in sorted(folder.glob("*.toml")):
        if path.stat().st_size > _BYTES_MAX:
            raise InputError(f"The scenario file {path.name} is larger than {_BYTES_MAX} bytes.")
        try:
            files[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The scenario file {path.name} cannot be read: {error}.") from None
    return files
