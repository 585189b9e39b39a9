"""What the documentation's site needs beside MkDocs: stars in its navigation, and links that leave docs/.

A page in a folder is found without a line in mkdocs.yml. Links to files of the repository, which work where the pages
are read there, become the names of these files on the site.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["expanded", "leaving", "on_files", "on_page_markdown"]

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


def expanded(nav: list[Any], pages: Iterable[str]) -> list[Any]:
    """Return a navigation with the pages that its stars stand for, each page once, named ones where they are named."""
    pages = sorted(pages)
    left = [page for page in pages if page not in set(_named(nav))]

    def filled(entry: Any) -> list[Any]:
        """Return what an entry becomes; nothing where its stars found nothing."""
        if isinstance(entry, dict):
            [(title, inner)] = entry.items()
            inner = _flat(filled(one) for one in inner) if isinstance(inner, list) else inner
            return [{title: inner}] if inner else []
        if "*" not in entry:
            return [entry]
        found = [page for page in left if fnmatch(page, entry)]
        left[:] = [page for page in left if page not in found]
        return found

    return _flat(filled(entry) for entry in nav)


def _flat(lists: Iterable[list[Any]]) -> list[Any]:
    return [entry for entries in lists for entry in entries]


def _named(nav: list[Any]) -> list[str]:
    entries = _flat([list(entry.values()) if isinstance(entry, dict) else [entry] for entry in nav])
    return _flat([_named(entry) if isinstance(entry, list) else [entry] for entry in entries])


def leaving(text: str, page: str) -> str:
    """Return a page's text with the names of files in place of links that lead out of the documentation's folder."""

    def named(match: re.Match[str]) -> str:
        target = normpath(join(dirname(page), match[2]))
        if not target.startswith("../"):
            return match[0]
        name = target.removeprefix("../")
        return match[1] if name.rpartition("/")[2] in match[1] else f"{match[1]} (`{name}`)"

    return _LINK.sub(named, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Fill in the navigation once all pages are known."""
    config.nav = expanded(config.nav or [], [file.src_uri for file in files.documentation_pages()])
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Name what a page links to outside of the site."""
    return leaving(markdown, page.file.src_uri)
