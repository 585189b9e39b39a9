"""FastAPI in real apps: dependencies, a clean schema, the documentation's pages, and log-ins that stay untouched."""

import functools
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import jwt
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Request,
    Response,
    WebSocket,
)
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, CookieTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher

from consent_middleware import Consent
from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.consent import unanswered
from consent_middleware.starlette import ConsentDep, ConsentRequired, get_consent, requires_consent
from helpers_starlette import PAGE, SECRET, Browser, converse, plain

BANNER = 'id="consent-banner"'


def added(app: FastAPI, **declared: Any) -> Any:
    """Return the app with the middleware added."""
    app.add_middleware(ConsentMiddleware, config=plain(**declared), secret_key=SECRET)
    return app


def wrapped(app: FastAPI, **declared: Any) -> Any:
    """Return the middleware round the app."""
    return ConsentMiddleware(app, plain(**declared), SECRET)


BUILD = pytest.mark.parametrize("build", [added, wrapped])
Build = Callable[..., Any]


def shop() -> FastAPI:
    """Return an app that asks for consent in every way."""
    app = FastAPI()

    @app.get("/depends")
    async def depends(consent: Annotated[Consent, Depends(get_consent)]) -> bool:
        return consent.allows("analytics")

    @app.get("/short")
    async def short(consent: ConsentDep) -> bool:
        return consent.allows("analytics")

    @app.get("/plain")
    def in_a_thread(consent: ConsentDep, item: int = 0) -> bool:
        return consent.allows("analytics") and not item

    @app.get("/state")
    async def state(request: Request) -> bool:
        return bool(request.state.consent.allows("analytics"))

    @app.get("/needs", dependencies=[Depends(requires_consent("analytics"))])
    async def needs() -> bool:
        return True

    @app.get("/given")
    async def given(consent: Annotated[Consent, Depends(requires_consent("google-analytics"))]) -> bool:
        return consent.answered

    @app.post("/account")
    async def account(consent: ConsentDep) -> None:
        consent.update({"analytics": True})

    @app.get("/page", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE

    return app


ASKING = ["/depends", "/short", "/plain", "/state"]


@BUILD
@pytest.mark.parametrize("path", ASKING)
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_dependency_gives_consent(build: Build, path: str, loop: str) -> None:
    """`Depends(get_consent)`, `ConsentDep` and the state say the same, before and after an answer."""
    browser = Browser(build(shop()), loop=loop)
    before = browser.fetch(path).json()
    browser.choose()
    assert (before, browser.fetch(path).json()) == (False, True)


@BUILD
def test_a_choice_in_an_endpoint_holds(build: Build) -> None:
    """`consent.update()` sets its cookie on that response."""
    browser = Browser(build(shop()))
    assert browser.request("POST", "/account").headers["set-cookie"].startswith("__Host-consent=")
    assert browser.fetch("/short").json() is True


@BUILD
@pytest.mark.parametrize("path", ["/needs", "/given"])
def test_a_route_may_need_a_consent(build: Build, path: str) -> None:
    """403 with FastAPI's `detail` until the visitor agrees."""
    browser = Browser(build(shop()))
    refused = browser.fetch(path)
    browser.choose()
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("This needs the visitor's consent: ")
    assert browser.fetch(path).json() is True


def test_a_handler_shows_a_page_instead() -> None:
    """`ConsentRequired` can be answered with what the site likes."""
    app = shop()

    @app.exception_handler(ConsentRequired)
    async def ask(_request: Request, error: ConsentRequired) -> HTMLResponse:
        return HTMLResponse(
            f'<html><body><a href="{error.preferences_url}">{error.unit}</a></body></html>', 403
        )

    text = Browser(wrapped(app)).visit("/needs").text
    assert '<a href="/_consent/preferences">analytics</a>' in text
    assert BANNER in text


def test_a_dependency_can_be_overridden_in_tests() -> None:
    """Both forms ask through `get_consent`, so one override serves a site's own tests."""
    app = shop()
    app.dependency_overrides[get_consent] = unanswered
    browser = Browser(wrapped(app))
    browser.choose()
    assert [browser.fetch(path).json() for path in ASKING] == [False, False, False, True]


def test_a_route_without_a_middleware_is_no_error() -> None:
    """Nobody has answered there."""
    browser = Browser(shop())
    assert [browser.fetch(path).json() for path in ("/depends", "/short")] == [False, False]
    assert browser.fetch("/needs").status_code == 403


@BUILD
def test_the_schema_stays_clean(build: Build) -> None:
    """No parameter, no cookie, no security scheme and no path of ours: the schema of the app without us."""
    app = shop()
    schema = Browser(build(app)).fetch("/openapi.json").json()
    assert sorted(schema["paths"]) == sorted([*ASKING, "/needs", "/given", "/account", "/page"])
    found = [
        parameter["name"]
        for methods in schema["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", [])
    ]
    assert found == ["item"]
    assert "securitySchemes" not in schema.get("components", {})
    assert "_consent" not in json.dumps(schema)


def test_the_schema_is_untouched_on_the_wire() -> None:
    """The same bytes and headers as without us."""
    ours, bare = Browser(wrapped(shop())).fetch("/openapi.json"), Browser(shop()).fetch("/openapi.json")
    assert (ours.content, dict(ours.headers)) == (bare.content, dict(bare.headers))


@pytest.mark.parametrize(("path", "script"), [("/docs", "swagger-ui-dist"), ("/redoc", "redoc")])
def test_the_documentations_pages_work(path: str, script: str, log: pytest.LogCaptureFixture) -> None:
    """Their script comes from jsDelivr, a host for code that is not held: it runs, and the log says once whose it is."""
    browser = Browser(wrapped(shop()))
    for _ in range(2):
        text = browser.visit(path).text
        assert f'<script src="https://cdn.jsdelivr.net/npm/{script}' in text
        assert BANNER in text
    assert len([r for r in log.records if "jsDelivr" in r.message and r.levelno == logging.WARNING]) == 1


@pytest.mark.parametrize("use", [[], ["jsdelivr"]], ids=["undeclared", "declared"])
def test_a_policy_of_ours_lets_in_what_is_declared(use: list[str]) -> None:
    """With `[csp] mode = "enforce"`, Swagger UI runs only if jsDelivr is declared."""
    browser = Browser(wrapped(shop(), use=["google-analytics", *use], csp={"mode": "enforce"}))
    policy = browser.visit("/docs").headers["content-security-policy"]
    assert ("cdn.jsdelivr.net" in policy.split()) is bool(use)


def test_the_documentations_pages_can_go_without_a_banner(log: pytest.LogCaptureFixture) -> None:
    """`[banner] exclude` and `use = ["jsdelivr"]`: no banner, no warning."""
    declared = {"use": ["google-analytics", "jsdelivr"], "banner": {"exclude": ["/docs"]}}
    text = Browser(wrapped(shop(), **declared)).visit("/docs").text
    assert BANNER not in text
    assert 'src="https://cdn.jsdelivr.net/npm/swagger-ui-dist' in text
    assert "jsDelivr" not in log.text


@BUILD
def test_a_mounted_api_shares_consent(build: Build) -> None:
    """A FastAPI app below another: one banner, one answer, its own schema clean."""
    outer = FastAPI()
    outer.mount("/api", shop())
    outer.include_router(APIRouter(prefix="/v1"), dependencies=[Depends(get_consent)])
    browser = Browser(build(outer))
    assert 'action="/_consent/choice"' in browser.visit("/api/page").text
    browser.choose()
    assert browser.fetch("/api/short").json() is True
    assert "_consent" not in browser.fetch("/api/openapi.json").text


@BUILD
@pytest.mark.filterwarnings("ignore:The `root_path` parameter")
def test_an_apps_own_root_path_counts(build: Build) -> None:
    """Behind a proxy that strips `/api`, `FastAPI(root_path="/api")`: links and forms start there, wrapped or added."""
    app = FastAPI(root_path="/api")
    app.add_api_route("/", lambda: HTMLResponse(PAGE), methods=["GET"], response_model=None)
    browser = Browser(build(app))
    assert 'action="/api/_consent/choice"' in browser.visit("/").text
    assert browser.choose().headers["location"] == "/api/"


def test_a_websocket_route_takes_the_dependencies() -> None:
    """`ConsentDep` in a websocket, and one that needs a consent is closed with 1008."""
    app = FastAPI()

    @app.websocket("/ws")
    async def chat(websocket: WebSocket, consent: ConsentDep) -> None:
        await websocket.accept()
        await websocket.send_json(consent.allows("analytics"))

    @app.websocket("/needs", dependencies=[Depends(requires_consent("analytics"))])
    async def needs(websocket: WebSocket) -> None:
        await websocket.accept()

    sent = {}
    for path in ("/ws", "/needs"):
        scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": "wss",
            "path": path,
            "query_string": b"",
            "subprotocols": [],
        }
        headers = [(b"host", b"shop.example")]
        ask = functools.partial(
            converse, wrapped(app), {**scope, "headers": headers}, [{"type": "websocket.connect"}]
        )
        sent[path] = anyio.run(ask)
    assert [message["type"] for message in sent["/ws"]][:2] == ["websocket.accept", "websocket.send"]
    assert json.loads(sent["/ws"][1]["text"]) is False
    assert [(message["type"], message["code"]) for message in sent["/needs"]] == [("websocket.close", 1008)]


