"""The facts of the cookie policy, in words: the same declaration that the filter enforces (ENF-11).

Decides what may be said: a sentence that a setting makes untrue is left out or said otherwise, and nothing is
said that the declaration does not hold. Knows no markup and no visitor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from consent_middleware.catalog import ESSENTIAL, Basis
from consent_middleware.policy import OPT_OUT_DAYS
from consent_middleware.signals import DntScope, WhenOn
from consent_middleware.texts import direction, duration, format_date, list_of, sentences
from consent_middleware.views import EEA, Views
from consent_middleware.visitor import CookieNames

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from consent_middleware.catalog import Service
    from consent_middleware.config import ConsentConfig

__all__ = ["facts", "review_advice"]

_GPC, _DNT = "Global Privacy Control", "Do Not Track"
_LINKED = re.compile(r"https?://|/(?![/\\])", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@:/?&]+@[^\s@:/?&]+\Z")


def facts(
    config: ConsentConfig,
    language: str,
    *,
    root: str | None = None,
    back: str = "",
    accounts: bool = False,
    ages: bool = False,
) -> dict[str, Any]:
    """Return everything that a site's cookie policy says.

    Args:
        config: The declaration.
        language: One that there are texts in.
        root: Where our own pages are, quoted; ``[site] path`` by default.
        back: Where those pages lead back to; where the visitor comes from by default.
        accounts: Whether a choice follows an account (the `subject` hook).
        ages: Whether the site knows who is under 16 (the `age_class` hook).

    Returns:
        ``lang``, ``dir``, ``words`` (the texts by key), ``title``, ``intro``, ``controller`` (``name``, ``address``,
        ``contact``, ``contact_url``), ``choices``, ``links`` (``name``, ``url``, ``opens``), ``kept``, ``signals`` (a
        list), ``proof``, ``rights``, ``children``, ``updated`` and ``categories``: each with ``id``, ``title``,
        ``description``, ``basis`` and ``services``, as `_Words.service` says. What does not hold, or is not
        declared, is empty.
    """
    return _Words(config, language, accounts=accounts, ages=ages).all(
        config.site.path if root is None else root, back
    )


def review_advice(updated: str, today: date) -> str:
    """Return what to do about a policy that nobody has looked through for 12 months; nothing where that is well.

    Args:
        updated: ``[site] updated``: a day such as ``2026-11-22``, or nothing.
        today: The day to count from.
    """
    example = f'updated = "{today.isoformat()}"'
    if not updated:
        return f"[site] updated is not set: the policy page does not say how current it is. Once you have looked through this file, write {example}."
    year, *rest = map(int, updated.split("-"))
    if [year + 1, *rest] >= [today.year, today.month, today.day]:
        return ""
    return f"[site] updated is older than 12 months ({updated}): look through this file, correct what has changed, then write {example}."


class _Words:
    """Put one declaration into words, in one language."""

    def __init__(self, config: ConsentConfig, language: str, *, accounts: bool, ages: bool) -> None:
        self._config = config
        self._catalog = config.catalog
        self._language = language
        self._texts = config.texts(language)
        self._views = Views(config)
        self._accounts = accounts and config.keeps_records
        self._ages = ages

    def all(self, root: str, back: str) -> dict[str, Any]:
        config, texts = self._config, self._texts
        waits = self._waits
        intro = texts["policy_intro" if waits else "policy_intro_plain"]
        updated = config.site.updated
        return {
            "lang": self._language,
            "dir": direction(self._language),
            "words": texts,
            "title": texts["policy_title"],
            "intro": intro.format(site=config.site.name),
            "controller": self._controller(),
            "choices": texts["policy_choices_text" if waits else "policy_choices_plain"],
            "links": self._links(root, back),
            "kept": self._kept(),
            "signals": self._signals(),
            "proof": self._proof(),
            "categories": self._categories(),
            "rights": texts["policy_rights_text"] if config.keeps_records else "",
            "children": texts["policy_children"] if self._spares_children else "",
            "updated": texts["policy_updated"].format(date=format_date(self._language, updated))
            if updated
            else "",
        }

    # -- what holds

    @property
    def _waits(self) -> bool:
        """Whether all that is not needed waits for a yes, without exception."""
        config = self._config
        return (
            config.site.regime == "opt-in"
            and config.site.mode == "enforce"
            and config.cookies.unknown == "block"
            and self._catalog.asked == self._catalog.prompted
            and all(s.hold or s.id in self._catalog.always for s in self._catalog.services.values())
        )

    @property
    def _spares_children(self) -> bool:
        """Whether nothing of visitors under 16 is sold or shared without a yes: silence denies it, or the site knows them."""
        objected = self._catalog.asked - self._catalog.prompted
        return self._ages or (self._config.site.regime == "opt-in" and not objected & self._catalog.shares)

    # -- the sections

    def _controller(self) -> dict[str, str]:
        controller = self._config.controller
        contact = controller.contact.strip()
        url = f"mailto:{contact}" if _ADDRESS.match(contact) else _linked(contact)
        return {
            "name": controller.name,
            "address": controller.address,
            "contact": contact,
            "contact_url": url,
        }

    def _links(self, root: str, back: str) -> list[dict[str, str]]:
        texts, config = self._texts, self._config
        after = f"?next={quote(back, safe='/')}" if back else ""
        found = [("preferences", texts["prefs_title"], "preferences")]
        if config.site.regime != "opt-in":
            found.append(("opt-out", texts["opt_out_title"], ""))
        if config.keeps_records:
            found.append(("receipt", texts["receipt_link"], ""))
        return [{"name": name, "url": f"{root}/{path}{after}", "opens": opens} for path, name, opens in found]

    def _signals(self) -> list[str]:
        texts, signals = self._texts, self._config.signals
        quiet = self._config.when_on is WhenOn.QUIET
        found = []
        if signals.gpc:
            found.append(texts["policy_signals_gpc"] if quiet else texts["policy_signal"].format(signal=_GPC))
        else:
            found.append(texts["policy_signal_off"].format(signal=_GPC))
        if not signals.dnt:
            found.append(texts["policy_signal_off"].format(signal=_DNT))
        elif self._config.dnt_scope is DntScope.ALL:
            found.append(texts["policy_signals_dnt_all"])
        else:
            found.append(
                texts["policy_signals_dnt"] if signals.gpc else texts["policy_signal"].format(signal=_DNT)
            )
        return found

    def _kept(self) -> str:
        """Return how long an answer is kept; under opt-in there is but one time (EU-7)."""
        time = duration(f"P{self._config.site.consent_days}D", self._texts)
        if self._config.site.regime == "opt-in":
            return str(self._texts["policy_kept_answer"].format(time=time))
        longest = duration(f"P{OPT_OUT_DAYS}D", self._texts)
        return str(self._texts["policy_kept"].format(time=time, opt_out=longest))

    def _proof(self) -> str:
        records, texts = self._config.records, self._texts
        if not self._config.keeps_records:
            return ""
        details = [
            text for key, text in texts["policy_details"].items() if getattr(records, str(key)) != "none"
        ]
        # An account may be called by a name or an address.
        key = "policy_proof_plain" if details or self._accounts else "policy_proof"
        found = [texts[key].format(time=duration(records.retention, self._texts))]
        if details:
            found.append(texts["policy_proof_details"].format(details=list_of(self._language, details)))
        if self._accounts:
            found.append(texts["policy_proof_account"])
        return sentences(self._language, *found)

    # -- the categories

    def _categories(self) -> list[dict[str, Any]]:
        found = []
        for shown in self._views.categories(self._language, frozenset()):
            services = [self._own()] if shown["id"] == ESSENTIAL else []
            services += [self.service(self._catalog.services[s["id"]], s) for s in shown["services"]]
            found.append(
                {
                    "id": shown["id"],
                    "title": shown["title"],
                    "description": shown["description"],
                    "foreign": shown["foreign"],
                    "basis": self._basis(shown["id"]),
                    "services": services,
                }
            )
        return found

    def _basis(self, category: str) -> str:
        texts = self._texts
        if category in self._catalog.always:
            return str(texts["policy_basis_exempt"])
        regime = self._config.site.regime
        objection = self._catalog.categories[category].basis is Basis.EXEMPT_WITH_OBJECTION
        if objection or regime in {"opt-out", "none"}:  # silence allows
            return str(texts["policy_basis_objection"])
        return str(texts["policy_basis_region" if regime == "by-region" else "policy_basis_consent"])

    def _own(self) -> dict[str, Any]:
        """Return what the site itself needs: its cookies, and the one that holds the answer."""
        config = self._config
        names = CookieNames(f"-{config.site.id}" if config.site.id else "", config.site.cookie_domain)
        days = config.site.consent_days if config.site.regime == "opt-in" else OPT_OUT_DAYS
        answer = {
            "purpose": self._texts["policy_consent_cookie"],
            "foreign": "",
            "time": duration(f"P{days}D", self._texts),
        }
        secure = not config.site.origins or any(o.startswith("https:") for o in config.site.origins)
        own = [names.name(secure=secure), *([names.kept(secure=secure)] if self._accounts else [])]
        cookies = [{"name": name, **answer} for name in own]
        cookies += [
            {"name": name, "purpose": "", "foreign": "", "time": ""} for name in config.cookies.essential
        ]
        return self._row(config.site.name, recipient=config.controller.name, cookies=cookies)

    def service(self, service: Service, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Return one service.

        Returns:
            ``name``, ``description``, ``foreign`` (the language of what is not in the page's), ``recipient``,
            ``transfer``, ``policy_url``, ``policy_of``, ``sells``, ``unheld``, ``storage`` and ``cookies``
            (``name``, ``purpose``, ``foreign``, ``time``).
        """
        texts, catalog = self._texts, self._catalog
        place = shown["country"]
        within = service.country in EEA
        who = f"{service.provider or service.name} ({place})" if within else service.provider
        storage = ", ".join(service.storage)
        return self._row(
            service.name,
            description=shown["description"],
            foreign=shown["foreign"],
            recipient=who,
            transfer=texts["policy_transfer"].format(country=place) if place and not within else "",
            policy_url=_linked(service.policy_url),
            policy_of=texts["policy_of"].format(name=service.name),
            sells=texts["policy_sells"] if service.id in catalog.shares else "",
            unheld=texts["policy_unheld"] if not service.hold and service.id in catalog.asked else "",
            storage=texts["policy_storage"].format(names=storage) if storage else "",
            cookies=[
                {key: c[key] for key in ("name", "purpose", "foreign")} | {"time": c["retention"]}
                for c in shown["cookies"]
            ],
        )

    @staticmethod
    def _row(name: str, **given: Any) -> dict[str, Any]:
        empty = (
            "description",
            "foreign",
            "recipient",
            "transfer",
            "policy_url",
            "policy_of",
            "sells",
            "unheld",
            "storage",
        )
        return {"name": name, **dict.fromkeys(empty, ""), "cookies": [], **given}


def _linked(url: str) -> str:
    """Return an address that can be followed without running anything, nothing for any other."""
    return url if _LINKED.match(url) else ""
