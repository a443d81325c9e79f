"""A service that listens on TCP ports inside a network namespace without any network, reached through its relay."""

from __future__ import annotations

import os
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from airlock.adapters.docker_client import engine_errors, engine_gone
from airlock.adapters.docker_service import ContainerService
from airlock.adapters.service_client import exchange
from airlock.domain.health_check import SHELL
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.ports.running_service import ServiceExit

#: What the relay says first where the service took the connection.
GREETING = b"+"


class RelayedService(ContainerService):
    """A running container behind a relay.

    Args:
        client: The engine's client.
        container: The service's container, started.
        relay: The relay's container, started.
        folder: The folder on the host with the relay's sockets.
        ports: The ports that it relays; the first is asked where a request names none.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        container: Container,
        relay: Container,
        folder: str,
        ports: tuple[int, ...],
    ) -> None:
        self._relay = relay
        self._folder = folder
        self._first = ports[0]
        names = frozenset(f"{port}.sock" for port in ports)
        super().__init__(client, container, os.path.join(folder, f"{self._first}.sock"), names)

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send a request to its port; the time limit covers the whole answer."""
        socket = os.path.join(self._folder, f"{request.port or self._first}.sock")
        return exchange(socket, request, timeout_s, max_bytes, GREETING)

    def exit(self) -> ServiceExit | None:
        """How it ended, None while it runs.

        Raises:
            BackendUnavailable: The engine does not answer, or the relay is gone, which is no fault of the service.
        """
        end = super().exit()
        if end is None:
            with engine_errors("asked for a relay's state"):
                try:
                    self._relay.reload()
                except NotFound:
                    raise engine_gone("relaying", "the relay was removed from outside") from None
                if not self._relay.attrs["State"].get("Running"):
                    said = self._relay.logs(tail=3).decode("utf-8", "replace")
                    raise engine_gone("relaying", f"the relay ended: {said}")
        return end

    def command_passed(self) -> bool:
        """Whether the command that asks for its health has ended with status 0 when it ran last."""
        with engine_errors("asked for a container's health"):
            try:
                self._container.reload()
            except NotFound:
                return False
            health = self._container.attrs["State"].get("Health") or {}
            return str(health.get("Status")) == "healthy"

    def has_shell(self) -> bool:
        """Whether it has what a platform runs a command with, as a health check in its container is one."""
        with engine_errors("looking for a container's shell"):
            try:
                # The engine says that it is there before its bytes, which nobody needs.
                found: Any = self._container.get_archive(SHELL[0])
            except NotFound:
                return False
            found[0].close()
            return True
