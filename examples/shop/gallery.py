"""The gallery: what visitors see, in every theme, position, state and language, each in a frame of its own.

A frame holds a look and no working site: its document is made here from the package's own templates and style
sheets, without scripts, and is served beside the middleware, which would put the shop's real banner into it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from consent_middleware import load_config
from consent_middleware.assets import THEMES as NAMED
from consent_middleware.banner import Page, Shape
from consent_middleware.holding import Held
from consent_middleware.policy import Choice, Circumstances, Notice
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.site import Hooks, Site
from consent_middleware.texts import available_languages, direction, load_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.visitor import Visitor

__all__ = [
    "FRAME",
    "HEADERS",
    "LANGUAGES",
    "LOOKS",
    "POSITIONS",
    "THEMES",
    "Frame",
    "Section",
    "Setting",
    "sections",
]

FOLDER = Path(__file__).resolve().parent

FRAME = "/gallery/frame"
HEADERS = {
    # A look needs its own style and nothing else; `sandbox` also where it is opened alone: no form is sent. Of the same
    # origin it may stay: browsers give a process of its own to what may not.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin",
    "Cache-Control": "no-cache",
    "X-Robots-Tag": "noindex",
}
THEMES = ("auto", "light", "dark", *NAMED)
POSITIONS = ("bottom", "top", "center", "corner")
COLOURS = ("device", "light", "dark")
WIDTHS = ("wide", "narrow")
_NAMES: dict[str, str] = tomllib.loads((FOLDER / "languages.toml").read_text("utf-8"))
LANGUAGES = {language: _NAMES.get(language, language) for language in available_languages()}
LOOKS = {
    "ask": "First layer",
    "changed": "First layer: what is new since the last answer",
    "cross": "First layer with a cross",
    "chosen": "After a choice",
    "links": "Opt-out regime: the links",
    "signal": "Opt-out regime: a signal is honoured",
    "preferences": "Preferences, not answered",
    "answered": "Preferences, answered",
    "problem": "Preferences, not saved",
    "opt-out": "Opt-out page",
    "opted-out": "Opt-out page, opted out by choice",
    "opted-out-by-signal": "Opt-out page, opted out by signal",
    "policy": "Cookie policy",
    "receipt": "Consent history",
    "placeholder": "A video that waits",
}
_OPT_OUT = frozenset({"links", "signal", "opt-out", "opted-out", "opted-out-by-signal"})
_KEY = "signs nothing: no look is ever sent back"
_AT, _TIME, _UNTIL = 1_767_261_600, "2026-01-01T10:00:00Z", "2026-06-30T10:00:00Z"
_REFUSED = frozenset({"marketing", "meta-pixel", "youtube"})
_SHEET = re.compile(r'<link[^>]*?rel="stylesheet"[^>]*?([a-z]+\.css)"[^>]*>')
_SCRIPT = re.compile(r"<script\b[^>]*></script>")
_DARK = "(prefers-color-scheme:dark)"
_LOCK = Lock()
_TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the gallery is asked to show; what makes no sense is as if nobody had asked."""

    language: str = "en"
    theme: str = "auto"
    colours: str = "device"
    width: str = "wide"

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Setting:
        """Return what a query asks for."""
        return cls(
            _one_of(LANGUAGES, query.get("language")),
            _one_of(THEMES, query.get("theme")),
            _one_of(COLOURS, query.get("colours")),
            _one_of(WIDTHS, query.get("width")),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One look.

    Attributes:
        alone: Opened outside of the gallery, where it can be scrolled and selected.
    """

    look: str = "ask"
    language: str = "en"
    theme: str = "auto"
    position: str = "bottom"
    colours: str = "device"
    alone: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Frame:
        """Return what a query asks for."""
        return cls(
            _one_of(LOOKS, query.get("look")),
            _one_of(LANGUAGES, query.get("language")),
            _one_of(THEMES, query.get("theme")),
            _one_of(POSITIONS, query.get("position")),
            _one_of(COLOURS, query.get("colours")),
            "1" if query.get("alone") == "1" else "",
        )

    @property
    def url(self) -> str:
        """Where it is served."""
        default = asdict(Frame())
        query = {name: value for name, value in asdict(self).items() if value != default[name]}
        return f"{FRAME}?{urlencode({'look': self.look} | query)}"

    def document(self) -> bytes:
        """Return its document, without scripts and with its style in it."""
        return _document(self)


@dataclass(frozen=True, slots=True)
class Card:
    """A frame with its name, as wide as a screen."""

    name: str
    frame: Frame
    width: str
    language: str = "en"

    @property
    def alone(self) -> str:
        """Where the frame is served outside of the gallery."""
        return replace(self.frame, alone="1").url


@dataclass(frozen=True, slots=True)
class Section:
    """Cards under a heading."""

    id: str
    title: str
    text: str
    cards: list[Card]


def sections(setting: Setting) -> list[Section]:
    """Return all cards of the gallery; what a section varies, its setting does not decide."""
    frame = Frame(language=setting.language, theme=setting.theme, colours=setting.colours)
    width = setting.width
    both = [(t, c) for t in THEMES for c in ((t,) if t in COLOURS else ("light", "dark"))]
    shades = [Card(f"{t}, {c}" if t != c else t, replace(frame, theme=t, colours=c), width) for t, c in both]
    places = [Card(p, replace(frame, position=p), width) for p in POSITIONS]
    states = [Card(name, replace(frame, look=look), width) for look, name in LOOKS.items()]
    sizes = [Card(name, frame, size) for size, name in _SIZES.items()]
    tongues = [Card(name, replace(frame, language=tag), width, tag) for tag, name in LANGUAGES.items()]
    return [
        Section("themes", "Themes", "What theme is set to, for light and for dark screens.", shades),
        Section("positions", "Positions", "What position is set to. All span a small screen.", places),
        Section("states", "States", "What a visitor sees before, at and after a choice.", states),
        Section("sizes", "Screens", "The same first layer, from 320 pixels up.", sizes),
        Section("languages", "Languages", f"The first layer in all {len(tongues)} languages.", tongues),
    ]


_SIZES = {"narrow": "320 pixels", "tablet": "720 pixels", "wide": "880 pixels", "desk": "1280 pixels"}


def _one_of(known: Mapping[str, str] | tuple[str, ...], wanted: str | None) -> str:
    return wanted if wanted is not None and wanted in known else next(iter(known))


# -- documents


@lru_cache(maxsize=512)
def _document(frame: Frame) -> bytes:
    common = frame.theme == "auto" and frame.position == "bottom"  # of these all languages are wanted
    languages = tuple(LANGUAGES) if common else tuple(dict.fromkeys((frame.language, "en", "de")))
    with _LOCK:  # browsers ask for several frames at once: who waits finds it made
        site = _site(languages, frame.theme, frame.position, frame.look == "cross", frame.look in _OPT_OUT)
    make = _PAGES.get(frame.look)
    html = make(site, frame.language).decode() if make else _in_page(site, frame)

    def style(found: re.Match[str]) -> str:
        asset = site.assets.get(found[1])
        return f"<style>{asset.plain.decode()}</style>" if asset else ""

    html = _SHEET.sub(style, _SCRIPT.sub("", html))
    if frame.colours != "device":  # a look is as light or dark as asked, whatever the screen is
        html = html.replace(_DARK, " all" if frame.colours == "dark" else " not all")
    if not frame.alone:  # dozens of frames would be hundreds of stops for the Tab key
        html = html.replace("<body", "<body inert", 1)
    return html.encode()


@lru_cache(maxsize=256)
def _site(languages: tuple[str, ...], theme: str, position: str, close: bool, opt_out: bool) -> Site:  # noqa: FBT001 - a cache key
    """Return the shop's site with another look. Nothing of it is stored: no choice ever comes to it."""
    declared = tomllib.loads((FOLDER / "consent.toml").read_text("utf-8"))
    declared["site"] |= {
        "languages": list(languages),
        "regime": "opt-out" if opt_out else "opt-in",
    }
    declared["banner"] = {"theme": theme, "position": position, "close": close}
    return Site(load_config(declared).at(FOLDER), _KEY, hooks=Hooks(on_opt_out=_nobody))


def _nobody(record: object) -> None:
    """Hear of an opt-out; there is none."""


def _in_page(site: Site, frame: Frame) -> str:
    """Return a page with what the middleware would put into it."""
    texts, banner, language = load_texts(frame.language), site.banner, frame.language
    changes = (str(texts["changed_new"]).format(name="Meta Pixel"),) if frame.look == "changed" else ()
    notices = (Notice.SIGNAL_HONORED,) if frame.look == "signal" else ()
    shape = Shape.LINK if frame.look in {"chosen", "links", "signal"} else Shape.ASK
    where = Circumstances(site.config.regime)
    put = banner.snippets(language, "", shape, notices, circumstances=where, changes=changes)
    tail = put.tail.decode()
    if frame.look == "chosen":  # as banner.js says it
        words = f"{texts['saved_needed']} {str(texts['contacted']).format(n=0)}"
        button = Markup(' <button type="button">{}</button>').format(texts["undo"])
        tail = tail.replace("></span></div>", f">{escape(words)}{button}</span></div>")
    return _TEMPLATES.get_template("look.html").render(
        language=language,
        direction=direction(language),
        title=LOOKS[frame.look],
        head=Markup(put.head.decode()),
        banner=Markup(put.body.decode()),
        tail=Markup(tail),
    )


def _visitor(site: Site, answer: str = "", signals: Signals = NO_SIGNALS) -> Visitor:
    """Return one who has said yes to statistics, or no to everything, or nothing yet."""
    asked = site.catalog.asked
    granted = asked.difference(_REFUSED) if answer == "some" else frozenset()
    choice = Choice(granted, asked - granted, _AT) if answer else None
    return site.visitors.with_choice(choice, signals, _AT, Circumstances(site.config.regime))


def _preferences(site: Site, language: str, answer: str = "", problem: str = "") -> bytes:
    page = Page(problem=site.banner.message(language, problem) if problem else "")
    return site.banner.preferences(language, "", _visitor(site, answer), page)


def _opt_out(site: Site, language: str, answer: str = "", signals: Signals = NO_SIGNALS) -> bytes:
    return site.banner.opt_out(language, "", _visitor(site, answer, signals), Page())


def _policy(site: Site, language: str) -> bytes:
    return site.banner.policy(language, "", Page())


def _receipt(site: Site, language: str) -> bytes:
    """Return the page of one who has said yes to statistics."""
    purposes = [
        {
            "id": service.id,
            "category": service.category,
            "title": service.name,
            "state": "refused" if service.id in _REFUSED else "given",
        }
        for service in site.catalog.services.values()
        if service.id in site.catalog.asked
    ]
    notice = site.banner.notice(language)
    digest = hashlib.sha256(notice.encode()).hexdigest()
    controller = site.config.controller
    receipt = {
        "record_id": "gallery-1",
        "event": {"time": _TIME, "valid_until": _UNTIL, "state": "custom", "method": "prefs"},
        "purposes": purposes,
        "notice": {"sha256": digest},
        "controller": {"name": controller.name, "contact": controller.contact},
    }
    history = {"receipts": [receipt], "notices": {digest: {"language": language, "text": notice}}}
    return site.banner.receipt(language, "", Page(), history)


def _placeholder(site: Site, language: str) -> bytes:
    """Return what stands in the frame of a video; its buttons show as with scripts on."""
    held = Held(("youtube",), site.catalog.services["youtube"], declared=True)
    html = site.banner.placeholder(language, "", held, "https://www.youtube.com/embed/cup")
    return html.replace(" hidden>", ">").encode()


_PAGES: dict[str, Callable[[Site, str], bytes]] = {
    "preferences": _preferences,
    "answered": partial(_preferences, answer="some"),
    "problem": partial(_preferences, answer="some", problem="not_saved"),
    "opt-out": _opt_out,
    "opted-out": partial(_opt_out, answer="none"),
    "opted-out-by-signal": partial(_opt_out, signals=Signals(gpc=True)),
    "policy": _policy,
    "receipt": _receipt,
    "placeholder": _placeholder,
}
