"""Make the tags of services that are not granted inert, on their way out; every other byte leaves as it came.

A held tag keeps its URL as ``data-src`` (``data-srcset``, ``data-href``, ...), says in ``data-service`` or
``data-category`` what lifts it, and a script's type becomes ``text/plain``; nothing else of it changes, so that
``integrity``, ``nonce``, ``async``, ``defer`` and ``type=module`` survive (DESIGN.md "In the page"). An iframe gets a
small document of ours in its place, in the very same box.

Decides nothing: a `Holding` says whose a URL or a script is. What CSS loads (``url()``, ``@import``) is left to the
Content-Security-Policy.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from consent_middleware.html.attributes import Attribute, attributes, escape, text_of
from consent_middleware.html.grammar import page_language
from consent_middleware.html.marks import marks
from consent_middleware.html.scanner import HOLD, Scanner, StartTag
from consent_middleware.urls import Location, read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from consent_middleware.holding import Held, Holding

__all__ = ["Rewriter"]

_URLS: dict[bytes, tuple[bytes, ...]] = {
    b"script": (b"src", b"href", b"xlink:href"),
    b"iframe": (b"src",),
    b"frame": (b"src",),
    b"img": (b"src", b"srcset"),
    b"image": (b"src", b"srcset", b"href", b"xlink:href"),  # HTML reads it as <img>, SVG does not
    b"link": (b"href", b"imagesrcset"),
    b"video": (b"src", b"poster"),
    b"audio": (b"src",),
    b"source": (b"src", b"srcset"),
    b"track": (b"src",),
    b"embed": (b"src",),
    b"object": (b"data",),
    b"input": (b"src",),
    b"use": (b"href", b"xlink:href"),
    b"feimage": (b"href", b"xlink:href"),
    **dict.fromkeys(b"body table thead tbody tfoot tr th td".split(), (b"background",)),
}
# A link that is none of these is not followed by itself.
FETCHED = frozenset(
    [
        "stylesheet",
        "preload",
        "prefetch",
        "preconnect",
        "dns-prefetch",
        "modulepreload",
        "prerender",
        "icon",
        "apple-touch-icon",
        "mask-icon",
        "apple-touch-icon-precomposed",
        "apple-touch-startup-image",
        "manifest",
    ]
)
_MARKS = frozenset({b"data-service", b"data-category", b"data-name"})
_SCRIPT_TYPE = re.compile(
    r"\s*+(?:module|text/(?:javascript1\.[0-5]|jscript|livescript)|(?:text|application)/(?:x-)?(?:java|ecma)script)?+"
    r"\s*+(?:;.*)?+\Z",
    re.IGNORECASE,
)
# A "&" or white space in or behind a name tells that it is written in an unusual way.
_HOSTS = rb"//(?!%b[/?#\s\"'<>])[/\\]*+([^/\\?#\s\"'<>]*+[\t\n\r]?+)"
_UNUSUAL = re.compile(rb"[&\t\n\r]")
# What a look for "//host" does not see: slashes, or the letters of a scheme, as character references, and
# backslashes. White space between two slashes, and less than two of them ("https:host"), are nobody's habit, and
# looking for them would double the cost of every page; where a page is read at all, they are read right.
_DISGUISED = re.compile(
    rb"&(?=[#bcnst])(?:#(?:0*+(?:9|10|13|47|58|92|72|80|83|84|87|104|112|115|116|119)(?!\d)"
    rb"|x0*+(?:9|a|d|2f|3a|5c|48|50|53|54|57|68|70|73|74|77)(?![0-9a-f]))|b?sol;|colon;|tab;|newline;)",
    re.IGNORECASE,
)
_BACKSLASH = re.compile(rb"[=:\"'\s/]\\[/\\]|:[/\\]?+\\|[=\"'\s][/\\]\\")
_BASE = re.compile(rb"<base(?=[\t\n\f\r />])", re.IGNORECASE)
_INNER = re.compile(rb"srcdoc|data-src", re.IGNORECASE)
_MARKED_TEMPLATE = re.compile(rb"<template\b[^>]*\bdata-(?:category|service|name)\b", re.IGNORECASE)
_CAPITALS = re.compile(rb"<[A-Za-z]*[A-Z]")
_CANDIDATE = re.compile(r"[\t\n\f\r ,]*+([^\t\n\f\r ]++)(?:(?<!,)[\t\n\f\r ][^,]*+)?+")
_HTML_TAG = re.compile(rb"<html[\t\n\f\r ][^>]*>", re.IGNORECASE)
_BLANK = re.compile(rb"(?:\xef(?:\xbb(?:\xbf\s*+)?+)?+|\s*+)\Z")
_DATA = re.compile(rb"(?:\xef\xbb\xbf)?+\s*+[{\[]")  # JSON that is called HTML
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DOCUMENT = 1_024
_FIRST = 256  # bytes, in which tags in capitals show
_NESTED = 8
_PIXEL = 30


class Rewriter:
    """Rewrite one response body. One object a response; never reused. Same interface as `Injector`.

    Args:
        holding: What waits.
        page: The page's own host and path.
        on_held: Told each time something is held back.
        on_passing: Told of a URL that belongs to nobody who waits.
        placeholder: Given what is held, its URL and the page's language, returns the document that stands in
            an iframe until then.
        on_mark: Told what each tag says that it waits for which the page itself marked up.
        inner_head: Returns what goes into the document of an iframe's ``srcdoc``, so that it is guarded too.
        dry: Only tell; change nothing.
        xml: The page is XHTML.

    Attributes:
        touched: Whether anything was changed.
        is_data: The body is JSON that is called HTML; it passes as it came.
    """

    def __init__(
        self,
        holding: Holding,
        page: Location,
        *,
        on_held: Callable[[Held], None],
        on_passing: Callable[[Location], None],
        placeholder: Callable[[Held, str, str], str],
        on_mark: Callable[[str], object] | None = None,
        inner_head: Callable[[], bytes] = bytes,
        dry: bool = False,
        xml: bool = False,
    ) -> None:
        self._holding = holding
        self._page = self._base = page
        self._has_base = self._reads_all = False
        self._tell = on_held
        self._tell_passing = on_passing
        self._tell_mark = on_mark
        self._placeholder = placeholder
        self._inner_head = inner_head
        self._dry = dry
        self._xml = xml
        self._templates: list[Held | None] = []  # those that are open, with what each waits for
        self._carry = self._start = b""
        self._depth = 0
        self.is_data = False
        self.touched = False

    # -- the body, whole or in pieces

    def whole(self, body: bytes) -> bytes:
        """Return a complete body; the very same object where nothing in it is held."""
        self._start = body[:_DOCUMENT]
        self.is_data = bool(_DATA.match(body))
        if self.is_data:
            return body
        self._tell_marks(body)
        hot = self._places(body)
        if hot is not None and not hot:
            return body
        return self._rewrite(body, hot, final=True)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; return what can leave now (empty: wait for more)."""
        if len(self._start) < _DOCUMENT:
            self._begin(chunk)
        if self.is_data:
            return chunk
        data = self._carry + chunk if self._carry else chunk
        waits = self._carry and self._scanner.waits and len(data) < HOLD
        if waits and b">" not in chunk:  # nothing ends here: reading again would find nothing new
            self._carry = data
            return b""
        self._tell_marks(data)
        out = self._rewrite(data, self._places(data), final=False)
        self._carry = data[self._scanner.done :]
        return out

    def close(self) -> bytes:
        """End the body; return what was held back."""
        data, self._carry = self._carry, b""
        return self._rewrite(data, None, final=True)

    def _rewrite(self, data: bytes, hot: Sequence[int] | None, *, final: bool) -> bytes:
        """Return the bytes that can leave, with what is held in its inert form."""
        if self._reads_all or self._templates:
            hot = None
        parts: list[bytes] = []
        done = 0
        for tag in self._scanner.tags(data, hot, final=final):
            edited = self._edit(data, tag)
            if edited is not None and not self._dry:
                parts += (data[done : tag.start], edited)
                done = tag.end
        end = len(data) if final else self._scanner.done
        if not parts:
            return data if end == len(data) else data[:end]
        self.touched = True
        return b"".join((*parts, data[done:end]))

    def _begin(self, chunk: bytes) -> None:
        """Look at the first bytes of a stream, which may come one by one."""
        is_open = bool(_BLANK.match(self._start))
        self._start = (self._start + chunk)[:_DOCUMENT]
        if is_open:
            self.is_data = bool(_DATA.match(self._start))

    def _tell_marks(self, data: bytes) -> None:
        if self._tell_mark is not None:
            for mark in marks(data):
                self._tell_mark(mark)

    @cached_property
    def _scanner(self) -> Scanner:
        """What reads the tags; most pages need none."""
        return Scanner(xml=self._xml)

    @cached_property
    def _language(self) -> str:
        """The page's language, empty if it names none; asked for when the page has begun."""
        tag = _HTML_TAG.search(self._start)
        return page_language(tag[0]) if tag else ""

    # -- where to look

    def _places(self, data: bytes) -> list[int] | None:
        """Return where something may be held, in order; None where only reading every tag can tell.

        Most pages have no such place, so this comes first: known hosts behind ``//``, and their disguises.
        """
        holding = self._holding
        if holding.has_own(self._page.host):
            return None
        concerned = [host for host in set(_hosts_but(self._page.host).findall(data)) if self._concerns(host)]
        found = [at for host in concerned for at in _all(data, host)]
        if b"\\" in data:
            found += [match.start() + 1 for match in _BACKSLASH.finditer(data)]
        if b"&" in data:
            found += [match.start() for match in _DISGUISED.finditer(data)]
        # Who writes tags in capitals does so from the first.
        lowered = data.lower() if _CAPITALS.search(self._start, 0, _FIRST) else data
        # Looking from the end takes half the time: most of what ends these names is common, a "<" is not.
        if lowered.rfind(b"<template") >= 0 and _MARKED_TEMPLATE.search(data):
            self._scanner.templates = True
            return None
        if lowered.rfind(b"<iframe") >= 0:
            found += [match.start() for match in _INNER.finditer(data)]
        if holding.has_inline and not found:
            found += self._inline_places(data, lowered)
        if found:
            found += [match.start() for match in _BASE.finditer(data)]
        found.sort()
        return found

    def _concerns(self, host: bytes) -> bool:
        return bool(_UNUSUAL.search(host)) or self._holding.concerns(host)

    def _inline_places(self, data: bytes, lowered: bytes) -> Iterator[int]:
        """Yield where inline scripts stand that are held."""
        close = 0
        for at in reversed([*_backwards(lowered, b"<script")]):
            if at < close:  # the text of a script
                continue
            close = lowered.find(b"</script", at)
            close = close if close >= 0 else len(data)
            if self._holding.inline(data[at:close]):
                yield at

    # -- one tag

    def _edit(self, data: bytes, tag: StartTag) -> bytes | None:
        """Return a start tag in its inert form, None where it may stay."""
        raw = data[tag.start : tag.end]
        if tag.name == b"base":
            self._read_base(raw)
            return None
        if tag.name.endswith(b"template"):
            self._read_template(tag.name, raw)
            return None
        found = attributes(raw)
        values: dict[bytes, bytes] = {}
        for attribute in found:
            values.setdefault(attribute.name, attribute.value)
        if tag.name == b"script":
            return self._script(raw, found, values, data[tag.end : tag.text_end])
        if tag.name == b"link" and not self._is_fetched(values):
            return None
        held = self._held(tag.name, values)
        if tag.name == b"iframe":
            return self._iframe(raw, found, values, held)
        return self._inert(raw, found, values, held) if held else None

    def _read_template(self, name: bytes, raw: bytes) -> None:
        """Take what the content of a template waits for: browsers that read ahead ask for what stands in one (Firefox)."""
        if name == b"/template":
            if self._templates:
                self._templates.pop()
            return
        values = {a.name: a.value for a in reversed(attributes(raw))}
        outer = self._templates[-1] if self._templates else None
        named = self._named(values)
        self._templates.append(self._holding.marked(named) if named else outer)

    def _read_base(self, raw: bytes) -> None:
        """Take the page's first ``<base href>``: relative URLs start from there."""
        href = next((a.value for a in attributes(raw) if a.name == b"href"), None)
        if href is None or self._has_base:
            return
        self._has_base = True
        self._base = read_url(text_of(href), self._page) or self._base
        if self._base.host not in ("", self._page.host):  # a relative URL may be anybody's
            self._reads_all = True
            self._scanner.read_all()

    def _is_fetched(self, values: dict[bytes, bytes]) -> bool:
        return not FETCHED.isdisjoint(text_of(values.get(b"rel", b"")).lower().split())

    def _held(self, name: bytes, values: dict[bytes, bytes]) -> dict[bytes, Held]:
        """Return which of an element's URLs are held."""
        held: dict[bytes, Held] = {}
        for attribute in _URLS[name]:
            value = values.get(attribute)
            if value is None:
                continue
            for url in _urls(attribute, text_of(value)):
                found = self._at(url)
                if found:
                    held[attribute] = found
                    break
        return held

    def _at(self, url: str) -> Held | None:
        location = read_url(url, self._base)
        if location is None:
            return None
        held = self._holding.at(location, self._page.host)
        if held is None and location.host not in ("", self._page.host):
            if self._templates and self._templates[-1]:
                return self._templates[-1]
            self._tell_passing(location)
        return held

    def _script(
        self, raw: bytes, found: list[Attribute], values: dict[bytes, bytes], text: bytes
    ) -> bytes | None:
        kind = text_of(values.get(b"type", b""))
        if kind.strip().lower() == "text/plain":
            return None
        held = self._held(b"script", values)
        if not held and b"src" not in values and _SCRIPT_TYPE.match(kind):
            inline = self._holding.inline(text)
            held = {b"": inline} if inline else {}
        if not held:
            return None
        renamed = {**held, b"type": next(iter(held.values()))}
        return self._inert(raw, found, values, held, renamed, b' type="text/plain"')

    def _iframe(
        self, raw: bytes, found: list[Attribute], values: dict[bytes, bytes], held: dict[bytes, Held]
    ) -> bytes | None:
        if b"srcdoc" in values:
            inner = self._inner(text_of(values[b"srcdoc"]))
            if inner is None:
                return self._inert(raw, found, values, held) if held else None
            place = next(a for a in found if a.name == b"srcdoc")
            written = b'"' + escape(inner) + b'"'
            raw = raw[: place.value_start] + written + raw[place.end :]
            return self._inert(raw, attributes(raw), values, held) if held else raw
        if held:
            box, renamed = self._box(next(iter(held.values())), values, b"src")
            return self._inert(raw, found, values, held, {**held, **renamed}, box)
        marked = self._marked(values)
        if marked is None:
            return None
        box, renamed = self._box(marked, values, b"data-src")
        return self._inert(raw, found, values, {}, renamed, box) if box else None

    def _marked(self, values: dict[bytes, bytes]) -> Held | None:
        """Return what an iframe waits for that the page itself marked up."""
        if b"src" in values or b"data-src" not in values or _MARKS.isdisjoint(values):
            return None
        return self._holding.named(self._named(values))

    @staticmethod
    def _named(values: dict[bytes, bytes]) -> str:
        """Return what the page says that an element waits for; the service decides where one is named."""
        return text_of(
            values.get(b"data-service") or values.get(b"data-name") or values.get(b"data-category", b"")
        )

    def _box(
        self, held: Held, values: dict[bytes, bytes], attribute: bytes
    ) -> tuple[bytes, dict[bytes, Held]]:
        """Return the document that stands in an iframe until it is lifted; none where nobody would see it."""
        if _is_unseen(values):
            return b"", {}
        url = text_of(values[attribute]).strip().encode("utf-8", "replace").decode()
        document = self._placeholder(held, url, self._language)
        # The parent must be able to reach its buttons; there is no script in it to be kept in.
        return b' srcdoc="' + escape(document) + b'"', {b"sandbox": held} if b"sandbox" in values else {}

    def _inner(self, document: str) -> str | None:
        """Return the document of a ``srcdoc`` with what it holds back, None where it may stay."""
        if self._depth >= _NESTED:
            return None
        inner = Rewriter(
            self._holding,
            self._base,
            on_held=self._tell,
            on_passing=self._tell_passing,
            placeholder=self._placeholder,
            inner_head=self._inner_head,
        )
        inner._depth = self._depth + 1
        body = document.encode("utf-8", "surrogateescape")
        rewritten = inner.whole(body)
        if b"<script" not in body.lower() and rewritten is body:
            return None
        if self._dry:
            return None
        return (self._inner_head() + rewritten).decode("utf-8", "surrogateescape")

    def _inert(
        self,
        raw: bytes,
        found: list[Attribute],
        values: dict[bytes, bytes],
        held: dict[bytes, Held],
        renamed: dict[bytes, Held] | None = None,
        added: bytes = b"",
    ) -> bytes:
        """Return a tag with its live attributes renamed and what lifts it named, unless the page names it."""
        for one in held.values():
            self._tell(one)
            break
        if held and _MARKS.isdisjoint(values):
            added += _mark(next(iter(held.values())))
        names = held if renamed is None else renamed
        name_end = next((a.start for a in found), len(raw) - 1)
        while raw[name_end - 1 : name_end] in (b" ", b"\t", b"\n", b"\f", b"\r", b"/") and name_end > 1:
            name_end -= 1
        parts = [raw[:name_end], added]
        done = name_end
        for attribute in found:
            if attribute.name in names:
                place = attribute.start
                if self._xml:  # a prefix of our own would be one that nobody declares
                    place += attribute.name.find(b":") + 1
                parts += (raw[done:place], b"data-")
                done = place
        return b"".join((*parts, raw[done:]))


