"""A Starlette or FastAPI site as its developer writes it: mypy --strict must take it, and refuse what is marked (see typed_core)."""

from typing import assert_type

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket

from consent_middleware import Consent
from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.starlette import (
    ConsentDep,
    ConsentRequired,
    consent_context,
    get_consent,
    requires_consent,
)

app = FastAPI()
app.add_middleware(ConsentMiddleware, config="consent.toml", secret_key="k" * 32)
templates = Jinja2Templates(directory="templates", context_processors=[consent_context])


@app.get("/", dependencies=[Depends(requires_consent("marketing"))])
async def home(consent: ConsentDep) -> dict[str, bool]:
    """Read consent."""
    assert_type(consent, Consent)
    return {"analytics": consent.allows("analytics")}


@app.exception_handler(ConsentRequired)
async def ask(_request: Request, error: ConsentRequired) -> JSONResponse:
    """Say what is missing."""
    return JSONResponse({"unit": error.unit, "where": error.preferences_url}, error.status_code)


async def chat(websocket: WebSocket) -> None:
    """Read the consent of the handshake."""
    assert_type(await get_consent(websocket), Consent)


wrapped = ConsentMiddleware(Starlette(), "consent.toml", ["old" * 16, "new" * 16])

requires_consent(["marketing"])  # type: ignore[arg-type]
app.add_middleware(ConsentMiddleware, confg="consent.toml")  # type: ignore[call-arg]
Starlette(middleware=[Middleware(ConsentMiddleware, region=len)])  # type: ignore[arg-type]
