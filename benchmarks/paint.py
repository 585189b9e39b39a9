"""When a page is painted with the banner and without it, and whether anything moves, in Chromium.

    python benchmarks/paint.py [--rounds 10]

Each round loads every page once, cold, with a new profile: on a fast line, and on a slow one (CPU four times slower,
150 ms a round trip, 1.6 Mbit/s). The figures are medians; nothing is asserted. `ask` is a page for a new visitor,
`answered` the same page for one who has refused. A long task is one of more than 50 ms, whatever ran in it; "ours"
is the longest task in which a script of ours ran, and how much of it the processor spent on it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).parents[1]))

from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from benchmarks.overhead import page
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from playwright.sync_api import Browser, CDPSession

SIZE = 20_000
CONFIG = {
    "use": ["google-analytics", "meta-pixel", "youtube", "stripe"],
    "site": {"name": "Example Shop"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "records": {"url": "none"},
}
STYLE = b"body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }"
SLOW = {"latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750, "offline": False}
CPU_TIMES = 4
LINES = ("fast", "slow")
SETTLED_MS = 1500
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
]
WATCH = """
window.seen = {shift: 0, long: 0, banner: null};
new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.shift += one.value; })
    .observe({type: "layout-shift", buffered: true});
new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.long += one.duration; })
    .observe({type: "longtask", buffered: true});
(function look() {
    const banner = document.querySelector("#consent-banner");
    if (banner && banner.getBoundingClientRect().height && document.readyState !== "loading") seen.banner = performance.now();
    else requestAnimationFrame(look);
})();
"""
READ = """() => ({
    ...seen,
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
    requests: performance.getEntriesByType("resource").length,
    bytes: performance.getEntriesByType("navigation")[0].transferSize
        + performance.getEntriesByType("resource").reduce((sum, one) => sum + one.transferSize, 0),
})"""


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve a page of text with a style sheet."""
    if environ["PATH_INFO"] == "/site.css":
        start_response("200 OK", [("Content-Type", "text/css"), ("Cache-Control", "no-store")])
        return [STYLE]
    head = (
        b'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/site.css"></head>'
    )
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")])
    return [page(SIZE).replace(b"</head>", head)]


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: a line a request would be part of what is timed."""


def serve(application: WSGIApplication) -> str:
    """Serve an app in a thread until the process ends; return its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def refuse(browser: Browser, url: str) -> Any:
    """Refuse on a site; return what the browser keeps of it."""
    context = browser.new_context()
    visit = context.new_page()
    visit.goto(url)
    with visit.expect_response("**/_consent/choice"):
        visit.locator("#consent-banner [value=reject_all]").click()
    kept = context.storage_state()
    context.close()
    return kept


def trace(session: CDPSession) -> Callable[[], list[dict[str, Any]]]:
    """Begin to note what the page's threads do; return what ends it and returns the events."""
    events: list[dict[str, Any]] = []
    ended: list[bool] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda _: ended.append(True))
    how = {"includedCategories": ["devtools.timeline", "toplevel"]}
    session.send("Tracing.start", {"traceConfig": how, "transferMode": "ReportEvents"})

    def end() -> list[dict[str, Any]]:
        session.send("Tracing.end")
        while not ended:
            session.send("Runtime.evaluate", {"expression": "0"})
        return events

    return end


def our_longest(events: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the longest task in which a script of ours ran: milliseconds by the clock and of the processor."""
    longest = (0.0, 0.0)
    spans = [event for event in events if event.get("ph") == "X"]
    for script in spans:
        if "/_consent/static/" not in str(script["args"].get("data")):
            continue
        for task in spans:
            if (
                task["name"].endswith("RunTask")
                and task["tid"] == script["tid"]
                and task["ts"] <= script["ts"] < task["ts"] + task["dur"]
            ):
                longest = max(longest, (task["dur"] / 1000, task.get("tdur", 0) / 1000))
    return longest


def load(browser: Browser, url: str, state: Any, line: str) -> Mapping[str, float | None]:
    """Load a page with a new profile; return its figures in milliseconds, bytes and counts."""
    context = browser.new_context(storage_state=state)
    visit = context.new_page()
    visit.add_init_script(WATCH)
    session = context.new_cdp_session(visit)
    if line == "slow":
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_TIMES})
    end = trace(session)
    visit.goto(url)
    visit.wait_for_timeout(SETTLED_MS)
    found: dict[str, float | None] = visit.evaluate(READ)
    found["ours"], found["processor"] = our_longest(end())
    context.close()
    return found


def chromium() -> str | None:
    """Return the path of an installed Chromium, None for Playwright's own."""
    with sync_playwright() as playwright:
        if Path(playwright.chromium.executable_path).exists():
            return None
    return shutil.which("chromium") or shutil.which("google-chrome")


def median(values: Iterable[float | None]) -> str:
    """Return the median of what was measured."""
    found = [value for value in values if value is not None]
    return f"{statistics.median(found):.0f}" if found else "-"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    ours = serve(ConsentMiddleware(app, config=CONFIG, secret_key="k" * 32))
    pages: dict[str, tuple[str, Any]] = {"without": (serve(app), None)}
    figures: dict[tuple[str, str], list[Mapping[str, float | None]]] = defaultdict(list)
    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        print(f"Chromium {browser.version}, {rounds} cold loads of each page, medians")
        pages |= {"ask": (ours, None), "answered": (ours, refuse(browser, ours))}
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
            for line in LINES:
                for name, (url, state) in pages.items():
                    figures[line, name].append(load(browser, url, state, line))
        browser.close()
    columns = (
        "line",
        "page",
        "first paint ms",
        "banner ms",
        "layout shift",
        "long tasks ms",
        "ours ms",
        "its processor ms",
        "requests",
        "bytes",
    )
    widths = (6, 10, 16, 11, 14, 15, 9, 18, 10, 8)
    print("".join(text.rjust(width) for text, width in zip(columns, widths, strict=True)))
    for (line, name), runs in figures.items():
        shift = max(run["shift"] or 0 for run in runs)
        cells = (
            *(line, name, median(run["paint"] for run in runs), median(run["banner"] for run in runs)),
            *(f"{shift:.4f}", median(run["long"] for run in runs)),
            *(median(run["ours"] for run in runs), median(run["processor"] for run in runs)),
            *(median(run["requests"] for run in runs), median(run["bytes"] for run in runs)),
        )
        print("".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))


if __name__ == "__main__":
    main()
