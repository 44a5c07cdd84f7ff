"""The thread of the HTTP port: binds it, however long it is taken, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING

import structlog

from monitor.stages import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

    from config.settings import HttpSettings
    from monitor.web.asked import Asked

log = structlog.get_logger()

RETRY_S = 5.0  # pause before a port that is taken is tried again
IDLE_S = 5.0  # for which a connection without a request stays open
LAST_S = 1  # for the requests under way when it stops


class HttpPort:
    """`run` is the thread's body. `told` is called with its address, or with why there is none."""

    def __init__(
        self, settings: HttpSettings, token: str | None, asked: Asked, told: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._token = token
        self._asked = asked
        self._told = told
        self._stop = threading.Event()
        self._server: uvicorn.Server | None = None
        self.pulse = Pulse()
        self.address = ""  # http://HOST:PORT while it listens
        self.trouble = ""  # why it does not

    def run(self) -> None:
        """Serve until `stop`."""
        listener = self._bind()
        if listener is None:
            return
        with listener:
            self._serve(listener)

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stop.set()
        if self._server is not None:
            self._server.should_exit = True

    def _bind(self) -> socket.socket | None:
        """The listening socket, as soon as it can be had; None where it is to stop before."""
        host, port = self._settings.host, self._settings.port
        said = ""
        while True:
            try:
                family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
                listener = socket.create_server((host, port), family=family)
            except OSError as error:
                reason = f"{host}:{port} cannot be bound: {_words(error)}"
                if said != reason:
                    self.trouble = said = reason
                    remedy = "there is no page, /readyz or /metrics: free the port, or set http.host and http.port"
                    log.error("http_port_taken", reason=reason, remedy=remedy)
                    self._told(reason)
                self.pulse.turn(RETRY_S)
                if self._stop.wait(RETRY_S):
                    return None
            else:
                name = f"[{host}]" if ":" in host else host
                self.address = f"http://{name}:{listener.getsockname()[1]}"
                self.trouble = ""
                log.info("http_listening", address=self.address)
                self._told(self.address)
                return listener

    def _serve(self, listener: socket.socket) -> None:
        # Loading these takes memory and a part of a second: not for those who want no HTTP port.
        import uvicorn  # noqa: PLC0415

        from monitor.web.app import LONGEST_HEAD, make_app  # noqa: PLC0415
        from monitor.web.bounded import BoundedProtocol  # noqa: PLC0415
        from monitor.web.rules import Rules  # noqa: PLC0415

        rules = Rules(self._settings.host, self._token, self._settings.allowed_hosts)
        config = uvicorn.Config(
            make_app(self._asked, rules),
            loop="asyncio",
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # it would say of every bad request that it was one
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_keep_alive=int(IDLE_S),
            timeout_graceful_shutdown=LAST_S,
        )
        pulse = self.pulse

        class Server(uvicorn.Server):
            async def on_tick(self, counter: int) -> bool:
                """Ten times a second."""
                pulse.turn()
                return await super().on_tick(counter)

        self._server = Server(config)
        self._server.should_exit = self._stop.is_set()
        asyncio.run(self._server.serve(sockets=[listener]))


def _words(error: OSError) -> str:
    """What the system says, without what Python adds."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error.strerror or error)
    return os.strerror(error.errno)
