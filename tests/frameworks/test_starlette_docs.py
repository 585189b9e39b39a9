"""The snippets of docs/frameworks/starlette.md and fastapi.md do what the pages say when pasted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from consent_middleware import load_config
from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.starlette import consent_context
from helpers_starlette import SECRET, Browser

if TYPE_CHECKING:
    from starlette.requests import Request

DOCS = Path(__file__).resolve().parents[2] / "docs/frameworks"
BANNER = 'id="consent-banner"'


class Pasted:
    """One page's snippets, pasted one below the other."""

    def __init__(self, page: str) -> None:
        self.text = (DOCS / page).read_text("utf-8")
        self.names: dict[str, Any] = {"__name__": "pasted"}

    def blocks(self, language: str) -> list[str]:
        """Return every fenced block of a language."""
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)

    def paste(self, containing: str) -> Any:
        """Run the block that holds a text, and what it builds as `app`."""
        code = next(block for block in self.blocks("python") if containing in block)
        exec(compile(code, "pasted", "exec", dont_inherit=True), self.names)
        return self.names.get("app")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder with a key, as a reader would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEY", SECRET)
    return tmp_path


@pytest.fixture
def starlette(folder: Path) -> Pasted:
    """Keep the Starlette page's consent.toml there."""
    pasted = Pasted("starlette.md")
    (folder / "consent.toml").write_text(pasted.blocks("toml")[0] + '[records]\nurl = "none"\n', "utf-8")
    return pasted


@pytest.fixture
def fastapi(folder: Path) -> Pasted:
    """Keep the FastAPI page's consent.toml there."""
    pasted = Pasted("fastapi.md")
    (folder / "consent.toml").write_text(pasted.blocks("toml")[0] + '[records]\nurl = "none"\n', "utf-8")
    return pasted


def test_starlettes_five_minutes(starlette: Pasted) -> None:
    """The page asks, and its tag waits."""
    text = Browser(starlette.paste("app = ConsentMiddleware(app")).visit().text
    assert BANNER in text
    assert 'data-src="https://www.googletagmanager.com/gtag/js?id=G-1"' in text


def test_starlettes_endpoints(starlette: Pasted) -> None:
    """Reading consent, a job behind the response, and a switch of the site's own."""
    starlette.paste("app = ConsentMiddleware(app")
    starlette.paste("def report_sale")
    routes = [Route("/order", starlette.names["order"]), Route("/account", starlette.names["account"])]
    browser = Browser(ConsentMiddleware(Starlette(routes=routes)))
    before = browser.fetch("/order").json()
    browser.fetch("/account")
    assert (before, browser.fetch("/order").json()) == ({"counted": False}, {"counted": True})


def test_starlettes_templates(starlette: Pasted, folder: Path) -> None:
    """The HTML block renders with what the Python block gives it."""
    (folder / "templates").mkdir()
    (folder / "templates/page.html").write_text(starlette.blocks("html")[0], "utf-8")
    starlette.paste("context_processors=[consent_context]")

    async def page(request: Request) -> Any:
        return starlette.names["templates"].TemplateResponse(request, "page.html")

    browser = Browser(ConsentMiddleware(Starlette(routes=[Route("/", page)])))
    before = browser.fetch().text
    browser.choose()
    assert starlette.names["consent_context"] is consent_context
    assert "Thank you" not in before
    assert before.count('data-consent="preferences"') == 2
    assert "Thank you" in browser.fetch().text


def test_starlettes_condition(starlette: Pasted) -> None:
    """Who has not agreed is shown the page, with its link."""
    starlette.paste("exception_handlers = ")
    names = starlette.names
    app = Starlette(routes=[Route("/", names["offers"])], exception_handlers=names["exception_handlers"])
    browser = Browser(ConsentMiddleware(app))
    refused = browser.visit()
    browser.choose()
    assert (refused.status_code, 'href="/_consent/preferences"' in refused.text) == (403, True)
    assert browser.visit().text == "Only for you."


def test_starlettes_order(starlette: Pasted) -> None:
    """The list of middlewares works as it stands, and the page asks."""
    starlette.paste("app = ConsentMiddleware(app")
    response = Browser(starlette.paste("Middleware(TrustedHostMiddleware")).visit(
        "/", **{"accept-encoding": "gzip"}
    )
    assert BANNER in response.text
    assert response.headers["content-encoding"] == "gzip"


def test_fastapis_five_minutes(fastapi: Pasted) -> None:
    """The page asks, the endpoint knows, and the documentation is left alone."""
    browser = Browser(fastapi.paste("app = ConsentMiddleware(app"))
    assert BANNER in browser.visit().text
    assert BANNER not in browser.visit("/docs").text
    before = browser.request("POST", "/order").json()
    browser.choose()
    assert (before, browser.request("POST", "/order").json()) == ({"counted": False}, {"counted": True})


def test_fastapis_dependencies(fastapi: Pasted) -> None:
    """Every route of the block answers, and the last block's override holds."""
    fastapi.paste("app = ConsentMiddleware(app")
    app = fastapi.paste("requires_consent")
    browser = Browser(app)
    assert browser.fetch("/why").json().startswith("denied: ")
    assert browser.visit("/offers").status_code == 403
    browser.choose()
    assert browser.fetch("/offers").json() == "Only for you."
    assert browser.request("POST", "/buy").status_code == 200
    fastapi.paste("unanswered")
    assert browser.fetch("/why").json() == "denied: no ConsentMiddleware ran"


def test_the_line_for_a_log_in_cookie_is_right(fastapi: Pasted) -> None:
    """The last block of TOML is accepted below the first."""
    first, last = (tomllib.loads(block) for block in fastapi.blocks("toml"))
    assert load_config(first | last).cookies.essential == ["shop_login"]


def test_the_cookies_the_page_names_pass(fastapi: Pasted) -> None:
    """Each name in the table of log-in cookies is essential without a line."""
    table = re.findall(r"^\| .* \| (`.*`) \|$", fastapi.text, re.MULTILINE)
    names = [name for row in table for name in re.findall(r"`([^`]+)`", row)]
    catalog = load_config(tomllib.loads(fastapi.blocks("toml")[0])).catalog
    assert len(names) == 12
    assert {name: catalog.owners(name) for name in names} == dict.fromkeys(names, ("essential",))


@pytest.mark.parametrize(
    "page",
    ["starlette.md", "fastapi.md", "litestar.md", "quart.md", "sanic.md", "aiohttp.md", "../servers.md"],
)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link names a file that is there, and a heading in it."""
    text = (DOCS / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        found = ((DOCS / page).parent / path).read_text("utf-8") if path else text
        headings = {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
            for line in re.findall(r"^#+ (.*)$", found, re.MULTILINE)
        }
        assert not anchor or anchor in headings, target
