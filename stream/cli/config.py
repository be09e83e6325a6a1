"""`stream config`: the settings in force."""

from __future__ import annotations

from stream.cli import options
from stream.cli.output import answer_json, table
from stream.cli.settings import ConfigFile, load_with_sources

EXAMPLE = "Example: STREAM_PRICING=auto stream config --config production.toml"


def config(config: ConfigFile = None, as_json: options.AsJson = False) -> None:
    """Show the settings in force and where they come from.

    Secrets are masked. Flags go before STREAM_* variables, these before the file. Where nothing sets an
    address, that of a running local stack is taken.
    """
    settings, sources = load_with_sources(config)
    rows = [(name, value, sources[name], about) for name, value, about in settings.as_table()]
    if as_json:
        answer_json(
            {name: {"value": value, "source": source, "about": about} for name, value, source, about in rows}
        )
    else:
        table(("setting", "value", "source", "about"), rows)
