"""`stream rules`: what a shop says of its lists, put, removed and listed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.cli import compacted, options
from stream.cli.output import answer_json, note, table
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load
from stream.errors import InputError

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

    Workers have them in force as soon as they have read them. If one rule of the file is malformed none is
    written. Whether its attributes exist only workers know: a rule waits until an item has them.
    """
    from stream.runtime.scenarios import load as load_scenarios

    settings = load(config, bootstrap=bootstrap, namespace=namespace)
    rules = read_rules(file, load_scenarios(settings.scenarios))
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


def read_rules(file: Path, scenarios: Collection[str]) -> dict[str, Any]:
    """Rules by id, as they stand in a file; `InputError` if one of them could never be in force."""
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
            check_rule(parse(json.dumps(rule).encode()), (), scenarios)
        except UnknownAttribute:
            continue
        except (Refusal, UnicodeError) as error:
            raise InputError(f"The rule {key!r} in {file} is refused, none is put: {error}.") from None
    return rules


def _shown(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode(errors="replace")
