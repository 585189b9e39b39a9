"""Three states on the wire: unanswered deletes nothing, refused and withdrawn expire what is there (part 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Response, Serve

PAGE = (200, [("Content-Type", "text/html")], [b"<!doctype html><html><head></head><body>Hi</body></html>"])
GONE = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"


def deletions(response: Response, name: str) -> list[str]:
    """Return the headers that delete a cookie."""
    return [value for value in response.all("set-cookie") if value.startswith(f"{name}=;")]


def test_nothing_is_deleted_while_unanswered(serve: Serve) -> None:
    """A visitor who has not answered keeps every cookie; it is only hidden from the app."""
    assert not serve(PAGE).visit(headers={"cookie": "_ga=1; _fbp=2"}).all("set-cookie")


def test_a_signal_alone_deletes_nothing(serve: Serve) -> None:
    """A signal without a stored grant is no withdrawal: nothing is there that it took back."""
    assert not serve(PAGE).visit(headers={"cookie": "_fbp=2", "sec-gpc": "1"}).all("set-cookie")


def test_a_signal_expires_what_was_granted_before_it(serve: Serve) -> None:
    """A signal that comes on after a grant expires the cookies it denies."""
    app = serve(PAGE)
    response = app.visit(headers={"cookie": f"{app.granting('marketing')}; _fbp=2", "sec-gpc": "1"})
    assert deletions(response, "_fbp")


@pytest.mark.conformance("COOKIE-2")
def test_a_refused_cookie_is_expired_in_every_variant(serve: Serve) -> None:
    """COOKIE-2: host-only first, then every parent domain, at the root and along the path."""
    app = serve(PAGE)
    response = app.visit("/shop/item", {"cookie": f"{app.granting()}; _ga=1", "host": "www.shop.example"})
    found = set(deletions(response, "_ga"))
    expected = {
        f"_ga=; Path={path}; {GONE}{f'; Domain={domain}' if domain else ''}; Secure"
        for path in ("/", "/shop", "/shop/", "/shop/item")
        for domain in ("", "www.shop.example", "shop.example")
    }
    assert found == expected


@pytest.mark.conformance("COOKIE-2")
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_an_address_and_a_single_label_have_no_parent_domain(serve: Serve, host: str) -> None:
    """On localhost or an address only the host-only variant is expired."""
    app = serve(PAGE)
    response = app.visit(
        headers={"cookie": f"{app.granting(scheme='http')}; _ga=1", "host": host}, scheme="http"
    )
    assert deletions(response, "_ga") == [f"_ga=; Path=/; {GONE}"]


def test_wildcards_are_expired_under_the_names_the_browser_shows(serve: Serve) -> None:
    """`_ga_*` is matched against the request's own cookies."""
    app = serve(PAGE)
    response = app.visit(headers={"cookie": f"{app.granting()}; _ga_ABC=1; _ga_XYZ=2; _gaggle=3"})
    assert set(response.set_names) == {"_ga_ABC", "_ga_XYZ"}


@pytest.mark.conformance("COOKIE-3")
def test_a_host_prefixed_cookie_is_expired_by_its_own_rules(serve: Serve) -> None:
    """COOKIE-3: `__Host-` with Secure, at the root, never with a domain; partitioned too."""
    app = serve(PAGE)
    response = app.visit("/a/b", {"cookie": f"{app.granting()}; __Host-hsid=1"})
    assert deletions(response, "__Host-hsid") == [
        f"__Host-hsid=; Path=/; {GONE}; Secure",
        f"__Host-hsid=; Path=/; {GONE}; Secure; SameSite=None; Partitioned",
    ]


@pytest.mark.conformance("COOKIE-3")
def test_declared_paths_and_partitions_are_expired(serve: Serve) -> None:
    """A cookie declared at a path, or partitioned, is expired there whatever page shows it."""
    app = serve(PAGE)
    found = deletions(app.visit(headers={"cookie": f"{app.granting()}; hsdeep=1"}), "hsdeep")
    assert f"hsdeep=; Path=/shop; {GONE}; Secure" in found
    assert f"hsdeep=; Path=/shop; {GONE}; Secure; SameSite=None; Partitioned" in found


@pytest.mark.parametrize("cookie", ["unknown=1", "session=1", "basket=2", "sister_login=3"])
def test_what_nobody_declared_and_what_is_essential_is_never_expired(serve: Serve, cookie: str) -> None:
    """A sister app's log-in may be among the undeclared."""
    app = serve(PAGE)
    assert not app.visit(headers={"cookie": f"{app.granting()}; {cookie}"}).all("set-cookie")


