from __future__ import annotations

import json
import logging
import re
import threading
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.catalog import Basis, Service
from consent_middleware.config import ConsentConfig
from consent_middleware.csp import (
    Finding,
    Policies,
    Violation,
    Violations,
    missing_sources,
    parse_reports,
    source_problem,
    violations,
)
from consent_middleware.csp.sources import read_source, service_sources, smallest
from consent_middleware.errors import ConfigError
from helpers_core import declaration, make_catalog, modest, service

REPORTS = "/_consent/csp-report"
STATS = service("stats", "analytics", hosts=("stats.example.com",))
ADS = service("ads", "marketing", hosts=("ads.example.com",))
CHAT = service("chat", "functional", hosts=("chat.example.com",), hold=False)
SHOP = service("shop", "essential", hosts=("pay.example.com",))


def config(mode: str = "enforce", **sections: Any) -> ConsentConfig:
    """Return a declaration with a policy."""
    csp = {"mode": mode, "allow": sections.pop("allow", [])}
    return ConsentConfig.model_validate(declaration(csp=csp, **sections))


def policies(*services: Service, **settings: Any) -> Policies:
    """Return the policies of a site with these services."""
    return Policies(config(**settings), make_catalog(*services), REPORTS)


def policy(subject: Policies, granted: frozenset[str] | None = None, base: str = "") -> str:
    """Return the policy's value."""
    return subject.headers(granted, base)[0][1].decode("ascii")


def sources(subject: Policies, *granted: str) -> set[str]:
    """Return the sources of the policy's one list."""
    (value,) = re.findall(r"default-src ([^;]*)", policy(subject, frozenset(granted)))
    return set(value.split())


# -- which policy goes with what is granted


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ((), {"chat", "pay"}),
        (("stats",), {"chat", "pay", "stats"}),
        (("analytics",), {"chat", "pay"}),
        (("ads", "stats", "unheard-of"), {"chat", "pay", "stats", "ads"}),
    ],
)
def test_granted_services_are_allowed(granted: tuple[str, ...], allowed: set[str]) -> None:
    """What is essential, not held or granted is in the list; the rest is not."""
    found = sources(policies(STATS, ADS, CHAT, SHOP), *granted)
    names = {match[1] for source in found if (match := re.match(r"(\w+)\.example\.com", source))}
    assert names == allowed


def test_exempt_services_are_allowed() -> None:
    """A category that needs no consent is never held back."""
    catalog = make_catalog(STATS, basis={"analytics": Basis.EXEMPT})
    assert "stats.example.com:*" in sources(Policies(config(), catalog, REPORTS))


def test_a_page_for_everyone_allows_every_declared_service() -> None:
    """The same bytes go to all, and the page decides what it asks for."""
    subject = policies(STATS, ADS)
    assert subject.headers(None, "") == subject.headers(frozenset({"stats", "ads"}), "")


def test_services_that_nobody_declares_are_not_allowed() -> None:
    """The catalogue knows them, but an allow-list holds what the site uses."""
    declared = config(use=["hotjar"])
    found = policy(Policies(declared, declared.catalog, REPORTS))
    assert "*.hotjar.com" in found
    assert "stripe" not in found
    assert "facebook" not in found


def test_policies_are_made_once() -> None:
    """A document costs a look-up; units without hosts make no policy of their own."""
    subject = policies(STATS)
    first = subject.headers(frozenset({"stats"}), "")
    assert subject.headers(frozenset({"stats", "analytics"}), "") is first


@pytest.mark.parametrize(
    ("mode", "site", "name"),
    [
        ("enforce", "enforce", b"content-security-policy"),
        ("enforce", "report", b"content-security-policy-report-only"),
        ("report-only", "enforce", b"content-security-policy-report-only"),
        ("report-only", "report", b"content-security-policy-report-only"),
    ],
)
def test_the_name_of_the_header(mode: str, site: str, name: bytes) -> None:
    """A site in mode `report` holds nothing back, whatever its policy says."""
    assert policies(mode=mode, site={"mode": site}).headers(None, "")[0][0] == name


