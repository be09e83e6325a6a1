"""Real Apache Kafka and real Redis on this machine, without a cluster.

`running()` is a private stack for a `with` block (tests, demo, benchmarks); `up()`, `status()` and `down()`
handle the shared background stack of this checkout. Containers where a Docker engine answers, else processes
from Python packages alone: no Java, Maven or Docker is needed. Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

from stream.local.launch import down, running, status, up
from stream.local.stack import Stack

__all__ = ["Stack", "down", "running", "status", "up"]
