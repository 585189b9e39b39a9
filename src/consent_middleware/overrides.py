"""What a site has in place of ours: the folder that ``[site] templates`` names, and which of its files take part where.

Finds what shows in the files as they lie there: a missing folder, a file that nothing takes, one that cannot be read, own
texts, icons and styles that cannot be used. What shows only in what they make is left to `rehearsal`.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from jinja2 import Environment, TemplateSyntaxError
from jinja2.meta import find_referenced_templates

from consent_middleware.errors import ConfigError, Fault, nearest
from consent_middleware.resources import resource_root
from consent_middleware.texts import OWN_TEXTS, prescribed
from consent_middleware.vetting import vet_icon, vet_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from consent_middleware.config import ConsentConfig
    from consent_middleware.vetting import Finding

__all__ = ["ICONS", "PAGES", "STYLE", "Overrides", "fault"]

# What is rendered, and what is only a part of these.
PAGES = (
    "loader.html",
    "banner.html",
    "link.html",
    "preferences.html",
    "opt-out.html",
    "placeholder.html",
    "receipt.html",
    "policy.html",
    "cookie_policy.html",
)
_PARTS = ("_page.html", "_form.html")
ICONS = ("icon-opt-out.svg", "icon-close.svg")
STYLE = "theme.css"
_KNOWN = (*PAGES, *_PARTS, *ICONS, STYLE, OWN_TEXTS)
_TEXT = frozenset({".html", ".svg", ".css"})
_STYLE_LIMIT = 4096


def fault(file: str, problem: str, hint: str) -> Fault:
    """Return what is wrong with one of the site's files."""
    return Fault("site.templates", f"{file}: {problem}", hint)


@lru_cache(maxsize=128)
def _named_in(source: str) -> tuple[str | None, ...]:
    """Return the templates that a template takes in; None for one whose name shows only as it is rendered."""
    try:
        return tuple(find_referenced_templates(Environment(autoescape=True).parse(source)))
    except TemplateSyntaxError:  # which is told by itself
        return ()