@BUILD
def test_background_tasks_run_after_the_response(build: Build) -> None:
    """With the snapshot that was taken in the request."""
    app, ran = FastAPI(), []

    @app.post("/order")
    async def order(consent: ConsentDep, tasks: BackgroundTasks) -> bool:
        tasks.add_task(lambda snapshot: ran.append(snapshot.allows("marketing")), consent.snapshot())
        return True

    browser = Browser(build(app))
    browser.request("POST", "/order")
    browser.choose()
    browser.request("POST", "/order")
    assert ran == [False, True]


# -- log-ins


class User:
    """Somebody."""

    def __init__(self, email: str, hashed_password: str) -> None:
        self.id = uuid.uuid5(uuid.NAMESPACE_URL, email)
        self.email = email
        self.hashed_password = hashed_password
        self.is_active = self.is_verified = True
        self.is_superuser = False


class Users(BaseUserDatabase[User, uuid.UUID]):
    """Users in memory."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    async def get(self, id: uuid.UUID) -> User | None:  # noqa: A002 - the base's name
        """Return who has an id."""
        return next((user for user in self._users.values() if user.id == id), None)

    async def get_by_email(self, email: str) -> User | None:
        """Return who has an address."""
        return self._users.get(email)

    async def create(self, create_dict: dict[str, Any]) -> User:
        """Keep somebody."""
        user = User(create_dict["email"], create_dict["hashed_password"])
        self._users[user.email] = user
        return user


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """Lets them in, with passwords that are hashed fast instead of well."""

    def __init__(self, users: Users) -> None:
        super().__init__(users, PasswordHelper(PasswordHash((BcryptHasher(rounds=4),))))


def with_accounts(**transport: Any) -> FastAPI:
    """Return an app with FastAPI Users' cookie log-in."""
    known: dict[str, User] = {}

    async def manager() -> AsyncIterator[Manager]:
        yield Manager(Users(known))

    backend: Any = AuthenticationBackend(
        name="jwt",
        transport=CookieTransport(**transport),
        get_strategy=lambda: JWTStrategy(secret=SECRET, lifetime_seconds=3600),
    )
    accounts: Any = FastAPIUsers(manager, [backend])
    app = FastAPI()
    app.include_router(accounts.get_register_router(schemas.BaseUser, schemas.BaseUserCreate), prefix="/auth")
    app.include_router(accounts.get_auth_router(backend), prefix="/auth")

    @app.get("/me")
    async def me(user: Annotated[Any, Depends(accounts.current_user())]) -> str:
        return str(user.email)

    return app


