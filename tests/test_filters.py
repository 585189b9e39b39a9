from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browser_jar import Jar, pieces, read_set_cookie
from consent_middleware.catalog import CookieSpec
from consent_middleware.catalog.model import CookieIndex
from consent_middleware.filters import CookieFilter, Verdict, expire, parent_domains, path_variants
from helpers_core import NOW, make_catalog, modest, service

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog

OWN = frozenset({"consent", "__Host-consent", "__Secure-consent"})
CATALOG = make_catalog(
    service("stats", "analytics", "st", "st_*", sells_or_shares=False),
    service("ads", "marketing", "ad", "shared"),
    service("chat", "functional", "chat", "shared"),
    essential=("sessionid", "basket"),
)
NAMES = [
    "st", "st_1", "st-0", "ad", "chat", "shared", "sessionid", "__Host-ad", "basket", "foreign", "Ad",
    "consent", "__Host-consent", "__secure-consent", "consent2", "", "a d", "st_\xe4",
]  # fmt: skip


def rules(
    *granted: str, withdrawn: tuple[str, ...] = (), allow_unknown: bool = False, catalog: Catalog = CATALOG
) -> CookieFilter:
    """Return the cookie rules of a visitor who granted these units."""
    return CookieFilter(
        catalog,
        granted=frozenset(granted),
        withdrawn=frozenset(withdrawn),
        allow_unknown=allow_unknown,
        own_names=OWN,
    )


# -- the request's Cookie header


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        (b"ad=1", b""),
        (b"ad=1; sessionid=2", b"sessionid=2"),
        (b"sessionid=2; ad=1", b"sessionid=2"),
        (b"a=1; ad=1; b=2", b"a=1; b=2"),
        (b"ad=1;sessionid=2", b"sessionid=2"),
        (b"a=1;ad=2;b=3", b"a=1;b=3"),
        (b"a=1 ; ad=2 ;\tb=3 ", b"a=1 ;\tb=3 "),
        (b"__Host-consent=v1.x; a=1", b"a=1"),
        (b"consent=v1.x", b""),
        (b"st-0=1; st-1=2; x=3", b"x=3"),
        (b"__Secure-ad=1; x=3", b"x=3"),
        (b"ad=1; ad=2; x=3", b"x=3"),
        (b"; ad=1", b""),
        (b"ad", b"ad"),
        (b"a=ad=1", b"a=ad=1"),
        (b'a="x; ad=1"', b'a="x'),
    ],
)
def test_what_the_app_sees(header: bytes, seen: bytes) -> None:
    """Declared cookies of what is not granted, and our own, are gone; every other byte is as it came."""
    assert rules().request(header) == seen


@pytest.mark.parametrize(
    "header", [b"", b"a=1", b"sessionid=1; basket=2", b"foreign=1;x", b";;", b"\xff=\xfe"]
)
def test_an_unchanged_header_is_the_same_object(header: bytes) -> None:
    """Where nothing is hidden nothing is copied."""
    assert rules().request(header) is header


@pytest.mark.parametrize("unit", ["chat", "ads"])
def test_a_shared_cookie_is_seen_with_either_grant(unit: str) -> None:
    """A cookie of two services passes once one of them is granted."""
    assert rules(unit).request(b"shared=1") == b"shared=1"


def test_granted_cookies_are_seen() -> None:
    """What the visitor agreed to is there."""
    assert rules("stats").request(b"st=1; ad=2; st_x=3") == b"st=1; st_x=3"


def test_report_mode_hides_only_our_own() -> None:
    """Without the filter the consent cookie still stays ours."""
    assert rules().without_own(b"ad=1; consent=v1.x; b=2") == b"ad=1; b=2"


def test_report_mode_with_our_own_in_front() -> None:
    """No blank is left where our cookie stood first."""
    assert rules().without_own(b"consent=v1.x; ad=1") == b"ad=1"


piece = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "\t", "  "]),
    st.sampled_from(NAMES) | st.text(st.characters(max_codepoint=255, exclude_characters=";"), max_size=4),
    st.sampled_from(["=", "=", "=", " = ", ""]),
    st.text(st.characters(max_codepoint=255, exclude_characters=";"), max_size=5),
)
cookie_headers = st.lists(piece, max_size=8).map(";".join)
grants = st.frozensets(st.sampled_from(["stats", "ads", "chat", "marketing", "analytics"]))


