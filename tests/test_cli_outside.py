"""`check --url` against real servers: a sound site, and sites with one thing wrong each."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import sqlite3
import threading
from contextlib import ExitStack
from itertools import cycle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from consent_middleware.cli import main
from consent_middleware.cli.fetching import MAX_REDIRECTS, Answer, Client, UnreachableError
from consent_middleware.cli.outside import _way
from consent_middleware.cli.visits import Visit
from consent_middleware.wsgi import ConsentMiddleware
from served import make_certificate, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from click.testing import Result

    Outer = Callable[["Wsgi"], "Wsgi"]

Wsgi = Any
Pairs = list[tuple[str, str]]
SECRET = "a-secret-of-32-characters-length"
PAGE = b"<!doctype html><html lang='en'><head><title>Shop</title></head><body>Hello</body></html>"
TOML = """
use = ["google-analytics", "meta-pixel"]
[site]
name = "Example Shop"
updated = "2026-11-01"
{site}
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
[records]
url = "{records}"
"""


def shop(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """A site with a page for each way of caching; it sets a log-in's cookie and a tracker's."""
    path = environ["PATH_INFO"]
    if path.startswith(("/.well-known/", "/nothing")):
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing"]
    if path == "/elsewhere":
        start(
            "302 Found", [("Location", environ["wsgi.url_scheme"] + "://localhost:" + environ["SERVER_PORT"])]
        )
        return []
    headers = [("Content-Type", "text/html; charset=utf-8")]
    if path == "/shared":
        headers.append(("Cache-Control", "public, max-age=60"))
    else:
        headers += [("Set-Cookie", "sessionid=1; Path=/"), ("Set-Cookie", "_ga=GA1.1; Path=/")]
    start("200 OK", headers)
    return [PAGE]


class Runs:
    """Serves sites and looks at them.

    Args:
        folder: Where the command runs, and consent.toml is.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack

    def declare(self, site: str = "", records: str = "none") -> None:
        """Write the declaration that the site is deployed with, and that is here to compare."""
        (self.folder / "consent.toml").write_text(TOML.format(site=site, records=records), "utf-8")

    def middleware(self, secret: str = SECRET) -> Wsgi:
        """Return the shop behind the middleware."""
        found = ConsentMiddleware(shop, self.folder / "consent.toml", secret)
        self.stack.callback(getattr(found.site.store, "close", lambda: None))
        return found

    def serve(self, outer: Outer = lambda app: app, certificate: Path | None = None) -> str:
        """Serve the shop, with something before it; return the origin."""
        if not (self.folder / "consent.toml").exists():
            self.declare()
        return self.stack.enter_context(served(outer(self.middleware()), certificate))

    def look(self, url: str, *options: str) -> Result:
        """Run the command."""
        unset = dict.fromkeys(["CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"])
        return CliRunner().invoke(main, ["check", "--url", url, *options], env=unset)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        yield Runs(tmp_path, stack)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that only who is told trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program to make a certificate with: apt-get install openssl")
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate, trusted by whoever asks the system."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def levels(result: Result) -> list[str]:
    """Return the level of each finding that was printed, but for what is fine."""
    first = (line.partition(" ")[0] for line in result.stdout.splitlines())
    return [word for word in first if word in {"fault", "warning"}]


# -- what stands before an app, with one thing wrong


