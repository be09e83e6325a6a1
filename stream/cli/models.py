"""`stream models`: the ranking model in force, and challengers that are judged beside it on live lists."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from stream.cli import compacted, options
from stream.cli.output import answer_json, note, table
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load
from stream.errors import InputError, LayoutError

if TYPE_CHECKING:
    from stream.learn.model import Snapshot
    from stream.runtime.settings import Settings

TOPIC = "models"

app = typer.Typer(
    help="Export the ranking model, and judge challengers on live lists that no shopper sees.",
    epilog="Example: stream models list",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A model, as `stream models export` writes it.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a challenger: a to z, 0 to 9, . _ -.")]


@app.command("export", epilog="Example: stream models export monday.json")
def export(
    file: File,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the ranking model in force to a file."""
    snapshot = _champion(asyncio.run(compacted.read(_settings(config, bootstrap, namespace), TOPIC)))
    alone = msgspec.structs.replace(snapshot, challengers={}, learned={})
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(alone), indent=1))
    except OSError as error:
        raise InputError(f"The file {file} cannot be written: {error.strerror}.") from None
    if as_json:
        answer_json({"model": snapshot.name, "examples": snapshot.examples, "file": str(file)})
    else:
        note(f"Wrote the model, which has learned from {snapshot.examples} lists, to {file}.")


@app.command("challenge", epilog="Example: stream models challenge monday monday.json")
def challenge(
    name: Name,
    file: File,
    learn: Annotated[bool, typer.Option("--learn", help="Let it learn on from the same lists.")] = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Have the learner rank every labelled list with this model too, in place of what NAME was before.

    Shoppers see nothing of it. It is judged on the candidates that the model in force found best, 40 a list.
    """
    from stream.learn.challenge import CHALLENGER_KEY, MOST, check_name, pack_challenge
    from stream.runtime.clock import now_ms

    key, snapshot = CHALLENGER_KEY + check_name(name).encode(), _read(file)
    settings = _settings(config, bootstrap, namespace)
    known = asyncio.run(compacted.read(settings, TOPIC))
    others = [each for each in known if each.startswith(CHALLENGER_KEY) and each != key]
    if len(others) >= MOST:
        raise InputError(f"There are {MOST} challengers already: remove one (`stream models remove`) first.")
    value = pack_challenge(snapshot, learn, now_ms())
    asyncio.run(compacted.put(settings, TOPIC, {key: value}))
    if as_json:
        answer_json({"challenger": name, "learn": learn})
    else:
        note(f"{name} challenges the model in force; `stream models list` tells how it stands.")


@app.command("list", epilog="Example: stream models list --json")
def list_models(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """List the model in force and all challengers, each with both of their figures on the same live lists.

    `lead` is a 95 % interval of the challenger's mean above the champion's, paired by list.
    """
    from stream.learn.challenge import CHALLENGER_KEY

    known = asyncio.run(compacted.read(_settings(config, bootstrap, namespace), TOPIC))
    snapshot = _champion(known)
    names = [key.removeprefix(CHALLENGER_KEY).decode() for key in known if key.startswith(CHALLENGER_KEY)]
    told = {name: _told(snapshot, name) for name in names}
    if as_json:
        champion = {"model": snapshot.name, "lists": snapshot.lists, **snapshot.quality.get("model", {})}
        answer_json({"champion": champion, "challengers": told})
        return
    rows = [
        (name, of["lists"], measure, found["challenger"], found["champion"], _interval(found))
        for name, of in told.items()
        for measure, found in of["measures"].items()
    ]
    if rows:
        table(("challenger", "lists", "measure", "challenger's", "champion's", "lead"), rows)
    else:
        note("There are no challengers.")


@app.command("remove", epilog="Example: stream models remove monday")
def remove(
    name: Name,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Take a challenger away, with its figures; a name of which there is none is passed over."""
    from stream.learn.challenge import CHALLENGER_KEY, check_name

    key = CHALLENGER_KEY + check_name(name).encode()
    asyncio.run(compacted.put(_settings(config, bootstrap, namespace), TOPIC, {key: None}))
    if as_json:
        answer_json({"removed": name})
    else:
        note(f"Removed {name}.")


@app.command("promote", epilog="Example: stream models promote monday")
def promote(
    name: Name,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a challenger the model that the learner goes on from, as it is now if it learns.

    It is a challenger no longer. What was the champion is lost unless it was exported.
    """
    from stream.learn.challenge import (
        CHALLENGER_KEY,
        PROMOTED_KEY,
        check_name,
        pack_challenge,
        unpack_challenge,
        with_published,
    )
    from stream.runtime.clock import now_ms

    key = CHALLENGER_KEY + check_name(name).encode()
    settings = _settings(config, bootstrap, namespace)
    known = asyncio.run(compacted.read(settings, TOPIC))
    if key not in known:
        raise InputError(f"There is no challenger {name!r}: `stream models list` names those there are.")
    snapshot = _champion(known)
    challenger = unpack_challenge(known[key])
    going_on = name in snapshot.challengers and snapshot.challengers[name].at_ms == challenger.at_ms
    expert = snapshot.learned.get(name, challenger.expert) if going_on else challenger.expert
    value = pack_challenge(with_published(snapshot, expert), False, now_ms())
    asyncio.run(compacted.put(settings, TOPIC, {PROMOTED_KEY: value, key: None}))
    if as_json:
        answer_json({"promoted": name})
    else:
        note(f"The learner goes on from {name}.")


def _settings(config: Any, bootstrap: Any, namespace: Any) -> Settings:
    return load(config, bootstrap=bootstrap, namespace=namespace)


def _champion(known: dict[bytes, bytes]) -> Snapshot:
    from stream.learn.model import MODEL_KEY, unpack_snapshot

    if MODEL_KEY not in known:
        raise InputError("There is no model yet: the learner publishes one when lists have been labelled.")
    return unpack_snapshot(known[MODEL_KEY])


def _read(file: Path) -> Snapshot:
    """The model in a file; `InputError` if it could not be used."""
    from stream.learn.challenge import published
    from stream.learn.model import unpack_snapshot

    try:
        snapshot = unpack_snapshot(file.read_bytes())
        published(snapshot)
    except OSError as error:
        raise InputError(f"The file {file} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InputError(f"The file {file} is no model that `stream models export` wrote: {error}.") from None
    except LayoutError:
        raise InputError(f"The model in {file} has another layout: export one with this version.") from None
    except ValueError:
        raise InputError(
            f"The model in {file} has other features than this version's: export one with this version."
        ) from None
    return snapshot


def _told(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """How a challenger stands; nothing yet, if the learner has not said so."""
    from stream.learn.standing import Standing

    standing = snapshot.challengers.get(name, Standing(0))
    return {"lists": standing.lists, "learns": name in snapshot.learned, "measures": standing.means()}


def _interval(found: dict[str, float]) -> str:
    return f"{found['lead_from']:+.4f} to {found['lead_to']:+.4f}"