def owners_by_hand(name: str) -> set[str]:
    """Say who declares a name, from the table above alone."""
    bare = re.sub(r"(?i)^__(host|secure)-", "", name)
    for form in (name, bare, re.sub(r"([-.]\d{1,3}|C\d{1,2})$", "", bare)):
        if form in {"sessionid", "basket"}:
            return {"essential"}
        if form == "st" or form.startswith("st_"):
            return {"stats"}
        found = {"ad": {"ads"}, "shared": {"ads", "chat"}, "chat": {"chat"}}.get(form)
        if found:
            return found
    return set()


@modest
@given(cookie_headers, grants)
def test_the_request_filter_against_an_independent_parser(text: str, granted: frozenset[str]) -> None:
    """The pieces left are exactly those a plain parser would leave, in order, byte for byte."""
    left = []
    for raw, name, _ in pieces(text):
        owners = owners_by_hand(name)
        hidden = name in OWN or (owners and not owners & (granted | {"essential"}))
        if not hidden:
            left.append(raw)
    header = text.encode("latin-1")
    expected = ";".join(left)
    expected = expected if len(left) == len(text.split(";")) else expected.lstrip(" \t")
    assert rules(*granted).request(header) == expected.encode("latin-1")


@modest
@given(cookie_headers)
def test_what_nobody_declares_is_never_hidden(text: str) -> None:
    """A sister app's log-in reaches it, whatever stands beside it."""
    seen = [(n, v) for _, n, v in pieces(rules().request(text.encode("latin-1")).decode("latin-1")) if n]
    undeclared = [(n, v) for _, n, v in pieces(text) if n and n not in OWN and not owners_by_hand(n)]
    assert [pair for pair in seen if not owners_by_hand(pair[0])] == undeclared


# -- the response's Set-Cookie headers


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (b"sessionid=1", Verdict.PASS),
        (b"__Host-basket=1; Secure; Path=/", Verdict.PASS),
        (b"ad=1; Path=/", Verdict.HOLD_DECLARED),
        (b"st_9=1", Verdict.HOLD_DECLARED),
        (b"foreign=1", Verdict.HOLD_UNKNOWN),
        (b"ad=; Max-Age=0", Verdict.PASS),
        (b"foreign=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Verdict.PASS),
        (b"ad=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Verdict.HOLD_DECLARED),
        (b" ad =1", Verdict.HOLD_DECLARED),
        (b"nameless", Verdict.HOLD_UNKNOWN),
        (b"nameless; a=1", Verdict.HOLD_UNKNOWN),
        (b"; sessionid=1", Verdict.HOLD_UNKNOWN),
        (b"=sessionid=1", Verdict.HOLD_UNKNOWN),
        (b"", Verdict.HOLD_UNKNOWN),
    ],
)
def test_a_set_cookie_before_any_choice(value: bytes, verdict: Verdict) -> None:
    """Essentials and deletions pass; what is declared or unknown is held."""
    assert rules().set_cookie(value, NOW) is verdict


@pytest.mark.parametrize(
    ("granted", "value", "verdict"),
    [
        ("stats", b"st=1", Verdict.PASS),
        ("stats", b"ad=1", Verdict.HOLD_DECLARED),
        ("stats", b"foreign=1", Verdict.HOLD_UNKNOWN),
        ("chat", b"shared=1", Verdict.PASS),
        ("marketing", b"foreign=1", Verdict.PASS),
        ("marketing", b"ad=1", Verdict.HOLD_DECLARED),
    ],
)
def test_a_set_cookie_after_a_choice(granted: str, value: bytes, verdict: Verdict) -> None:
    """A granted service's cookies pass; the unknown passes with marketing as a whole."""
    assert rules(granted).set_cookie(value, NOW) is verdict


def test_unknown_cookies_pass_where_the_site_says_so() -> None:
    """`[cookies] unknown = "allow"` lets pass what nobody declares, and nothing that somebody does."""
    found = rules(allow_unknown=True)
    assert found.set_cookie(b"foreign=1", NOW) is Verdict.PASS
    assert found.set_cookie(b"ad=1", NOW) is Verdict.HOLD_DECLARED