@lru_cache(maxsize=64)
def _hosts_but(own: str) -> re.Pattern[bytes]:
    """Return what finds hosts behind ``//``, but not the page's own: most links of most pages lead there."""
    return re.compile(_HOSTS % re.escape(own.encode("ascii", "replace")))


def _all(data: bytes, text: bytes) -> Iterator[int]:
    """Yield every place of a text."""
    at = data.find(text)
    while at >= 0:
        yield at
        at = data.find(text, at + 1)


def _backwards(data: bytes, text: bytes) -> Iterator[int]:
    """Yield every place of a text, the last first."""
    at = data.rfind(text)
    while at >= 0:
        yield at
        at = data.rfind(text, 0, at)


def _urls(attribute: bytes, value: str) -> Iterator[str]:
    """Yield the URLs in an attribute's value; a ``srcset`` holds several (WHATWG HTML 4.8.4.2.1)."""
    if not attribute.endswith(b"srcset"):
        yield value
        return
    for match in _CANDIDATE.finditer(value):
        yield match[1].rstrip(",")


def _mark(held: Held) -> bytes:
    name = b"data-service" if held.declared else b"data-category"
    return b" " + name + b'="' + " ".join(held.units).encode("ascii") + b'"'


def _is_unseen(values: dict[bytes, bytes]) -> bool:
    """Return whether an iframe is not there to be looked at: a pixel, or hidden."""
    if b"hidden" in values or _HIDDEN.search(text_of(values.get(b"style", b""))):
        return True
    sizes = (values.get(b"width", b""), values.get(b"height", b""))
    return any(size.isdigit() and int(size[:9]) < _PIXEL for size in sizes)
