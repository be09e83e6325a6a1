"""How to reach Kafka: connection arguments for aiokafka, credentials for Faust, waiting for a broker."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.errors import BrokerError, SettingsError
from stream.runtime.settings import Settings

log = logging.getLogger(__name__)

BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0

Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


def backoff() -> Iterator[float]:
    """Waiting times in seconds between attempts: doubling from a tenth of a second, five at most."""
    wait_s = BACKOFF_MIN_S
    while True:
        yield wait_s
        wait_s = min(wait_s * 2, BACKOFF_MAX_S)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context that the settings ask for, None without TLS."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        if settings.ssl_certfile:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
    except OSError as error:
        files = ", ".join(
            str(f) for f in (settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile) if f
        )
        raise SettingsError(f"The TLS files ({files}) cannot be used: {error}.") from None
    return context


def kafka_arguments(settings: Settings) -> dict[str, Any]:
    """Keyword arguments with which any aiokafka client reaches the brokers."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "client_id": f"stream-{settings.worker_id}",
        "security_protocol": settings.security_protocol,
    }
    context = tls_context(settings)
    if context is not None:
        arguments["ssl_context"] = context
    if settings.sasl_password is not None:
        arguments |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return arguments


def faust_credentials(settings: Settings) -> Any:
    """What `faust.App(broker_credentials=...)` takes, None for plain text."""
    context = tls_context(settings)
    if settings.sasl_password is not None:
        return faust.SASLCredentials(
            mechanism=settings.sasl_mechanism,
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


async def started(settings: Settings, make: Callable[[], Client]) -> Client:
    """A started aiokafka client. Waits until a broker answers, and tells once what it waits for."""
    told = False
    for wait_s in backoff():
        client = make()
        try:
            await client.start()
            return client
        except (KafkaError, OSError) as error:
            await close(client)
            if isinstance(error, KafkaError) and not error.retriable:
                raise BrokerError(
                    f"Kafka at {settings.bootstrap} refuses us ({error}): check security_protocol and sasl_*."
                ) from None
        if not told:
            log.error(
                "Kafka at %s does not answer: start it or correct STREAM_BOOTSTRAP (trying until it does).",
                settings.bootstrap,
            )
            told = True
        await asyncio.sleep(wait_s)
    raise AssertionError("backoff() has no end")


async def close(client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient) -> None:
    """Close any aiokafka client.

    Where a fetch has just failed, aiokafka 0.14 ends a consumer's closing as if it were cancelled, before its
    connections are closed. To whoever waits for it that would look like a cancellation of their own.
    """
    closing = asyncio.ensure_future(
        client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop()
    )
    await asyncio.wait((closing,))
    if closing.cancelled():
        await client._client.close()
    else:
        closing.result()