def test_a_nameless_cookie_is_held_as_what_it_comes_back_as() -> None:
    """A browser sends a nameless `=ad=1` back as `ad=1`."""
    assert rules(allow_unknown=True).set_cookie(b"=ad=1; Path=/", NOW) is Verdict.HOLD_DECLARED


@pytest.mark.parametrize(("name", "verdict"), [("ad", Verdict.HOLD_DECLARED), ("basket", Verdict.PASS)])
def test_the_verdict_on_a_name(name: str, verdict: Verdict) -> None:
    """What happens to a cookie can be asked by its name alone."""
    assert rules().verdict(name) is verdict


attributes = st.lists(
    st.sampled_from(
        ["Max-Age=0", "Max-Age=60", "Max-Age=x", "max-age = -1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
         "Expires=Fri, 01 Jan 2100 00:00:00 GMT", "Path=/", "Domain=x.example", "Secure", "", "ad=1"]
    ),
    max_size=4,
)  # fmt: skip


@modest
@given(piece, attributes, grants)
def test_the_set_cookie_filter_against_an_independent_parser(
    pair: str, rest: list[str], granted: frozenset[str]
) -> None:
    """A header passes only if it deletes, or its name belongs to what may run; and whatever may run passes."""
    header = "; ".join([pair, *rest])
    cookie = read_set_cookie(header)
    owners = owners_by_hand(cookie.name)
    allowed = owners & (granted | {"essential"}) if owners else "marketing" in granted
    verdict = rules(*granted).set_cookie(header.encode("latin-1"), NOW)
    assert (verdict is Verdict.PASS) <= bool(allowed or cookie.gone_at(NOW))
    assert bool(allowed) <= (verdict is Verdict.PASS)
    assert (verdict is Verdict.HOLD_UNKNOWN) <= (not owners)


# -- what is expired


@pytest.mark.parametrize(
    ("granted", "withdrawn", "names"),
    [
        ((), (), ()),
        ((), ("ads",), ("ad", "shared", "__Host-ad")),
        ((), ("stats",), ("st", "st_1")),
        (("chat",), ("ads",), ("ad", "__Host-ad")),
        ((), ("ads", "stats", "marketing"), ("st", "ad", "st_1", "shared", "__Host-ad")),
    ],
)
def test_which_names_are_expired(
    granted: tuple[str, ...], withdrawn: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """Unanswered deletes nothing; withdrawn expires what is declared and seen; the rest stays."""
    headers = [b"st=1; ad=2; foreign=3; st_1=4", b"shared=5; sessionid=6; __Host-ad=7; ad=8; chat=9"]
    assert rules(*granted, withdrawn=withdrawn).withdrawn_in(headers) == names


@pytest.mark.conformance("COOKIE-2")
@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("www.shop.example", ("www.shop.example", "shop.example")),
        ("WWW.Shop.Example.", ("www.shop.example", "shop.example")),
        ("shop.example", ("shop.example",)),
        ("localhost", ()),
        ("", ()),
        ("127.0.0.1", ()),
        ("[::1]", ()),
        ("::1", ()),
        ("a.b.co.uk", ("a.b.co.uk", "b.co.uk", "co.uk")),
    ],
)
def test_parent_domains(host: str, domains: tuple[str, ...]) -> None:
    """COOKIE-2: every domain a cookie of this host can stand under; an address and a single label have none."""
    assert parent_domains(host) == domains


@pytest.mark.parametrize(
    ("path", "variants"),
    [
        ("/", ("/",)),
        ("", ("/",)),
        ("/a", ("/", "/a")),
        ("/a/", ("/", "/a", "/a/")),
        ("/a/b", ("/", "/a", "/a/", "/a/b")),
        ("/a//b", ("/", "/a", "/a/", "/a//b")),
        ("/a;b/c", ("/",)),
        ("/a/\r\nb", ("/", "/a", "/a/")),
        ("/\xe4", ("/",)),
        ("/1/2/3/4/5/6/7/8", ("/", "/1", "/1/", "/1/2", "/1/2/", "/1/2/3", "/1/2/3/", "/1/2/3/4", "/1/2/3/4/", "/1/2/3/4/5", "/1/2/3/4/5/", "/1/2/3/4/5/6", "/1/2/3/4/5/6/")),
    ],
)  # fmt: skip
def test_path_variants(path: str, variants: tuple[str, ...]) -> None:
    """Every path a cookie sent to this one can stand on, and nothing that could break out of the attribute."""
    assert path_variants(path) == variants


