"""A site, compiled: everything that is the same for every request, made once at construction."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import translate
from functools import lru_cache
from os import PathLike
from typing import TYPE_CHECKING, Any

from consent_middleware.assets import Assets
from consent_middleware.banner import Banner
from consent_middleware.choices import Choices
from consent_middleware.codec import ChoiceCodec
from consent_middleware.config import ConsentConfig, is_guessable, load_config, load_secret_keys
from consent_middleware.csp import Policies, Violations, missing_sources
from consent_middleware.endpoints import CSP_REPORT, Endpoints
from consent_middleware.errors import ConfigError, Fault, StoreError
from consent_middleware.holding import Holdings
from consent_middleware.overrides import Overrides
from consent_middleware.policy import Rules
from consent_middleware.records import (
    Background,
    Declarations,
    Journal,
    NullStore,
    Outbox,
    Sources,
    SqlStore,
    recorded_choice,
    resolve_url,
    why_unwritable,
)
from consent_middleware.regions import region_rules
from consent_middleware.reporting import Reporter, logger
from consent_middleware.rights import Rights
from consent_middleware.texts import available_languages
from consent_middleware.visitor import Visitors
from consent_middleware.whereabouts import HOOKS, Whereabouts

if TYPE_CHECKING:
    from markupsafe import Markup

    from consent_middleware.choices import Outcome
    from consent_middleware.config.sections import SiteSection
    from consent_middleware.exchange import Exchange
    from consent_middleware.policy import Choice
    from consent_middleware.records import AppendRecord, ConsentRecord, EraseRecords
    from consent_middleware.replies import Reply
    from consent_middleware.request import ConsentRequest

__all__ = ["ConfigSource", "Hooks", "Site"]

ConfigSource = str | PathLike[str] | Mapping[str, Any] | ConsentConfig | None
_MAX_LOOKED_AT = 1_024
_LONG_PATH = 256  # visitors choose these
_NONCE = re.compile(r"'nonce-[^']*'")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The site's own functions; under ASGI each may be awaitable.

    Attributes:
        region: Where the visitor is: ``"DE"``, ``"US-CA"``, None where unknown.
        age_class: ``"under_13"``, ``"13_15"``, ``"adult"`` or ``"unknown"``.
        subject: The account the visitor is logged in to, None where anonymous.
        skip: True leaves the banner out; the filter stays.
        nonce: The CSP nonce of this request, where it cannot be read from the app's own header.
        on_change: Called with each record once it is durable.
        on_opt_out: Called with the record of each opt-out at least once; `record_id` tells a repeated call.
    """

    region: Callable[[ConsentRequest], Any] | None = None
    age_class: Callable[[ConsentRequest], Any] | None = None
    subject: Callable[[ConsentRequest], Any] | None = None
    skip: Callable[[ConsentRequest], Any] | None = None
    nonce: Callable[[ConsentRequest], Any] | None = None
    on_change: Callable[[ConsentRecord], Any] | None = None
    on_opt_out: Callable[[ConsentRecord], Any] | None = None

    def __post_init__(self) -> None:
        """Take functions only.

        Raises:
            ConfigError: A hook cannot be called.
        """
        faults = [
            Fault(
                field.name,
                f"is no function. Found {given!r:.60}.",
                f"Give one that takes {_given_to(field.name)}.",
            )
            for field in fields(self)
            if (given := getattr(self, field.name)) is not None and not callable(given)
        ]
        if faults:
            raise ConfigError("hooks", faults)

    @property
    def about_visitor(self) -> tuple[tuple[str, Callable[[ConsentRequest], Any]], ...]:
        """The hooks that say something of the visitor, by name."""
        return tuple((name, hook) for name in HOOKS if (hook := getattr(self, name)) is not None)


