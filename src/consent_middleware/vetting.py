"""What a site may not do with templates, icons and styles of its own: hide a button, lose what scripts need, leak.

Judges markup as rendered (EU-2, CA-8: both answers are equally easy), icons and style sheets as they are. Each finding
is what is wrong and how to mend it. Knows no file and renders nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Finding",
    "vet_banner",
    "vet_icon",
    "vet_link",
    "vet_loader",
    "vet_opt_out",
    "vet_placeholder",
    "vet_preferences",
    "vet_receipt",
    "vet_style",
]

Finding = tuple[str, str]

_NAMES = {"reject_all": "Reject all", "accept_all": "Accept all", "opt_out": "Do not sell or share"}
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})  # fmt: skip
_INVISIBLE = re.compile(r"display:none|visibility:hidden|opacity:0(?![.\d])")
_COPY = "Copy ours anew and change it step by step."


@dataclass(frozen=True, slots=True)
class _Element:
    tag: str
    attrs: Mapping[str, str]  # one without a value is empty
    above: tuple[_Element, ...]

    @property
    def is_button(self) -> bool:
        kind = self.attrs.get("type", "").lower()
        return self.tag == "button" or (self.tag == "input" and kind in {"submit", "image"})

    @property
    def hides(self) -> bool:
        """Whether it is not seen itself, nor what is in it."""
        attrs = self.attrs
        return (
            self.tag in {"template", "noscript"}
            or (self.tag in {"details", "dialog"} and "open" not in attrs)
            or not {"hidden", "inert"}.isdisjoint(attrs)
            or attrs.get("aria-hidden") == "true"
            or bool(_INVISIBLE.search("".join(attrs.get("style", "").lower().split())))
        )


class _Markup(HTMLParser):
    """The elements of a piece of markup, in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[_Element] = []
        self._open: list[_Element] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in reversed(attrs)}  # the first of a name counts
        element = _Element(tag, found, tuple(self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return

    def find(self, tag: str = "", **attrs: str) -> _Element | None:
        """Return the first element with a tag and these attributes, ``_`` for ``-``."""
        wanted = {name.replace("_", "-"): value for name, value in attrs.items()}.items()
        return next((e for e in self.elements if tag in {"", e.tag} and wanted <= e.attrs.items()), None)

    def within(self, id_: str) -> list[_Element]:
        """Return what stands in the element of an id."""
        return [e for e in self.elements if any(one.attrs.get("id") == id_ for one in e.above)]

    def sends_to(self, button: _Element, url: str) -> bool:
        """Return whether a button posts a form to an address."""
        forms = [e for e in button.above if e.tag == "form"]
        if "form" in button.attrs:
            forms = [
                e for e in self.elements if e.tag == "form" and e.attrs.get("id") == button.attrs["form"]
            ]
        if not forms or "disabled" in button.attrs or button.attrs.get("type", "submit").lower() != "submit":
            return False
        attrs = forms[-1].attrs
        method = button.attrs.get("formmethod", attrs.get("method", ""))
        return method.lower() == "post" and button.attrs.get("formaction", attrs.get("action")) == url


def vet_banner(markup: str, choice_url: str) -> Iterator[Finding]:
    """Find what is wrong with the first layer."""
    page = _Markup(markup)
    yield from _missing(page, "consent-banner")
    yield from _twins(
        page, [e for e in page.elements if e.is_button], ("reject_all", "accept_all"), choice_url
    )


def vet_preferences(markup: str, choice_url: str, *, opts_out: bool) -> Iterator[Finding]:
    """Find what is wrong with the form; where silence allows sale, the way out of it comes first."""
    page = _Markup(markup)
    yield from _missing(page, "consent-form", "consent-title")
    form = page.within("consent-form")
    if not any(e.attrs.get("name") == "next" for e in form):
        yield "the form has no field next.", 'Add <input type="hidden" name="next" value="{{ next }}" />.'
    buttons = [e for e in form if e.is_button and e.attrs.get("name") == "action"]
    first = ("opt_out",) if opts_out else ()
    yield from _twins(page, buttons, (*first, "reject_all", "accept_all"), choice_url)
    for action in ("save", "withdraw"):
        if not any(e.attrs.get("value") == action and page.sends_to(e, choice_url) for e in buttons):
            yield f"the form has no button {action}.", f'It is name="action" value="{action}" in ours.'


def vet_opt_out(markup: str, choice_url: str) -> Iterator[Finding]:
    """Find what is wrong with the page on which a visitor, who has not yet, says no (CA-5)."""
    page = _Markup(markup)
    buttons = [e for e in page.elements if e.is_button and e.attrs.get("value") == "opt_out"]
    buttons = [e for e in buttons if e.attrs.get("name") == "action" and page.sends_to(e, choice_url)]
    if not buttons:
        yield "there is no button that opts out.", _button("opt_out")
    elif all(map(_is_hidden, buttons)):
        yield "the button that opts out is hidden.", "Show it to everybody who has not opted out."


def vet_link(markup: str, preferences_url: str, opt_out_url: str, *, opts_out: bool) -> Iterator[Finding]:
    """Find what is wrong with the standing link (CA-6)."""
    page = _Markup(markup)
    yield from _missing(page, "consent-link")
    wanted = {"preferences": preferences_url} | ({"opt_out": opt_out_url} if opts_out else {})
    for name, url in wanted.items():
        links = [
            e for e in page.elements if e.tag == "a" and e.attrs.get("href", "").partition("?")[0] == url
        ]
        if all(map(_is_hidden, links)):
            yield (
                f"there is no link to {url}.",
                f'Add <a href="{{{{ urls.{name} }}}}">, also where scripts are off.',
            )
    if not any(e.attrs.get("role") == "status" for e in page.within("consent-link")):
        yield 'nothing in it has role="status".', "It says what holds after a choice: take it over from ours."


def vet_loader(markup: str, nonce: str) -> Iterator[Finding]:
    """Find what is wrong with the tags of our own files, rendered with a nonce."""
    page = _Markup(markup)
    for file, name in (("banner.css", "href"), ("guard.js", "src"), ("banner.js", "src")):
        tag = next((e for e in page.elements if e.attrs.get(name, "").endswith(f"/{file}")), None)
        line = [line for line in markup.splitlines() if file in line]
        if tag is None:
            yield f"it does not load {file}.", _COPY
        elif len(line) != 1 or f'nonce="{nonce}"' not in line[0]:
            yield f'{file} does not stand on a line of its own with nonce="".', _COPY
        elif file == "guard.js" and not {"async", "defer", "type"}.isdisjoint(tag.attrs):
            yield "guard.js would run after the page's own scripts.", "Give it neither async, defer nor type."
        elif file == "guard.js" and "data-mode" not in tag.attrs:
            yield "guard.js has no data-mode.", 'Add data-mode="{{ mode }}".'


def vet_placeholder(markup: str, url: str) -> Iterator[Finding]:
    """Find what is wrong with the document that stands for a held iframe."""
    if not re.search("data-consent-load|consent-held", markup):  # by which banner.js knows it
        yield (
            'nothing in it has class="consent-held".',
            "Without it the iframe never loads: add it to <body>.",
        )
    if _Markup(markup).find("a", href=url) is None:
        yield "there is no link to what is held.", 'Add <a href="{{ url }}">, for who has scripts off.'


def vet_receipt(markup: str, erase_url: str) -> Iterator[Finding]:
    """Find what is wrong with the history of somebody who has one."""
    page = _Markup(markup)
    if not any(e.is_button and page.sends_to(e, erase_url) for e in page.elements):
        yield "there is no button that erases the history.", _COPY


def _missing(page: _Markup, *ids: str) -> Iterator[Finding]:
    for id_ in ids:
        if page.find(id=id_) is None:
            yield (
                f'nothing in it has id="{id_}".',
                "Scripts, styles and opt-out agents find it by that: add it.",
            )


def _is_hidden(element: _Element) -> bool:
    return element.hides or any(one.hides for one in element.above)


def _button(action: str) -> str:
    return (
        f'In a <form method="post" action="{{{{ urls.choice }}}}">: '
        f'<button type="submit" name="action" value="{action}">.'
    )


def _twins(
    page: _Markup, buttons: Sequence[_Element], expected: tuple[str, ...], url: str
) -> Iterator[Finding]:
    """Find what makes answers unequal, or one of them missing (EU-2, CA-8)."""
    first, names = buttons[: len(expected)], [_NAMES[action] for action in expected]
    words = f"{', '.join(names[:-1])} and {names[-1]}"
    if tuple(button.attrs.get("value") for button in first) != expected:
        count = {2: "two", 3: "three"}[len(expected)]
        hint = f"They must be the first {count} buttons, of one class: {', then '.join(expected)}."
        yield f"the first {count} buttons are not {words}.", hint
        return
    looks = {(button.tag, button.attrs.get("class")) for button in first}
    if len(looks) > 1 or any("style" in button.attrs for button in first):
        yield f"{words} do not look the same.", "Give them the same tag and class, and no style of their own."
    for action, button in zip(expected, first, strict=True):
        if _is_hidden(button):
            yield f"{_NAMES[action]} is hidden.", "Both must be seen at first sight."
        if button.attrs.get("name") != "action" or not page.sends_to(button, url):
            yield f"{_NAMES[action]} does not send the answer.", _button(action)


# -- icons

_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = frozenset({
    "svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "clipPath",
    "mask", "linearGradient", "radialGradient", "stop",
})  # fmt: skip


_OUTWARD = re.compile(r"url\((?!\s*['\"]?#)", re.IGNORECASE)


def vet_icon(text: str) -> Iterator[Finding]:
    """Find what is wrong with a picture that is put into pages."""
    if re.search(r"\{[{%#]", text):
        yield "is a picture, not a template.", "Write what {{ }} and {% %} would have made."
        return
    if not text.startswith("<svg"):
        yield (
            "does not begin with <svg.",
            "Leave out what stands before it (<?xml ...?>, a DOCTYPE, comments).",
        )
        return
    try:
        root = ET.fromstring(text)  # noqa: S314 - the site's own file, and no DOCTYPE can stand before <svg
    except ET.ParseError as error:
        yield f"is not well-formed XML: {error}.", "It stands in pages of either syntax: close every tag."
        return
    if root.get("aria-hidden") != "true":
        yield "is read out beside the words.", 'Add aria-hidden="true" and focusable="false" to <svg>.'
    for element in root.iter():
        tag = str(element.tag).removeprefix(_SVG)
        if tag not in _SHAPES:
            yield f"holds <{tag}>.", f"Draw with: {', '.join(sorted(_SHAPES))}."
        yield from _icon_attributes(element.attrib)


def _icon_attributes(attrs: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in attrs.items():
        local = name.rpartition("}")[2].lower()
        if local.startswith("on"):
            yield f"holds the script {local}.", "Leave it out."
        elif (local in {"href", "src"} and not value.startswith("#")) or _OUTWARD.search(value):
            yield f"refers to something else: {value!r}.", "Draw it here; '#id' refers within the picture."


# -- styles

_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_ELSEWHERE = re.compile(r"(?:\(|(?<!base64),)\s*['\"]?\s*(https?:|[/\\]{2})[^\s'\")]*", re.IGNORECASE)


def vet_style(text: str) -> Iterator[Finding]:
    """Find what a style sheet of a site's own asks others for."""
    plain = _ESCAPE.sub(_unescaped, re.sub(r"/\*.*?(?:\*/|\Z)", " ", text, flags=re.DOTALL))
    if "@import" in plain.lower():
        yield "holds @import.", "It would hold up every page: write the rules here."
    for found in _ELSEWHERE.finditer(plain):
        address = found[0].lstrip("(, '\"")
        hint = (
            "Every visitor would ask it before any answer: serve the file from this site, as url(/fonts/...)."
        )
        yield f"refers to another host, {address!r}.", hint


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else 0
    character = chr(code) if code <= 0x10FFFF else ""
    return found[2] or (character if character.isprintable() else "")