def test_granted_cookies_are_not_expired(serve: Serve) -> None:
    """Only what was refused goes."""
    app = serve(PAGE)
    response = app.visit(headers={"cookie": f"{app.granting('analytics')}; _ga=1; _fbp=2"})
    assert set(response.set_names) == {"_fbp"}


def test_deletions_keep_to_3_kilobytes_and_go_on_with_the_next_document(serve: Serve) -> None:
    """However many cookies there are, the headers stay small, and a browser that obeys is clean in the end."""
    app = serve(PAGE)
    own = app.granting()
    jar = {f"_ga_{i:02}" for i in range(60)}
    rounds = 0
    while jar:
        cookie = "; ".join([own, *(f"{name}=1" for name in sorted(jar))])
        response = app.visit(headers={"cookie": cookie})
        sizes = sum(len(value) for value in response.all("set-cookie"))
        assert 0 < sizes <= 3000
        jar -= set(response.set_names)
        rounds += 1
    assert 1 < rounds < 30


@pytest.mark.conformance("GPC-5")
def test_deletions_make_the_page_private(serve: Serve) -> None:
    """A page that deletes cookies belongs to one visitor."""
    app = serve(PAGE)
    response = app.visit(headers={"cookie": f"{app.granting()}; _ga=1"})
    assert response.get("cache-control") == "private"


def test_a_stylesheet_deletes_nothing(serve: Serve) -> None:
    """Deletions go with documents: nothing else gets a header."""
    app = serve((200, [("Content-Type", "text/css")], [b"a{}"]))
    assert app.get(headers={"cookie": f"{app.granting()}; _ga=1"}).headers == [("content-type", "text/css")]


def test_a_refusal_deletes_in_its_own_answer(serve: Serve) -> None:
    """Reject: the response to the click already expires what the browser shows."""
    response = serve(PAGE).choose("reject_all", headers={"cookie": "_ga=1; session=2"})
    assert deletions(response, "_ga")
    assert not deletions(response, "session")


@pytest.mark.conformance("ENF-2")
def test_a_withdrawal_deletes_in_its_own_answer(serve: Serve) -> None:
    """Withdraw: what an earlier grant set goes at once."""
    app = serve(PAGE)
    response = app.choose("withdraw", headers={"cookie": f"{app.granting('all')}; _ga=1; _fbp=2; hs_1=3"})
    assert {"_ga", "_fbp", "hs_1"} <= set(response.set_names)


@pytest.mark.conformance("ENF-2")
def test_an_update_by_the_app_deletes_in_its_own_answer(serve: Serve) -> None:
    """`consent.update()` that takes something back expires its cookies on the same response."""

    def app(seen: object) -> tuple[int, list[tuple[str, str]], list[bytes]]:
        seen.consent.update({"analytics": False})  # type: ignore[attr-defined]
        return 200, [("Content-Type", "application/json")], [b"{}"]

    site = serve(app)
    response = site.get(headers={"cookie": f"{site.granting('analytics')}; _ga=1"})
    assert deletions(response, "_ga")


@pytest.mark.parametrize("path", ["/a;b", "/a%0d%0ab", "/a%20b", "/caf%C3%A9", "/a,b"])
def test_odd_paths_never_break_a_header(serve: Serve, path: str) -> None:
    """A path that cannot stand in an attribute is left out; the root variant always goes."""
    app = serve(PAGE)
    found = deletions(app.visit(path, {"cookie": f"{app.granting()}; _ga=1"}), "_ga")
    assert f"_ga=; Path=/; {GONE}; Secure" in found
    assert all(value.isascii() and value.isprintable() for value in found)


def test_the_mount_point_is_part_of_the_path(serve: Serve) -> None:
    """Below a mount point the path variants are those the browser sees."""
    app = serve(PAGE)
    response = app.visit("/x", {"cookie": f"{app.granting()}; _ga=1"}, mount="/app")
    assert f"_ga=; Path=/app/x; {GONE}; Secure" in deletions(response, "_ga")


def test_a_cookie_of_ours_that_is_not_believed_is_removed(serve: Serve) -> None:
    """The page cannot check signatures, so what the server does not believe goes."""
    response = serve(PAGE).visit(headers={"cookie": "__Host-consent=v1.forged.x"})
    assert response.set_names == ["__Host-consent"]
    assert GONE in response.all("set-cookie")[0]