class Overrides:
    """A site's own templates, texts, icons and styles.

    Args:
        config: The declaration.

    Attributes:
        style: What follows our style sheet; empty where the site has none.
        digest: Changes with any file; empty where there is no folder.
        warnings: What may stand, and ought to be looked at.

    Raises:
        ConfigError: Something of it cannot take the place of ours.
    """

    def __init__(self, config: ConsentConfig) -> None:
        self._folder = config.overrides
        self._files: dict[str, str] = {}
        self._parts = cache(self._find_parts)
        self.style = b""
        self.digest = b""
        self.warnings: tuple[str, ...] = ()
        if self._folder is None:
            return
        faults = list(self._read(self._folder))
        faults += [f for name in PAGES for f in self._syntax_faults(name)]
        faults += [] if faults else self._stray_faults()
        faults += self._own_faults(config)
        self.refuse(dict.fromkeys(faults))
        self.style = self._files.get(STYLE, "").encode()
        self.digest = hashlib.sha256(repr(sorted(self._files.items())).encode()).digest()
        self.warnings = tuple(self._advice(config))

    def source(self, name: str) -> tuple[str, str | None, None] | None:
        """Return a template's text and, of the site's own, its path; the site's own first. For Jinja's loader."""
        if name in self._files:
            return self._files[name], str(self._path(name)), None
        packaged = resource_root().joinpath("templates", name)
        return (packaged.read_text("utf-8"), None, None) if packaged.is_file() else None

    def concern(self, page: str) -> bool:
        """Return whether any of the site's own files takes part in a page."""
        return not self._parts(page).isdisjoint(self._files)

    def blamed(self, page: str) -> str:
        """Return the files to mend where a page is not as it must be."""
        parts = ", ".join(sorted(self._parts(page).intersection(self._files).difference({page})))
        if page not in self._files:
            return f"{parts} (in {page})"
        return f"{page} (with {parts})" if parts else page

    def named(self, path: str) -> str:
        """Return the name of the file at a path; empty where it is none of the site's own."""
        return next((name for name in self._files if str(self._path(name)) == path), "")

    @property
    def known(self) -> list[str]:
        """The names that a template can be included by."""
        return sorted({*PAGES, *_PARTS, *ICONS, *self._files})

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Raise what is wrong, if anything is.

        Raises:
            ConfigError: With all of it.
        """
        if found := list(faults):
            raise ConfigError(f"site.templates = {str(self._folder)!r}", found)

    # -- what lies there

    def _path(self, name: str) -> Path | None:
        return self._folder / name if self._folder else None

    def _read(self, folder: Path) -> Iterator[Fault]:
        """Read every file but hidden ones and editors' copies."""
        if not folder.is_dir():
            hint = "It is named from the folder that consent.toml is in."
            yield Fault("site.templates", f"there is no folder {str(folder)!r}.", hint)
            return
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if not path.is_file() or any(
                part.startswith((".", "#")) or part.endswith("~") for part in name.parts
            ):
                continue
            file = name.as_posix()
            try:
                text = path.read_text("utf-8-sig")
            except UnicodeDecodeError:
                if path.suffix in _TEXT:
                    yield fault(file, "is not UTF-8.", "Save it as UTF-8.")
                else:  # such as a picture: it is told that nothing takes it
                    self._files[file] = ""
            except OSError as error:
                if file != OWN_TEXTS:  # which says so itself
                    yield fault(file, f"cannot be read: {error.strerror}.", "Let the server's user read it.")
            else:
                # An icon stands within a line.
                self._files[file] = text.strip() if path.suffix == ".svg" else text

    def _syntax_faults(self, page: str) -> Iterator[Fault]:
        """Find the parts of a page that are no templates at all."""
        for name in sorted(self._parts(page).intersection(self._files)):
            try:
                Environment(autoescape=True).parse(self._files[name], name)
            except TemplateSyntaxError as error:
                problem = f"cannot be rendered: {str(error.message).rstrip('.')} (line {error.lineno})."
                yield fault(name, problem, "Mend the template's own marks there.")

    def _find_parts(self, page: str) -> frozenset[str]:
        """Return the files that a page is made of, itself too; all there are where that shows only as it is rendered."""
        found, waiting = set[str](), [page]
        while waiting:
            name = waiting.pop()
            if name in found or (source := self.source(name)) is None:
                continue
            found.add(name)
            named = _named_in(source[0])
            # A name that is put together may be that of any template.
            meant = set(self._files) - {STYLE, OWN_TEXTS} if None in named else set(filter(None, named))
            waiting += sorted(meant)
        return frozenset(found)

    def _stray_faults(self) -> Iterator[Fault]:
        """Find files that nothing takes: a name that is misspelt would pass for an override that works."""
        taken = {STYLE, OWN_TEXTS, *_PARTS, *ICONS}.union(*map(self._parts, PAGES))
        for name in sorted(set(self._files) - taken):
            hint = nearest(name, _KNOWN) or f"Known are: {', '.join(_KNOWN)}."
            yield fault(
                name, "nothing takes a file of this name.", f"{hint} A part of your own must be included."
            )

    def _own_faults(self, config: ConsentConfig) -> Iterator[Fault]:
        try:
            _ = config.own_texts
        except ConfigError as error:
            yield from error.faults
        vetted: list[tuple[str, Iterable[Finding]]] = [
            (name, vet_icon(self._files[name])) for name in ICONS if name in self._files
        ]
        vetted.append((STYLE, vet_style(self._files.get(STYLE, ""))))
        for name, findings in vetted:
            yield from (fault(name, *finding) for finding in findings)

    def _advice(self, config: ConsentConfig) -> Iterator[str]:
        if reworded := prescribed(config.own_texts):
            yield (
                f"{OWN_TEXTS} rewords {', '.join(reworded)}. Regulators and opt-out agents look for the usual plain words, "
                "and some are prescribed by law: have the new ones looked over."
            )
        size = len(gzip.compress(self.style, 9))
        if size > _STYLE_LIMIT:
            yield f"{STYLE} has {size:,} bytes compressed, and every page waits for it; keep it below {_STYLE_LIMIT:,}."
