"""A Flask site as its developer writes it: mypy --strict must take it, and refuse what is marked (see typed_core)."""

from typing import assert_type

import flask
from flask.typing import ResponseReturnValue

from consent_middleware import Consent as VisitorConsent
from consent_middleware import ConsentRecord, ConsentRequest
from consent_middleware.flask import Consent, get_consent, requires_consent
from consent_middleware.wsgi import ConsentMiddleware


def region(request: ConsentRequest) -> str | None:
    """Believe the delivery network."""
    return request.headers.get("cf-ipcountry")


async def region_later(_request: ConsentRequest) -> str:
    """No hook for Flask: WSGI cannot await it."""
    return "DE"


def nonce(_request: ConsentRequest) -> str:
    """Return what a view has made."""
    made: str = flask.g.nonce
    return made


def kept(record: ConsentRecord) -> None:
    """Tell somebody."""
    assert_type(record.record_id, str)


app = flask.Flask(__name__)
Consent(app)
consent = Consent(
    region=region,
    age_class=lambda _: "adult",
    subject=lambda request: request.cookies.get("account"),
    skip=lambda request: request.path == "/kiosk",
    nonce=nonce,
    on_change=kept,
    on_opt_out=kept,
)


def create_app() -> flask.Flask:
    """Make an app."""
    made = flask.Flask(__name__)
    consent.init_app(made)
    return made


@app.get("/")
def home() -> str:
    """Read consent: Flask types nothing on g, so say what it is, or ask for it with its type."""
    mine: VisitorConsent = flask.g.consent
    assert_type(get_consent(), VisitorConsent)
    return "yes" if mine.allows("analytics") else "no"


def instead(item: int) -> ResponseReturnValue:
    """Answer who did not agree."""
    return f"not {item}", 200


async def instead_later(item: int) -> str:
    """The same, awaited."""
    return f"not {item}"


@app.get("/plain/<int:item>")
@requires_consent("analytics")
def plain(item: int) -> ResponseReturnValue:
    """Keep the view's own type."""
    return {"item": item}


@app.get("/other/<int:item>")
@requires_consent("analytics", otherwise=instead)
def other(item: int) -> str:
    """Answer otherwise."""
    return str(item)


@app.get("/later/<int:item>")
@requires_consent("analytics", otherwise=instead_later)
async def later(item: int) -> str:
    """A view that is awaited."""
    return str(item)


other(7)
other("seven")  # type: ignore[arg-type]
requires_consent(["analytics"])  # type: ignore[arg-type]
requires_consent("analytics", instead)  # type: ignore[call-arg]
requires_consent("analytics", otherwise="instead")  # type: ignore[arg-type]
requires_consent("analytics")(object)  # type: ignore[type-var]
Consent(region=region_later)  # type: ignore[arg-type]
Consent(region)  # type: ignore[arg-type]
Consent(config="consent.toml")  # type: ignore[call-arg]
Consent().init_app(ConsentMiddleware(app.wsgi_app))  # type: ignore[arg-type]
