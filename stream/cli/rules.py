"""`stream rules`: what a shop says of its lists, put, removed and listed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import compacted, options
from stream.cli.output import answer_json, note, table
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load
from stream.errors import InputError

if TYPE_CHECKING:
    from stream.runtime.settings import Settings

TOPIC = "rules"

app = typer.Typer(
    help="Put, remove or list merchandising rules.",
    epilog="Example: stream rules put rules.json",
    no_args_is_help=True,
)


@app.command("put", epilog="Example: stream rules put rules.json")
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help='JSON: rules by id, {"id": {"kind": ...}}.')],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the rules of a file to the topic `rules`, each in place of what its id said before.

    Workers have them in force as soon as they have read them. If one rule of the file is refused none is
    written, and what its id said before stays: one that is malformed, or that asks for an attribute which no
    item of the catalogue has (put the items first).
    """
    from stream.runtime.scenarios import load as load_scenarios

    settings = load(config, bootstrap=bootstrap, namespace=namespace)
    rules = read_rules(file, load_scenarios(settings.scenarios), cache(lambda: _attributes(settings)))
    written = {key.encode(): json.dumps(rule).encode() for key, rule in rules.items()}
    asyncio.run(compacted.put(settings, TOPIC, written))
    if as_json:
        answer_json({"put": sorted(rules)})
    else:
        note(f"Put {', '.join(sorted(rules))}.")


@app.command("remove", epilog="Example: stream rules remove summer-sale")
def remove(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of rules.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Take rules away; ids of which there is no rule are passed over."""
    settings = load(config, bootstrap=bootstrap, namespace=namespace)
    asyncio.run(compacted.put(settings, TOPIC, dict.fromkeys(key.encode() for key in ids)))
    if as_json:
        answer_json({"removed": sorted(set(ids))})
    else:
        note(f"Removed {', '.join(sorted(set(ids)))}.")


@app.command("list", epilog="Example: stream rules list --json")
def list_rules(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """List the rules as the topic has them, those among them that workers refuse."""
    found = asyncio.run(compacted.read(load(config, bootstrap=bootstrap, namespace=namespace), TOPIC))
    rules = {key.decode(errors="replace"): _shown(value) for key, value in found.items()}
    if as_json:
        answer_json({"rules": rules})
    elif rules:
        table(("id", "rule"), [(key, json.dumps(rules[key])) for key in rules])
    else:
        note("There are no rules.")


def read_rules(
    file: Path, scenarios: Collection[str], attributes: Callable[[], Collection[str]] | None = None
) -> dict[str, Any]:
    """Rules by id, as they stand in a file; `InputError` if one of them could never be in force.

    `attributes` gives those of the catalogue, if a rule asks for one that not every catalogue has; without it
    any will do.
    """
    from stream.rules.attributes import BUILT_IN
    from stream.rules.condition import Refusal, UnknownAttribute
    from stream.rules.rule import check_key, check_rule, parse

    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The file {file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file {file} is no JSON: {error}.") from None
    if not isinstance(rules, dict) or not rules:
        raise InputError(f'The file {file} holds no rules by id: write {{"my-rule": {{"kind": ...}}}}.')
    for key, rule in rules.items():
        try:
            check_key(key.encode())
            parsed = parse(json.dumps(rule).encode())
            try:
                check_rule(parsed, BUILT_IN, scenarios)
            except UnknownAttribute:
                if attributes is not None:
                    check_rule(parsed, attributes(), scenarios)
        except (Refusal, UnicodeError) as error:
            raise InputError(f"The rule {key!r} in {file} is refused, none is put: {error}.") from None
    return rules


def _attributes(settings: Settings) -> set[str]:
    """Names of the attributes that rules may ask for: those of every catalogue, and those of this one."""
    import msgspec

    from stream.events.types import Item
    from stream.rules.attributes import BUILT_IN

    names = set(BUILT_IN)
    for value in asyncio.run(compacted.read(settings, "items")).values():
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
            names.update(msgspec.json.decode(value, type=Item).attributes)
    return names


def _shown(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode(errors="replace")
