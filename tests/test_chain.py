from __future__ import annotations

import hashlib

import pytest

from consent_middleware.records.chain import Head, Seal, digest, first_hash, link, new_chain, new_salt

OLD, NEW = "an-old-secret-key-of-the-tests-1", "a-new-secret-key-of-the-tests-22"


def sha256(text: str) -> str:
    """Return a hash, as anybody would compute it."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_chain_can_be_checked_by_anybody() -> None:
    """The hashes are what the module says, so that another program can follow them."""
    first = first_hash("c1")
    own = digest("salt", "document ✓")
    assert first == sha256("consent-middleware chain 1:c1")
    assert own == sha256("saltdocument ✓")
    assert link(first, own) == sha256(first + own)


def test_a_new_chain_is_empty_and_its_own() -> None:
    """No two writers come to the same one."""
    one, two = new_chain(), new_chain()
    assert one == Head(one.chain, 0, first_hash(one.chain))
    assert one.chain != two.chain
    assert len(one.chain) == 16


def test_a_salt_is_new_each_time() -> None:
    """The same document twice has two digests, so that what was erased cannot be guessed."""
    one, two = new_salt(), new_salt()
    assert digest(one, "the same") != digest(two, "the same")
    assert len(one) == 32


def test_a_seal_signs_and_knows_its_own() -> None:
    """A signature holds for these values in this order, and for no others."""
    seal = Seal([NEW])
    signature = seal.sign("c1", 3, "ff")
    assert seal.is_signed(signature, "c1", 3, "ff")
    assert len(signature) <= 64
    for other in (
        ("c1", 4, "ff"),
        ("c2", 3, "ff"),
        ("c1", 3, "fe"),
        (3, "c1", "ff"),
        ("purge", "c1", 3, "ff"),
    ):
        assert not seal.is_signed(signature, *other)


@pytest.mark.parametrize("signature", ["", "x", "é", "=" * 43, "A" * 43])
def test_what_is_no_signature(signature: str) -> None:
    """Whatever stands in its place is no signature, and no error."""
    assert not Seal([NEW]).is_signed(signature, "c1", 3, "ff")


def test_keys_rotate() -> None:
    """The last key signs, all verify; without the old key its signatures are unknown."""
    signed = Seal([OLD]).sign("c1", 1, "ff")
    assert Seal([OLD, NEW]).is_signed(signed, "c1", 1, "ff")
    assert not Seal([NEW]).is_signed(signed, "c1", 1, "ff")
    assert Seal([OLD, NEW]).sign("c1", 1, "ff") == Seal([NEW]).sign("c1", 1, "ff")


def test_a_pseudonym_is_the_sites_own() -> None:
    """It names a person to whoever has the key, also after a rotation, and to nobody else."""
    then = Seal([OLD]).pseudonym("subject:user-42")
    assert then == Seal([OLD]).pseudonym("subject:user-42")
    assert then in Seal([OLD, NEW]).pseudonyms("subject:user-42")
    assert then not in Seal([NEW]).pseudonyms("subject:user-42")
    assert then != Seal([OLD]).pseudonym("principal:user-42")
    assert len(then) == 32
