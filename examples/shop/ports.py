"""A port to listen on: the one asked for, else the next that is free."""

from __future__ import annotations

import socket

__all__ = ["HOST", "listen"]

HOST = "127.0.0.1"
_TRIES = 100


def listen(port: int) -> socket.socket:
    """Return a bound socket on the first free port from ``port`` up; 0 is any free port.

    Raises:
        OSError: None of the next hundred is free.
    """
    problem: OSError | None = None
    for candidate in range(port, min(port + _TRIES, 65_536)):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)  # binding alone does not tell whether another program listens
        except OSError as error:
            listener.close()
            problem = error
            continue
        return listener
    raise problem or OSError(f"there is no port {port}")
