"""Count what browsers report, by service or host, and say once in a while what to do about it.

Anybody can send a report, so that all it proves is that somebody sent one: it is counted in bounded memory, put into
words that say so, and decides nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent_middleware.catalog import builtin_services
from consent_middleware.catalog.hosts import HostIndex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consent_middleware.catalog import Catalog, Service
    from consent_middleware.config import ConsentConfig
    from consent_middleware.csp.reports import Violation

__all__ = ["OTHER", "Finding", "Violations"]

OTHER = "(other)"
"""Stands for all hosts that there was no room for."""

_MAX_KEYS = 256


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to log.

    Attributes:
        key: Tells it from every other finding, the same one at another count included.
        level: Of `logging`: a warning where there is a line to paste, information otherwise.
        text: Fit for a log: hosts, services and directives, nothing personal.
    """

    key: tuple[str, ...]
    level: int
    text: str


class Violations:
    """Count the violations of one site's policies. Its methods may be called from several threads.

    Args:
        config: The declaration, to show the lines that change it.
        catalog: What it compiles to.
    """

    def __init__(self, config: ConsentConfig, catalog: Catalog) -> None:
        self._use = tuple(config.use)
        self._allow = tuple(config.csp.allow)
        self._declared = catalog.services
        self._held = frozenset(service.id for gate, service in catalog.reach if gate)
        known = (s for s in builtin_services().values() if s.id not in catalog.services)
        services = (*catalog.services.values(), *known)
        self._index = HostIndex(_whole(services))
        self._index_of_parts = HostIndex(_parts(services))
        self._counts: dict[tuple[str, str], int] = {}
        self._hosts = 0
        self._lock = threading.Lock()

    def add(self, violation: Violation) -> Finding | None:
        """Count a violation; return what to log where it is the first of its kind, the tenth, the hundredth ..."""
        service = self._owner(violation.host)
        name, directive = service.id if service else violation.host, violation.directive
        with self._lock:
            if service is None and (name, directive) not in self._counts:
                # Only hosts that nobody knows are without number; forged ones must not crowd services out.
                if self._hosts >= _MAX_KEYS:
                    name, directive = OTHER, ""
                else:
                    self._hosts += 1
            count = self._counts[name, directive] = self._counts.get((name, directive), 0) + 1
        if str(count).strip("0") != "1":
            return None
        level, text = self._words(name, service, violation, count)
        return Finding(("csp", name, directive, str(count)), level, text)

    def summary(self) -> dict[str, dict[str, int]]:
        """Return the counts by directive, by service or host."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for (name, directive), count in self._counts.items():
                found.setdefault(name, {})[directive] = count
        return found

    def _owner(self, host: str) -> Service | None:
        """Return the service behind a host, unless it is declared, needs no consent, and was stopped all the same.

        Then its declaration does not cover what was asked for, and the host is as good as unknown.
        """
        owners = self._index.find(host, "/") or self._index_of_parts.find(host, "/")
        declared = [owner for owner in owners if owner.id in self._declared]
        for owner in declared or owners:
            if owner.id in self._held or owner.id not in self._declared:
                return owner
        return None

    def _words(self, name: str, service: Service | None, violation: Violation, count: int) -> tuple[int, str]:
        verb = "would hold back" if violation.disposition == "report" else "held back"
        times = "once" if count == 1 else f"{count} times"
        what = f"browsers reported that the policy {verb} {{}} {times} ({violation.directive})"
        if name == OTHER:
            return logging.WARNING, f"browsers reported violations of too many hosts to name, {times}."
        if service is None:
            text = (
                f"{what.format(violation.host)}. Anybody can send such a report. If the site itself needs that host, "
                "in consent.toml, below [csp]:\n"
                f"{_toml_line('allow', (*self._allow, violation.source))}\n"
                "If it waits for consent, add it to the hosts of its service."
            )
            return logging.WARNING, text
        if service.id in self._declared:
            return logging.INFO, f"{what.format(service.name)}: a visitor has not granted it."
        text = (
            f"{what.format(violation.host)}, which is known to belong to {service.name}. "
            f"In consent.toml, at the top:\n{_toml_line('use', (*self._use, service.id))}"
        )
        return logging.WARNING, text


def _whole(services: Iterable[Service]) -> list[tuple[str, Service]]:
    return [(host, service) for service in services for host in service.hosts if "/" not in host]


def _parts(services: Iterable[Service]) -> list[tuple[str, Service]]:
    """Return the services that own a part of a host, by the whole of it: reports are kept without their path."""
    patterns = ((pattern, service) for service in services for pattern in service.hosts)
    return [(pattern.partition("/")[0], service) for pattern, service in patterns if "/" in pattern]


def _toml_line(key: str, values: tuple[str, ...]) -> str:
    # A JSON array of strings is a TOML one too.
    return f"{key} = {json.dumps(list(dict.fromkeys(values)))}"