def changed(headers: Callable[[str, Pairs], Pairs]) -> Outer:
    """Change the headers of answers: given the path and them."""

    def outer(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            def begin(status: str, found: Pairs, error: Any = None) -> Any:
                return start(status, headers(environ["PATH_INFO"], found), error)

            return app(environ, begin)

        return serve

    return outer


def asked(change: Callable[[dict[str, Any]], object]) -> Outer:
    """Change what reaches the app."""

    def outer(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            change(environ)
            return app(environ, start)

        return serve

    return outer


def answered(status: str, when: Callable[[dict[str, Any]], bool], kind: str = "text/html") -> Outer:
    """Answer some requests before they reach the app, as a server of files does."""

    def outer(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            if not when(environ):
                return app(environ, start)
            start(status, [("Content-Type", kind)])
            return [b"<html><body>nginx</body></html>"]

        return serve

    return outer


def answered_elsewhere(app: Wsgi) -> Wsgi:
    """Lead from the privacy policy to itself."""

    def serve(environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] != "/privacy":
            return app(environ, start)
        start("302 Found", [("Location", "/privacy")])
        return []

    return serve


def cached(app: Wsgi) -> Wsgi:
    """Give everybody the first copy of the page."""
    kept: dict[str, Any] = {}

    def serve(environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] != "/":
            return app(environ, start)
        if not kept:
            body = app(environ, lambda status, headers, _=None: kept.update(status=status, headers=headers))
            kept["body"] = b"".join(body)
            body.close()
        start(kept["status"], kept["headers"])
        return [kept["body"]]

    return serve


def replaced(name: str, value: str, path: str = "/") -> Outer:
    """Put a header's value in the place of the app's; empty takes it away."""

    def headers(at: str, found: Pairs) -> Pairs:
        if at != path:
            return found
        rest = [pair for pair in found if pair[0].lower() != name]
        return [*rest, (name, value)] if value else rest

    return changed(headers)


def below(text: str) -> Callable[[dict[str, Any]], bool]:
    """Return what tells whether a request is for a path that begins so."""
    return lambda environ: environ["PATH_INFO"].startswith(text)


FAULTS: dict[str, tuple[Outer, str, str]] = {
    "static files from the disk": (
        answered("404 Not Found", below("/_consent/static/")),
        "guard.js answers 404, text/html",
        "location ^~ /_consent/",
    ),
    "static files of another type": (
        answered("200 OK", below("/_consent/static/")),
        "guard.js answers 200, text/html",
        "location ^~ /_consent/",
    ),
    "gpc.json from the disk": (
        answered("404 Not Found", below("/.well-known/")),
        "/.well-known/gpc.json does not say",
        "location = /.well-known/gpc.json",
    ),
    "everything below path": (
        answered("404 Not Found", below("/_consent/")),
        "/_consent/state.json does not answer, so nothing else works",
        "location ^~ /_consent/",
    ),
    "a policy page that is away": (
        answered("502 Bad Gateway", below("/_consent/policy")),
        "/_consent/policy answers 502",
        "location ^~ /_consent/",
    ),
    "a tracker outside": (
        changed(lambda path, found: [*found, ("Set-Cookie", "_fbp=1")] if path == "/" else found),
        "'_fbp', a cookie of Meta Pixel, is set without consent",
        "outermost",
    ),
    "a cookie that nobody declares": (
        changed(lambda path, found: [*found, ("Set-Cookie", "lb7=1")] if path == "/" else found),
        "'lb7', which nobody declares, is set without consent",
        "[cookies] essential",
    ),
    "a page that is public": (
        replaced("cache-control", "public, max-age=600"),
        "one visitor's own, but says Cache-Control: public, max-age=600",
        "caching headers",
    ),
    "a page from a cache": (replaced("age", "17"), "came from a cache (Age: 17)", "Cache-Control: private"),
    "preferences that are public": (
        replaced("cache-control", "public", "/_consent/preferences"),
        "/_consent/preferences may be kept by caches",
        "Cache-Control: private",
    ),
    "no Sec-GPC": (
        asked(lambda environ: environ.pop("HTTP_SEC_GPC", None)),
        "Sec-GPC: 1 does not reach the app",
        "request header Sec-GPC",
    ),
    "no POST": (
        answered("405 Not Allowed", lambda environ: environ["REQUEST_METHOD"] == "POST"),
        "POST /_consent/choice answers 405",
        "every method",
    ),
    "no POST from here": (
        answered("403 Forbidden", lambda environ: environ["REQUEST_METHOD"] == "POST", "text/plain"),
        "POST /_consent/choice answers 403 (<html><body>nginx</body></html>)",
        "every method",
    ),
    "a state that is no state": (
        answered("200 OK", lambda e: e["PATH_INFO"] == "/_consent/state.json" and "HTTP_COOKIE" in e),
        "The answer is not believed everywhere",
        "from no cache",
    ),
    "a part without an answer": (
        answered_elsewhere,
        "/privacy leads to 5 redirects and more",
        "own pages could not be looked at further",
    ),
    "no Set-Cookie": (
        replaced("set-cookie", "", "/_consent/choice"),
        "After Reject no cookie comes",
        "Let Set-Cookie through",
    ),
    "HttpOnly for all": (
        changed(
            lambda _, found: [(k, v + "; HttpOnly" if k.lower() == "set-cookie" else v) for k, v in found]
        ),
        "consent is HttpOnly",
        "proxy_cookie_flags",
    ),
    "nowhere to go to": (
        replaced("location", "http://[", "/_consent/choice"),
        "visitors are sent to http://[",
        "Location",
    ),
    "a name of its own": (
        changed(lambda _, found: [(k, v.replace("consent=", "__Host-consent=")) for k, v in found]),
        "kept in '__Host-consent', which is not the name",
        "--config",
    ),
    "another host to go to": (
        replaced("location", "http://127.0.0.1:1/", "/_consent/choice"),
        "visitors are sent to http://127.0.0.1:1/",
        "Location",
    ),
    "one copy for all": (cached, "The page asks again after Reject", "Cache-Control: private"),
    "a signal that only some addresses see": (
        asked(lambda environ: environ.update(HTTP_SEC_GPC="1") if environ["PATH_INFO"] != "/" else None),
        "The page asks a visitor who need not be asked",
        "Cache-Control: private",
    ),
    "a page of another kind": (
        replaced("content-type", "application/json"),
        " answers 200, application/json",
        "a page of the site",
    ),
    "no middleware": (lambda _: shop, "the middleware is not there", "consent-middleware init"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_named_with_what_mends_it(runs: Runs, what: str) -> None:
    """One thing is wrong before the app: exit code 1, what was seen, and what to do."""
    outer, seen, mend = FAULTS[what]
    result = runs.look(runs.serve(outer))
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("fault") and seen in line)
    assert mend in lines[at + 1]


WARNINGS: dict[str, tuple[Outer, str, str]] = {
    "no Vary": (replaced("vary", ""), "does not say Vary: Cookie, Sec-GPC", "Vary header"),
    "no banner": (
        asked(lambda environ: environ.update(HTTP_SEC_GPC="1") if environ["PATH_INFO"] == "/" else None),
        "does not hold the banner",
        "[banner] exclude",
    ),
    "not immutable": (
        changed(lambda path, found: [(k, "no-cache" if "/static/" in path and k.lower() == "cache-control" else v) for k, v in found]),
        "guard.js is not immutable, but no-cache",
        "another version",
    ),
    "another host": (
        asked(lambda environ: environ.update(HTTP_HOST="app.internal:8000")),
        "403 to browsers that do not send Sec-Fetch-Site",
        '[site] origins = ["http://127.0.0.1:',
    ),
    "no privacy policy": (answered("404 Not Found", below("/privacy")), "/privacy, to which the banner links", "policy_url"),
}  # fmt: skip


@pytest.mark.parametrize("what", WARNINGS)
def test_a_warning_is_named_and_no_failure(runs: Runs, what: str) -> None:
    """What may be meant, or harms few, is said, and the exit code stays 0."""
    outer, seen, mend = WARNINGS[what]
    result = runs.look(runs.serve(outer))
    lines = result.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("warning") and seen in line)
    assert mend in lines[at + 1]
    assert (result.exit_code, set(levels(result))) == (0, {"warning"}), result.output


# -- sound sites


def test_a_sound_site(runs: Runs) -> None:
    """Nothing is found, and what was looked at is said; the last line counts."""
    origin = runs.serve()
    result = runs.look(origin)
    assert (result.exit_code, levels(result)) == (0, []), result.output
    assert result.stdout.splitlines()[-1] == f"{origin}: 0 faults, 0 warnings."
    for words in [
        "loader",
        "regime is opt-in",
        "3 static files",
        "gpc.json",
        "Without an answer no cookie",
        "Reject works",
    ]:
        assert words in result.stdout


def test_a_sound_site_on_https(runs: Runs, trusted: Path) -> None:
    """Over HTTPS the answer is kept in __Host-consent, and nothing is said of plain HTTP."""
    result = runs.look(runs.serve(certificate=trusted))
    assert (result.exit_code, levels(result)) == (0, []), result.output
    assert "kept in __Host-consent." in result.stdout
    assert "plain HTTP" not in result.stdout


def test_a_page_for_everybody(runs: Runs) -> None:
    """A public page shows the banner to all, also after Reject, and that is right."""
    result = runs.look(runs.serve() + "/shared")
    assert (result.exit_code, levels(result)) == (0, []), result.output
    assert "the same for everybody" in result.stdout


@pytest.mark.filterwarnings("ignore")
def test_a_site_where_silence_allows(runs: Runs) -> None:
    """Under opt-out nobody is asked and the trackers' cookies come; a signal and a refusal end that."""
    runs.declare('regime = "opt-out"')
    result = runs.look(runs.serve())
    assert (result.exit_code, levels(result)) == (0, []), result.output
    assert "The banner is not needed: the regime is opt-out." in result.stdout


def test_names_and_path_of_the_site_s_own(runs: Runs) -> None:
    """A site with an id, a path and no Global Privacy Control is measured by its declaration."""
    runs.declare('id = "b"\npath = "/privacy/consent"\n[signals]\ngpc = false')
    result = runs.look(runs.serve())
    assert (result.exit_code, levels(result)) == (0, []), result.output
    assert "kept in consent-b." in result.stdout
    assert "Global Privacy Control" not in result.stdout


def test_without_a_declaration(runs: Runs) -> None:
    """Where no consent.toml is at hand that is said, and what the catalogue does not know is only a warning."""
    origin = runs.serve(changed(lambda _, found: [*found, ("Set-Cookie", "lb7=1")]))
    (runs.folder / "consent.toml").unlink()
    result = runs.look(origin)
    assert (result.exit_code, set(levels(result))) == (0, {"warning"}), result.output
    assert "There is no consent.toml here" in result.stderr
    assert "'lb7' is set without consent" in result.stdout


def test_without_a_declaration_a_known_tracker_is_a_fault(runs: Runs) -> None:
    """What the catalogue knows to track needs no declaration to be wrong."""
    origin = runs.serve(changed(lambda _, found: [*found, ("Set-Cookie", "_fbp=1")]))
    (runs.folder / "consent.toml").unlink()
    assert "fault    '_fbp', a cookie of Meta Pixel" in runs.look(origin).stdout


def test_a_page_without_the_loader(runs: Runs) -> None:
    """Where the middleware is there but not in the page, that is said, and the rest is looked at all the same."""
    plain = [b"<html><body>from a server of files</body></html>"]

    def around(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            if environ["PATH_INFO"] != "/":
                return app(environ, start)
            start("200 OK", [("Content-Type", "text/html")])
            return plain

        return serve

    result = runs.look(runs.serve(around))
    assert (result.exit_code, levels(result)) == (1, ["fault"])
    assert "does not hold the middleware's loader" in result.stdout
    assert "Reject works" in result.stdout


def test_a_compressed_page_is_read(runs: Runs) -> None:
    """A page that the proxy compresses is opened."""

    def around(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            if environ["PATH_INFO"] != "/":
                return app(environ, start)
            begun: list[Any] = []
            body = app(environ, lambda *words: begun.append(words))
            data = gzip.compress(b"".join(body))
            body.close()
            kept = [pair for pair in begun[0][1] if pair[0].lower() != "content-length"]
            start(begun[0][0], [*kept, ("Content-Encoding", "gzip")])
            return [data]

        return serve

    result = runs.look(runs.serve(around))
    assert (result.exit_code, levels(result)) == (0, []), result.output


def test_report_mode_is_named(runs: Runs) -> None:
    """What report mode lets through is a fault, with the way to end it."""
    runs.declare('mode = "report"')
    result = runs.look(runs.serve())
    assert result.exit_code == 1
    assert 'then set [site] mode = "enforce"' in result.stdout


def test_the_refusal_is_recorded_and_announced(runs: Runs) -> None:
    """The one refusal leaves one record without a person, and standard error says so before."""
    runs.declare(records="sqlite:///records.db")
    result = runs.look(runs.serve())
    assert "One refusal is sent, and recorded" in result.stderr
    with sqlite3.connect(runs.folder / "records.db") as connection:
        rows = connection.execute(
            "select principal_id from consent_records where kind = 'consent'"
        ).fetchall()
    connection.close()
    assert rows == [(None,)]


def test_no_answer_sends_nothing(runs: Runs) -> None:
    """With --no-answer no form is sent, and the rest is looked at all the same."""
    methods = set[str]()
    result = runs.look(
        runs.serve(asked(lambda environ: methods.add(environ["REQUEST_METHOD"]))), "--no-answer"
    )
    assert (result.exit_code, methods) == (0, {"GET"})
    assert "refusal" not in result.output.replace("--no-answer", "")


def test_findings_as_json(runs: Runs) -> None:
    """Each finding is an object with its level, what was seen and what mends it."""
    result = runs.look(runs.serve(FAULTS["gpc.json from the disk"][0]), "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {tuple(one) for one in found} == {("level", "text", "mend")}
    assert [one["level"] for one in found].count("fault") == 1


# -- what needs more than one change


def test_workers_with_keys_of_their_own(runs: Runs) -> None:
    """An answer that only some workers believe is a fault."""
    runs.declare()
    workers = cycle([runs.middleware(), runs.middleware("another-secret-of-32-characters!")])

    def around(_app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            return next(workers)(environ, start)

        return serve

    result = runs.look(runs.serve(around))
    assert result.exit_code == 1
    assert "The answer is not believed everywhere." in result.stdout
    assert "the same CONSENT_SECRET_KEY" in result.stdout


def test_an_app_that_does_not_know_of_https(runs: Runs, trusted: Path) -> None:
    """Behind a proxy that ends TLS unheard, the cookie is not Secure: the line that mends it is named."""
    result = runs.look(
        runs.serve(asked(lambda environ: environ.update({"wsgi.url_scheme": "http"})), trusted)
    )
    assert result.exit_code == 1
    assert "kept in 'consent', without Secure, though this is HTTPS" in result.stdout
    assert 'set [site] origins = ["https://127.0.0.1:' in result.stdout


def test_secure_taken_away(runs: Runs, trusted: Path) -> None:
    """A proxy that takes Secure from the cookie is found."""
    plain = changed(lambda _, found: [(key, value.replace("; Secure", "")) for key, value in found])
    result = runs.look(runs.serve(plain, trusted))
    assert (result.exit_code, levels(result)) == (1, ["fault"])
    assert "__Host-consent is not Secure" in result.stdout


def test_another_declaration_than_the_deployed_one(runs: Runs) -> None:
    """What may run after Reject although the declaration here asks about it is a fault."""
    runs.declare('[[categories]]\nid = "analytics"\nbasis = "exempt"')
    origin = runs.serve(lambda app: app)
    runs.declare()
    result = runs.look(origin)
    assert result.exit_code == 1
    assert "After Reject analytics, google-analytics may run" in result.stdout
    assert "In spite of Sec-GPC: 1, analytics, google-analytics may run" in result.stdout


def test_another_name_than_declared(runs: Runs) -> None:
    """An answer kept under a name that the declaration here does not give is a fault."""
    origin = runs.serve()
    runs.declare('id = "b"')
    result = runs.look(origin)
    assert result.exit_code == 1
    assert "After Reject no cookie comes" in result.stdout


@pytest.mark.parametrize(
    "state",
    [b"[]", b'{"granted": 5, "signals": {}}', b'{"granted": [], "signals": 1}', b"[" * 100_000, b"\xff"],
    ids=["array", "number", "signals", "deep", "bytes"],
)
def test_whatever_state_json_holds(runs: Runs, state: bytes) -> None:
    """Something else at the address of the state is a finding, never a traceback."""

    def around(app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            if environ["PATH_INFO"] != "/_consent/state.json":
                return app(environ, start)
            start("200 OK", [("Content-Type", "application/json")])
            return [state]

        return serve

    result = runs.look(runs.serve(around))
    assert (result.exit_code, levels(result)) == (1, ["fault"])
    assert "state.json does not answer" in result.stdout


def test_plain_http_elsewhere(runs: Runs) -> None:
    """Plain HTTP is a fault where the site is not this machine."""
    result = runs.look(runs.serve().replace("127.0.0.1", "0.0.0.0"), "--no-answer")
    assert result.exit_code == 1
    assert "fault    The site answers over plain HTTP" in result.stdout


@pytest.mark.parametrize(
    ("status", "location", "level"),
    [
        (301, "https://shop.example/", "ok"),
        (200, "", "warning"),
        (301, "http://shop.example/x", "warning"),
        (404, "", ""),
    ],
)
def test_what_plain_http_answers_beside_https(status: int, location: str, level: str) -> None:
    """Beside a site on HTTPS, plain HTTP should lead there or not answer."""

    class Asked:
        def get(self, url: str, _headers: object) -> Answer:
            headers = (("location", location),) if location else ()
            return Answer(url, status, headers, b"")

    asked_: Any = Asked()
    url = "https://shop.example/"
    found = _way(asked_, url, Visit([Answer(url, 200, (), b"")]))
    assert [str(finding.level) for finding in found] == ([level] if level else [])


def test_a_redirect_to_another_host_is_told(runs: Runs) -> None:
    """It is followed, and said, since another host has cookies of its own."""
    result = runs.look(runs.serve() + "/elsewhere")
    assert "leads to http://localhost:" in result.stdout
    assert (result.exit_code, levels(result)) == (0, ["warning"]), result.output


def test_what_a_site_answers_cannot_steer_a_terminal(runs: Runs) -> None:
    """Control characters in what a site sends are shown as question marks."""
    result = runs.look(runs.serve(changed(lambda _, found: [*found, ("Set-Cookie", "a\x9b2Jb=1")])))
    assert "\x9b" not in result.output
    assert "'a\\x9b2Jb'" in result.stdout


# -- sites that do not answer


@pytest.mark.parametrize(
    "url", ["http://", "ftp://shop.example/", "http://\u2024.example\u3002/", "http://[x/"]
)
def test_a_redirect_to_no_address(url: str) -> None:
    """Whatever a Location says is an answer or a clear error."""
    with pytest.raises(UnreachableError):
        Client(1).get(url)


def test_a_body_that_is_not_what_it_says() -> None:
    """Text that claims to be gzip and is not reads as nothing."""
    assert Answer("http://x/", 200, (("content-encoding", "gzip"),), b"plain").text == ""


def test_nobody_listens(runs: Runs) -> None:
    """No site at all is exit code 2, in one line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    result = runs.look(url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Error: {url} gives no answer: " in result.stderr


def test_a_certificate_that_is_not_trusted(runs: Runs, certificate: Path) -> None:
    """It is not looked past, and named."""
    result = runs.look(runs.serve(certificate=certificate))
    assert result.exit_code == 2
    assert "its certificate is not trusted" in result.stderr


def test_a_redirect_without_end(runs: Runs) -> None:
    """Five redirects are followed, not more."""
    asked_for: list[str] = []

    def around(_app: Wsgi) -> Wsgi:
        def serve(environ: dict[str, Any], start: Any) -> Any:
            asked_for.append(environ["PATH_INFO"])
            start("302 Found", [("Location", "/again")])
            return []

        return serve

    result = runs.look(runs.serve(around))
    assert (result.exit_code, len(asked_for)) == (2, MAX_REDIRECTS + 1)


def test_an_answer_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, the whole does not: that is the end of it."""
    ticks = iter(range(0, 1_000, 5))
    monkeypatch.setattr(
        "consent_middleware.cli.fetching.time", SimpleNamespace(monotonic=lambda: next(ticks))
    )

    def app(_environ: dict[str, Any], start: Any) -> Any:
        start("200 OK", [("Content-Type", "text/html")])
        return iter(lambda: b"x", b"")

    with served(app) as origin, pytest.raises(UnreachableError, match="it did not come within 8 s"):
        Client(8).get(origin)


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nshort", b"SSH-2.0-x\r\n"],
    ids=["silence", "half", "no HTTP"],
)
def test_an_answer_that_is_none(sent: bytes) -> None:
    """A server that says nothing, half of it or something else is an error, in bounded time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(sent)
                connection.recv(65_536)
                if not sent:
                    connection.recv(1)  # until the other side has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UnreachableError):
            Client(0.2).get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


def test_a_body_without_end_is_read_to_a_bound(runs: Runs) -> None:
    """Of a page that never ends a megabyte is read."""

    def around(_app: Wsgi) -> Wsgi:
        def serve(_environ: dict[str, Any], start: Any) -> Any:
            start("200 OK", [("Content-Type", "text/html")])
            return iter(lambda: b"x" * 65_536, b"")

        return serve

    assert len(Client(30).get(runs.serve(around)).body) == 1_048_576


@pytest.mark.parametrize(
    "url", ["ftp://shop.example", "https://", "https://me:secret@shop.example", "https://x:99999"]
)
def test_no_address(runs: Runs, url: str) -> None:
    """What is no address of a site is a wrong use."""
    result = runs.look(url)
    assert result.exit_code == 2
    assert "is no address such as https://shop.example" in result.stderr


def test_a_faulty_declaration_comes_first(runs: Runs) -> None:
    """With a declaration that cannot be used there is nothing to compare with."""
    (runs.folder / "consent.toml").write_text("[site]\n", "utf-8")
    result = runs.look("http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "faults in the consent configuration" in result.stderr