def test_no_policy_where_it_is_off() -> None:
    """Nothing is added, and nothing warned of."""
    subject = policies(STATS, mode="off")
    assert subject.headers(None, "") == ()
    assert subject.size_warning is None


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("", "/_consent/csp-report"),
        ("/shop", "/shop/_consent/csp-report"),
        ("/a;b,c'd\"e f\r\n", "/a%3Bb%2Cc%27d%22e%20f%0D%0A/_consent/csp-report"),
        ("/caf\u00e9", "/caf%C3%A9/_consent/csp-report"),
        ("/a%20b", "/a%20b/_consent/csp-report"),
        ("/\udcff", "/%3F/_consent/csp-report"),
    ],
)
def test_where_browsers_report(base: str, address: str) -> None:
    """Old and new browsers get the same address, below the mount, and nothing of it breaks the header."""
    (_, value), endpoints = policies().headers(None, base)
    assert value.decode("ascii").endswith(f"; report-uri {address}; report-to consent")
    assert endpoints == (b"reporting-endpoints", f'consent="{address}"'.encode("ascii"))


def test_one_directive_speaks_for_all() -> None:
    """Every kind of request falls back to it; inline code, `data:` and `blob:` are left to the app."""
    start = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; report-uri "
    assert policy(policies()).startswith(start)


def test_what_is_the_apps_to_say_is_left_out() -> None:
    """No nonce, which would let any host through, and no directive that is not about hosts."""
    found = policy(policies(STATS, ADS, CHAT))
    for absent in ("nonce", "strict-dynamic", "form-action", "frame-ancestors", "base-uri"):
        assert absent not in found


def test_the_sites_own_hosts() -> None:
    """Its origins and `allow` are in the list; a sub-domain, where a tracker may hide, only if declared."""
    subject = policies(
        STATS,
        site={
            "origins": ["https://shop.example", "http://[::1]:8000"],
            "cookie_domain": "shop.example",
        },
        allow=["cdn.example.net", "WSS://Live.example.net", "localhost:5173", "https://*.img.example/a/"],
    )
    assert {source for source in sources(subject) if "." in source or "localhost" in source} == {
        "https://shop.example",
        "cdn.example.net",
        "wss://live.example.net",
        "localhost:5173",
        "https://*.img.example/a/",
    }


def test_every_bad_entry_is_named_at_once() -> None:
    """A policy is never sent with what cannot stand in it."""
    with pytest.raises(ConfigError) as caught:
        policies(allow=["cdn.example.net", "*", "x.example; script-src *"])
    assert [fault.path for fault in caught.value.faults] == ["csp.allow[1]", "csp.allow[2]"]


def test_a_large_header_is_warned_of() -> None:
    """Some proxies refuse responses with large headers; a site of usual size hears nothing."""
    hosts = tuple(f"host-{number}.a-long-name-of-a-host.example" for number in range(60))
    warning = policies(service("many", "marketing", hosts=hosts)).size_warning
    assert warning is not None
    assert "bytes" in warning
    assert policies(STATS, ADS, CHAT).size_warning is None


# -- hosts as sources


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("stats.example.com", "stats.example.com:*"),
        ("*.example.com", "*.example.com:*"),
        ("localhost", "localhost:*"),
        ("*.hotjar.com", "*.hotjar.com"),
        ("www.example.com/", "www.example.com:*"),
        ("www.example.com/stats", "www.example.com:*"),
        ("www.example.com/stats/", "www.example.com:*/stats/"),
        ("www.example.com/stats/hit", "www.example.com:*/stats/"),
        ("www.example.com/a;b,c'd/", "www.example.com:*/a%3Bb%2Cc%27d/"),
    ],
)
def test_a_services_host_as_a_source(pattern: str, source: str) -> None:
    """A prefix becomes the nearest folder, a host without port any port unless the catalogue knows better."""
    assert list(map(str, service_sources(pattern))) == [source, f"wss://{source}"]