PASSWORD = {"username": "ada@example.com", "password": "correct horse"}


def logged_in(browser: Browser) -> None:
    """Register and log in."""
    form = {"email": PASSWORD["username"], "password": PASSWORD["password"]}
    assert browser.request("POST", "/auth/register", json=form).status_code == 201
    assert browser.request("POST", "/auth/login", data=PASSWORD).status_code == 204


ANSWERS = pytest.mark.parametrize("answer", ["", "reject_all", "accept_all"])


@BUILD
@ANSWERS
def test_fastapi_users_logs_in_and_out(build: Build, answer: str) -> None:
    """Its cookie `fastapiusersauth` is known to be the site's own: it passes both ways, whatever the visitor said."""
    browser = Browser(build(with_accounts()))
    if answer:
        browser.choose(answer)
    logged_in(browser)
    assert browser.fetch("/me").json() == "ada@example.com"
    assert browser.request("POST", "/auth/logout").status_code == 204
    assert browser.fetch("/me").status_code == 401


@pytest.mark.parametrize("essential", [[], ["shop_login"]], ids=["undeclared", "declared"])
def test_a_log_in_cookie_of_another_name_is_declared(
    essential: list[str], log: pytest.LogCaptureFixture
) -> None:
    """A name that nobody knows is held, with an error in the log that gives the line to add; with it, log-in works."""
    app = wrapped(with_accounts(cookie_name="shop_login"), cookies={"essential": essential})
    browser = Browser(app)
    logged_in(browser)
    errors = [record.message for record in log.records if record.levelno == logging.ERROR]
    assert browser.fetch("/me").status_code == (200 if essential else 401)
    assert ['essential = ["shop_login"]' in message for message in errors] == ([] if essential else [True])


