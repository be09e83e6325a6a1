"""Settings of a worker: explicit flags over `STREAM_*` environment variables over a TOML file."""

from __future__ import annotations

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from stream.errors import SettingsError

ENV_PREFIX = "STREAM_"
CONFIG_VARIABLE = "STREAM_CONFIG"
DEFAULT_CONFIG = Path("stream.toml")
MASK = "********"

_YEAR_DAYS = 365.25


class Settings(BaseSettings):
    """All that can be set, read by `Settings.load`; each field is also `STREAM_<FIELD>` and a TOML key."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    # Kafka
    bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port,host:port")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to talk to Kafka"
    )
    ssl_cafile: Path | None = Field(
        None, description="PEM file of the authorities to trust (default: the system's)"
    )
    ssl_certfile: Path | None = Field(None, description="PEM file of the client certificate")
    ssl_keyfile: Path | None = Field(None, description="PEM file of the client's private key")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism, when security_protocol is SASL_*"
    )
    sasl_username: str | None = Field(None, description="SASL user")
    sasl_password: SecretStr | None = Field(None, description="SASL password")
    namespace: str = Field("", description="put before every topic's name, as in 'shop1.'")
    group: str = Field("stream", description="consumer group of the workers")
    partitions: int = Field(8, ge=1, le=10_000, description="partitions of `events` and `item-updates`")
    replication_factor: int = Field(
        1, ge=1, le=9, description="replicas of topics that are created (production: 3)"
    )
    session_timeout_s: float = Field(
        10.0, ge=1.0, le=300.0, description="a silent worker is replaced after this"
    )
    max_poll_records: int = Field(2000, ge=1, le=100_000, description="most records in one batch")
    backlog_records: int = Field(
        20_000,
        ge=0,
        description="with more events unread, a list a shopper and batch, not one an event (0: never)",
    )

    # Redis
    redis_url: str = Field("redis://127.0.0.1:6379/0", repr=False, description="redis:// or rediss:// (TLS)")
    prefix: str = Field("stream", description="first part of every Redis key")
    ttl_s: int = Field(
        7 * 86_400, ge=60, description="values in Redis expire this long after they were written"
    )

    # This worker
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", description="its name"
    )
    datadir: Path | None = Field(
        None, description="where Faust keeps its files (default: a temporary folder)"
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, description="address that serves /metrics, /healthz and /readyz"
    )
    # Workers on one host would want the same port.
    metrics_port: int = Field(
        0, ge=0, le=65_535, description="its port (0: a free one, told in the log and in the worker's status)"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe log line shown"
    )
    log_format: Literal["json", "console"] = Field(
        "console", description="log lines for machines or for people"
    )

    # What the engine may do
    max_shoppers: int = Field(
        1 << 20,
        ge=512,
        le=1 << 24,
        description="most shoppers kept a partition",
    )
    max_items: int = Field(1 << 18, ge=512, le=1 << 22, description="most items kept in all")
    inactive_days: float = Field(
        180.0,
        gt=0,
        le=100_000.0,
        description="shoppers and items that no event named for so long are forgotten",
    )
    rows_saved_per_event: float = Field(
        0.7,
        ge=0.0,
        le=100_000.0,
        description="pace at which state is saved; more shortens a restart's replay",
    )
    pricing: Literal["off", "shadow", "auto"] = Field(
        "shadow", description="no prices, proposals only, or published"
    )
    scenarios: Path | None = Field(
        None, description="folder of the shop's own scenarios, beside the shipped ones or in their place"
    )
    max_age_days: float = Field(
        20 * _YEAR_DAYS,
        gt=0,
        le=10_000 * _YEAR_DAYS,
        description="an event's `ts` may be this much older than its record",
    )
    max_ahead_s: float = Field(
        300.0, ge=0, le=1e9, description="an event's `ts` may be this far ahead of its record"
    )

    rating_max: float = Field(
        5.0,
        gt=0,
        le=100.0,
        description="best rating of the shop's scale; below half of it an item is disliked",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load` merges the sources itself, so that unknown names are told apart by where they stand.
        return (init_settings,)

    @field_validator("namespace", "prefix", "group")
    @classmethod
    def _plain(cls, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]*", text):
            raise ValueError("may hold letters, digits, '.', '_' and '-' only")
        return text

    @field_validator("group", "prefix", "worker_id")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text:
            raise ValueError("must not be empty")
        return text

    @field_validator("bootstrap")
    @classmethod
    def _hosts_and_ports(cls, text: str) -> str:
        for part in text.split(","):
            found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):([0-9]{1,5})", part.strip())
            if found is None or not 0 < int(found[1]) < 1 << 16:
                raise ValueError("must be host:port, or several with commas between them")
        return text

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: str) -> str:
        if not re.match(r"rediss?://", url):
            raise ValueError("must begin with redis:// or rediss://")
        return url

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        sasl = self.security_protocol.startswith("SASL")
        if sasl and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_username and sasl_password"
            )
        if not sasl and (self.sasl_username or self.sasl_password):
            raise ValueError(
                "sasl_username and sasl_password need security_protocol SASL_SSL or SASL_PLAINTEXT"
            )
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            raise ValueError("ssl_certfile and ssl_keyfile belong together")
        return self

    @classmethod
    def load(cls, config: Path | None = None, **flags: Any) -> Settings:
        """Merge flags (those not None), environment and file; `SettingsError` says what is wrong and where.

        The file is `config`, else ``$STREAM_CONFIG``, else ``./stream.toml`` if that exists.
        """
        path = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
        if path is None and DEFAULT_CONFIG.is_file():
            path = DEFAULT_CONFIG
        in_file = _read(path) if path else {}
        given = {name: value for name, value in flags.items() if value is not None}
        _refuse_unknown(in_file, f"in {path}", str)
        _refuse_unknown(given, "among the flags", lambda name: "--" + name.replace("_", "-"))
        _refuse_unknown(_environment_names(), "in the environment", lambda name: ENV_PREFIX + name.upper())
        try:
            return cls(**{**in_file, **EnvSettingsSource(cls)(), **given})
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from None

    def as_table(self) -> list[tuple[str, str, str]]:
        """(name, value, description) of every setting, secrets masked."""
        return [
            (name, self._shown(name), field.description or "")
            for name, field in type(self).model_fields.items()
        ]

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            return ""
        if isinstance(value, SecretStr):
            return MASK
        return mask_url(value) if name == "redis_url" else str(value)

    def topic(self, name: str) -> str:
        """The full name of one of our topics."""
        return self.namespace + name


def mask_url(url: str) -> str:
    """`url` with its password replaced, fit to be printed."""
    return re.sub(r"(?<=://)([^:/@]*):(.*)@", rf"\1:{MASK}@", url)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"Settings file {path} cannot be read ({error.strerror}): correct --config or {CONFIG_VARIABLE}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"Settings file {path} is not valid TOML: {error}.") from None


def _environment_names() -> dict[str, str]:
    return {
        name[len(ENV_PREFIX) :].lower(): value
        for name, value in os.environ.items()
        if name.startswith(ENV_PREFIX) and name != CONFIG_VARIABLE
    }


def _refuse_unknown(given: Mapping[str, Any], where: str, spell: Any) -> None:
    known = list(Settings.model_fields)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {spell(near[0])}?" if near else "`stream config` lists the settings."
            raise SettingsError(f"Unknown setting {spell(name)} {where}: {hint}")


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return (
        f"Setting {name} is not usable: {reason}."
        if name
        else f"The settings contradict each other: {reason}."
    )
