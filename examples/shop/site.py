"""The shop itself: its pages, as plain functions of a request. Knows no framework and nothing of consent.

It behaves as real sites do: it sets its analytics cookie on every page and its marketing cookie on a redirect,
whoever asks. Holding those back is the middleware's work, so nothing here asks whether it may.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.request import urlopen

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.shop.gallery import COLOURS, LANGUAGES, THEMES, WIDTHS, Setting, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["CONFIG", "Cookie", "Reply", "Request", "Shop"]

FOLDER = Path(__file__).resolve().parent
CONFIG = FOLDER / "consent.toml"

_DAY_S = 86_400
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Consent(Protocol):
    """What the middleware tells the app."""

    @property
    def answered(self) -> bool:
        """Whether the visitor has answered."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each category and service is on or off."""

    def allows(self, unit: str) -> bool:
        """Return whether a category or service may run."""


@dataclass(frozen=True, slots=True)
class Product:
    """Something to buy."""

    slug: str
    name: str
    cents: int
    text: str

    @property
    def price(self) -> str:
        """The price in words."""
        return f"€{self.cents / 100:.2f}"


PRODUCTS = {
    product.slug: product
    for product in (
        Product("cup", "Morning cup", 1800, "Holds 250 ml, a thumb, and the first quiet minutes of the day."),
        Product(
            "bowl", "Wide bowl", 2400, "For soup, noodles or the keys by the door. Stacks with its like."
        ),
        Product(
            "vase", "Slim vase", 3600, "Stands with a single stem. Thrown by hand, so no two are the same."
        ),
        Product("teapot", "Teapot", 5200, "Pours without a drip. Makes three cups, or one long afternoon."),
    )
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a page is made from.

    Attributes:
        method: In capitals.
        path: With a slash at its start.
        host: As the browser asked for it, with port.
        cookies: What the middleware let through.
        form: Of a POST.
        user: Returns who is logged in, or nothing. Not asked on pages for everyone.
        consent: What the middleware tells the app.
        query: What stands behind the path.
    """

    method: str
    path: str
    host: str
    cookies: Mapping[str, str]
    form: Mapping[str, str]
    user: Callable[[], str]
    consent: Consent
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set; a life of 0 deletes it."""

    name: str
    value: str
    max_age_s: int


@dataclass(slots=True)
class Reply:
    """What a page is.

    Attributes:
        user: Who is logged in from now on, empty for nobody; None leaves the session alone.
    """

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    media_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[Cookie] = field(default_factory=list)
    user: str | None = None


class Shop:
    """The pages.

    Args:
        tracker_port: Where the third party listens.
        tracker_host: Its host name as browsers are told; empty: the other one of localhost and 127.0.0.1.
    """

    def __init__(self, tracker_port: int, tracker_host: str = "") -> None:
        self._tracker_port = tracker_port
        self._tracker_host = tracker_host
        self._env = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._routes: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/"): self._home,
            ("GET", "/video"): self._video,
            ("GET", "/basket"): self._basket,
            ("POST", "/basket"): self._add,
            ("GET", "/login"): self._login,
            ("POST", "/login"): self._log_in,
            ("POST", "/logout"): self._log_out,
            ("GET", "/about"): self._about,
            ("GET", "/privacy"): self._privacy,
            ("GET", "/kiln"): self._kiln,
            ("GET", "/seen"): self._seen,
            ("GET", "/gallery"): self._gallery,
            ("GET", "/newsletter"): self._newsletter,
            ("GET", "/error"): self._error,
        }
        self._folders = {"product": self._product, "static": self._static, "favicon.ico": self._icon}

    def handle(self, request: Request) -> Reply:
        """Return the reply to a request; a page that fails becomes an error page."""
        method = "GET" if request.method == "HEAD" else request.method
        page = self._routes.get((method, request.path))
        if page is None and method == "GET":
            page = self._folders.get(request.path.split("/")[1])
        if page is None:
            return self._missing(request)
        try:
            return page(request)
        except ArithmeticError as error:
            return self._page(request, "error.html", status=500, problem=str(error))

    # -- pages

    def _home(self, request: Request) -> Reply:
        return self._page(request, "home.html", products=PRODUCTS.values())

    def _product(self, request: Request) -> Reply:
        product = PRODUCTS.get(request.path.removeprefix("/product/"))
        return self._page(request, "product.html", product=product) if product else self._missing(request)

    def _video(self, request: Request) -> Reply:
        return self._page(request, "video.html")

    def _basket(self, request: Request) -> Reply:
        lines = [(PRODUCTS[slug], count) for slug, count in _read_basket(request).items()]
        total = Product("", "", sum(product.cents * count for product, count in lines), "").price
        reply = self._page(request, "basket.html", lines=lines, total=total)
        if lines and "__stripe_mid" not in request.cookies:  # the payment's, so it passes without any choice
            reply.cookies.append(Cookie("__stripe_mid", secrets.token_hex(8), 365 * _DAY_S))
        return reply

    def _add(self, request: Request) -> Reply:
        basket = _read_basket(request)
        slug = request.form.get("product", "")
        if slug in PRODUCTS:
            basket[slug] = min(basket.get(slug, 0) + 1, 99)
        else:
            basket = {}
        value = "_".join(f"{name}.{count}" for name, count in basket.items())
        return _redirect("/basket", Cookie("basket", value, 30 * _DAY_S if value else 0))

    def _login(self, request: Request) -> Reply:
        """Show the log-in page, under a policy as strict as they come: everything by nonce, no HTML from strings."""
        nonce = secrets.token_urlsafe(16)
        tracker = self._tracker(request)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'; "
            f"img-src 'self' {tracker}; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types consent"
        )
        reply = self._page(request, "login.html", nonce=nonce)
        reply.headers["Content-Security-Policy"] = policy
        return reply

    def _log_in(self, request: Request) -> Reply:
        reply = _redirect("/login")
        reply.user = request.form.get("name", "").strip()[:40]
        return reply

    def _log_out(self, request: Request) -> Reply:  # noqa: ARG002 - pages share one signature
        reply = _redirect("/login")
        reply.user = ""
        return reply

    def _about(self, request: Request) -> Reply:
        """Show a page for everyone, which a CDN may keep: nobody's name, nobody's cookie."""
        reply = self._page(request, "about.html", personal=False)
        reply.headers["Cache-Control"] = "public, max-age=60"
        return reply

    def _privacy(self, request: Request) -> Reply:
        return self._page(request, "privacy.html")

    def _kiln(self, request: Request) -> Reply:
        """Stream a page piece by piece, as it becomes known."""
        before, after = self._render(request, "kiln.html").split("<!-- readings -->")

        def pieces() -> Iterator[bytes]:
            yield before.encode()
            for minute, celsius in enumerate((180, 540, 860, 1120, 1240), start=1):
                time.sleep(0.1)
                yield f"<li>Hour {minute * 2}: {celsius} °C</li>\n".encode()
            yield after.encode()

        return Reply(pieces())

    def _seen(self, request: Request) -> Reply:
        consent = request.consent
        units = {unit: (consent.allows(unit), reason) for unit, reason in consent.reasons.items()}
        return self._page(
            request,
            "seen.html",
            entries=self._tracker_log()[::-1],
            received=dict(request.cookies),
            answered=consent.answered,
            units=units,
        )

    def _gallery(self, request: Request) -> Reply:
        """Show what the banner can look like; the frames are served beside the middleware."""
        setting = Setting.read(request.query)
        return self._page(
            request,
            "gallery.html",
            setting=setting,
            sections=sections(setting),
            options={"language": LANGUAGES, "theme": THEMES, "colours": COLOURS, "width": WIDTHS},
        )

    def _newsletter(self, request: Request) -> Reply:  # noqa: ARG002 - pages share one signature
        """Send a click from an advert on, and try to mark whose it was: a cookie on a redirect."""
        return _redirect(
            "/#newsletter", Cookie("_fbp", f"fb.1.{int(time.time())}.{secrets.randbelow(10**9)}", 90 * _DAY_S)
        )

    def _error(self, request: Request) -> Reply:  # noqa: ARG002 - pages share one signature
        raise ArithmeticError("The stock cannot be counted today.")

    def _missing(self, request: Request) -> Reply:
        return self._page(request, "error.html", status=404, problem="There is no such page.")

    def _icon(self, request: Request) -> Reply:  # noqa: ARG002 - pages share one signature
        """Answer what browsers ask for beside pages that name no icon."""
        return self._file("icon.svg")

    def _static(self, request: Request) -> Reply:
        name = request.path.removeprefix("/static/")
        path = FOLDER / "static" / name
        if "/" in name or path.suffix not in _MEDIA_TYPES or not path.is_file():
            return self._missing(request)
        return self._file(name)

    def _file(self, name: str) -> Reply:
        path = FOLDER / "static" / name
        headers = {"Cache-Control": "no-cache"}
        return Reply(path.read_bytes(), media_type=_MEDIA_TYPES[path.suffix], headers=headers)

    # -- what pages are made of

    def _page(
        self, request: Request, template: str, *, status: int = 200, personal: bool = True, **context: object
    ) -> Reply:
        """Return a page. The shop's server counts visits by a cookie, as many do."""
        html = self._render(request, template, personal=personal, **context)
        reply = Reply(html.encode(), status)
        if personal and "_ga" not in request.cookies:
            reply.cookies.append(
                Cookie("_ga", f"GA1.1.{secrets.randbelow(10**9)}.{int(time.time())}", 730 * _DAY_S)
            )
        return reply

    def _render(self, request: Request, template: str, *, personal: bool = True, **context: object) -> str:
        own = {
            "path": request.path,
            "tracker": self._tracker(request),
            "user": request.user() if personal else "",
            "basket": sum(_read_basket(request).values()) if personal else 0,
            "nonce": "",
        }
        return self._env.get_template(template).render(own | context)

    def _tracker(self, request: Request) -> str:
        host = self._tracker_host or (
            "127.0.0.1" if request.host.startswith("localhost") else "localhost"
        )  # another name is another site, as far as cookies go
        return f"http://{host}:{self._tracker_port}"

    def _tracker_log(self) -> list[dict[str, str]]:
        try:
            with urlopen(f"http://127.0.0.1:{self._tracker_port}/log.json", timeout=2) as answer:
                log: list[dict[str, str]] = json.load(answer)
        except OSError:
            return []
        return log


def _redirect(location: str, *cookies: Cookie) -> Reply:
    return Reply(status=303, headers={"Location": location}, cookies=list(cookies))


def _read_basket(request: Request) -> dict[str, int]:
    """Return how many of what; a basket that makes no sense is empty."""
    found: dict[str, int] = {}
    for item in request.cookies.get("basket", "").split("_"):
        slug, _, count = item.partition(".")
        if slug in PRODUCTS and count.isdecimal() and 0 < int(count[:3]) < 100:
            found[slug] = int(count[:3])
    return found
