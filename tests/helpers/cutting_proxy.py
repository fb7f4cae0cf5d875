"""A proxy between a client and PostgreSQL that cuts the connection around the COMMIT of a transaction that wrote."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

COMMIT, WRITE = b"COMMIT\0", b"INSERT INTO"


class CuttingProxy:
    """Forwards everything, and cuts as often as `cut` was told to."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._cuts, self._delivered = 0, True
        self.made = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, times: int, *, delivered: bool) -> None:
        """Cuts at the next COMMITs.

        Args:
          times: How many.
          delivered: Whether the server gets the COMMIT, and carries it out; its answer is lost then. Otherwise the
            request is lost.
        """
        self._cuts, self._delivered = times, delivered

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._server_port)) as server:
            wrote = False
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    wrote = wrote or (ready is client and WRITE in data)
                    if ready is client and COMMIT in data and wrote and self._cuts:
                        self._cuts -= 1
                        self.made += 1
                        if self._delivered:
                            server.sendall(data)
                            server.recv(1 << 16)  # the answer: it is committed now
                        return
                    wrote = wrote and not (ready is client and COMMIT in data)
                    (server if ready is client else client).sendall(data)
