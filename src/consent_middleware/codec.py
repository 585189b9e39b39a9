"""The consent cookie: a choice as a short, signed, readable value.

Layout, fields parted by dots::

    v1 . fingerprint . state . refusals . time . id . signature
    |    |             |       |          |      |    +- itsdangerous, HMAC-SHA-256, base64url
    |    |             |       |          |      +- 16 characters of base64url; empty where nothing was granted
    |    |             |       |          +- seconds since the epoch, hexadecimal; whole hours without a grant
    |    |             |       +- two characters for every refused category or single service (`token`)
    |    |             +- base64url: one byte of flags, then a bit a unit for "granted", then for "refused"
    |    +- eight characters (`Catalog.fingerprint`)
    +- the version of this layout

Under the same fingerprint the bits say everything. Under another one their positions mean nothing any more:
grants fall, and refusals are found again through their tokens. Two units may share a token; then one more is
refused than was said, never one less. The page reads the cookie too (guard.js), but only the server can
tell a forged one.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

from itsdangerous import BadData, Signer

from consent_middleware.policy import Choice
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consent_middleware.catalog.model import Catalog

__all__ = ["ChoiceCodec", "token"]

_GPC, _DNT = 1, 2
_MAX_BYTES = 1024
_LAYOUT = re.compile(
    r"v1\.(?P<fingerprint>[\w-]{8})\.(?P<state>[\w-]{2,})\.(?P<refusals>(?:[\w-]{2})*)"
    r"\.(?P<at>[0-9a-f]{1,10})\.(?P<principal>(?:[\w-]{16})?)\Z",
    re.ASCII,
)


def token(unit: str) -> str:
    """Return two characters that stand for a unit across changes of the declaration."""
    return urlsafe_b64encode(hashlib.sha256(unit.encode()).digest())[:2].decode()


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
        self._bits = {unit: 1 << i for i, unit in enumerate(catalog.units)}
        self._width = (len(catalog.units) + 7) // 8
        self._decoded = lru_cache(maxsize=8192)(self._decode)

    def encode(self, choice: Choice) -> str:
        """Return the cookie's value for a choice made under today's catalogue."""
        flags = (_GPC if choice.signals.gpc else 0) | (_DNT if choice.signals.dnt else 0)
        state = bytes([flags]) + self._pack(choice.granted) + self._pack(choice.refused)
        fields = (
            "v1",
            self._catalog.fingerprint,
            urlsafe_b64encode(state).rstrip(b"=").decode(),
            "".join(sorted({token(unit) for unit in self._coarse(choice.refused)})),
            format(choice.at, "x"),
            choice.principal or "",
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
        state = match["state"]
        raw = urlsafe_b64decode(state + "=" * (-len(state) % 4))
        stale = match["fingerprint"] != self._catalog.fingerprint
        if not stale and len(raw) != 1 + 2 * self._width:
            return None
        split = 1 + self._width
        return Choice(
            granted=frozenset() if stale else self._unpack(raw[1:split]),
            refused=self._refused(match["refusals"]) if stale else self._unpack(raw[split:]),
            at=int(match["at"], 16),
            signals=Signals(gpc=bool(raw[0] & _GPC), dnt=bool(raw[0] & _DNT)),
            principal=match["principal"] or None,
            stale=stale,
        )

    def _pack(self, units: Iterable[str]) -> bytes:
        return sum(self._bits[unit] for unit in units).to_bytes(self._width, "little")

    def _unpack(self, raw: bytes) -> frozenset[str]:
        bits = int.from_bytes(raw, "little")
        return frozenset(unit for unit, bit in self._bits.items() if bits & bit)

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
        return frozenset(unit for unit in self._bits if said & {token(name) for name in self._names(unit)})

    def _names(self, unit: str) -> tuple[str, ...]:
        service = self._catalog.services.get(unit)
        return (unit, service.category) if service else (unit,)
