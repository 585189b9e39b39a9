"""Who sent a request, as far as consent goes: the signals, the stored choice, and what follows from them.

Binds the codec, the decision and the cookie filter together and remembers the outcome by the cookie's raw
value, so that a visitor's second request costs a look-up. Opens nothing; `now` is passed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.cookies import deletion
from consent_middleware.filters import CookieFilter
from consent_middleware.policy import (
    Choice,
    Circumstances,
    Decision,
    Rules,
    decide,
    lasting_opt_out,
    stricter,
)
from consent_middleware.signals import NO_SIGNALS, Signals, read_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consent_middleware.caching import Headers
    from consent_middleware.codec import ChoiceCodec
    from consent_middleware.config import ConsentConfig

__all__ = ["ACCOUNT_S", "CookieNames", "Seen", "Visitor", "Visitors"]

_MEMORABLE = 4_096
ACCOUNT_S = 86_400  # an account's answer may change on another device: it is looked up again after a day


@dataclass(frozen=True, slots=True)
class CookieNames:
    """What the consent cookie is called, and its attributes (DESIGN.md "The cookie").

    Attributes:
        suffix: ``-<site id>``, or nothing.
        domain: The shared parent domain, or nothing for a host-only cookie.
    """

    suffix: str = ""
    domain: str = ""

    def name(self, *, secure: bool) -> str:
        """Return the cookie's name on HTTPS or plain HTTP."""
        prefix = ("__Secure-" if self.domain else "__Host-") if secure else ""
        return f"{prefix}consent{self.suffix}"

    def kept(self, *, secure: bool) -> str:
        """Return the name of what keeps the browser's own answer while an account's holds."""
        return f"{self.name(secure=secure)}-own"

    @property
    def all(self) -> frozenset[str]:
        """Every name this site's cookies can have; none of them reaches the app."""
        return frozenset(
            f"{prefix}consent{self.suffix}{end}"
            for prefix in ("", "__Host-", "__Secure-")
            for end in ("", "-own")
        )

    def deletion(self, *, secure: bool, kept: bool = False) -> bytes:
        """Write the `Set-Cookie` value that removes the cookie, or the one that keeps the browser's own answer."""
        name = self.kept(secure=secure) if kept else self.name(secure=secure)
        return deletion(name, domain=self.domain, secure=secure)

    def set_cookie(self, value: str, *, secure: bool, max_age_s: int, kept: bool = False) -> bytes:
        """Write the `Set-Cookie` value that stores a choice; readable by the page (COOKIE-6)."""
        name = self.kept(secure=secure) if kept else self.name(secure=secure)
        parts = [f"{name}={value}", f"Max-Age={max_age_s}", "Path=/", "SameSite=Lax"]
        parts += [f"Domain={self.domain}"] if self.domain else []
        parts += ["Secure"] if secure else []
        parts += ["HttpOnly"] if kept else []
        return "; ".join(parts).encode("ascii")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One visitor's state, shared by every request that carries the same cookie and signals.

    Attributes:
        circumstances: The regime, and who it is.
        signals: What the request carried.
        choice: The stored answer, None where there is none.
        decision: What follows.
        cookies: The compiled cookie rules for it.
        expires: When the choice ends, in seconds since the epoch; 0 without one.
    """

    circumstances: Circumstances
    signals: Signals
    choice: Choice | None
    decision: Decision
    cookies: CookieFilter
    expires: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What one request's cookies and signals say.

    Attributes:
        visitor: Who sent it.
        visible: The ``Cookie`` header as the app may see it.
        hides: Whether something in it is not for the app; in mode ``report`` it is only told.
        unreadable: There is a consent cookie of our make that cannot be trusted.
        unbound: The visitor is logged in, and what their account says has not been looked up in this browser.
        leaves: They have logged out, and the browser's own answer is to come back.
    """

    visitor: Visitor
    visible: bytes
    hides: bool
    unreadable: bool
    unbound: bool = False
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """What a request's consent cookies say to who asks.

    Attributes:
        choices: The answers that count; of duplicates more than one.
        own: The raw value of the browser's own answer, empty without one.
        account: The mark of the account they were given for; empty for the browser's own.
        is_there: Whether there is a consent cookie at all.
    """

    choices: list[Choice]
    own: bytes = b""
    account: str = ""
    is_there: bool = False
    unbound: bool = False
    leaves: bool = False


