"""The cookie policy as Markdown, from the same facts as the page: for a site whose own policy is a text file.

Writes only what every Markdown reads alike: headings, lists, links and code, no tables and no HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["markdown"]

_MARKS = re.compile(r"[\\`*_{}\[\]#]")
# Some readers take no backslash before these.
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("~"): "&#126;"}
# What would begin a list at the beginning of a line.
_LIST = re.compile(r"(\d*)([-+.)])(?=\s|\Z)")
_IN_URL = ":/?#@!$&'()*+,;=%~-._"


def markdown(policy: Mapping[str, Any]) -> str:
    """Return a cookie policy as Markdown.

    Args:
        policy: What `policy_page.facts` returns.
    """
    words, controller = policy["words"], policy["controller"]
    contact = _link(controller["contact"], controller["contact_url"])
    who = ", ".join(filter(None, (_text(controller["name"]), _text(controller["address"]), contact)))
    blocks = [
        f"# {_text(policy['title'])}",
        _text(policy["intro"]),
        f"## {_text(words['policy_who'])}",
        who,
        f"## {_text(words['policy_choices'])}",
        _text(policy["choices"]),
        "\n".join(f"- {_link(link['name'], link['url'])}" for link in policy["links"]),
        _text(policy["kept"]),
        f"## {_text(words['policy_signals'])}",
        *map(_text, policy["signals"]),
        _text(policy["children"]),
        *(block for category in policy["categories"] for block in _category(category, words)),
    ]
    if policy["rights"]:
        blocks += [f"## {_text(words['policy_rights'])}", _text(policy["rights"]), _text(policy["proof"])]
    return "\n\n".join(filter(None, [*blocks, _text(policy["updated"])])) + "\n"


def _category(category: Mapping[str, Any], words: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {_text(category['title'])}"
    yield _text(category["description"])
    yield f"**{_text(category['basis'])}**"
    for service in category["services"]:
        yield f"### {_text(service['name'])}"
        yield _text(" ".join(filter(None, (service["description"], service["sells"], service["unheld"]))))
        yield "\n".join(_items(service, words))


def _items(service: Mapping[str, Any], words: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a service's list."""
    if service["recipient"]:
        yield f"- {_text(words['policy_recipient'])}: {_text(service['recipient'])}"
    if service["transfer"]:
        yield f"- {_text(service['transfer'])}"
    if service["policy_url"]:
        yield f"- {_link(service['policy_of'], service['policy_url'])}"
    if not service["cookies"]:
        yield f"- {_text(words['no_cookies'])}"
    for cookie in service["cookies"]:
        kept = words["kept"].format(time=cookie["time"]) if cookie["time"] else ""
        about = _text(" ".join(filter(None, (cookie["purpose"], kept))))
        yield f"- {_code(cookie['name'])}{': ' if about else ''}{about}"
    if service["storage"]:
        yield f"- {_text(service['storage'])}"


def _text(text: str) -> str:
    """Return a text that reads as it is, on one line."""
    line = _MARKS.sub(r"\\\g<0>", " ".join(text.split())).translate(_ENTITIES)
    return _LIST.sub(r"\1\\\2", line, count=1) if _LIST.match(line) else line


def _link(text: str, url: str) -> str:
    return f"[{_text(text)}](<{quote(url, safe=_IN_URL)}>)" if url else _text(text)


def _code(text: str) -> str:
    """Return a name as code: between more backticks than stand in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if "`" in text else ""
    return f"{fence}{room}{text}{room}{fence}"
