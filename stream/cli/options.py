"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]

Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="jsonl, rees46, online-retail, retailrocket, yoochoose, movielens, sessions or mapping "
        "(docs/formats.md).",
    ),
]
Mapping = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML file that maps columns to fields (with --format mapping)."),
]
