"""The consent cookie on the wire: what it is called, what it holds, and that no forgery is ever an error."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Serve

NOW = 1_800_000_123
DAY = 86_400


def answered(seen: Any) -> Any:
    """Tell in the body what the app reads."""
    text = f"{seen.consent.answered} {seen.consent.allows('analytics')}"
    return 200, [("Content-Type", "text/plain")], [text.encode()]


def value_of(cookie: str) -> str:
    """Return a cookie's value."""
    return cookie.partition("=")[2]


FORGERIES: list[tuple[str, Callable[[str], str]]] = [
    ("empty", lambda _: ""),
    ("garbage", lambda _: "%%%%"),
    ("truncated", lambda value: value[:-5]),
    ("cut-in-the-middle", lambda value: value[: len(value) // 2]),
    ("unsigned", lambda value: value.rpartition(".")[0]),
    ("forged-signature", lambda value: value.rpartition(".")[0] + "." + "A" * 43),
    ("forged-bits", lambda value: value.replace(value.split(".")[2], base64.b64encode(b"\xff" * 3).decode())),
    ("another-version", lambda value: "v2" + value[2:]),
    ("oversized", lambda value: value + "A" * 4000),
    ("oversized-dots", lambda _: "." * 3000),
    ("not-ascii", lambda value: value + "\xff"),
    ("only-not-ascii", lambda _: "\xe9\xff\xfe"),
    ("quoted", lambda value: f'"{value}"'),
    ("nul-like", lambda value: value + "%00"),
    ("huge-time", lambda value: ".".join([*value.split(".")[:4], "f" * 20, *value.split(".")[5:]])),
]


@pytest.mark.conformance("COOKIE-6")
@pytest.mark.parametrize(("_name", "forge"), FORGERIES, ids=[name for name, _ in FORGERIES])
def test_a_cookie_that_cannot_be_trusted_means_unanswered(
    serve: Serve, _name: str, forge: Callable[[str], str]
) -> None:
    """Forged, truncated, oversized or malformed: never an error, just no answer."""
    app = serve(answered)
    forged = forge(value_of(app.granting("all")))
    assert app.get(headers={"cookie": f"__Host-consent={forged}"}).body == b"False False"


def test_a_valid_cookie_is_believed(serve: Serve) -> None:
    """The counterpart of the forgeries: an honest cookie grants."""
    app = serve(answered)
    assert app.get(headers={"cookie": app.granting("all")}).body == b"True True"


@pytest.mark.conformance("EU-7")
@pytest.mark.parametrize(
    ("age_days", "body"), [(179, b"True True"), (180, b"False False"), (4000, b"False False")]
)
def test_a_cookie_replayed_after_its_expiry_means_unanswered(
    serve: Serve, age_days: int, body: bytes
) -> None:
    """The server looks at the time in the cookie, whatever a client keeps (EU-7)."""
    app = serve(answered)
    old = app.granting("all", now=NOW - age_days * DAY)
    assert app.get(headers={"cookie": old}).body == body


@pytest.mark.conformance("EU-7")
def test_an_expiry_is_noticed_for_a_cookie_that_is_remembered(serve: Serve) -> None:
    """The look-up by raw value does not outlive the choice."""
    app = serve(answered)
    headers = {"cookie": app.granting("all")}
    before = app.get(headers=headers).body
    app.site.clock = lambda: float(NOW + 180 * DAY)
    assert (before, app.get(headers=headers).body) == (b"True True", b"False False")


@pytest.mark.parametrize(
    ("changes", "secret"),
    [
        pytest.param({"site": {"id": "other"}}, "a-secret-of-32-characters-length", id="foreign-salt"),
        pytest.param({}, "another-secret-of-32-characters!", id="foreign-key"),
    ],
)
def test_another_apps_cookie_means_unanswered(serve: Serve, changes: dict[str, Any], secret: str) -> None:
    """A cookie signed with another salt or key says nothing here."""
    other = serve(answered, changes, secret_key=secret)
    app = serve(answered)
    foreign = value_of(other.granting("all"))
    assert app.get(headers={"cookie": f"__Host-consent={foreign}"}).body == b"False False"


def test_keys_rotate(serve: Serve) -> None:
    """The last key signs, all verify: a visitor's answer outlives a change of key."""
    old, new = "old-secret-of-32-characters-long", "new-secret-of-32-characters-long"
    before = serve(answered, secret_key=old).granting("all")
    app = serve(answered, secret_key=[old, new])
    assert app.get(headers={"cookie": before}).body == b"True True"
    newest = serve(answered, secret_key=new)
    assert newest.get(headers={"cookie": app.granting("all")}).body == b"True True"


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["loose-first", "strict-first"])
def test_of_duplicates_the_strictest_valid_one_counts(serve: Serve, order: slice) -> None:
    """Two valid cookies: the one that grants less, in whatever order they come."""
    app = serve(answered)
    cookies = [app.granting("all"), app.granting(), "__Host-consent=forged"]
    assert app.get(headers={"cookie": "; ".join(cookies[order])}).body == b"True False"


@pytest.mark.conformance("COOKIE-6", "EU-7")
@pytest.mark.parametrize(
    ("changes", "scheme", "attributes"),
    [
        pytest.param({}, "https", ("__Host-consent", {"Secure"}), id="https"),
        pytest.param({}, "http", ("consent", set()), id="http"),
        pytest.param({"id": "a1"}, "https", ("__Host-consent-a1", {"Secure"}), id="id"),
        pytest.param(
            {"cookie_domain": "shop.example"},
            "https",
            ("__Secure-consent", {"Secure", "Domain=shop.example"}),
            id="domain",
        ),
    ],
)
def test_the_cookie_has_its_name_and_attributes(
    serve: Serve, changes: dict[str, str], scheme: str, attributes: tuple[str, set[str]]
) -> None:
    """COOKIE-6: prefix on HTTPS, SameSite=Lax, Path=/, readable by the page's script."""
    name, extra = attributes
    response = serve(answered, {"site": changes}).choose("accept_all", scheme=scheme)
    first, *rest = response.all("set-cookie")[0].split("; ")
    assert first.partition("=")[0] == name
    assert set(rest) == {"Path=/", "SameSite=Lax", f"Max-Age={180 * DAY}", *extra}


def test_a_cookie_of_the_other_scheme_is_not_read(serve: Serve) -> None:
    """On HTTPS only the `__Host-` name counts: plain HTTP can set the other."""
    app = serve(answered)
    value = value_of(app.granting("all"))
    assert app.get(headers={"cookie": f"consent={value}"}).body == b"False False"


def fields(app: Client, *units: str) -> list[str]:
    """Return the parts of a new cookie."""
    return value_of(app.granting(*units)).split(".")


def test_a_refusal_holds_no_identifier_and_only_the_hour(serve: Serve) -> None:
    """Refusing never makes a visitor recognisable: every refusal of an hour is the same cookie."""
    app = serve(answered)
    parts = fields(app)
    assert (parts[5], int(parts[4], 16) % 3600) == ("", 0)
    assert app.granting() == app.granting(now=NOW + 60)


def test_a_grant_gets_a_random_identifier_and_the_second(serve: Serve) -> None:
    """An identifier is made with the first grant, and differs between visitors."""
    app = serve(answered)
    one, two = fields(app, "analytics"), fields(app, "analytics")
    assert len(one[5]) == 16
    assert one[5] != two[5]
    assert int(one[4], 16) == NOW


def test_the_cookie_stays_under_200_bytes_for_40_services(serve: Serve) -> None:
    """Many services cost bits, not names."""
    many = [{"id": f"service-{i}", "category": "analytics", "name": f"S{i}"} for i in range(38)]
    app = serve(answered, {"services": many})
    assert all(len(app.granting(*units)) < 200 for units in (("all",), (), ("service-3", "service-30")))
