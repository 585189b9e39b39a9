"""A Django site as its developer writes it: mypy --strict must take it, and refuse what is marked (see typed_core)."""

from pathlib import Path
from typing import assert_type

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import Context
from django.utils.safestring import SafeString

from consent_middleware import Consent, ConsentRecord, ConsentRequest, asgi, load_config, wsgi
from consent_middleware.django import ConsentMiddleware, ConsentSettings, consent_options, get_consent
from consent_middleware.django.templatetags.consent import consent_link, consent_placeholder


class ConsentHttpRequest(HttpRequest):
    """A request that ConsentMiddleware has seen."""

    consent: Consent


def region(request: ConsentRequest) -> str | None:
    """Ask Django's request, which a hook finds in `raw`."""
    inner: HttpRequest = request.raw
    return inner.headers.get("cf-ipcountry")


async def subject(request: ConsentRequest) -> str | None:
    """Hooks may be awaitable under WSGI, too."""
    return request.cookies.get("account")


def kept(record: ConsentRecord) -> None:
    """Tell somebody."""
    assert_type(record.record_id, str)


CONSENT: ConsentSettings = {
    "config": Path("consent.toml"),
    "secret_key": ["old", "new"],
    "region": region,
    "age_class": "shop.consent.age_class",
    "subject": subject,
    "skip": lambda request: request.path == "/kiosk/",
    "nonce": region,
    "on_change": kept,
    "on_opt_out": "shop.consent.on_opt_out",
}
AS_DICT: ConsentSettings = {"config": {"site": {"name": "Shop"}}}
READ: ConsentSettings = {"config": load_config("consent.toml"), "secret_key": "k" * 32}
NONE: ConsentSettings = {}

MISSPELT: ConsentSettings = {"confg": "consent.toml"}  # type: ignore[typeddict-unknown-key]
NO_CONFIG: ConsentSettings = {"config": 7}  # type: ignore[typeddict-item]
NO_HOOK: ConsentSettings = {"skip": region}  # type: ignore[typeddict-item]


def home(request: ConsentHttpRequest) -> HttpResponse:
    """Read consent from a typed request."""
    assert_type(request.consent, Consent)
    request.consent.allows(7)  # type: ignore[arg-type]
    return HttpResponse("yes" if request.consent.allows("analytics") else "no")


async def later(request: HttpRequest) -> HttpResponse:
    """Ask for it where the request is Django's own."""
    assert_type(get_consent(request), Consent)
    return HttpResponse(request.consent)  # type: ignore[attr-defined]


def footer(context: Context) -> SafeString:
    """Use the tags from Python."""
    assert_type(consent_link(context, "Cookies", rel="nofollow"), SafeString)
    return consent_placeholder("youtube", "https://www.youtube.com/embed/x", title="How we roast")


consent_placeholder("youtube")  # type: ignore[call-arg]
get_consent("/")  # type: ignore[arg-type]

over_wsgi = wsgi.ConsentMiddleware(WSGIHandler(), **consent_options())
over_asgi = asgi.ConsentMiddleware(ASGIHandler(), **consent_options())
inside = ConsentMiddleware(later)
