"""What the site declared when visitors answered: kept with their records, and to tell them what has changed since.

`declare` writes it down in full, for the proof (EU-5). `Declarations` remembers it in short (EU-6): one small file a declaration under which somebody answered, beside the journal. What no file tells, for instance on
another host, is said in general words. Holds no visitor's data.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent_middleware.records.model import Declaration

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from consent_middleware.catalog import Catalog, Category, Service
    from consent_middleware.config import ConsentConfig

__all__ = ["Changes", "Declarations", "declare"]

_MAX_FILES = 200
_log = logging.getLogger("consent_middleware")


def declare(config: ConsentConfig) -> Declaration:
    """Return what a site declares, as it is kept with the records: who answers for it, categories, services, cookies."""
    catalog, controller = config.catalog, config.controller
    declared = {
        "fingerprint": catalog.fingerprint,
        "site": config.site.name,
        "policy_url": config.site.policy_url,
        "preferences_url": f"{config.site.path}/preferences",
        "controller": controller.model_dump(),
        "categories": [_category(c) for c in catalog.categories.values() if c.id in catalog.asked],
        "services": [_service(s) for s in catalog.services.values()],
    }
    text = json.dumps(declared, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Declaration.of(text, catalog.fingerprint)


def _category(category: Category) -> dict[str, Any]:
    found = {
        "id": category.id,
        "basis": category.basis.value,
        "title": category.title,
        "description": category.description,
    }
    return {name: value for name, value in found.items() if value}


def _service(service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "name": service.name,
        "category": service.category,
        "provider": service.provider,
        "country": service.country,
        "policy_url": service.policy_url,
        "sells_or_shares": service.sells_or_shares,
        "hosts": list(service.hosts),
        "storage": list(service.storage),
        "cookies": [
            {"name": c.name, "retention": c.retention, "purpose": c.purpose} for c in service.cookies
        ],
    }


@dataclass(frozen=True, slots=True)
class Changes:
    """Services that a visitor is asked about, by name, as they differ from an earlier declaration."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Declarations:
    """Remember what was declared.

    Args:
        catalog: What is declared today.
        folder: Where earlier declarations stand; made with the first answer.
    """

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._fingerprint = catalog.fingerprint
        self._folder = folder
        self._today = {
            service.id: (
                service.name,
                hashlib.sha256(json.dumps(service.processing).encode()).hexdigest()[:16],
            )
            for service in catalog.services.values()
            if service.id not in catalog.always
        }
        self._earlier = dict(filter(None, map(_read, sorted(folder.glob("*.json"))[:_MAX_FILES])))
        self._kept = self._fingerprint in self._earlier

    def keep(self) -> None:
        """Remember today's declaration, since somebody has answered under it; where the disk does not take it, nobody does."""
        if self._kept:
            return
        self._kept = True
        path = self._folder / f"{self._fingerprint}.json"
        aside = path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside.write_text(json.dumps(self._today, sort_keys=True), "utf-8")
            os.replace(aside, path)  # noqa: PTH105 - over one that another worker has written
        except OSError as error:
            _log.warning("consent_middleware: the declaration could not be kept (%s)", error.strerror)

    def since(self, fingerprint: str) -> Changes:
        """Return what differs from the declaration of that fingerprint; nothing where it is not known."""
        then = self._earlier.get(fingerprint)
        if then is None:
            return Changes()
        now = self._today
        return Changes(
            new=tuple(now[id_][0] for id_ in now if id_ not in then),
            changed=tuple(now[id_][0] for id_ in now if id_ in then and now[id_][1] != then[id_][1]),
            gone=tuple(name for id_, (name, _) in then.items() if id_ not in now),
        )


def _read(path: Path) -> tuple[str, dict[str, tuple[str, str]]] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
        return path.stem, {str(id_): (str(name), str(digest)) for id_, (name, digest) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
