"""What the app reads: `request.state.consent`, `environ["consent_middleware.consent"]`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import quote

from markupsafe import Markup

from consent_middleware.catalog.model import ESSENTIAL
from consent_middleware.errors import ConsentError
from consent_middleware.policy import OPT_IN
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_middleware.site import Site
    from consent_middleware.visitor import Visitor

__all__ = ["Consent", "unanswered"]


_NONE_RAN = "no ConsentMiddleware ran for this request. Wrap the app: app = ConsentMiddleware(app, ...)."


class _Exchange(Protocol):
    site: Site
    base: str

    @property
    def visitor_language(self) -> str: ...

    def read(self) -> Visitor: ...

    def identify(self, subject: str | None) -> None: ...

    def stage(self, granted: frozenset[str]) -> None: ...


class _Nobody:
    """Stands for a request that the middleware has not seen: nobody was asked, and no signal was read."""

    __slots__ = ("base", "site")

    def __init__(self, site: Site, base: str) -> None:
        self.site = site
        self.base = base

    @property
    def visitor_language(self) -> str:
        return self.site.languages[0]

    def read(self) -> Visitor:
        # Silence allows nothing here, whatever the site's regime: a signal may have been sent.
        see, now = self.site.visitors.see, self.site.clock()
        return see(None, None, None, secure=False, now=now, circumstances=OPT_IN).visitor

    def identify(self, subject: str | None) -> None:
        self._refuse(f"consent.identify({subject!r})")

    def stage(self, granted: frozenset[str]) -> None:
        self._refuse(f"consent.update() to {', '.join(sorted(granted))}")

    def _refuse(self, what: str) -> NoReturn:
        hint = (
            "Call it while the site answers a visitor's request, or use consent_middleware.Records in a job."
        )
        raise ConsentError(f"{what}: there is no visitor, since the middleware saw no request here. {hint}")


class Consent:
    """The visitor's consent, for code that runs in a request.

    Reading it makes the response personal: it gets ``Cache-Control: private`` and ``Vary``.
    """

    __slots__ = ("_exchange",)

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    @classmethod
    def of_nobody(cls, site: Site, base: str = "") -> Consent:
        """Return the consent where no visitor is: in a job, a command, or a test without the middleware.

        Nothing is answered, and only what needs no consent is allowed; it cannot be changed.

        Args:
            site: Whose categories and services can be asked for.
            base: Where the app is mounted (``root_path`` / ``SCRIPT_NAME``).
        """
        return cls(_Nobody(site, base))

    @property
    def site(self) -> Site:
        """The site that asks: its declaration and texts, the same for everyone."""
        return self._exchange.site

    @property
    def language(self) -> str:
        """The site's language that suits the visitor best."""
        return self._exchange.visitor_language

    def allows(self, unit: str) -> bool:
        """Return whether a category or service may run.

        Raises:
            UnknownIdError: The site declares no such id.
        """
        granted = self._exchange.read().decision.granted
        return unit in granted or self._exchange.site.check_unit(unit) in granted

    @property
    def answered(self) -> bool:
        """Whether the visitor has answered about everything that is asked."""
        return self._exchange.read().decision.answered

    @property
    def granted(self) -> frozenset[str]:
        """The ids of every category and service that may run."""
        return self._exchange.read().decision.granted

    @property
    def signals(self) -> Signals:
        """The opt-out preference signals of this request."""
        return self._exchange.read().signals

    @property
    def regime(self) -> Regime:
        """The law that applies to this request."""
        return self._exchange.read().circumstances.regime

    @property
    def reasons(self) -> Mapping[str, str]:
        """For every category and service, why it is on or off, in words fit for a log."""
        return self._exchange.read().decision.reasons

    @property
    def preferences_url(self) -> str:
        """Where the visitor changes the choice; the same for everyone."""
        return f"{self._exchange.base}{self._exchange.site.config.site.path}/preferences"

    def link(self, text: str = "", language: str = "") -> Markup:
        """Return a link to the preferences, the same for everyone; a click opens them in the page where scripts run.

        Args:
            text: What the link says; by default what the banner calls it.
            language: One of the site's, for the words and the preferences; by default the words are in its first, and the
                preferences in the visitor's.

        Raises:
            ValueError: The site does not have this language.
        """
        config = self._exchange.site.config
        languages = config.site.languages
        spoken = language or languages[0]
        if spoken not in languages:
            raise ValueError(f"{spoken!r} is none of the site's languages: {', '.join(languages)}")
        words = config.texts(spoken)
        # Asking for the visitor's regime would make the page personal.
        label = text or (words["your_choices"] if config.site.regime == "opt-out" else words["link"])
        href = quote(self.preferences_url) + (f"?lang={language}" if language else "")
        return Markup('<a href="{}" data-consent="preferences">{}</a>').format(href, label)

    def snapshot(self) -> Snapshot:
        """Return the consent as it is now: small and picklable, for a job that runs outside this request."""
        return Snapshot.of(self._exchange.read(), self._exchange.site.catalog)

    def identify(self, subject: str | None) -> None:
        """Say who has just logged in, or with None that nobody is logged in any more.

        For what the `subject` hook cannot know when a request begins. The account's answer is looked up before the
        response's headers go; until the visitor answers again, the stricter of account and browser holds.

        Args:
            subject: The account, as the site names it; it is written into the records of its choices.

        Raises:
            LateChangeError: The headers have gone.
        """
        self._exchange.identify(subject)

    def update(self, changes: Mapping[str, bool]) -> None:
        """Make a choice for the visitor, e.g. from the site's own account page.

        It is recorded and committed before the response's headers go; what is not named stays as it is. A
        category stands for all of its services.

        Args:
            changes: Category or service id to yes or no.

        Raises:
            UnknownIdError: The site declares no such id.
            LateChangeError: The headers have gone.
        """
        catalog = self._exchange.site.catalog
        granted = set(self._exchange.read().decision.granted)
        for unit, yes in changes.items():
            below = {s.id for s in catalog.services_of(catalog.check_id(unit))}
            (granted.update if yes else granted.difference_update)({unit} | below)
            if not yes and unit in catalog.services:
                granted.discard(catalog.services[unit].category)
        self._exchange.stage(frozenset(granted))


