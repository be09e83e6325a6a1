"""Curves as a picture, drawn by matplotlib without its global state."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import InputError

if TYPE_CHECKING:
    from stream.evaluation.curve import Curve

KINDS = (".svg", ".png")
WIDTH_INCHES, HEIGHT_INCHES = 9.0, 7.0


def check(path: Path) -> None:
    """Raises InputError if nothing could be drawn there: to be said before anything is read."""
    if path.suffix not in KINDS:
        raise InputError(f"The curve {path} would be no picture: name a file that ends in .svg or .png.")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written, there is no folder {path.parent}: correct --curve.")
    if find_spec("matplotlib") is None:
        raise InputError("A curve is drawn by matplotlib: install the extra `plot` of this package.")


def draw(curves: Mapping[str, Curve], title: str, path: Path) -> None:
    """Write a picture: a panel for each measure, a line for each contender. Raises InputError."""
    from matplotlib.figure import Figure

    from stream.evaluation.curve import MEASURES

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    panels = figure.subplots(len(MEASURES), 1, sharex=True)
    for panel, measure in zip(panels, MEASURES, strict=True):
        for name, curve in curves.items():
            panel.plot(curve.positions, curve.means[measure], label=name, linewidth=1.2)
        panel.set_ylabel(measure.upper())
        panel.set_ylim(bottom=0.0)
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("events of the log, up to the window's end")
    panels[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    # Without the date two runs give the same picture.
    dateless = {"Date": None} if path.suffix == ".svg" else {}
    try:
        figure.savefig(path, metadata=dateless)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): correct --curve.") from None