class Site:
    """One site's declaration, keys, pages and store.

    Args:
        config: A path, a dict, a `ConsentConfig`, or None for the default places.
        secret_key: One key or several: the last signs, all verify.
        hooks: The site's functions.
        clock: Returns seconds since the epoch.

    Raises:
        ConfigError: The declaration, the templates or the keys cannot be used.
    """

    def __init__(
        self,
        config: ConfigSource = None,
        secret_key: str | Iterable[str] | None = None,
        *,
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = load_config(config)
        keys = load_secret_keys(secret_key)
        self.hooks = hooks or Hooks()
        self.clock = clock
        site = self.config.site
        self.catalog = self.config.catalog
        rules = _rules(self.config)
        codec = ChoiceCodec(self.catalog, keys, site.id)
        self.reporter = Reporter(
            report_only=site.mode != "enforce", use=self.config.use, essential=self.config.cookies.essential
        )
        self.whereabouts = Whereabouts(self.config, self.reporter)
        self.visitors = Visitors(self.config, rules, codec)
        self.enforce = site.mode == "enforce"
        self.policies = Policies(self.config, self.catalog, f"{site.path}/{CSP_REPORT}")
        self._folder = self.config.folder / self.config.records.journal
        self.declarations = Declarations(self.catalog, self._folder / "declarations")
        self.holdings = Holdings(self.catalog)
        self._set_pages(rules, codec)
        self._missing = lru_cache(maxsize=64)(missing_sources)
        self.check_mark = lru_cache(maxsize=1024)(self._check_mark)
        self._looked_at: set[str] = set()
        self.started = clock()
        self._set_looked_up(site)
        self.store = self._open_store(keys)
        self.sources = Sources(self.config.records, keys[-1])
        self.background = Background(self._record)
        self.outbox = Outbox(self._folder / "opt-outs") if self.hooks.on_opt_out else None
        self._warn(keys)

    def _set_pages(self, rules: Rules, codec: ChoiceCodec) -> None:
        """Set what visitors are shown, and what answers them."""
        self.overrides = Overrides(self.config)
        self.assets = Assets(
            self.catalog,
            rules,
            self.visitors.names,
            hold=self.enforce,
            allow_unknown=self.config.cookies.unknown == "allow",
            # A policy cannot be changed once the page is there.
            reload=self.config.site.reload_on_change or self.policies.enforces,
            consent_mode=self.config.consent_mode.model_dump(),
            gpp=self.config.signals.gpp,
            circumstances=self.whereabouts.usual,
            theme=self.config.banner.theme,
            style=self.overrides.style,
        )
        follows = self.hooks.subject is not None and self.config.keeps_records
        self.banner = Banner(
            self.config,
            self.assets,
            accounts=follows,
            ages=self.hooks.age_class is not None,
            since=self.declarations.since,
            overrides=self.overrides,
        )
        self.choices = Choices(
            self.config,
            codec,
            self.visitors,
            rules,
            notice=self.banner.notice,
            new_id=lambda: secrets.token_urlsafe(12),
        )
        violations = Violations(self.config, self.catalog) if self.config.csp.mode != "off" else None
        self.endpoints = Endpoints(
            self.config,
            self.banner,
            self.assets,
            self.choices,
            violations,
            self.reporter,
            Rights(self.config, self.banner, self.choices, codec),
            updated=self.config.site.updated or region_rules().version,
        )

    def _set_looked_up(self, site: SiteSection) -> None:
        """Set what every request looks up, so that none goes through the model."""
        self.prefix = site.path + "/"
        self.files = self.prefix + "static/"
        self.languages = tuple(site.languages)
        self.rendering = site.rendering
        self.transcode = site.transcode
        self.tk = self.config.signals.tk
        self.about_visitor = self.hooks.about_visitor
        self.looks = bool(self.about_visitor) or self.whereabouts.looks
        self.vary = (
            b"Sec-GPC",
            b"DNT",
            b"Cookie",
            *((b"Accept-Language",) if len(site.languages) > 1 else ()),
        )
        self._origin = site.origins[0] if site.origins else ""
        self._hosts = {origin.partition("://")[2]: origin.partition("://")[0] for origin in site.origins}
        excluded = "|".join(translate(pattern) for pattern in self.config.banner.exclude)
        self.excluded = re.compile(excluded).match if excluded else None

    def origin(self, scheme: str, host: str) -> tuple[str, str]:
        """Return the scheme and host the browser sees: pinned by `origins`, else what the server says."""
        if not self._hosts:
            return scheme, host
        known = self._hosts.get(host)
        if known:
            return known, host
        pinned_scheme, _, pinned_host = self._origin.partition("://")
        return pinned_scheme, pinned_host

    def check_policy(self, policy: bytes, nonce: str) -> None:
        """Say once what the app's own Content-Security-Policy lacks for our files to work."""
        # Without its nonce a policy is the same each time.
        text = _NONCE.sub("'nonce-0'", policy.decode("latin-1"))
        for source in self._missing(text, nonce="0" if nonce else ""):
            words = (
                f"the app's Content-Security-Policy keeps the middleware's own files out. Add to it: {source}. "
                "Until then pages behave as with scripts off."
            )
            self.reporter.once(logging.WARNING, ("app-csp", source), words)

    def latest_choice(self, subject: str) -> Choice | None:
        """Return what an account said last, on whatever device; None where it never did.

        Raises:
            StoreError: The store cannot be read.
        """
        record = self.store.latest(subject)
        return recorded_choice(self.catalog, record) if record else None

    def check_unit(self, unit: str) -> str:
        """Return ``unit`` if it is a category or service of this site; say once if nobody can ever grant it.

        Raises:
            UnknownIdError: It is neither.
        """
        self.catalog.check_id(unit)
        if unit in self.catalog.unasked:
            words = f"consent is asked for in the site's code: {self.catalog.why_never(unit)}"
            self.reporter.once(logging.WARNING, ("unasked", unit), words)
        return unit

    def is_new(self, path: str) -> bool:
        """Return whether no page at this path was looked at yet: each is once, a bounded number, since it takes time."""
        if path in self._looked_at or len(self._looked_at) >= _MAX_LOOKED_AT or len(path) > _LONG_PATH:
            return False
        self._looked_at.add(path)
        return True

    def _check_mark(self, mark: str) -> None:
        """Say once of a tag that a page marked up if nobody can ever grant what it waits for; any one of several would do.

        Args:
            mark: What its ``data-category`` or ``data-service`` says; with a ``!`` it waits for the withdrawal.
        """
        units = mark.removeprefix("!").split()
        reasons = [self.catalog.why_never(unit) for unit in units]
        if reasons and all(reasons):
            words = f"a page marks a tag with {mark!r} (data-category or data-service), which never runs: {reasons[0]}"
            self.reporter.once(logging.WARNING, ("mark", mark), words)

    def check_cookie(self, exchange: Exchange) -> None:
        """Say once if the consent cookie that a request carries seems to be another app's on this host."""
        choice = exchange.seen.visitor.choice
        if exchange.seen.unreadable:
            problem = "none of this site's keys has signed: somebody forged it, the secret key was changed without keeping the old one,"
        elif choice is not None and choice.stale and choice.at > self.started:
            problem = "was made just now under another consent.toml: a process still runs with an older one,"
        else:
            return
        name = self.visitors.names.name(secure=exchange.secure)
        words = (
            f"a request carries a cookie {name!r} that {problem} or another app on this host uses the same name, and each "
            'asks the other\'s visitors again. Then give one of them a name of its own: [site] id = "shop".'
        )
        self.reporter.once(logging.WARNING, ("shared-cookie", problem), words)

    def policy_fragment(self, language: str = "", base: str = "") -> Markup:
        """Return the cookie policy as HTML for a page of the site's own, safe to put into a Jinja template as it is.

        Args:
            language: One that there are texts in; the site's first by default.
            base: Where the app is mounted (``root_path`` / ``SCRIPT_NAME``), if not at the root.

        Raises:
            ValueError: There are no texts in this language.
        """
        wanted = language or self.config.site.languages[0]
        if wanted not in available_languages():
            raise ValueError(
                f"there are no texts in {wanted!r}; available: {', '.join(available_languages())}"
            )
        return self.banner.policy_fragment(wanted, base)

    def bind(self, exchange: Exchange) -> None:
        """Look up what the visitor's account says, once a binding. Blocks; where the store is away the browser's answer holds."""
        subject = exchange.seen.visitor.circumstances.subject
        try:
            exchange.bind(self.latest_choice(subject) if subject else None)
        except StoreError as error:
            logger.error("consent_middleware: an account's choice could not be looked up: %s", error)

    def _record(self, effect: AppendRecord) -> None:
        """Make what a signal changed durable; nobody waits for it."""
        try:
            self.store.append([effect])
        finally:  # who else must hear of it is told all the same
            if self.outbox is not None:
                self.outbox.put(effect.record)

    def commit(self, outcome: Outcome) -> tuple[ConsentRecord, ...] | None:
        """Make a choice durable, in the store or else in the journal. Blocks until it is.

        Returns:
            The records that are durable now, for the `on_change` hook; None where the choice must not be
            acknowledged: neither took it, and it grants something. A refusal takes effect all the same.
        """
        if self.config.keeps_records:  # who keeps no records wants no files
            self.declarations.keep()
        durable = tuple(effect.record for effect in outcome.effects)
        try:
            if outcome.effects:
                self.store.append(outcome.effects)
        except StoreError as error:
            logger.error("consent_middleware: a choice could not be recorded: %s", error)
            if outcome.grants:
                return None
            durable = ()
        if outcome.opts_out and self.outbox is not None:
            for effect in outcome.effects:
                self.outbox.put(effect.record)
        if outcome.erases and not self._erased(outcome.erases):  # what is withdrawn stays withdrawn
            return None
        return durable

    def _erased(self, effects: Sequence[EraseRecords]) -> bool:
        """Return whether records could be erased: that waits for no journal."""
        try:
            self.store.append(effects)
        except StoreError as error:
            logger.error("consent_middleware: a visitor's history could not be erased: %s", error)
            return False
        return True

    def fulfil(self, reply: Reply) -> Reply:
        """Return the reply that a visitor's history makes, once it is read. Blocks."""
        if reply.then is None:
            return reply
        try:
            return reply.then(self.store.history(reply.persons))
        except StoreError as error:
            logger.error("consent_middleware: a visitor's history could not be read: %s", error)
            return reply.otherwise or reply

    def _open_store(self, keys: list[str]) -> NullStore | SqlStore | Journal:
        records = self.config.records
        if records.url == "none":
            return NullStore()
        url = resolve_url(records.url, self.config.folder)
        if why := why_unwritable(url):
            waits = records.on_store_failure == "journal"
            until = f"answers wait as files in {str(self._folder)!r}" if waits else "a yes is answered 503"
            _warning(
                f"[records] url: {why}. Make it writable for the user that runs the site, or give another place. "
                f"Until then {until}."
            )
        store = SqlStore(url, keys)
        if records.on_store_failure == "refuse":
            return store
        return Journal(store, self._folder)

    def _warn(self, keys: list[str]) -> None:
        if any(map(is_guessable, keys)):
            _warning("a secret key can be guessed; make one: consent-middleware keys new")
        if self.config.cookies.unknown == "allow":
            _warning('[cookies] unknown = "allow": cookies that nobody declares are set without consent.')
        if self.config.records.url == "none":
            _warning('[records] url = "none": no proof of consent is kept (GDPR article 7(1) asks for it).')
        if self.config.site.regime in {"opt-out", "by-region"} and self.hooks.on_opt_out is None:
            _warning(
                "there is no on_opt_out hook: who else must hear of an opt-out is not told (California, 7026(f))."
            )
        if self.config.by_region and self.hooks.region is None and not self.whereabouts.looks:
            _warning(
                '[site] regime = "by-region", but nothing tells the region: everybody counts as opt-in. Give the region '
                "hook, [site] region_headers or [site] geo_database."
            )
        if not self.enforce:
            _warning('[site] mode = "report": no cookie and no tag is held back.')
        if self.policies.size_warning:
            _warning(self.policies.size_warning)
        for advice in self.overrides.warnings:
            _warning(advice)


def _given_to(hook: str) -> str:
    return "a ConsentRecord" if hook.startswith("on_") else "a ConsentRequest"


def _rules(config: ConsentConfig) -> Rules:
    return Rules(
        honour_gpc=config.signals.gpc,
        honour_dnt=config.signals.dnt,
        dnt_scope=config.dnt_scope,
        when_on=config.when_on,
        consent_days=config.site.consent_days,
    )


def _warning(text: str) -> None:
    logger.warning("consent_middleware: %s", text)
