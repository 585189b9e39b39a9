"""Saying no to a deployed site, as a visitor does, and looking whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from consent_middleware.cli.fetching import join, origin_of
from consent_middleware.cli.findings import fault, fine, warning
from consent_middleware.cli.visits import NAVIGATION, State, Visit
from consent_middleware.cookies import set_cookie_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.cli.fetching import Answer, Client
    from consent_middleware.cli.findings import Expected, Finding

__all__ = ["refuse"]

_DEPLOY = "Deploy the consent.toml that is here, or give --config the deployed one."
_ASKED = 4  # several workers take turns
_PINNED = 'set [site] origins = ["{origin}"] in consent.toml'
_TRUSTED = "or let the server believe its proxy (uvicorn and gunicorn: --forwarded-allow-ips; nginx: proxy_set_header Host $http_host)."


def refuse(client: Client, visit: Visit, base: str, expected: Expected) -> Iterator[Finding]:
    """Yield what comes of *Reject all*, which the site records as it does a visitor's.

    Args:
        base: Below which our own pages are.

    Raises:
        UnreachableError: An address gives no answer.
    """
    origin = visit.origin
    form = urlencode({"action": "reject_all", "next": urlsplit(visit.page.url).path or "/"})
    answer = client.post(f"{base}/choice", form, {"Origin": origin})
    if answer.status == 403:
        # Newer browsers say that it is the same origin, whatever the app takes its host to be.
        answer = client.post(f"{base}/choice", form, {"Origin": origin, "Sec-Fetch-Site": "same-origin"})
        if answer.status == 303:
            yield _foreign(origin)
    if answer.status != 303:
        yield _not_taken(answer, base)
        return
    if origin_of(join(answer.url, answer.get("location"))) != origin:
        yield fault(
            f"After Reject visitors are sent to {answer.get('location')}.",
            "Let the proxy leave Location as it is.",
        )
    name, found = _cookie(answer, expected, secure=origin.startswith("https:"))
    yield from found
    if name:
        yield from _afterwards(client, visit, base, expected, {"Cookie": name})


def _foreign(origin: str) -> Finding:
    return warning(
        f"Reject from {origin} is answered 403 to browsers that do not send Sec-Fetch-Site.",
        f"The app takes the site to be at another address: {_PINNED.format(origin=origin)}, {_TRUSTED}",
    )


def _not_taken(answer: Answer, base: str) -> Finding:
    words = " ".join(answer.text.split())[:120] if answer.media_type == "text/plain" else answer.media_type
    path = urlsplit(base).path
    return fault(
        f"Reject does not work: POST {path}/choice answers {answer.status} ({words}).",
        f"Let everything below {path}/ through to the app, with every method.",
    )


def _cookie(answer: Answer, expected: Expected, *, secure: bool) -> tuple[str, list[Finding]]:
    """Return the cookie that keeps the answer, as the browser sends it back, and what is found of it."""
    ours = [raw for raw in answer.all("set-cookie") if expected.is_own_anywhere(_name(raw))]
    raw = next((raw for raw in ours if expected.is_own(_name(raw), secure=secure)), "")
    if not raw and ours and secure and not _name(ours[0]).startswith("__"):
        mend = f"The app does not know that it is behind HTTPS: {_PINNED.format(origin=origin_of(answer.url))}, {_TRUSTED}"
        return "", [
            fault(f"The answer is kept in {_name(ours[0])!r}, without Secure, though this is HTTPS.", mend)
        ]
    if not raw and ours:
        seen = f"The answer is kept in {_name(ours[0])!r}, which is not the name by the consent.toml here."
        return "", [fault(seen, _DEPLOY)]
    if not raw:
        return "", [
            fault("After Reject no cookie comes, so visitors are asked again.", "Let Set-Cookie through.")
        ]
    attributes = {part.strip().partition("=")[0].lower() for part in raw.split(";")[1:]}
    found = []
    if secure and "secure" not in attributes:
        found.append(
            fault(f"{_name(raw)} is not Secure.", "Something changes cookies (nginx: proxy_cookie_flags).")
        )
    if "httponly" in attributes:
        found.append(
            fault(
                f"{_name(raw)} is HttpOnly, so the page's script takes the visitor to have said nothing.",
                "Something adds it to every cookie (nginx: proxy_cookie_flags): leave this one out. It holds no identifier.",
            )
        )
    return raw.partition(";")[0], found or [fine(f"Reject works, and is kept in {_name(raw)}.")]


def _name(raw: str) -> str:
    return set_cookie_name(raw.encode("latin-1", "replace"))


def _afterwards(
    client: Client, visit: Visit, base: str, expected: Expected, cookie: dict[str, str]
) -> Iterator[Finding]:
    states = [State.read(client.get(f"{base}/state.json", cookie)) or State() for _ in range(_ASKED)]
    if not all(state.answered for state in states):
        yield fault(
            "The answer is not believed everywhere.",
            "Each worker and server needs the same CONSENT_SECRET_KEY and the same consent.toml; and state.json must "
            "come from no cache.",
        )
        return
    granted = frozenset[str]().union(*(state.granted for state in states))
    running = granted - expected.always if expected.is_known else granted & {"marketing", "analytics"}
    if running:
        yield fault(f"After Reject {', '.join(sorted(running))} may run.", _DEPLOY)
    after = Visit(client.follow(visit.page.url, NAVIGATION | cookie))
    if after.is_ours and after.asks and not after.is_shared:
        yield fault(
            "The page asks again after Reject.",
            "A cache before the app gives everybody the same copy: let it obey Cache-Control: private.",
        )
    escaping = expected.escaping(after.hops, granted)
    yield from escaping
    if not running and not escaping:
        yield fine("After Reject nothing runs and no cookie is set that needs consent.")