def written(
    *names: str, catalog: Catalog = CATALOG, host: str = "shop.example", path: str = "/", secure: bool = True
) -> list[str]:
    """Return the deletions written for these names, without the parts that are always the same."""
    found = expire(catalog, names, host=host, path=path, secure=secure, now=0)
    return [
        value.decode("latin-1").replace("; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0", "")
        for value in found
    ]


def test_nothing_to_expire() -> None:
    """Without names nothing is written."""
    assert written() == []


def test_the_variants_of_a_plain_cookie() -> None:
    """Host-only and every parent domain, on every path."""
    assert written("ad", host="www.shop.example", path="/a", secure=False) == [
        "ad=; Path=/",
        "ad=; Path=/; Domain=www.shop.example",
        "ad=; Path=/; Domain=shop.example",
        "ad=; Path=/a",
        "ad=; Path=/a; Domain=www.shop.example",
        "ad=; Path=/a; Domain=shop.example",
    ]


@pytest.mark.conformance("COOKIE-3")
def test_the_variants_of_a_host_cookie() -> None:
    """A `__Host-` cookie can only stand on / without a domain, plain or partitioned."""
    assert written("__Host-ad", path="/a/b") == [
        "__Host-ad=; Path=/; Secure",
        "__Host-ad=; Path=/; Secure; SameSite=None; Partitioned",
    ]


def test_a_host_cookie_over_plain_http() -> None:
    """Over plain HTTP no partitioned variant can be there."""
    assert written("__Host-ad", secure=False) == ["__Host-ad=; Path=/; Secure"]


def partitioned() -> Catalog:
    """Return a site whose chat sets a partitioned cookie on a path of its own."""
    return make_catalog(service("chat", "functional", CookieSpec("talk", path="/chat", partitioned=True)))


def test_declared_paths_and_partitions_are_covered() -> None:
    """What the declaration says of path and Partitioned is used, on every domain."""
    found = written("talk", catalog=partitioned())
    assert "talk=; Path=/chat; Secure" in found
    assert "talk=; Path=/chat; Secure; SameSite=None; Partitioned" in found
    assert "talk=; Path=/chat; Domain=shop.example; Secure; SameSite=None; Partitioned" in found


@pytest.mark.parametrize("name", ["talk-0", "talk.12", "talkC1", "__Secure-talk", "__Secure-talk-0"])
def test_chunks_and_prefixes_are_deleted_like_their_declaration(name: str) -> None:
    """A chunk of a partitioned cookie is partitioned too."""
    found = written(name, catalog=partitioned())
    assert f"{name}=; Path=/chat; Secure; SameSite=None; Partitioned" in found


def test_no_partitioned_variant_over_plain_http() -> None:
    """Partitioned needs Secure, and a browser ignores that over plain HTTP."""
    assert not [
        value for value in written("talk", catalog=partitioned(), secure=False) if "Partitioned" in value
    ]


@pytest.mark.parametrize("name", ["", "a;b", "a\rb", "a\nb", "a=b", "a\x7f", "a\u20ac", "a\x00"])
def test_names_that_could_break_the_header_are_left_out(name: str) -> None:
    """No byte of a request can end or split a header of ours."""
    assert written(name) == []


@modest
@given(
    st.lists(st.sampled_from(NAMES).filter(bool), unique=True),
    st.text(max_size=40),
    st.text(max_size=40),
    st.booleans(),
)
def test_no_host_or_path_breaks_a_header(names: list[str], host: str, path: str, secure: bool) -> None:  # noqa: FBT001
    """Whatever the request says, each value is one printable line."""
    host = host.encode("ascii", "ignore").decode()
    for value in expire(CATALOG, tuple(names), host=host, path=path, secure=secure, now=NOW):
        assert b"\r" not in value
        assert b"\n" not in value


# -- against a model of a browser's cookie jar

