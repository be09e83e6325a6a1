"""A container's health check: exit 0 while its worker renews its status, which expires, in Redis."""

from __future__ import annotations

import os
import socket
import sys

from redis import Redis, RedisError

from stream.values import key_of


def main() -> int:
    """The exit code; a worker that cannot reach Redis is unhealthy as well, since nothing of it is read."""
    worker = os.environ.get("STREAM_WORKER_ID") or socket.gethostname()
    key = key_of(os.environ.get("STREAM_PREFIX", "stream"), "worker", worker)
    url = os.environ.get("STREAM_REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as redis:
            if redis.exists(key):
                return 0
        print(f"the worker {worker} has not reported lately")
    except (RedisError, ValueError) as error:
        print(f"Redis does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