@pytest.mark.parametrize("pattern", ["/stats/", "*", "", "bad host", "x.example;"])
def test_what_is_no_source(pattern: str) -> None:
    """The site's own paths are covered already, and nothing else slips into the header."""
    assert service_sources(pattern) == ()


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (["a.example.com", "a.example.com"], ["a.example.com"]),
        (["b.example.com", "a.example.com"], ["a.example.com", "b.example.com"]),
        (["*.example.com", "a.example.com", "b.a.example.com", "*.a.example.com"], ["*.example.com"]),
        (["*.example.com", "example.com"], ["*.example.com", "example.com"]),
        (["*.example.com", "badexample.com"], ["*.example.com", "badexample.com"]),
        (["a.example.com", "a.example.com/x/", "*.example.com:*"], ["*.example.com:*"]),
        (["a.example.com/", "a.example.com/x/"], ["a.example.com"]),
        (["a.example.com/x/", "a.example.com/x/y/z.js", "a.example.com/xy"], ["a.example.com/x/", "a.example.com/xy"]),
        (["a.example.com:8443", "a.example.com"], ["a.example.com", "a.example.com:8443"]),
        (["*.example.com", "wss://a.example.com"], ["*.example.com", "wss://a.example.com"]),
    ],
)  # fmt: skip
def test_covered_sources_go(given_: list[str], kept: list[str]) -> None:
    """The header holds nothing twice, and nothing that a wider source covers."""
    read = [source for text in given_ if (source := read_source(text))]
    assert sorted(map(str, smallest(read))) == kept


@pytest.mark.parametrize(
    "text",
    [
        "cdn.example.net",
        "*.example.net",
        "https://cdn.example.net",
        "http://127.0.0.1:8000",
        "wss://live.example.net",
        "localhost",
        "localhost:5173",
        "cdn.example.net:*",
        "https://cdn.example.net/lib/",
        "CDN.Example.net",
    ],
)
def test_hosts_may_be_allowed(text: str) -> None:
    """What a policy can name is accepted as it is."""
    assert source_problem(text) == ""
    assert read_source(text) is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*", "every host"),
        (" * ", "every host"),
        ("'unsafe-inline'", "keyword"),
        ("'self'", "keyword"),
        ("'nonce-abc'", "keyword"),
        ("https:", "not a host"),
        ("data:", "not a host"),
        ("https://*", "not a host"),
        ("*.com", "not a host"),
        ("self", "not a host"),
        ("", "not a host"),
        ("a.example;script-src *", "not a host"),
        ("a.example,b.example", "not a host"),
        ("a.example b.example", "not a host"),
        ("a.example\n", "not a host"),
        ("a.example/x;y", "not a host"),
        ("a.example/x'y", "not a host"),
        ("ftp://a.example", "not a host"),
        ("a.example:port", "not a host"),
        ("a.exämple", "not a host"),
    ],
)
def test_what_may_not_be_allowed(text: str, words: str) -> None:
    """Whatever is no host, or would end the directive, is refused with words that say what is accepted."""
    problem = source_problem(text)
    assert words in problem
    assert "accepted: a host such as 'cdn.example.net'" in problem
    assert read_source(text) is None


@modest
@given(st.lists(st.text()), st.text(), st.lists(st.text()))
def test_nothing_breaks_out_of_the_header(hosts: list[str], base: str, allow: list[str]) -> None:
    """Whatever stands in a declaration, the policy stays one policy of three directives on one line."""
    fine = [text for text in allow if not source_problem(text)]
    odd = service("odd", "marketing", hosts=tuple(f"a.example/{text}/" for text in hosts) + tuple(hosts))
    found = policy(policies(odd, allow=fine), base=base.encode("utf-8", "ignore").decode())
    assert re.fullmatch(r"default-src [!-+\--:<-~ ]*; report-uri [!-+\--:<-~]*; report-to consent", found)


# -- the app's own policy