class Visitors:
    """Recognise visitors. One object a site.

    Args:
        config: The site's declaration.
        rules: Its settings, as the decision needs them.
        codec: Reads the consent cookie.
    """

    def __init__(self, config: ConsentConfig, rules: Rules, codec: ChoiceCodec) -> None:
        self.names = CookieNames(f"-{config.site.id}" if config.site.id else "", config.site.cookie_domain)
        self._usual = Circumstances(config.regime)
        self._catalog = config.catalog
        self._rules = rules
        self._codec = codec
        self._allow_unknown = config.cookies.unknown == "allow"
        self._filter = lru_cache(maxsize=512)(self._compile)
        self._enforce = config.site.mode == "enforce"
        self._own = {
            secure: re.compile(
                rb"(?:^|;)[ \t]*" + re.escape(self.names.name(secure=secure).encode("ascii")) + rb"=([^;]*)"
            )
            for secure in (False, True)
        }
        self._kept = {
            secure: re.compile(
                rb"(?:^|;)[ \t]*" + re.escape(self.names.kept(secure=secure).encode("ascii")) + rb"=([^;]*)"
            )
            for secure in (False, True)
        }
        self._look = lru_cache(maxsize=4096)(self._seen)
        self._nobody = self._seen(None, False, False, False, self._usual)  # noqa: FBT003 - as `_seen`

    def see(
        self,
        cookie: bytes | None,
        gpc: bytes | None,
        dnt: bytes | None,
        *,
        secure: bool,
        now: float,
        circumstances: Circumstances | None = None,
    ) -> Seen:
        """Return what a request's cookies and signals say.

        Args:
            cookie: The ``Cookie`` header, several joined with semicolons.
            gpc: The ``Sec-GPC`` header, several joined with commas.
            dnt: The ``DNT`` header.
            secure: Whether the browser sees HTTPS; decides the consent cookie's name.
            now: Seconds since the epoch.
            circumstances: What is known of the visitor beside; None: nothing but the site's regime.
        """
        if circumstances is None:
            if cookie is None and gpc is None and dnt is None:
                return self._nobody
            circumstances = self._usual
        # A header that is far too long is read, but not remembered.
        look = self._look if cookie is None or len(cookie) <= _MEMORABLE else self._seen
        signals = NO_SIGNALS
        if gpc is not None or dnt is not None:
            signals = read_signals((gpc or b"",), dnt)
        seen = look(cookie, signals.gpc, signals.dnt, secure, circumstances)
        if seen.visitor.choice is not None and now >= seen.visitor.expires:
            # Of duplicates another one may still be in force.
            choices = self._said(cookie or b"", secure, circumstances).choices
            living = [c for c in choices if self._rules.living(c, circumstances.regime, now)[0] is not None]
            if circumstances.is_open and not living:  # what it said may have been no
                living = choices
            visitor = self.with_choice(_strictest(living), seen.visitor.signals, now, circumstances)
            renewed = self._as_seen(visitor, cookie or b"", unreadable=False)
            return replace(renewed, unbound=seen.unbound, leaves=seen.leaves)
        return seen

    def visible(self, cookie: bytes, visitor: Visitor) -> bytes:
        """Return one ``Cookie`` header as the app may see it; the very same object if nothing is hidden."""
        return visitor.cookies.request(cookie) if self._enforce else visitor.cookies.without_own(cookie)

    def lasting(self, visitor: Visitor, now: float) -> Choice | None:
        """Return the answer to store so that the visitor's opt-out lasts, None where none is needed."""
        return lasting_opt_out(
            self._catalog, visitor.circumstances, visitor.signals, visitor.choice, now, self._rules
        )

    def _seen(
        self,
        cookie: bytes | None,
        gpc: bool,  # noqa: FBT001 - a cache key, like the next
        dnt: bool,  # noqa: FBT001
        secure: bool,  # noqa: FBT001
        circumstances: Circumstances,
    ) -> Seen:
        said = self._said(cookie or b"", secure, circumstances)
        choice = _strictest(said.choices)
        if circumstances.subject is None and choice is not None and choice.account:
            circumstances = replace(circumstances, known=True)  # nobody else says who is logged in
        # The clock is kept out of what is remembered: `see` looks at the expiry.
        lost = said.is_there and choice is None and not (said.unbound or said.leaves)
        if lost and circumstances.is_open:
            circumstances = replace(circumstances, unreadable=True)
        visitor = self.with_choice(choice, Signals(gpc, dnt), choice.at if choice else 0, circumstances)
        unreadable = lost and any(
            value.startswith(b"v1.") for value in self._own[secure].findall(cookie or b"")
        )
        seen = self._as_seen(visitor, cookie or b"", unreadable=unreadable)
        return (
            replace(seen, unbound=said.unbound, leaves=said.leaves) if said.unbound or said.leaves else seen
        )

    def _said(self, cookie: bytes, secure: bool, circumstances: Circumstances) -> _Said:  # noqa: FBT001 - as `_seen`
        """Return what the consent cookies say: to a known user their account's answer, to everybody else the browser's own."""
        raw = self._own[secure].findall(cookie)
        found = [(value, choice) for value in raw if (choice := self._codec.decode(value.strip()))]
        subject = circumstances.subject
        if subject is None:
            return _Said([choice for _, choice in found], is_there=bool(raw))
        mark = self._codec.account(subject) if subject else ""
        kept = self._kept[secure].findall(cookie)
        if mark:
            bound = [choice for _, choice in found if choice.account == mark]
            if bound:
                return _Said(bound, account=mark, is_there=True)
        own = [(value, choice) for value, choice in found if not choice.account]
        own = own or [(v, c) for v in kept if (c := self._codec.decode(v.strip())) and not c.account]
        return _Said(
            [choice for _, choice in own],
            own=own[0][0].strip() if own else b"",
            account=mark,
            is_there=bool(raw),
            unbound=bool(mark),
            leaves=not mark and (bool(kept) or any(choice.account for _, choice in found)),
        )

    def bind(
        self, seen: Seen, account: Choice | None, cookie: bytes, *, secure: bool, now: float
    ) -> tuple[Seen, Headers]:
        """Return the state of a visitor whose account has been looked up, and the cookies that say so.

        The stricter of account and browser holds until the visitor answers again; the browser's own answer is kept aside.

        Args:
            seen: Who asks, not bound yet.
            account: What the account said last, None where it never did.
        """
        old = seen.visitor
        said = self._said(cookie, secure, old.circumstances)
        regime = old.circumstances.regime
        merged = stricter(
            self._rules.living(old.choice, regime, now)[0], self._rules.living(account, regime, now)[0]
        ) or Choice(frozenset(), frozenset(), int(now) // 3600 * 3600)
        choice = replace(merged, account=said.account)
        visitor = self.with_choice(choice, old.signals, now, old.circumstances)
        value = self._codec.encode(choice)
        cookies = [self.names.set_cookie(value, secure=secure, max_age_s=ACCOUNT_S)]
        if said.own:
            age = self._rules.lifetime_s(old.circumstances.regime)
            cookies.append(
                self.names.set_cookie(said.own.decode("latin-1"), secure=secure, max_age_s=age, kept=True)
            )
        return self._as_seen(visitor, cookie, unreadable=False), [(b"set-cookie", value) for value in cookies]

    def unbind(self, seen: Seen, cookie: bytes, *, secure: bool) -> Headers:
        """Return the cookies that bring the browser's own answer back after a log-out."""
        said = self._said(cookie, secure, seen.visitor.circumstances)
        gone = self.names.deletion(secure=secure, kept=True)
        if not said.own:
            return [(b"set-cookie", self.names.deletion(secure=secure)), (b"set-cookie", gone)]
        age = self._rules.lifetime_s(seen.visitor.circumstances.regime)
        back = self.names.set_cookie(said.own.decode("latin-1"), secure=secure, max_age_s=age)
        return [(b"set-cookie", back), (b"set-cookie", gone)]

    def _as_seen(self, visitor: Visitor, cookie: bytes, *, unreadable: bool) -> Seen:
        visible = self.visible(cookie, visitor)
        hides = visitor.cookies.request(cookie) is not cookie
        return Seen(visitor, visible, hides=hides, unreadable=unreadable)

    def with_choice(
        self, choice: Choice | None, signals: Signals, now: float, circumstances: Circumstances | None = None
    ) -> Visitor:
        """Return the state that a choice leads to."""
        circumstances = circumstances or self._usual
        decision = decide(self._catalog, circumstances, signals, choice, now, self._rules)
        return Visitor(
            circumstances=circumstances,
            signals=signals,
            choice=choice,
            decision=decision,
            cookies=self._filter(decision.granted, decision.withdrawn),
            expires=self._rules.expires(choice) if choice else 0,
        )

    def _compile(self, granted: frozenset[str], withdrawn: frozenset[str]) -> CookieFilter:
        return CookieFilter(
            self._catalog,
            granted=granted,
            withdrawn=withdrawn,
            allow_unknown=self._allow_unknown,
            own_names=self.names.all,
        )


def _strictest(choices: Sequence[Choice]) -> Choice | None:
    """Of duplicate cookies, the one that grants least counts; of equals, the newest."""
    return min(choices, key=lambda choice: (len(choice.granted), -choice.at), default=None)
