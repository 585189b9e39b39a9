"""The consent cookie: a choice as a short, signed, readable value.

Layout, fields parted by dots::

    v1 . fingerprint . state . refusals . time . id . signature
    |    |             |       |          |      |    +- itsdangerous, HMAC-SHA-256, base64url
    |    |             |       |          |      +- 16 characters of base64url; empty where nothing was granted;
    |    |             |       |          |         for an account "~" and its mark follow
    |    |             |       |          +- seconds since the epoch, hexadecimal; whole hours without a grant
    |    |             |       +- two characters for every refused category or single service (`token`)
    |    |             +- a hexadecimal digit of flags, then a digit of base 27 for each three units: 1 granted, 2 refused
    |    +- eight characters (`Catalog.fingerprint`)
    +- the version of this layout

Under the same fingerprint the state says everything. Under another one their positions mean nothing any more:
grants fall, and refusals are found again through their tokens. Two units may share a token; then one more is
refused than was said, never one less. The page reads the cookie too (guard.js, where every byte counts: hence the
digits), but only the server can tell a forged one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

from itsdangerous import BadData, Signer

from consent_middleware.policy import Choice
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consent_middleware.catalog.model import Catalog

__all__ = ["ChoiceCodec", "state_size", "token"]

_GPC, _DNT, _BY_SIGNAL, _PENDING = 1, 2, 4, 8
_MAX_BYTES = 1024
_NOTHING, _GRANTED, _REFUSED = range(3)
_DIGITS = "0123456789abcdefghijklmnopq"
_A_DIGIT = 3  # units
_PRINCIPAL = re.compile(r"[\w-]{16}\Z", re.ASCII)
_LAYOUT = re.compile(
    r"v1\.(?P<fingerprint>[\w-]{8})\.(?P<state>[0-9a-f][0-9a-q]*)\.(?P<refusals>(?:[\w-]{2})*)"
    r"\.(?P<at>[0-9a-f]{1,10})\.(?P<principal>(?:[\w-]{16})?)(?:~(?P<account>[\w-]{8}))?\Z",
    re.ASCII,
)


def token(unit: str) -> str:
    """Return two characters that stand for a unit across changes of the declaration."""
    return urlsafe_b64encode(hashlib.sha256(unit.encode()).digest())[:2].decode()


def state_size(catalog: Catalog) -> int:
    """Return how many digits a site's state has, the flags among them."""
    return 1 - (-len(catalog.units) // _A_DIGIT)


class ChoiceCodec:
    """Write and read the consent cookie of one site.

    Args:
        catalog: What the site declares today.
        secret_keys: The last signs, all verify.
        site_id: Keeps apart two sites that share a key.
    """

    def __init__(self, catalog: Catalog, secret_keys: Sequence[str], site_id: str = "") -> None:
        self._catalog = catalog
        self._signer = Signer(
            list(secret_keys),
            salt=f"consent-middleware.choice.v1.{site_id}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._history = Signer(
            list(secret_keys),
            salt=f"consent-middleware.history.v1.{site_id}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._key = list(secret_keys)[-1].encode()
        self._size = state_size(catalog)
        self._decoded = lru_cache(maxsize=8192)(self._decode)

    def account(self, subject: str) -> str:
        """Return the mark of an account: eight characters that say nothing without the key."""
        return urlsafe_b64encode(
            hmac.digest(self._key, b"account:" + subject.encode(), "sha256")[:6]
        ).decode()

    def history_token(self, principal: str) -> str:
        """Return what lets its holder read and erase a pseudonym's history, and nothing else."""
        return self._history.sign(principal).decode()

    def read_history_token(self, token: str) -> str | None:
        """Return the pseudonym that a token of ours names, None for any other text."""
        if len(token) > _MAX_BYTES:
            return None
        try:
            principal = self._history.unsign(token).decode("ascii")
        except (BadData, ValueError):
            return None
        return principal if _PRINCIPAL.match(principal) else None

    def encode(self, choice: Choice) -> str:
        """Return the cookie's value for a choice made under today's catalogue."""
        flags = sum(
            bit
            for bit, is_on in (
                (_GPC, choice.signals.gpc),
                (_DNT, choice.signals.dnt),
                (_BY_SIGNAL, choice.by_signal),
                (_PENDING, choice.pending),
            )
            if is_on
        )
        fields = (
            "v1",
            self._catalog.fingerprint,
            f"{flags:x}{self._pack(choice)}",
            "".join(sorted({token(unit) for unit in self._coarse(choice.refused)})),
            format(choice.at, "x"),
            f"{choice.principal or ''}{f'~{choice.account}' if choice.account else ''}",
        )
        return self._signer.sign(".".join(fields)).decode()

    def decode(self, value: bytes) -> Choice | None:
        """Return the choice a cookie value holds, or None for whatever cannot be trusted or read.

        Never raises. Bounded LRU keyed on the raw value: a visitor's second request costs a look-up.
        """
        return self._decoded(value) if len(value) <= _MAX_BYTES else None

    def _decode(self, value: bytes) -> Choice | None:
        try:
            match = _LAYOUT.match(self._signer.unsign(value).decode("ascii"))
            return self._read(match) if match else None
        except (BadData, ValueError):
            return None

    def _read(self, match: re.Match[str]) -> Choice | None:
        stale = match["fingerprint"] != self._catalog.fingerprint
        said = {} if stale else self._unpack(match["state"])
        flags = int(match["state"][0], 16)
        return Choice(
            granted=frozenset(unit for unit, answer in said.items() if answer == _GRANTED),
            refused=self._refused(match["refusals"])
            if stale
            else frozenset(unit for unit, answer in said.items() if answer == _REFUSED),
            at=int(match["at"], 16),
            signals=Signals(gpc=bool(flags & _GPC), dnt=bool(flags & _DNT)),
            principal=match["principal"] or None,
            stale=stale,
            by_signal=bool(flags & _BY_SIGNAL),
            pending=bool(flags & _PENDING),
            account=match["account"] or "",
            fingerprint=match["fingerprint"] if stale else "",
        )

    def _pack(self, choice: Choice) -> str:
        """Return the answers to all units, in their order."""
        said = [
            _GRANTED if unit in choice.granted else _REFUSED if unit in choice.refused else _NOTHING
            for unit in self._catalog.units
        ]
        threes = (said[i : i + _A_DIGIT] for i in range(0, len(said), _A_DIGIT))
        return "".join(_DIGITS[sum(answer * 3**i for i, answer in enumerate(three))] for three in threes)

    def _unpack(self, state: str) -> dict[str, int]:
        """Return the answers by unit.

        Raises:
            ValueError: The state is of another length than today's units need.
        """
        if len(state) != self._size:
            raise ValueError(f"a state of {len(state)} digits, not {self._size}")
        answers = (_DIGITS.index(digit) // 3**i % 3 for digit in state[1:] for i in range(_A_DIGIT))
        return dict(zip(self._catalog.units, answers, strict=False))

    def _coarse(self, refused: frozenset[str]) -> frozenset[str]:
        """Return the refusals with a wholly refused category standing for its services."""
        whole = {
            category
            for category in self._catalog.categories
            if category in refused and all(s.id in refused for s in self._catalog.services_of(category))
        }
        singles = {
            u
            for u in refused
            if u in self._catalog.services and self._catalog.services[u].category not in whole
        }
        return frozenset(whole | singles)

    def _refused(self, tokens: str) -> frozenset[str]:
        """Return the units of today's catalogue that an older declaration's refusals cover."""
        said = {tokens[i : i + 2] for i in range(0, len(tokens), 2)}
        return frozenset(
            unit for unit in self._catalog.units if said & {token(name) for name in self._names(unit)}
        )

    def _names(self, unit: str) -> tuple[str, ...]:
        service = self._catalog.services.get(unit)
        return (unit, service.category) if service else (unit,)