@pytest.mark.parametrize(
    ("own", "nonce", "missing"),
    [
        ("", "", ()),
        ("img-src 'none'; frame-ancestors 'none'", "", ()),
        ("default-src 'self'", "", ()),
        ("default-src *", "", ()),
        ("default-src https:", "", ()),
        ("default-src HTTP:; form-action 'Self'", "", ()),
        ("default-src 'none'", "", ("script-src 'self'", "style-src 'self'", "connect-src 'self'")),
        ("default-src", "", ("script-src 'self'", "style-src 'self'", "connect-src 'self'")),
        ("default-src 'none'", "abc", ("script-src 'self'", "style-src 'self'", "connect-src 'self'")),
        ("default-src 'nonce-abc'", "abc", ("connect-src 'self'",)),
        ("script-src 'nonce-abc'", "abc", ()),
        ("script-src 'NONCE-abc'", "abc", ()),
        ("script-src 'nonce-abc'", "ABC", ("script-src 'self'",)),
        ("script-src 'nonce-abc'", "", ("script-src 'self'",)),
        ("script-src 'nonce-abc' 'strict-dynamic'", "abc", ()),
        ("script-src 'self' 'strict-dynamic' https:", "", ("script-src 'nonce-...'",)),
        ("script-src 'nonce-abc' 'Strict-Dynamic'", "other", ("script-src 'nonce-...'",)),
        ("default-src 'self' 'strict-dynamic'", "", ("script-src 'nonce-...'",)),
        ("style-src 'self' 'strict-dynamic'", "", ()),
        ("script-src https://shop.example", "", ("script-src 'self'",)),
        ("script-src 'sha256-abc'", "", ("script-src 'self'",)),
        ("script-src-elem 'none'; script-src 'self'", "", ("script-src-elem 'self'",)),
        ("script-src-elem 'self'; script-src 'none'", "", ()),
        ("script-src 'self'; script-src 'none'", "", ()),
        ("SCRIPT-SRC 'none'", "", ("script-src 'self'",)),
        ("style-src-elem cdn.example", "", ("style-src-elem 'self'",)),
        ("style-src 'nonce-abc'", "abc", ()),
        ("connect-src 'nonce-abc'", "abc", ("connect-src 'self'",)),
        ("form-action 'none'", "", ("form-action 'self'",)),
        ("default-src 'self'; form-action https://pay.example", "", ("form-action 'self'",)),
        ("script-src 'self', script-src 'none', script-src 'none'", "", ("script-src 'self'",)),
        ("require-trusted-types-for 'script'", "", ()),
        ("trusted-types app", "", ()),
        ("require-trusted-types-for 'script'; trusted-types app", "", ("trusted-types consent",)),
        ("require-trusted-types-for 'script'; trusted-types", "", ("trusted-types consent",)),
        ("require-trusted-types-for 'script'; trusted-types app consent", "", ()),
        ("require-trusted-types-for 'script'; trusted-types *", "", ()),
        ("require-trusted-types-for 'script', trusted-types 'none'", "", ("trusted-types consent",)),
    ],
)
def test_what_the_apps_own_policy_lacks(own: str, nonce: str, missing: tuple[str, ...]) -> None:
    """Each of our files, requests and forms follows the fall-backs of CSP Level 3, in every one of its policies."""
    assert missing_sources(own, nonce=nonce) == missing


# -- reports


def old(**fields: Any) -> bytes:
    """Return a report as `report-uri` gets it."""
    return json.dumps(
        {"csp-report": {name.replace("_", "-"): value for name, value in fields.items()}}
    ).encode()


def new(*bodies: Any, kind: str = "csp-violation") -> bytes:
    """Return a report as the Reporting API sends it."""
    return json.dumps(
        [{"type": kind, "age": 1, "url": "https://x", "body": body} for body in bodies]
    ).encode()


def blocked(url: Any, directive: Any = "img-src", disposition: Any = "enforce") -> dict[str, Any]:
    """Return a body of the Reporting API."""
    return {"blockedURL": url, "effectiveDirective": directive, "disposition": disposition}


OLD, NEW = b"application/csp-report", b"application/reports+json"


def test_the_old_format() -> None:
    """A report for `report-uri` is read, and only what names nobody is kept."""
    body = old(
        document_uri="https://shop.example/account?user=1",
        blocked_uri="https://Ads.Example.com/pixel?user=1",
        effective_directive="script-src-elem",
        disposition="report",
    )
    found = parse_reports(b"application/csp-report; charset=utf-8", body)
    assert found == [Violation("ads.example.com", "script-src-elem", "report", "ads.example.com")]


def test_the_oldest_format() -> None:
    """Where only the violated directive is told, it stands there with its sources."""
    body = old(blocked_uri="https://a.example", violated_directive="img-src 'self' data:")
    assert parse_reports(OLD, body) == [Violation("a.example", "img-src", "enforce", "a.example")]


def test_the_new_format() -> None:
    """One request holds several reports, of other kinds too."""
    body = json.loads(new(blocked("https://a.example/"))) + json.loads(new({}, kind="deprecation"))
    found = parse_reports(b"Application/Reports+JSON", json.dumps([*body, 1, None]).encode())
    assert found == [Violation("a.example", "img-src", "enforce", "a.example")]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://a.example:443/", "a.example"),
        ("http://a.example:80", "a.example"),
        ("https://a.example:8443/x", "a.example:8443"),
        ("wss://a.example/live", "wss://a.example"),
        ("WS://a.example:9000", "wss://a.example:9000"),
        ("https://a.example./x", "a.example"),
    ],
)
def test_what_would_allow_it(url: str, source: str) -> None:
    """A websocket and an unusual port are part of the line to paste, which is a sound one."""
    (found,) = parse_reports(NEW, new(blocked(url)))
    assert (found.host, found.source) == ("a.example", source)
    assert source_problem(found.source) == ""