def unanswered() -> Consent:
    """Return the consent of nobody, for code that asks where no middleware ran: nothing is answered, nothing granted."""
    return _Unanswered()


class _Unanswered(Consent):
    """Knows no site, so no id is unknown, and there is no page to send anybody to."""

    __slots__ = ()

    def __init__(self) -> None:
        """Need no request."""

    @property
    def site(self) -> NoReturn:
        raise ConsentError(f"consent.site: {_NONE_RAN}")

    @property
    def language(self) -> str:
        return ""

    def allows(self, unit: str) -> bool:
        return unit == ESSENTIAL

    @property
    def answered(self) -> bool:
        return False

    @property
    def granted(self) -> frozenset[str]:
        return frozenset({ESSENTIAL})

    @property
    def signals(self) -> Signals:
        return NO_SIGNALS

    @property
    def regime(self) -> Regime:
        return Regime.OPT_IN

    @property
    def reasons(self) -> Mapping[str, str]:
        return defaultdict(lambda: "denied: no ConsentMiddleware ran")

    @property
    def preferences_url(self) -> str:
        return ""

    def link(self, text: str = "", language: str = "") -> Markup:  # noqa: ARG002 - as its base
        return Markup()

    def snapshot(self) -> Snapshot:
        return Snapshot(self.granted, frozenset(), False, NO_SIGNALS, Regime.OPT_IN, None, 0, "")  # noqa: FBT003 - `answered`

    def identify(self, subject: str | None) -> None:
        """Change nothing: nothing is granted to any account."""

    def update(self, changes: Mapping[str, bool]) -> NoReturn:  # noqa: ARG002 - as its base
        raise ConsentError(f"consent.update(): {_NONE_RAN}")