HOST, PATH = "www.shop.example", "/shop/basket/item"
MIXED = make_catalog(
    service(
        "many",
        "marketing",
        *(f"plain{i}" for i in range(8)),
        "wild_*",
        "*_tail",
        "chunk",
        ".AspNet.Track",
        "__Host-h",
        "sec",
        CookieSpec("part", partitioned=True),
        CookieSpec("deep", path="/shop/basket/"),
        CookieSpec("pdeep", path="/shop", partitioned=True),
    )
)


def fifty() -> list[str]:
    """Return fifty cookies that the declaration above covers, in every variant a browser can hold."""
    parent, own = "Domain=shop.example", "Domain=www.shop.example"
    plain = [
        "plain0=1; Path=/", f"plain1=1; Path=/; {parent}", f"plain2=1; Path=/; {own}", "plain3=1; Path=/shop",
        f"plain4=1; Path=/shop/; {parent}", "plain5=1; Path=/shop/basket/item", "plain6=1",
        f"plain7=1; Path=/; {parent}", f"plain7=2; Path=/; {own}", "plain7=3; Path=/", "plain7=4; Path=/shop",
        "deep=1; Path=/shop/basket/", f"deep=1; Path=/shop/basket/; {parent}",
    ]  # fmt: skip
    wild = [f"wild_{i}=1; Path=/; {(parent, own)[i % 2]}" for i in range(12)]
    wild += [f"{i}_tail=1; Path=/; Secure; HttpOnly" for i in range(5)]
    chunks = [f"chunk-{i}=1; Path=/; SameSite=Lax; Secure" for i in range(5)]
    chunks += [f".AspNet.TrackC{i}=1; Path=/; {parent}; Secure" for i in range(1, 4)]
    secure = [
        "__Host-h=1; Path=/; Secure", "__Host-h-1=1; Path=/; Secure; SameSite=None; Partitioned",
        f"__Secure-sec=1; Path=/; Secure; {parent}", "__Secure-sec-0=1; Path=/shop; Secure",
        "__secure-plain0=1; Path=/; Secure", "__host-plain1=1; Path=/; Secure",
        "part=1; Path=/; Secure; SameSite=None; Partitioned", "part-1=1; Path=/; Secure; Partitioned",
        f"part=2; Path=/; Secure; {parent}; Partitioned", "pdeep=1; Path=/shop; Secure; Partitioned",
        f"pdeep=1; Path=/shop; Secure; {own}; Partitioned", "__Secure-part=1; Path=/; Secure; Partitioned",
    ]  # fmt: skip
    return plain + wild + chunks + secure


def filled_jar(cookies: list[str]) -> Jar:
    """Return a browser that holds these cookies; it took every one of them."""
    jar = Jar()
    for cookie in cookies:
        assert jar.take(cookie, host=HOST, path=PATH, secure=True, now=NOW), cookie
    return jar


def browse(jar: Jar, catalog: Catalog, *, pages: int, path: str = PATH) -> list[int]:
    """Load pages after a withdrawal until no cookie shows; return the header bytes of each."""
    found = rules(withdrawn=("many", "marketing"), catalog=catalog)
    sizes = []
    for page in range(pages):
        header = jar.header(host=HOST, path=path, secure=True)
        names = found.withdrawn_in([header.encode("latin-1")])
        if not names:
            break
        values = expire(catalog, names, host=HOST, path=path, secure=True, now=NOW + page)
        for value in values:
            jar.take(value.decode("latin-1"), host=HOST, path=path, secure=True, now=NOW + page)
        sizes.append(sum(len(b"set-cookie: ") + len(value) + len(b"\r\n") for value in values))
    return sizes


def test_fifty_declared_cookies_are_fifty() -> None:
    """The jar that the next tests empty holds fifty cookies."""
    assert len(filled_jar(fifty()).held) == 50


@pytest.mark.conformance("ENF-1")
def test_a_jar_of_fifty_cookies_is_empty_after_the_next_documents() -> None:
    """ENF-1: after withdrawal every declared variant goes; what is left over goes with the next document."""
    jar = filled_jar(fifty())
    browse(jar, MIXED, pages=60)
    assert sorted(jar.held) == []


