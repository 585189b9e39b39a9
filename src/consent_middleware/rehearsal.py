"""Every page that a site's own templates take part in, rendered and looked at before the first visitor comes.

In every language, and in the states that differ much: what breaks, or takes a choice away, for some visitors only is
found at the start too. A site without templates of its own needs no rehearsal: the package's tests see to that.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError

from consent_middleware.catalog import Service
from consent_middleware.codec import ChoiceCodec
from consent_middleware.errors import Fault, nearest
from consent_middleware.holding import Held
from consent_middleware.overrides import PAGES, fault
from consent_middleware.policy import Circumstances, Notice, Rules, make_choice, opt_out
from consent_middleware.regions import Regime
from consent_middleware.shapes import Page, Shape
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.vetting import (
    vet_banner,
    vet_link,
    vet_loader,
    vet_opt_out,
    vet_placeholder,
    vet_preferences,
    vet_receipt,
)
from consent_middleware.visitor import Visitors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from consent_middleware.banner import Banner
    from consent_middleware.config import ConsentConfig
    from consent_middleware.overrides import Overrides
    from consent_middleware.vetting import Finding
    from consent_middleware.visitor import Visitor

__all__ = ["rehearse"]

# What a template can raise: its own errors, and those of what it computes, formats or includes without an end.
_BROKEN = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
_UNKNOWN = re.compile(r"'(\w+)'(?: is undefined)?\Z")
_OWNER = re.compile(r"'[\w.]+ object' has no attribute")
_NOW = 1_780_000_000
_FULL = Page(next="/shop?a=1&b=2", saved=True, problem="Not saved.")
_TIME = "2026-05-28T20:26:40Z"
_RECEIPT = {
    "record_id": "Qm7xN2fLrV4uHs1k",
    "notice": {"sha256": "2773ad21"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "purposes": [
        {"id": unit, "category": "analytics", "title": "Statistics", "state": state}
        for unit, state in (("a", "given"), ("b", "refused"))
    ],
    "event": {"time": _TIME, "valid_until": _TIME, "state": "custom", "method": "prefs"},
}
_EMPTY: dict[str, Any] = {"receipts": [], "notices": {}}
_HISTORY = {
    "receipts": [_RECEIPT, _RECEIPT | {"notice": {"sha256": ""}, "controller": None}],
    "notices": {"2773ad21": {"language": "en", "text": "<p>We use cookies.</p>"}},
}


def rehearse(banner: Banner, config: ConsentConfig, overrides: Overrides) -> None:
    """Render and look at every page that one of the site's own files takes part in.

    Raises:
        ConfigError: One cannot be rendered, or is not as it must be; with all that was found.
    """
    rehearsal, found = _Rehearsal(banner, config), dict[Fault, None]()
    for language, page in product(config.site.languages, filter(overrides.concern, PAGES)):
        try:
            for problem, hint in rehearsal.findings(page, language):
                found[fault(overrides.blamed(page), problem, hint)] = None
        except _BROKEN as error:
            found[_broken(error, page, overrides, rehearsal.meant(str(error), language))] = None
    overrides.refuse(found)


class _Rehearsal:
    """Plays the visitors of one site."""

    def __init__(self, banner: Banner, config: ConsentConfig) -> None:
        self._banner = banner
        self._catalog = config.catalog
        self._visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, ["signs nothing"]))
        path = config.site.path
        self._choice, self._erase = f"{path}/choice", f"{path}/erase"
        self._preferences, self._opt_out = f"{path}/preferences", f"{path}/opt-out"
        self._scenes = {
            "loader.html": self._loader,
            "banner.html": self._first_layer,
            "link.html": self._link,
            "preferences.html": self._form,
            "opt-out.html": self._opt_out_page,
            "placeholder.html": self._placeholder,
            "receipt.html": self._receipt,
            "policy.html": self._policy,
            "cookie_policy.html": self._fragment,
        }

    def findings(self, page: str, language: str) -> Iterable[Finding]:
        """Return what is wrong with a page; raises what its templates raise."""
        return self._scenes[page](language)

    def meant(self, error: str, language: str) -> str:
        """Return what may be meant by a name that there is not."""
        if (found := _UNKNOWN.search(error)) is None:
            return ""
        context = self._banner.context(language, "")
        inner = (key for value in context.values() if isinstance(value, dict) for key in value)
        names = context["t"] if "Texts object" in error else inner if "attribute" in error else context
        return nearest(found[1], names)

    def _visitor(
        self, regime: Regime, *, granted: bool | None, notices: tuple[Notice, ...] = (), known: bool = False
    ) -> Visitor:
        """Return a visitor who allowed everything or nothing, or has not answered."""
        units = self._catalog.asked if granted else frozenset[str]()
        choice = None if granted is None else make_choice(self._catalog, units, now=_NOW, signals=NO_SIGNALS)
        found = self._visitors.with_choice(choice, NO_SIGNALS, _NOW, Circumstances(regime, known=known))
        return replace(found, decision=replace(found.decision, notices=notices))

    def _loader(self, language: str) -> Iterator[Finding]:
        for shared in (None, "", "1"):
            head = self._banner.snippets(language, "", Shape.LOADER, nonce="0", shared=shared).head
            yield from vet_loader(head.decode("ascii"), "0")

    def _first_layer(self, language: str) -> Iterator[Finding]:
        for changes, known in (((), False), (("Example (new)",), True)):
            context = self._banner.context(language, "") | {"notices": [], "changes": changes, "known": known}
            yield from vet_banner(self._banner.render("banner.html", context), self._choice)

    def _link(self, language: str) -> Iterator[Finding]:
        for regime, notices in product(Regime, ((), tuple(Notice))):
            context = self._banner.context(language, "") | {"regime": regime, "notices": notices}
            found = self._banner.render("link.html", context)
            is_open = regime is Regime.OPT_OUT
            yield from vet_link(found, self._preferences, self._opt_out, opts_out=is_open)

    def _form(self, language: str) -> Iterator[Finding]:
        for regime in (Regime.OPT_IN, Regime.OPT_OUT):
            for visitor, page, changes in (
                (self._visitor(regime, granted=None), Page(), ()),
                (self._visitor(regime, granted=True, notices=tuple(Notice)), _FULL, ("Example (new)",)),
            ):
                found = self._banner.preferences(language, "", visitor, page, changes=changes).decode()
                yield from vet_preferences(found, self._choice, opts_out=regime is Regime.OPT_OUT)

    def _opt_out_page(self, language: str) -> Iterator[Finding]:
        for page, known in ((Page(), False), (_FULL, True)):
            open_ = self._visitor(Regime.OPT_OUT, granted=True, known=known)
            found = self._banner.opt_out(language, "", open_, page).decode()
            yield from vet_opt_out(found, self._choice)
        for signals in (NO_SIGNALS, Signals(gpc=True)):
            said = replace(opt_out(self._catalog, None, now=_NOW, signals=signals), by_signal=signals.gpc)
            out = self._visitors.with_choice(said, signals, _NOW, Circumstances(Regime.OPT_OUT))
            self._banner.opt_out(language, "", out, Page())

    def _placeholder(self, language: str) -> Iterator[Finding]:
        url = "https://held.example/1"
        for provider, unit in product(("", "Example Inc."), ("", next(iter(self._catalog.asked), ""))):
            service = Service("example", "Example", "functional", provider=provider)
            held = Held((unit,), service, declared=True)
            yield from vet_placeholder(self._banner.placeholder(language, "", held, url), url)

    def _receipt(self, language: str) -> Iterator[Finding]:
        for page, history, token, state in (
            (_FULL, _EMPTY, "", ""),
            (Page(), _EMPTY, "", ""),
            (Page(), _EMPTY, "", "erased"),
            (Page(), _HISTORY, "", ""),
            (Page(), _HISTORY, "a.token", "withdrawn"),
        ):
            found = self._banner.receipt(language, "", page, history, token=token, state=state).decode()
            if history is _HISTORY:
                yield from vet_receipt(found, self._erase)

    def _policy(self, language: str) -> Iterator[Finding]:
        self._banner.policy(language, "", Page())
        yield from ()

    def _fragment(self, language: str) -> Iterator[Finding]:
        self._banner.policy_fragment(language, "")
        yield from ()


def _broken(error: Exception, page: str, overrides: Overrides, hint: str) -> Fault:
    """Return what a template has raised, in which of the site's files and where."""
    places = [(overrides.blamed(page), 0)]
    places += [(name, line) for path, line in _frames(error.__traceback__) if (name := overrides.named(path))]
    text = _OWNER.sub("there is no", str(error)) or type(error).__name__
    if isinstance(error, TemplateSyntaxError):  # found before anything ran
        text = error.message or text
        places.append((error.name or page, error.lineno))
    elif isinstance(error, TemplateNotFound):
        text, hint = f"there is no template {error.name!r}", nearest(error.name, overrides.known)
    elif isinstance(error, RecursionError):
        text = "it includes itself without an end"
    file, line = places[-1]
    where = f" (line {line})" if line else ""
    problem = f"cannot be rendered: {text.rstrip('.')}{where}."
    return fault(file, problem, hint or "Compare it with ours of that name.")


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    """Yield the files and lines that an error went through; of compiled templates those of their source."""
    while traceback:
        code, template = traceback.tb_frame.f_code, traceback.tb_frame.f_globals.get("__jinja_template__")
        line = traceback.tb_lineno
        yield code.co_filename, template.get_corresponding_lineno(line) if template else line
        traceback = traceback.tb_next
