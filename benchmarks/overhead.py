"""Microseconds that a middleware adds to a bare ASGI app, ours beside others, in one interleaved run.

    python benchmarks/overhead.py [--rounds 15]

Each round times every middleware on every workload once, in turn, so that a machine that slows down slows
all of them; the figure is the median over the rounds of the time above the bare app. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware

from consent_middleware.asgi import ConsentMiddleware

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PAGE_HEAD = (
    b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>A product of the shop</title>\n'
    b'<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="stylesheet" href="/style.css">\n'
    b'<link rel="icon" href="/favicon.ico">\n<script src="/app.js" defer></script>\n</head>\n<body class="shop">\n'
)
ROW = b'<article class="row"><h2>Product</h2><p>Some words about it, and a <a href="/buy">link</a>.</p></article>\n'
PAGE_TAIL = b"</body>\n</html>\n"
CONFIG = {
    "site": {"name": "Example Shop"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "use": ["google-analytics", "meta-pixel", "youtube", "stripe"],
}


def page(size: int) -> bytes:
    """Return an HTML page of about this many bytes."""
    rows = (size - len(PAGE_HEAD) - len(PAGE_TAIL)) // len(ROW)
    return PAGE_HEAD + ROW * rows + PAGE_TAIL


@dataclass(frozen=True)
class Workload:
    """A request and the bare app's answer to it."""

    name: str
    request: Headers
    response: Headers
    chunks: tuple[bytes, ...]


def workloads() -> list[Workload]:
    """Return what is measured: JSON without and with cookies, a page, a page in chunks."""
    browser = [
        (b"host", b"shop.example"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (b"accept-language", b"en-GB,en;q=0.5"),
        (b"accept-encoding", b"gzip, deflate, br"),
    ]
    fetch = [
        *browser,
        (b"accept", b"application/json"),
        (b"origin", b"https://shop.example"),
        (b"sec-fetch-mode", b"cors"),
    ]
    visit = [
        *browser,
        (b"accept", b"text/html,*/*;q=0.8"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-dest", b"document"),
    ]
    cookies = (b"cookie", b"session=abcdef0123456789; basket=3; _ga=GA1.1.111.222; theme=dark")
    json = b'{"items": [' + b", ".join([b'{"id": 1, "name": "one"}'] * 40) + b"]}"
    big = page(1_048_576)
    html = (b"content-type", b"text/html; charset=utf-8")
    return [
        Workload("1 KB JSON", fetch, [(b"content-type", b"application/json"), _length(json)], (json,)),
        Workload(
            "1 KB JSON, cookies",
            [*fetch, cookies],
            [
                (b"content-type", b"application/json"),
                _length(json),
                (b"set-cookie", b"_ga=GA1.1.1.2; Path=/; Max-Age=63072000"),
            ],
            (json,),
        ),
        Workload("20 KB HTML", visit, [html, _length(page(20_480))], (page(20_480),)),
        Workload(
            "1 MB HTML, 64 KB", visit, [html], tuple(big[i : i + 65_536] for i in range(0, len(big), 65_536))
        ),
    ]


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()


def bare(workload: Workload) -> App:
    """Return an app that does nothing but answer."""
    chunks = workload.chunks

    async def app(_scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(workload.response)})
        for index, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": index + 1 < len(chunks)})

    return app


class NoOp:
    """A middleware that only wraps `send`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def forward(message: Message) -> None:
            await send(message)

        await self.app(scope, receive, forward)


class Through(BaseHTTPMiddleware):
    """A `BaseHTTPMiddleware` that does nothing."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Pass the request on."""
        return await call_next(request)


def contenders(folder: Path) -> dict[str, Callable[[App], Any]]:
    """Return what is compared; the bare app first."""
    records = {"url": f"sqlite:///{folder}/records.db"}
    return {
        "bare app": lambda app: app,
        "no-op": NoOp,
        "ConsentMiddleware": lambda app: ConsentMiddleware(app, {**CONFIG, "records": records}, "k" * 32),
        "CORSMiddleware": lambda app: CORSMiddleware(app, allow_origins=["https://shop.example"]),
        "SessionMiddleware": lambda app: SessionMiddleware(with_session(app), secret_key="k" * 32),
        "GZipMiddleware": lambda app: GZipMiddleware(app, compresslevel=9),
        "BaseHTTPMiddleware": Through,
    }


def with_session(app: App) -> App:
    """Return the app with one value in its session: an unused session costs nothing and says nothing."""

    async def inner(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        scope["session"]["user"] = 1
        await app(scope, receive, send)

    return inner


async def receive() -> Message:
    """Return an empty request body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def discard(_message: Message) -> None:
    """Take a message and do nothing, as the cheapest server would."""


def scope_of(workload: Workload) -> dict[str, Any]:
    """Return the ASGI scope of a workload's request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/product",
        "raw_path": b"/product",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "headers": list(workload.request),
    }


async def microseconds(app: Any, workload: Workload, count: int) -> float:
    """Return the time of one request in microseconds, over `count` of them."""
    scope = scope_of(workload)
    began = time.perf_counter()
    for _ in range(count):
        await app({**scope, "state": {}}, receive, discard)
    return (time.perf_counter() - began) / count * 1e6


async def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return every round's figure by workload and contender."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        makers = contenders(Path(folder))
        for workload in workloads():
            apps = {name: make(bare(workload)) for name, make in makers.items()}
            counts = {name: await calibrate(app, workload) for name, app in apps.items()}
            figures: dict[str, list[float]] = {name: [] for name in apps}
            for done in range(rounds):
                for name, app in apps.items():
                    figures[name].append(await microseconds(app, workload, counts[name]))
                print(
                    f"\r{workload.name}: round {done + 1} of {rounds} ", end="", file=sys.stderr, flush=True
                )
            print(file=sys.stderr)
            found[workload.name] = figures
    return found


async def calibrate(app: Any, workload: Workload) -> int:
    """Return how many requests take about 20 ms; warms caches up on the way."""
    await microseconds(app, workload, 20)
    return max(3, min(5_000, int(20_000 / await microseconds(app, workload, 20))))


def report(found: dict[str, dict[str, list[float]]]) -> None:
    """Print the medians of what each contender adds, and our ratios to the peers."""
    names = list(next(iter(found.values())))
    print(
        f"Python {platform.python_version()}, {platform.machine()}; microseconds added over the bare app, median [min, max]"
    )
    print(f"{'':<20}" + "".join(f"{workload:>28}" for workload in found))
    added: dict[tuple[str, str], float] = {}
    for name in names:
        cells = []
        for workload, figures in found.items():
            over = [value - base for value, base in zip(figures[name], figures["bare app"], strict=True)]
            values = figures[name] if name == "bare app" else over
            added[workload, name] = statistics.median(values)
            cells.append(
                f"{statistics.median(values):>12.2f} [{min(values):.1f}, {max(values):.1f}]".rjust(28)
            )
        print(f"{name:<20}" + "".join(cells))
    print(
        "\nOurs as a share of a peer's cost (aims: JSON 0.5 of CORS; with cookies 1 of CORS; 20 KB 0.5 of Session):"
    )
    for workload in found:
        ours = added[workload, "ConsentMiddleware"]
        shares = ", ".join(
            f"{peer} {ours / added[workload, peer]:.2f}"
            for peer in ("CORSMiddleware", "SessionMiddleware")
            if added[workload, peer] > 0
        )
        print(f"  {workload:<20} {shares}")


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured (default 15)")
    report(asyncio.run(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