def test_no_response_carries_more_than_3_kb_of_deletions() -> None:
    """Servers and proxies limit headers: each response stays within the budget, names included."""
    assert max(browse(filled_jar(fifty()), MIXED, pages=60)) <= 3_000


def test_undeclared_cookies_stay() -> None:
    """What nobody declares is there after a withdrawal as it was before."""
    foreign = ["login=1; Path=/; Secure; HttpOnly", "__Host-sid=1; Path=/; Secure"]
    jar = filled_jar([*fifty(), *foreign])
    browse(jar, MIXED, pages=60)
    assert sorted(name for name, *_ in jar.held) == ["__Host-sid", "login"]


def test_one_name_with_more_variants_than_fit_goes_in_the_end() -> None:
    """Deep paths and long names: where not all variants fit in one response, others follow in the next."""
    name, path = "wild_" + "x" * 60, "/a" * 8
    places = ["/" + "a/" * i for i in range(6)]
    jar = Jar()
    for place in places:
        for domain in ("", "; Domain=www.shop.example", "; Domain=shop.example"):
            assert jar.take(f"{name}=1; Path={place}{domain}", host=HOST, path=path, secure=True, now=NOW)
    sizes = browse(jar, MIXED, pages=60, path=path)
    assert jar.held == {}
    assert max(sizes) <= 3_000


def test_an_undeletable_cookie_never_keeps_the_others() -> None:
    """A cookie on a path that cannot be written stays, and every other one still goes."""
    jar = filled_jar(fifty())
    jar.held["plain0", HOST, True, "/", True] = ("stuck", True)
    browse(jar, MIXED, pages=120)
    assert list(jar.held) == [("plain0", HOST, True, "/", True)]


@modest
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plain0", "wild_1", "chunk-3", "__Secure-sec", "x_tail", "wild_\xe4\xff y,z"]),
            st.sampled_from(["/", "/shop", "/shop/", "/shop/basket", "/shop/basket/", "/shop/basket/item"]),
            st.sampled_from(
                ["", "; Domain=shop.example", "; Domain=.www.shop.example", "; Domain=www.shop.example"]
            ),
        ),
        max_size=25,
    )
)
def test_any_variant_of_a_declared_cookie_goes(variants: list[tuple[str, str, str]]) -> None:
    """Whatever name, path and domain a declared cookie was set with, the browser is rid of it."""
    jar = filled_jar([f"{name}=1; Path={path}; Secure{domain}" for name, path, domain in variants])
    browse(jar, MIXED, pages=60)
    assert jar.held == {}


def test_owners_are_found_for_every_cookie_of_the_jar() -> None:
    """The fixture itself: each of the fifty belongs to the one service."""
    index = CookieIndex({cookie.name: ("many",) for cookie in MIXED.services["many"].cookies})
    assert {index.find(name) for name, *_ in filled_jar(fifty()).held} == {("many",)}


# -- what a hostile request or response cannot do


@pytest.mark.parametrize(
    "host", ["a." * 4000 + "example", "x" * 300 + ".example", "a..example", "shop.example;x", "shop_.\xe4"]
)
def test_a_host_that_is_none_has_no_domains(host: str) -> None:
    """A Host header of thousands of labels costs nothing and is written nowhere."""
    assert parent_domains(host) == ()


def test_a_very_deep_host_has_few_domains() -> None:
    """Its own name and the widest ones, where trackers set theirs."""
    host = ".".join("abcdefghijklmnop")
    found = parent_domains(host)
    assert (found[0], found[-1], len(found)) == (host, "o.p", 6)


@pytest.mark.parametrize("value", [b"sessionid=1\r\nSet-Cookie: ad=1", b"sessionid=1\nx", b"sessionid=\x00"])
def test_a_value_that_could_be_two_headers_is_held(value: bytes) -> None:
    """Not even an essential cookie may smuggle another one."""
    assert rules().set_cookie(value, NOW) is Verdict.HOLD_UNKNOWN


def test_long_names_are_judged_but_not_remembered() -> None:
    """A visitor's endless names fill no memory."""
    found = rules()
    assert [found.hides("st_" + "x" * size) for size in (10, 10_000)] == [True, True]
    assert found._hidden.cache_info().currsize == 1