def with_jwt(name: str) -> FastAPI:
    """Return an app that keeps a token in a cookie, as the usual recipes do."""
    app = FastAPI()

    @app.post("/token")
    async def token(response: Response) -> None:
        value = jwt.encode({"sub": "user-42"}, SECRET, algorithm="HS256")
        response.set_cookie(name, f"Bearer {value}", httponly=True, secure=True, samesite="lax")

    @app.get("/me")
    async def me(value: Annotated[str, Cookie(alias=name)]) -> Any:
        return jwt.decode(value.removeprefix("Bearer "), SECRET, algorithms=["HS256"])["sub"]

    return app


@ANSWERS
@pytest.mark.parametrize("name", ["access_token", "access_token_cookie", "refresh_token", "access-token"])
def test_a_token_in_a_cookie_survives(name: str, answer: str) -> None:
    """The names of the usual recipes pass both ways, and the value comes back byte for byte."""
    browser = Browser(wrapped(with_jwt(name)))
    if answer:
        browser.choose(answer)
    browser.request("POST", "/token")
    assert browser.fetch("/me").json() == "user-42"


def test_answers_do_not_log_anybody_out() -> None:
    """A refusal after the log-in expires trackers, not the token."""
    browser = Browser(wrapped(with_jwt("access_token")))
    browser.request("POST", "/token")
    for action in ("accept_all", "reject_all", "withdraw"):
        browser.choose(action)
        assert browser.fetch("/me").json() == "user-42"


@BUILD
def test_errors_are_fastapis_own(build: Build) -> None:
    """A 422, a 404 and an `HTTPException` leave as they are; JSON gets no banner."""
    browser, bare = Browser(build(shop())), Browser(shop())
    for path in ("/plain?item=x", "/nowhere"):
        got, expected = browser.fetch(path), bare.fetch(path)
        assert (got.status_code, got.content) == (expected.status_code, expected.content)


def test_an_error_handler_that_answers_with_json_is_no_page() -> None:
    """A wrapped API's 500 stays what its handler made."""
    app = FastAPI()

    @app.get("/")
    async def broken() -> None:
        raise RuntimeError("inside")

    @app.exception_handler(Exception)
    async def words(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "failed"}, 500)

    response = Browser(wrapped(app)).visit("/")
    assert (response.status_code, response.json()) == (500, {"detail": "failed"})
