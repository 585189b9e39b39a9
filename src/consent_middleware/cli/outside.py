"""A look at a deployed site from outside, as visitors and their browsers see it.

Asks for the page, its files, what is said of signals, and our own pages; `refusing` then says no and looks again.
Whatever stands before the app (proxy, cache, CDN) is part of what is looked at.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consent_middleware.cli.fetching import UnreachableError, join
from consent_middleware.cli.findings import fault, fine, warning
from consent_middleware.cli.refusing import refuse
from consent_middleware.cli.visits import NAVIGATION, State, Visit, read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from consent_middleware.cli.fetching import Client
    from consent_middleware.cli.findings import Expected, Finding

__all__ = ["look"]

_PRIVATE = re.compile(r"(?:^|,)\s*(?:private|no-store)\s*(?:,|\Z)", re.IGNORECASE)
_TYPES = {"js": {"text/javascript", "application/javascript"}, "css": {"text/css"}, "svg": {"image/svg+xml"}}
_LOCATION = (
    "In nginx:  location ^~ {path}/ {{ proxy_pass ...; }}  stands before every location for *.js and *.css."
)


def look(client: Client, url: str, expected: Expected, *, answers: bool) -> Iterator[Finding]:
    """Yield what is found, as it is found.

    Args:
        url: A page of the site.
        answers: Whether to send a refusal, which the site records.

    Raises:
        UnreachableError: The page gives no answer at all.
    """
    visit = Visit(client.follow(url, NAVIGATION))
    yield from _way(client, url, visit)
    base = visit.base(expected.path)
    yield from _page(visit)
    state = _state(client, base, {})
    if state is None:
        yield _no_state(visit, base)
        return
    yield from _rest(client, visit, expected, state)
    if answers:
        yield from _in_words(lambda: refuse(client, visit, base, expected), "the refusal")


def _rest(client: Client, visit: Visit, expected: Expected, state: State) -> Iterator[Finding]:
    base = visit.base(expected.path)
    if visit.is_ours:
        yield from _banner(visit, state)
        yield from _caching(visit)
        yield from _in_words(lambda: _files(client, visit, base), "the static files")
    escaping = expected.escaping(visit.hops, state.granted)
    yield from escaping or [fine("Without an answer no cookie is set that needs one.")]
    yield from _in_words(lambda: _gpc(client, visit, base, expected), "Global Privacy Control")
    yield from _in_words(lambda: _own_pages(client, base, expected), "the middleware's own pages")


def _in_words(part: Callable[[], Iterator[Finding]], what: str) -> Iterator[Finding]:
    """Yield what a part finds; an address without an answer is a finding, too."""
    try:
        yield from part()
    except UnreachableError as error:
        yield fault(f"{error}", f"So {what} could not be looked at further.")


def _state(client: Client, base: str, headers: Mapping[str, str]) -> State | None:
    """Return what the site says of who sends these headers, None where it does not say."""
    try:
        return State.read(client.get(f"{base}/state.json", headers))
    except UnreachableError:
        return None


# -- the way to the page, and the page


def _way(client: Client, url: str, visit: Visit) -> Iterator[Finding]:
    parts, asked = urlsplit(visit.page.url), urlsplit(url)
    if parts.netloc.lower() != asked.netloc.lower():
        yield warning(
            f"{url} leads to {visit.page.url}, which is looked at.",
            "Name that one; another host has cookies of its own.",
        )
    if parts.scheme == "http":
        yield from _plain_http(parts.hostname or "")
    elif parts.port in {None, 443}:
        yield from _beside(client, parts.hostname or "")


def _plain_http(host: str) -> Iterator[Finding]:
    if _is_here(host):
        yield fine("This is plain HTTP, on this machine: the cookie is called consent, and is not Secure.")
        return
    yield fault(
        "The site answers over plain HTTP: anybody on the way can read and change the visitor's answer.",
        "Serve it over HTTPS, and redirect there. The cookie is then __Host-consent, and Secure.",
    )


def _beside(client: Client, host: str) -> Iterator[Finding]:
    """Look at what plain HTTP answers; nothing is fine."""
    with suppress(UnreachableError):
        answer = client.get(f"http://{host}/", NAVIGATION)
        leads = answer.status in {301, 302, 303, 307, 308}
        if leads and answer.get("location").startswith("https://"):
            yield fine("Plain HTTP redirects to HTTPS.")
        elif answer.status < 400:
            yield warning(
                "The site answers over plain HTTP, too.",
                "Redirect to HTTPS: return 308 https://$host$request_uri;",
            )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _page(visit: Visit) -> Iterator[Finding]:
    page = visit.page
    if page.status >= 400 or page.media_type not in {"text/html", "application/xhtml+xml"}:
        kind = page.media_type or "nothing that says what it is"
        yield fault(
            f"{page.url} answers {page.status}, {kind}.", "Give --url the address of a page of the site."
        )
    elif visit.is_ours:
        yield fine("The page holds the loader.")
    else:
        yield fault(
            "The page does not hold the middleware's loader.",
            "Is the middleware around the app that serves it? A page that a cache kept from before, one compressed with "
            "brotli inside the app, and one that the skip hook leaves out have none either.",
        )


def _no_state(visit: Visit, base: str) -> Finding:
    path = urlsplit(base).path
    if visit.is_ours:
        return fault(
            f"{base}/state.json does not answer, so nothing else works.", _LOCATION.format(path=path)
        )
    return fault(
        f"{base}/state.json does not answer either: the middleware is not there.",
        "Paste the lines that `consent-middleware init` prints, and deploy. If [site] path is set, give --config.",
    )


def _banner(visit: Visit, state: State) -> Iterator[Finding]:
    if visit.asks == state.prompt or visit.is_shared:
        yield fine(
            f"The banner {'is there' if visit.asks else 'is not needed'}: the regime is {state.regime}."
        )
    elif state.prompt:
        yield warning(
            "The page does not hold the banner, though visitors here have to be asked.",
            "Is this page in [banner] exclude, or left out by the skip hook? Or did a cache keep it from somebody else?",
        )
    else:
        yield fault("The page asks a visitor who need not be asked.", _CACHE)


_CACHE = (
    "A cache before the app keeps pages that are one visitor's own: let it obey Cache-Control: private "
    "(nginx: no proxy_ignore_headers, no proxy_hide_header)."
)


def _caching(visit: Visit) -> Iterator[Finding]:
    page = visit.page
    control, vary = page.get("cache-control"), page.get("vary").lower()
    if visit.is_shared:
        yield fine("The page is the same for everybody: a cache may keep it.")
        return
    if page.get("age").strip() not in {"", "0"}:
        yield fault(f"The page is one visitor's own, and came from a cache (Age: {page.get('age')}).", _CACHE)
    elif not _PRIVATE.search(control):
        said = f"Cache-Control: {control}" if control else "no Cache-Control"
        yield fault(
            f"The page is one visitor's own, but says {said}: caches may keep it for everybody.",
            "Something after the app changes the header: set caching headers in the app, or for static files alone.",
        )
    else:
        yield fine(f"The page is one visitor's own, and no shared cache keeps it (Cache-Control: {control}).")
    missing = [name for name in ("Cookie", "Sec-GPC") if name.lower() not in vary and "*" not in vary]
    if missing:
        yield warning(
            f"The page does not say Vary: {', '.join(missing)}.", "Let the app's Vary header through."
        )


def _files(client: Client, visit: Visit, base: str) -> Iterator[Finding]:
    mend = _LOCATION.format(path=urlsplit(base).path)
    wrong = 0
    for url in visit.files:
        answer = client.get(url)
        path = urlsplit(url).path
        types = _TYPES.get(path.rpartition(".")[2], set())
        if answer.status != 200 or (types and answer.media_type not in types):
            wrong += 1
            kind = answer.media_type or "without a type"
            yield fault(f"{path} answers {answer.status}, {kind}: banner and guard do not run.", mend)
        elif "immutable" not in answer.get("cache-control"):
            wrong += 1
            yield warning(
                f"{path} is not immutable, but {answer.get('cache-control') or 'without Cache-Control'}.",
                "Servers with another version or declaration answer beside this one, or a proxy changes the header.",
            )
    if not wrong:
        yield fine(f"{len(visit.files)} static files answer, and browsers may keep them.")


# -- signals, and our own pages


def _gpc(client: Client, visit: Visit, base: str, expected: Expected) -> Iterator[Finding]:
    if not expected.config.signals.gpc:
        return
    signal = {"Sec-GPC": "1"}
    state = _state(client, base, signal) or State()
    if not state.gpc:
        yield fault(
            "Sec-GPC: 1 does not reach the app, so Global Privacy Control is not honoured.",
            "Let the proxy or CDN pass the request header Sec-GPC on, and vary by it.",
        )
        return
    shares = (expected.catalog.shares if expected.is_known else {"marketing"}) & state.granted
    if shares:
        yield fault(
            f"In spite of Sec-GPC: 1, {', '.join(sorted(shares))} may run.",
            "Deploy the consent.toml that is here.",
        )
    else:
        yield fine("Global Privacy Control is honoured: nothing that sells or shares may run.")
    signalled = Visit(client.follow(visit.page.url, NAVIGATION | signal))
    if signalled.is_ours and not signalled.is_shared and signalled.asks != state.prompt:
        yield fault("The page with Sec-GPC: 1 is the one without.", _CACHE)
    yield from expected.escaping(signalled.hops, state.granted)
    yield _well_known(client, visit)


def _well_known(client: Client, visit: Visit) -> Finding:
    found = read_object(client.get(f"{visit.origin}/.well-known/gpc.json"))
    if found.get("gpc") is True and isinstance(found.get("lastUpdate"), str):
        return fine(f"/.well-known/gpc.json says that signals are honoured, since {found['lastUpdate']}.")
    return fault(
        "/.well-known/gpc.json does not say that Global Privacy Control is honoured.",
        "In nginx:  location = /.well-known/gpc.json { proxy_pass ...; }  beside a location for /.well-known/. And an app "
        "that answers every address itself has to answer this one 404, since it is asked first.",
    )


def _own_pages(client: Client, base: str, expected: Expected) -> Iterator[Finding]:
    wrong = 0
    for name in ("preferences", "policy"):
        answer = client.get(f"{base}/{name}")
        path = urlsplit(base).path
        if answer.status != 200 or answer.media_type != "text/html":
            wrong += 1
            yield fault(
                f"{path}/{name} answers {answer.status}, {answer.media_type}.", _LOCATION.format(path=path)
            )
        elif name == "preferences" and not _PRIVATE.search(answer.get("cache-control")):
            wrong += 1
            yield fault(f"{path}/{name} may be kept by caches, with a visitor's answer in it.", _CACHE)
    if not wrong:
        yield fine("The preferences and the cookie policy answer.")
    if expected.is_known and (url := expected.config.site.policy_url):
        status = client.follow(join(base, url), NAVIGATION)[-1].status
        if status >= 400:
            yield warning(
                f"{url}, to which the banner links, answers {status}.",
                "Set [site] policy_url to your privacy policy.",
            )