@pytest.mark.parametrize(
    "url",
    [
        "inline", "eval", "wasm-eval", "data", "blob", "self", "", "https", "about:blank", None, 1, ["https://a.b"],
        "chrome-extension://abcdef/x.js", "moz-extension://abc.def/x.js", "safari-web-extension://a.b/",
        "https://user:secret@a.example/", "https://[::1]/", "https://a_b.example/", "https://a/",
        "https://a.example\n[forged]", "https://a.\u00e9xample/", "//a.example/", "ftp://a.example/",
        "https://" + "a." * 130 + "example/",
    ],
)  # fmt: skip
def test_what_is_blocked_but_no_host(url: Any) -> None:
    """Keywords, extensions, and whatever is no plain host are dropped."""
    assert parse_reports(NEW, new(blocked(url))) == []


@pytest.mark.parametrize("directive", ["form-action", "base-uri", "", "x", None, 7, "img-src\nx", "script"])
def test_directives_that_are_not_ours(directive: Any) -> None:
    """Our policy has fetch directives only; a report of any other is forged, or of another policy."""
    assert parse_reports(NEW, new(blocked("https://a.example", directive))) == []


def test_twenty_reports_a_request() -> None:
    """No request costs more than a few look-ups."""
    assert len(parse_reports(NEW, new(*[blocked("https://a.example")] * 50))) == 20


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (OLD, b""),
        (OLD, b"{"),
        (OLD, b"[]"),
        (OLD, b"{}"),
        (OLD, b'{"csp-report": 1}'),
        (OLD, b'{"csp-report": {}}'),
        (OLD, b"\xff\xfe\xff"),
        (OLD, b"[" * 100_000),
        (OLD, b"9" * 10_000),
        (NEW, b"{}"),
        (NEW, b"1"),
        (NEW, b'[{"type": "csp-violation", "body": null}]'),
        (NEW, b'[{"type": "csp-violation"}]'),
        (NEW, old(blocked_uri="https://a.example", effective_directive="img-src")),
        (OLD, new(blocked("https://a.example"))),
        (b"application/json", new(blocked("https://a.example"))),
        (b"", new(blocked("https://a.example"))),
    ],
)
def test_malformed_reports(content_type: bytes, body: bytes) -> None:
    """Whatever is not a report of the kind it says to be counts for nothing."""
    assert parse_reports(content_type, body) == []


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["https://a.example", "img-src"]),
    lambda children: (
        st.lists(children)
        | st.dictionaries(
            st.sampled_from(
                ["csp-report", "blocked-uri", "body", "blockedURL", "effectiveDirective", "type"]
            ),
            children,
        )
    ),
)


