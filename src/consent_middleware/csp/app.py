"""What an app's own Content-Security-Policy must allow so that the banner's files work on its pages.

The app's policy is only read, never changed: what it lacks is for its developer to add.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["missing_sources"]

_OWN = frozenset({"'self'", "*", "https:", "http:"})
_TRUSTED_TYPE = "consent"


class _Need(NamedTuple):
    """What one kind of request needs.

    Attributes:
        chain: The directives that may govern it, the first one there does (CSP Level 3, 6.8.3 and 6.8.4).
        by_nonce: Whether its element carries the nonce.
        is_script: Whether 'strict-dynamic' switches hosts and 'self' off for it.
    """

    chain: tuple[str, ...]
    by_nonce: bool = False
    is_script: bool = False


_NEEDS = (
    _Need(("script-src-elem", "script-src", "default-src"), by_nonce=True, is_script=True),
    _Need(("style-src-elem", "style-src", "default-src"), by_nonce=True),
    _Need(("connect-src", "default-src")),
    _Need(("form-action",)),  # falls back to nothing
)


def missing_sources(policy: str, *, nonce: str) -> tuple[str, ...]:
    """Return what a policy lacks for the banner: its script, its stylesheet, its requests and its form.

    A named host does not count as the site's own, though it may be: that cannot be known here.

    Args:
        policy: The app's `Content-Security-Policy`, several joined by commas.
        nonce: What our elements carry; empty for none.

    Returns:
        Entries such as ``script-src 'self'``, under the directive that governs, or that would where only
        `default-src` does. Never the nonce itself, so that they can be logged.
    """
    policies = [_directives(part) for part in policy.split(",")]
    found = [missing for directives in policies for missing in _missing(directives, nonce)]
    if any("'script'" in _lowered(p.get("require-trusted-types-for", ())) for p in policies) and any(
        "trusted-types" in p and not {_TRUSTED_TYPE, "*"} & {*p["trusted-types"]} for p in policies
    ):
        found.append(f"trusted-types {_TRUSTED_TYPE}")
    return tuple(dict.fromkeys(found))


def _directives(policy: str) -> dict[str, tuple[str, ...]]:
    """Return a policy's sources by directive; of repeated ones the first counts (CSP Level 3, 2.2.1)."""
    found: dict[str, tuple[str, ...]] = {}
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        found.setdefault(name.lower(), tuple(sources))
    return found


def _missing(directives: dict[str, tuple[str, ...]], nonce: str) -> list[str]:
    found = []
    for need in _NEEDS:
        governing = next((name for name in need.chain if name in directives), None)
        if governing is None:
            continue
        missing = _missing_source(need, directives[governing], nonce)
        if missing:
            # Who adds to default-src opens every other kind too: the narrower directive is named instead.
            name = need.chain[-2] if governing == "default-src" else governing
            found.append(f"{name} {missing}")
    return found


def _missing_source(need: _Need, sources: tuple[str, ...], nonce: str) -> str:
    if need.by_nonce and nonce and any(_is_nonce(source, nonce) for source in sources):
        return ""
    lowered = _lowered(sources)
    if need.is_script and "'strict-dynamic'" in lowered:
        return "'nonce-...'"
    return "" if _OWN & lowered else "'self'"


def _is_nonce(source: str, nonce: str) -> bool:
    return source[:7].lower() == "'nonce-" and source[7:] == f"{nonce}'"


def _lowered(sources: tuple[str, ...]) -> frozenset[str]:
    return frozenset(source.lower() for source in sources)
