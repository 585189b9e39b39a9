"""Which Content-Security-Policy goes with what a visitor granted: an allow-list of hosts.

It is sent *beside* the app's own policy, never in its place: a browser that gets two obeys both (CSP Level 3,
8.1), so the app's is never loosened. It keeps third parties out, however a page comes to ask for them; it is no
defence against injected scripts, which stays the app's own policy's task.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from consent_middleware.csp.sources import (
    SAFE_IN_PATH,
    read_source,
    service_sources,
    smallest,
    source_problem,
)
from consent_middleware.errors import ConfigError, Fault

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog
    from consent_middleware.config import ConsentConfig
    from consent_middleware.csp.sources import Source

__all__ = ["Policies"]

_ENFORCED = b"content-security-policy"
_REPORTED = b"content-security-policy-report-only"
_ENDPOINT = "consent"
_LARGE = 4_096

# One directive speaks for all: script, connect, img, frame, media, font, style, worker, object and manifest all
# fall back to default-src (CSP Level 3, 6.8.3), and none of them is written here. What does not fall back to it
# (form-action, frame-ancestors, base-uri, sandbox) is the app's to say.
#
# 'unsafe-inline' and 'unsafe-eval' loosen nothing: the app's policy still decides whether a page may run either,
# while without them ours would stop the inline code of every app that has no policy. A nonce must never join
# them: it lets <script nonce src=tracker> through whatever the host, and switches 'unsafe-inline' off.
#
# data: and blob: ask no host. 'self' covers the site's own websockets (CSP Level 3, 6.7.2.8).
_BASE = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"


class Policies:
    """The policies of one site.

    Allowed are the hosts of the services that need no consent, that are granted, or that load before they are
    (``hold = false``); the site's ``origins``; and ``[csp] allow``. A sub-domain of the site's own is allowed
    where it is declared: a tracker may hide behind one, so ``cookie_domain`` alone allows nothing. So is a
    service that the catalogue knows but the site does not use. An allow-list cannot take a host back out: what
    one service's wildcard covers is allowed with it, and the site's own paths always are.

    Args:
        config: The declaration.
        catalog: What it compiles to.
        report_path: Where browsers report to, from the root of the app, e.g. ``/_consent/csp-report``.

    Attributes:
        is_on: Whether there are any.
        enforces: Whether browsers obey them.
        size_warning: What to tell the site where the header may grow too large for a proxy; None otherwise.

    Raises:
        ConfigError: An entry of ``[csp] allow`` cannot stand in a policy.
    """

    def __init__(self, config: ConsentConfig, catalog: Catalog, report_path: str) -> None:
        _check(config.csp.allow)
        self.is_on = config.csp.mode != "off"
        self.enforces = config.csp.mode == "enforce" and config.site.mode == "enforce"
        self._name = _ENFORCED if self.enforces else _REPORTED
        self._report_path = report_path
        own = map(read_source, (*config.site.origins, *config.csp.allow))
        self._own = tuple(source for source in own if source is not None)
        self._gated = tuple(
            (gate, tuple(source for pattern in service.hosts for source in service_sources(pattern)))
            for gate, service in catalog.reach
            if service.id in catalog.services
        )
        self._gates = frozenset(gate for gate, _ in self._gated)
        self._made = lru_cache(maxsize=256)(self._make)
        self.size_warning = self._size_warning()

    def headers(self, granted: frozenset[str] | None, base: str) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers to add to a document: the policy, and where its reports go; none where it is off.

        Args:
            granted: The units that may run; None for a page that is the same for everyone, where the page
                itself decides, so that every declared service is allowed.
            base: Where the app is mounted; empty at the root.
        """
        if not self.is_on:
            return ()
        return self._made(self._gates if granted is None else granted & self._gates, base)

    def _make(self, gates: frozenset[str], base: str) -> tuple[tuple[bytes, bytes], ...]:
        sources: list[Source] = [*self._own]
        for gate, hosts in self._gated:
            if not gate or gate in gates:
                sources += hosts
        allowed = " ".join((_BASE, *map(str, smallest(sources))))
        address = quote(base + self._report_path, safe=SAFE_IN_PATH, errors="replace")
        # Browsers that know report-to ignore report-uri; the others know nothing else.
        policy = f"{allowed}; report-uri {address}; report-to {_ENDPOINT}"
        return (
            (self._name, policy.encode("ascii")),
            (b"reporting-endpoints", f'{_ENDPOINT}="{address}"'.encode("ascii")),
        )

    def _size_warning(self) -> str | None:
        size = sum(len(value) for _, value in self.headers(None, ""))
        if size <= _LARGE:
            return None
        return (
            f"the Content-Security-Policy of a visitor who grants everything has {size} bytes, and some proxies "
            "refuse a response with that much in its headers. Drop services that the site does not use, or "
            'declare fewer hosts, one "*.example.com" for several.'
        )


def _check(allow: list[str]) -> None:
    problems = ((index, source_problem(text)) for index, text in enumerate(allow))
    faults = [Fault(f"csp.allow[{index}]", problem) for index, problem in problems if problem]
    if faults:
        raise ConfigError("[csp]", faults)
