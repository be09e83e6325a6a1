"""The scenario files of this package, and a shop's own in their place."""

from __future__ import annotations

from pathlib import Path

from stream.errors import InputError
from stream.rules.scenario import SHIPPED, Scenario, parse_all

_SHIPPED = Path(__file__).resolve().parent.parent / "rules" / "scenarios"

_BYTES_MAX = 1 << 16


def load(folder: Path | None = None) -> dict[str, Scenario]:
    """The shipped scenarios, with those in `folder` (`*.toml`) by name in their place; 1 ms.

    Raises `InputError`, one sentence that names the folder or the file, if one cannot be used, or is of a
    list that nobody makes.
    """
    files = _read(_SHIPPED)
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"The folder of scenarios {folder} does not exist.")
        own = _read(folder)
        for file in own:
            if file.removesuffix(".toml") not in SHIPPED:
                allowed = ", ".join(f"{name}.toml" for name in SHIPPED)
                raise InputError(f"The scenario file {file} is of no list there is; allowed is {allowed}.")
        files |= own
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