@modest
@given(st.sampled_from([OLD, NEW]), st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_no_report_raises(content_type: bytes, body: bytes) -> None:
    """Anybody can send anything."""
    assert isinstance(parse_reports(content_type, body), list)


# -- what is counted, and what is logged of it


def violation(host: str, directive: str = "img-src", disposition: str = "enforce") -> Violation:
    """Return a violation of the policy."""
    return Violation(host, directive, disposition, host)


def counter(*services: Service, **settings: Any) -> Violations:
    """Return a counter that has heard nothing yet."""
    return Violations(config(**settings), make_catalog(*services))


def first(subject: Violations, found: Violation) -> Finding:
    """Return the finding of a violation that is news."""
    finding = subject.add(found)
    assert finding is not None
    return finding


def pasted(finding: Finding, key: str) -> dict[str, Any]:
    """Return what the line for a key says, read as a file that holds nothing else."""
    (line,) = [line for line in finding.text.splitlines() if line.startswith(f"{key} = ")]
    return tomllib.loads(line)


def test_a_declared_service_that_is_held_back() -> None:
    """The policy works as declared: nothing to paste."""
    finding = first(counter(ADS), violation("ads.example.com"))
    assert finding.level == logging.INFO
    assert finding.text == (
        "browsers reported that the policy held back ads once (img-src): a visitor has not granted it."
    )


def test_a_report_of_what_was_not_held_back() -> None:
    """Where the policy only reports, the words do not claim more."""
    assert (
        "would hold back ads once"
        in first(counter(ADS), violation("ads.example.com", "img-src", "report")).text
    )


def test_a_known_service_comes_with_its_line() -> None:
    """What the catalogue knows is declared by one word, beside those the site has."""
    finding = first(counter(use=["youtube"]), violation("static.hotjar.com", "script-src-elem"))
    assert finding.level == logging.WARNING
    assert pasted(finding, "use") == {"use": ["youtube", "hotjar"]}
    assert "at the top:\nuse = [" in finding.text


def test_an_unknown_host_comes_with_its_line() -> None:
    """The line keeps what is allowed already, and names the websocket where one was asked for."""
    found = Violation("live.example.net", "connect-src", "enforce", "wss://live.example.net")
    finding = first(counter(allow=["cdn.example.net"]), found)
    assert finding.level == logging.WARNING
    assert pasted(finding, "allow") == {"allow": ["cdn.example.net", "wss://live.example.net"]}
    assert "below [csp]:\nallow = [" in finding.text


def test_the_pasted_line_allows_the_host() -> None:
    """What the log shows is accepted, and mends it."""
    line = pasted(first(counter(), violation("cdn.example.net")), "allow")
    assert "cdn.example.net" in sources(policies(**line))


@pytest.mark.parametrize("declared", [SHOP, CHAT], ids=["essential", "not-held"])
def test_a_service_that_is_never_held_back(declared: Service) -> None:
    """If one is reported all the same, its hosts do not cover what was asked for: it needs the line."""
    host = declared.hosts[0]
    assert pasted(first(counter(declared), violation(host)), "allow") == {"allow": [host]}


def test_a_service_known_by_a_part_of_a_host() -> None:
    """Reports are kept without a path, so that a path's owner is looked for by its host, after whole ones."""
    part = service("part", "marketing", hosts=("www.example.com/ads/", "/own/"))
    assert "held back part once" in first(counter(part), violation("www.example.com")).text
    whole = service("whole", "marketing", hosts=("*.example.com",))
    assert "held back whole once" in first(counter(part, whole), violation("www.example.com")).text


def test_only_the_first_the_tenth_the_hundredth_is_told() -> None:
    """A thousand reports of the same are four lines, each with a key of its own."""
    subject = counter(ADS)
    found = [finding for _ in range(1000) if (finding := subject.add(violation("ads.example.com")))]
    assert [finding.key[-1] for finding in found] == ["1", "10", "100", "1000"]
    assert len({finding.key for finding in found}) == 4
    assert "held back ads 1000 times" in found[-1].text


def test_counts_by_service_or_host() -> None:
    """Hosts of one service are one; directives are told apart."""
    subject = counter(service("ads", "marketing", hosts=("a.example", "b.example")))
    for host, directive in [("a.example", "img-src"), ("b.example", "img-src"), ("c.example", "img-src"),
                            ("a.example", "frame-src")]:  # fmt: skip
        subject.add(violation(host, directive))
    assert subject.summary() == {"ads": {"img-src": 2, "frame-src": 1}, "c.example": {"img-src": 1}}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forged hosts fill neither memory nor log, and do not crowd out services or hosts that were there."""
    monkeypatch.setattr(violations, "_MAX_KEYS", 3)
    subject = counter(ADS)
    found = [subject.add(violation(f"host-{number}.example")) for number in range(20)]
    subject.add(violation("host-0.example"))
    assert "held back ads once" in first(subject, violation("ads.example.com")).text
    assert subject.summary() == {
        **{f"host-{number}.example": {"img-src": 2 if number == 0 else 1} for number in range(3)},
        violations.OTHER: {"": 17},
        "ads": {"img-src": 1},
    }
    assert [finding.text for finding in found[3:] if finding] == [
        "browsers reported violations of too many hosts to name, once.",
        "browsers reported violations of too many hosts to name, 10 times.",
    ]


def test_threads_lose_no_count() -> None:
    """Reports come to many workers at once."""
    subject = counter(ADS)

    def add() -> None:
        for _ in range(200):
            subject.add(violation("ads.example.com"))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert subject.summary() == {"ads": {"img-src": 1600}}
