"""The grammar of HTML that finding a place in a document needs: patterns, and two readings of them.

Patterns are possessive wherever they repeat, so that no input makes them backtrack. Source: WHATWG HTML
13.2.5 (tokenization).
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "BEFORE_CHARSET",
    "CHARSET_LIMIT",
    "CLOSE_PREFIX",
    "COMMENT",
    "LEAD",
    "LEAD_SO_FAR",
    "MEMORABLE",
    "PROLOGUE",
    "RAW_NAMES",
    "SIMPLE_TAG",
    "TAG",
    "TAIL",
    "WHOLE",
    "insertion",
    "page_language",
]

PROLOGUE = 16_384
TAIL = 2_048
MEMORABLE = 4_096
CHARSET_LIMIT = 1_024

_WS = rb"[\t\n\f\r ]"
# Attributes as the tokenizer's states read them; possessive, so that no input makes it backtrack.
_ATTRIBUTE = (
    rb"(?:=[^\t\n\f\r />=]*+|[^\t\n\f\r />=]++)"
    rb"(?:"
    + _WS
    + rb"*+="
    + _WS
    + rb"*+(?:\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'][^\t\n\f\r >]*+|(?=>))|(?!"
    + _WS
    + rb"*+=))"
)
_REST = rb"(?=[\t\n\f\r />])(?:[\t\n\f\r /]++|" + _ATTRIBUTE + rb")*+>"
# A tag as it is usually written; anything else takes `TAG`. Fit for a possessive repetition: it has no group.
SIMPLE_TAG = (
    rb"[a-z][^\t\n\f\r />\"'<=]*+(?:[\t\n\f\r /]++[^\t\n\f\r />\"'<=]++"
    rb"(?:=(?:\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'=<`]++))?+)*+[\t\n\f\r /]*+>"
)
RAW_NAMES = rb"script|style|title|textarea|noscript|template|xmp|iframe|noembed|noframes"
COMMENT = rb"<!--(?:>|->|.*?--!?>)"

TAG = re.compile(rb"<(/?)([a-z][^\t\n\f\r />]*+)" + _REST, re.IGNORECASE | re.DOTALL)
# A "<?xml ...?>" in front is a comment to HTML.
_GAP = rb"(?:" + _WS + rb"|" + COMMENT + rb"|<\?[^>]*+>)*+"
LEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?+"
    + _GAP
    + rb"(?P<doctype><!doctype[^>]*+>)?"
    + _GAP
    + rb"(?P<tag><(?P<name>[a-z][^\t\n\f\r />]*+)"
    + _REST
    + rb")?",
    re.IGNORECASE | re.DOTALL,
)
LEAD_SO_FAR = re.compile(rb"(?:\xef?+\xbb?+\xbf?+)?+" + _WS + rb"*+(?:<.*)?+", re.DOTALL)
# The usual page, in one match: quotes only right behind ``name=``; anything else goes the careful way.
# No capturing group stands inside a possessive one: CPython 3.11's re cannot do that.
_PLAIN = rb"[^>\"'<]*+(?:(?<=[a-z0-9-]=)(?:\"[^\"]*+\"|'[^']*+')[^>\"'<]*+)*+>"
_PLAIN_RAW = rb"|".join(
    name + rb"(?=[\t\n\f\r >])" + _PLAIN + rb".*?</" + name + rb"(?=[\t\n\f\r />])"
    for name in RAW_NAMES.split(b"|")
)
WHOLE = re.compile(
    rb"(?:\xef\xbb\xbf)?+" + _GAP + rb"(?:<!doctype[^>]*+>)?+" + _GAP
    + rb"(?P<html><html(?=[\t\n\f\r >])" + _PLAIN + rb")" + _GAP
    + rb"(?P<head><head(?=[\t\n\f\r >])" + _PLAIN + rb")"
    + rb"(?:[^<]++|<(?:(?:meta|link|base|/[a-z]++)(?=[\t\n\f\r />])" + _PLAIN
    + rb"|!--(?:>|->|.*?--!?>)|" + _PLAIN_RAW + rb"))*+"
    + rb"(?P<body><body(?=[\t\n\f\r >])" + _PLAIN + rb")",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_LANG = re.compile(_WS + rb"lang" + _WS + rb"*=" + _WS + rb"*[\"']?([a-z0-9-]{2,35})", re.IGNORECASE)
# What stands before an early <meta charset>: comments and raw text are passed over, a script ends the search.
BEFORE_CHARSET = re.compile(
    COMMENT
    + rb"|<(?:"
    + rb"|".join(
        name + _REST + rb".*?</" + name + rb"(?=[\t\n\f\r />])"
        for name in RAW_NAMES.split(b"|")
        if name != b"script"
    )
    + rb")|(?P<meta><meta[\t\n\f\r /][^>]*?charset[^>]*+>)|<!--|<(?:"
    + RAW_NAMES
    + rb")",
    re.IGNORECASE | re.DOTALL,
)
_CLOSE = re.compile(rb"</body", re.IGNORECASE)
CLOSE_PREFIX = re.compile(rb"<(?:/(?:b(?:o(?:dy?)?)?)?)?\Z", re.IGNORECASE)
_ENDING = re.compile(
    rb"</body" + _WS + rb"*+>(?:" + _WS + rb"++|</html" + _WS + rb"*+>|" + COMMENT + rb")*+\Z",
    re.IGNORECASE | re.DOTALL,
)


@lru_cache(maxsize=256)
def page_language(html_tag: bytes) -> str:
    """Return the language an ``<html>`` tag names, lower-case; empty for none."""
    match = _LANG.search(html_tag)
    return match[1].decode("ascii").lower() if match else ""


def insertion(tail: bytes) -> int:
    """Return where the document's last markup goes in its last bytes: before ``</body>``, or at the end."""
    last = tail.rfind(b"</body")
    if last >= 0 and _ENDING.match(tail, last):
        return last
    for close in _CLOSE.finditer(tail):
        if _ENDING.match(tail, close.start()):
            return close.start()
    return len(tail)
