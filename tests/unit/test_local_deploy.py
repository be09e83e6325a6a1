"""The compose file says what the local stack says."""

from __future__ import annotations

import re
from pathlib import Path

from stream.local.containers import KAFKA_IMAGE

ROOT = Path(__file__).parents[2]


def test_images_are_pinned_and_kafka_is_the_same_version() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    images = re.findall(r"image: (\S+)", compose) + re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert KAFKA_IMAGE in images
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_only_loopback_is_published() -> None:
    ports = re.findall(r'^ +- "([\d.:]+:\d+)"$', (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_has_a_health_check_or_one_in_its_image() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert compose.count("healthcheck:") == 2
    assert "HEALTHCHECK" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_workers_are_set_up_by_known_settings() -> None:
    from stream.runtime.settings import ENV_PREFIX, Settings

    names = re.findall(rf"^ +{ENV_PREFIX}(\w+):", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    assert {"BOOTSTRAP", "REDIS_URL"} <= set(names)
    assert {name.lower() for name in names} <= Settings.model_fields.keys()
