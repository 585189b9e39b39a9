"""Plain ASGI and WSGI apps as their developers write them, and what every site uses: mypy --strict must take it.

Nothing to run (make types). A line with ``type: ignore`` is wrong use, and its comment would be an error of its own
if mypy did not find what it names.
"""

from collections.abc import Iterable, Mapping
from typing import Any, assert_type
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from hypercorn.typing import ASGIFramework
from litestar import Litestar
from markupsafe import Markup
from quart import Quart
from sanic import Sanic
from starlette.types import ASGIApp

from consent_middleware import (
    ConfigError,
    Consent,
    ConsentConfig,
    ConsentError,
    ConsentRecord,
    ConsentRequest,
    Fault,
    LateChangeError,
    Person,
    Records,
    Snapshot,
    StoreError,
    UnknownIdError,
    asgi,
    load_config,
    wsgi,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from consent_middleware.site import Site

KEYS = ("old" * 16, "new" * 16)


# -- hooks


def region(request: ConsentRequest) -> str | None:
    """Believe the delivery network."""
    assert_type(request.headers, Mapping[str, str])
    assert_type(request.client, str | None)
    return request.headers.get("cf-ipcountry")


async def region_later(request: ConsentRequest) -> str:
    """Ask somebody."""
    return request.cookies.get("country", "DE")


def skip(request: ConsentRequest) -> bool:
    """Leave the banner out of a kiosk's pages."""
    return request.path.startswith("/kiosk/") and request.method == "GET" and request.host != "shop.example"


async def skip_later(request: ConsentRequest) -> bool:
    """The same, awaited."""
    return skip(request)


class Ages:
    """A hook may be an object."""

    def __call__(self, request: ConsentRequest) -> str:
        """Look the visitor's age up."""
        return "13_15" if request.scheme == "https" else "unknown"


def kept(record: ConsentRecord) -> int:
    """Tell a queue; what it returns does not matter."""
    return len(record.record_id)


async def kept_later(record: ConsentRecord) -> None:
    """The same, awaited."""
    assert_type(record.subject_id, str | None)


# -- ASGI


async def asgi_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Stand for a site, typed by asgiref."""
    assert_type((scope, receive, send), tuple[Scope, ASGIReceiveCallable, ASGISendCallable])


opted_out: list[ConsentRecord] = []
plain_asgi = asgi.ConsentMiddleware(
    asgi_app,
    config={"site": {"name": "Shop"}},
    secret_key=KEYS,
    region=region,
    age_class=Ages(),
    subject=lambda request: request.cookies.get("account"),
    skip=skip,
    nonce=lambda request: request.headers.get("x-nonce"),
    on_change=kept,
    on_opt_out=opted_out.append,
)
awaited_asgi = asgi.ConsentMiddleware(
    plain_asgi,
    region=region_later,
    age_class=region_later,
    subject=region_later,
    skip=skip_later,
    nonce=region_later,
    on_change=kept_later,
    on_opt_out=kept_later,
)
assert_type(awaited_asgi.site, Site)
# As servers and frameworks type what they take.
as_asgiref: ASGI3Application = plain_asgi
as_hypercorn: ASGIFramework = plain_asgi
as_starlette: ASGIApp = plain_asgi
wrapped = [
    asgi.ConsentMiddleware(app) for app in (Litestar([]), Sanic("shop"), Quart(__name__), Quart("x").asgi_app)
]

asgi.ConsentMiddleware(asgi_app, region=lambda _: 49)  # type: ignore[arg-type, return-value]
asgi.ConsentMiddleware(asgi_app, region=skip)  # type: ignore[arg-type]
asgi.ConsentMiddleware(asgi_app, skip=region_later)  # type: ignore[arg-type]
asgi.ConsentMiddleware(asgi_app, on_change=region)  # type: ignore[arg-type]
asgi.ConsentMiddleware(asgi_app, on_chnage=kept)  # type: ignore[call-arg]
asgi.ConsentMiddleware(asgi_app, None, KEYS, region)  # type: ignore[call-arg]
asgi.ConsentMiddleware(asgi_app, secret_key=[b"key"])  # type: ignore[list-item]
asgi.ConsentMiddleware(asgi_app, config=["consent.toml"])  # type: ignore[arg-type]


# -- WSGI


def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read consent, as typed by the standard library."""
    consent: Consent = environ["consent_middleware.consent"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(consent.granted).encode()]


plain_wsgi = wsgi.ConsentMiddleware(
    wsgi_app,
    "consent.toml",
    "k" * 32,
    region=region,
    age_class=Ages(),
    subject=lambda request: request.cookies.get("account"),
    skip=skip,
    nonce=lambda request: request.headers.get("x-nonce"),
    on_change=kept,
    on_opt_out=print,
)
as_wsgi: WSGIApplication = plain_wsgi

wsgi.ConsentMiddleware(wsgi_app, region=region_later)  # type: ignore[arg-type]
wsgi.ConsentMiddleware(wsgi_app, skip=skip_later)  # type: ignore[arg-type]
wsgi.ConsentMiddleware(asgi_app)  # type: ignore[arg-type]
asgi.ConsentMiddleware(wsgi_app)  # type: ignore[arg-type]


# -- in a request


def read(consent: Consent) -> None:
    """Use all that a consent has."""
    assert_type(consent.allows("analytics"), bool)
    assert_type(consent.answered, bool)
    assert_type(consent.granted, frozenset[str])
    assert_type(consent.signals, Signals)
    assert_type(consent.signals.gpc, bool)
    assert_type(consent.regime, Regime)
    assert_type(consent.reasons, Mapping[str, str])
    assert_type(consent.preferences_url, str)
    assert_type(consent.language, str)
    assert_type(consent.site, Site)
    assert_type(consent.link("Cookies", language="en"), Markup)
    assert_type(consent.snapshot(), Snapshot)
    consent.identify("user-42")
    consent.identify(None)
    consent.update({"analytics": True, "youtube": False})
    consent.allows(7)  # type: ignore[arg-type]
    consent.identify(42)  # type: ignore[arg-type]
    consent.update(["analytics"])  # type: ignore[arg-type]
    consent.update({"analytics": "yes"})  # type: ignore[dict-item]
    consent.answered = True  # type: ignore[misc]
    consent.grants("analytics")  # type: ignore[attr-defined]


def in_a_job(snapshot: Snapshot, records: Records) -> None:
    """Outside of a request."""
    assert_type(snapshot.allows("analytics"), bool)
    assert_type(snapshot.subject, str | None)
    assert_type(records.latest_choice("user-42"), Snapshot | None)
    assert_type(records.history(Person(subject="user-42")), dict[str, Any])
    assert_type(records.erase(Person(principal="x")), int)
    snapshot.at = 0  # type: ignore[misc]


def own_hook(request: ConsentRequest) -> None:
    """A request cannot be changed."""
    request.method = "GET"  # type: ignore[misc]
    request.headers["dnt"] = "1"  # type: ignore[index]


# -- the declaration


def declare() -> ConsentConfig:
    """Read a declaration from everything that it may come from."""
    config = load_config({"site": {"name": "Shop"}}, {"CONSENT_MODE": "report"})
    assert_type(config, ConsentConfig)
    assert_type(config.site.name, str)
    assert_type(config.site.languages, list[str])
    assert_type(config.records.url, str)
    load_config(7)  # type: ignore[arg-type]
    _ = config.site.nmae  # type: ignore[attr-defined]
    return load_config(config)


def mend() -> tuple[Fault, ...]:
    """Say what is wrong."""
    try:
        declare()
    except ConfigError as error:
        assert_type(error.source, str)
        assert_type(
            [(fault.path, fault.problem, fault.hint) for fault in error.faults], list[tuple[str, str, str]]
        )
        return error.faults
    except UnknownIdError as error:
        assert_type(error.id, str)
        assert_type(error.known, tuple[str, ...])
    except (LateChangeError, StoreError) as error:
        as_root: ConsentError = error
        raise as_root from None
    return ()
