"""Start the shop and its tracker: ``python -m examples.shop``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import secrets
import signal
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:  # started as `python examples/shop`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from consent_middleware import load_config
from examples.shop.ports import HOST, listen
from examples.shop.site import CONFIG, FOLDER, Shop
from examples.shop.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from consent_middleware import ConsentConfig

_FRAMEWORKS = {"asgi": "Starlette on uvicorn", "wsgi": "Flask on werkzeug"}
_LOOK_FOR = """\
What to look for
  1  Before you choose, look at the cookies (developer tools, Application or Storage): only what the shop
     needs. Put something into the basket, log in: both work. "Behind the scenes" says that the tracker has
     seen nobody.
  2  Accept all, and open another page: _ga comes from the server, _ga_DEMO from a script, _fbp from the
     redirect of the newsletter link, and the tracker has seen you.
  3  "Cookie settings", at the bottom left: withdraw, open another page, and they are gone.
  4  The same with scripts off, with Global Privacy Control on, on the error page, the page that streams
     (Kiln) and the page that a CDN may keep (About).
  5  Start it with --regime opt-out to see it as in California: no banner, and links at the bottom left.
"""


def main() -> None:
    """Read the options, start both servers, say what to open, end cleanly."""
    options = _options()
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # end the same way, in a background job and a container too
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _run(options)
    print("\nClosed.", flush=True)


def _run(options: argparse.Namespace) -> None:
    listener = _listen(options.port)
    port: int = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        tracker_port: int = options.tracker_port
        if not tracker_port:
            tracker = Tracker(listen(port + 100 if port < 65_000 else 0))
            tracker_port = tracker.port
            tracker.start()
            stack.callback(tracker.stop)
        shop = Shop(tracker_port, options.tracker_host)
        secret_key = os.environ.get("CONSENT_SECRET_KEY") or _development_key(FOLDER / ".env")
        prepare = {"asgi": _prepare_asgi, "wsgi": _prepare_wsgi}[options.server]
        serve = prepare(shop, listener, secret_key, _declaration(options.regime))
        print(f"Example Shop, {options.server.upper()}: {_FRAMEWORKS[options.server]}\n")
        print(f"Open      http://{HOST}:{port}")
        print(f"Gallery   http://{HOST}:{port}/gallery  (every theme, position, state and language)")
        print(f"Tracker   http://localhost:{tracker_port}  (plays Google, Meta and YouTube)")
        print(f"Records   {os.environ.get('CONSENT_RECORDS_URL') or FOLDER / 'consent-records.db'}\n")
        print(f"{_LOOK_FOR}\nCtrl-C ends it.", flush=True)
        serve()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="examples.shop", description="A small shop with consent.")
    parser.add_argument(
        "--port", type=int, default=8000, help="where to listen; a taken port is stepped over"
    )
    parser.add_argument("--server", choices=sorted(_FRAMEWORKS), default="asgi", help="default: asgi")
    parser.add_argument(
        "--regime",
        choices=["opt-in", "opt-out", "none"],
        default=os.environ.get("SHOP_REGIME"),
        help="what silence means; else SHOP_REGIME, else what consent.toml says",
    )
    parser.add_argument(
        "--tracker-port",
        type=int,
        default=int(os.environ.get("SHOP_TRACKER_PORT", "0")),
        help="use a tracker that runs already (python -m examples.shop.tracker); else SHOP_TRACKER_PORT",
    )
    parser.add_argument(
        "--tracker-host",
        default=os.environ.get("SHOP_TRACKER_HOST", ""),
        help="its host name as browsers are told; else SHOP_TRACKER_HOST, else localhost",
    )
    return parser.parse_args()


def _listen(port: int) -> socket:
    try:
        listener = listen(port)
    except OSError as error:
        raise SystemExit(f"No port from {port} up can be used: {error}") from None
    found = listener.getsockname()[1]
    if port not in {0, found}:
        print(f"Port {port} is taken, so this is {found}.\n")
    return listener


def _declaration(regime: str | None) -> Path | ConsentConfig:
    """Return consent.toml, or what it says with another regime in its place."""
    if not regime:
        return CONFIG
    declared = tomllib.loads(CONFIG.read_text("utf-8"))
    declared["site"]["regime"] = regime
    return load_config(declared).at(FOLDER)


def _development_key(path: Path) -> str:
    """Return the key kept in a file that git ignores, so that choices outlive a restart; made when first needed."""
    with contextlib.suppress(OSError):
        name, _, key = path.read_text("utf-8").strip().partition("=")
        if name == "CONSENT_SECRET_KEY" and key:
            return key
    key = secrets.token_urlsafe(32)
    with contextlib.suppress(OSError):
        path.touch(mode=0o600)
        path.write_text(f"CONSENT_SECRET_KEY={key}\n", "utf-8")
    return key


def _prepare_asgi(
    shop: Shop, listener: socket, secret_key: str, config: Path | ConsentConfig
) -> Callable[[], None]:
    import uvicorn  # noqa: PLC0415 - only the server that was asked for

    from examples.shop.asgi_app import create_app, with_gallery  # noqa: PLC0415 - as above

    app = with_gallery(create_app(shop, secret_key, config))
    settings = uvicorn.Config(app, log_level="warning", lifespan="off")
    return partial(uvicorn.Server(settings).run, sockets=[listener])


def _prepare_wsgi(
    shop: Shop, listener: socket, secret_key: str, config: Path | ConsentConfig
) -> Callable[[], None]:
    from werkzeug.serving import make_server  # noqa: PLC0415 - only the server that was asked for

    from examples.shop.wsgi_app import create_app, with_gallery  # noqa: PLC0415 - as above

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    host, port = listener.getsockname()
    app = with_gallery(create_app(shop, secret_key, config))
    return make_server(host, port, app, threaded=True, fd=listener.fileno()).serve_forever


if __name__ == "__main__":
    main()
