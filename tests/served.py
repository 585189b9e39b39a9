"""Small sites on real sockets of this machine, plain or with TLS, for what looks at a site from outside."""

from __future__ import annotations

import ssl
import subprocess
import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32


class _TlsServer(_Server):
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:  # who asked does not trust the certificate
            return

    def setup_environ(self) -> None:
        super().setup_environ()
        self.base_environ["HTTPS"] = "on"


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has above
        """Keep quiet."""


def make_certificate(folder: Path) -> Path:
    """Return a new key and certificate of localhost, in one file, made by the program openssl."""
    path = folder / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(folder / "only.crt")]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (folder / "only.crt").read_text())
    return path


@contextmanager
def served(app: Any, certificate: Path | None = None) -> Iterator[str]:
    """Serve a WSGI app on a free port while the block runs; yields its origin."""
    kind = _TlsServer if certificate else _Server
    server = make_server("127.0.0.1", 0, app, server_class=kind, handler_class=_Handler)
    if isinstance(server, _TlsServer) and certificate:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
