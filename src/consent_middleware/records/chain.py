"""Chains: what makes a change, a gap, a swap or a cut among the records show (DESIGN.md "Proof").

Each writer keeps a chain of its own, so that no two processes or hosts wait for each other. A record's digest covers its
document and a random salt; its hash covers the hash before it and its digest::

    digest(n) = SHA-256(salt(n) . document(n))
    hash(0)   = SHA-256("consent-middleware chain 1:" . chain)
    hash(n)   = SHA-256(hash(n - 1) . digest(n))

Where a document is erased its salt goes with it, so the digest that stays tells nothing, not even to who guesses right.
The head (count and hash) is signed with the site's secret key and written with each batch. Pure: no I/O.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsdangerous import Signer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Head", "Seal", "digest", "first_hash", "link", "new_chain", "new_salt"]


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain goes.

    Attributes:
        chain: Its id.
        count: How many records it has; also the last one's position.
        hash: The last one's, in hexadecimal.
    """

    chain: str
    count: int
    hash: str


def new_chain() -> Head:
    """Return the head of a chain without records."""
    chain = secrets.token_hex(8)
    return Head(chain, 0, first_hash(chain))


def new_salt() -> str:
    """Return what hides a document in its digest."""
    return secrets.token_hex(16)


def first_hash(chain: str) -> str:
    """Return what the first record of a chain follows."""
    return hashlib.sha256(f"consent-middleware chain 1:{chain}".encode()).hexdigest()


def digest(salt: str, document: str) -> str:
    """Return what stands for a document in its chain."""
    return hashlib.sha256(f"{salt}{document}".encode()).hexdigest()


def link(previous: str, own: str) -> str:
    """Return the hash of a record from the hash before it and its own digest."""
    return hashlib.sha256(f"{previous}{own}".encode()).hexdigest()


class Seal:
    """Sign heads, and name persons in a way that only this site can.

    Args:
        secret_keys: The last signs, all verify.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._signer = Signer(
            list(secret_keys),
            salt="consent-middleware.records.v1",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._keys = [key.encode() for key in secret_keys]

    def sign(self, *parts: object) -> str:
        """Return the signature of some values, in their order."""
        return self._signer.get_signature(_message(parts)).decode("ascii")

    def is_signed(self, signature: str, *parts: object) -> bool:
        """Return whether a signature is ours, and of these values."""
        return self._signer.verify_signature(_message(parts), signature)

    def pseudonym(self, person: str) -> str:
        """Return 32 characters that stand for a person once everything about them is erased."""
        return _pseudonym(self._keys[-1], person)

    def pseudonyms(self, person: str) -> list[str]:
        """Return what may stand for a person, also under the keys of former times."""
        return [_pseudonym(key, person) for key in self._keys]


def _message(parts: Sequence[object]) -> str:
    return ":".join(map(str, parts))


def _pseudonym(key: bytes, person: str) -> str:
    return hmac.digest(key, b"consent-middleware person:" + person.encode(), "sha256").hex()[:32]
