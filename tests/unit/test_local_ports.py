"""Ports are free, different, and not the kernel's own."""

from __future__ import annotations

import socket

from stream.local.ports import HIGHEST, LOOPBACK, LOWEST, answers, free_ports, is_free


def test_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free(port) and LOWEST <= port <= HIGHEST for port in ports)


def test_preferred_ports_are_taken_when_all_are_free() -> None:
    ports = free_ports(2)
    assert free_ports(2, ports) == ports
    with socket.create_server((LOOPBACK, ports[0])):
        assert not is_free(ports[0])
        assert ports[0] not in free_ports(2, ports)


def test_a_port_answers_only_with_a_listener() -> None:
    (port,) = free_ports(1)
    assert not answers(port)
    with socket.create_server((LOOPBACK, port)):
        assert answers(port)
