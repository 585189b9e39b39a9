"""The cookie policy is the declaration in words: every fact, in HTML and Markdown, and nothing beside it."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from jinja2 import Environment
from markupsafe import Markup

from consent_middleware.banner import Page
from consent_middleware.cli import main
from consent_middleware.policy_markdown import markdown
from consent_middleware.policy_page import facts, review_advice
from consent_middleware.site import Site
from helpers_core import SECRET, declaration, make_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from consent_middleware.config import ConsentConfig

RICH: dict[str, Any] = {
    "use": ["google-analytics", "stripe"],
    "site": {"updated": "2026-11-20", "regime": "by-region", "languages": ["en", "de"], "consent_days": 90},
    "controller": {"address": "1 Example Street, 10115 Berlin"},
    "cookies": {"essential": ["basket"]},
    "records": {"retention": "P5Y"},
    "categories": [
        {
            "id": "appearance",
            "basis": "exempt_with_objection",
            "title": {"en": "Looks", "de": "Aussehen"},
            "description": {"en": "Fonts and colours.", "de": "Schriften und Farben."},
        }
    ],
    "services": [
        {
            "id": "fonts",
            "name": "House fonts",
            "category": "appearance",
            "provider": "Letters SARL",
            "country": "FR",
            "policy_url": "https://letters.example/privacy",
            "description": {"en": "Shows our letters.", "de": "Zeigt unsere Schrift."},
            "sells_or_shares": False,
            "storage": ["fonts_*", "face"],
            "cookies": [{"name": "face_seen", "retention": "P2W", "purpose": "Loads them once."}],
        },
        {
            "id": "ads",
            "name": "Ad Works",
            "category": "marketing",
            "provider": "Ad Works Inc.",
            "country": "BR",
        },
    ],
}
ENGLISH = [
    "Cookie policy", "Example Shop", "Example GmbH", "1 Example Street, 10115 Berlin", "privacy@example.com",
    "Last changed: 20 Nov 2026.", "Cookie settings", "Do Not Sell or Share My Personal Information",
    "Your consent history", "An answer is kept for 90 days.", "An opt-out is kept for 400 days",
    "If your browser sends Global Privacy Control", "Do Not Track is obeyed in the same way.",
    "a record of each choice for 5 years", "It holds no name and no address.", "complain to a data protection authority",
    "Needed, so used without consent.", "Used only with your consent; where no law asks for it, unless you object.",
    "Used unless you object.", "Looks", "Fonts and colours.", "House fonts", "Shows our letters.",
    "Recipient: Letters SARL (France)", "Privacy policy of House fonts", "https://letters.example/privacy",
    "Also stores in your browser: fonts_*, face.", "face_seen", "Loads them once.", "2 weeks", "basket",
    "Ad Works Inc.", "Data goes to this country: Brazil.", "Californian law calls this selling or sharing data.",
    "No cookies", "__Host-consent", "Remembers your choice.",
]  # fmt: skip
GERMAN = [
    "Cookie-Richtlinie", "Zuletzt geändert: 20.11.2026.", "Cookie-Einstellungen", "Eine Antwort gilt 90 Tage.",
    "Wenn Ihr Browser Global Privacy Control sendet", "Do Not Track wird ebenso befolgt.", "5 Jahre",
    "Wird verwendet, solange Sie nicht widersprechen.", "Aussehen", "Schriften und Farben.", "Zeigt unsere Schrift.",
    "Empfänger: Letters SARL (Frankreich)", "Daten gehen in folgendes Land: Brasilien.", "2 Wochen",
    "Speichert in Ihrem Browser außerdem: fonts_*, face.", "Kalifornisches Recht nennt dies Verkauf",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the folder that the tests run in."""
    monkeypatch.chdir(tmp_path)


def as_html(config: ConsentConfig, language: str = "en") -> str:
    """Return the policy as a page."""
    return Site(config, SECRET).banner.policy(language, "", Page()).decode()


def as_markdown(config: ConsentConfig, language: str = "en") -> str:
    """Return the policy as Markdown."""
    return markdown(facts(config, language))


def read_html(text: str) -> str:
    """Return the words of HTML, and where it links to."""
    links = re.findall(r'href="([^"]*)"', text)
    return " ".join(unescape(" ".join([re.sub(r"<[^>]*>", " ", text), *links])).split()).replace(" : ", ": ")


def read_markdown(text: str) -> str:
    """Return the words of Markdown without its marks."""
    return unescape(re.sub(r"\\([\\`*_{}\[\]#+.)-])", r"\1", text))


FORMS = [pytest.param(as_html, read_html, id="html"), pytest.param(as_markdown, read_markdown, id="markdown")]
each_form = pytest.mark.parametrize(("written", "read"), FORMS)


class _Tags(HTMLParser):
    """Collects the tags of HTML, and the names of cookies in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: list[str] = []
        self._in_code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.tags += [name for name, _ in attrs]
        self._in_code = tag == "code"

    def handle_endtag(self, _: str) -> None:
        self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.names.append(data)


def service_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the facts of one service."""
    (service,) = (s for category in found["categories"] for s in category["services"] if s["name"] == name)
    return dict(service)


# -- every fact


@each_form
@pytest.mark.parametrize(("language", "said"), [("en", ENGLISH), ("de", GERMAN)])
@pytest.mark.conformance("ENF-11")
def test_every_fact_is_there(
    written: Callable[..., str], read: Callable[[str], str], language: str, said: list[str]
) -> None:
    """ENF-11: what a rich declaration holds, signals included, stands in the policy, in each language and form."""
    text = read(written(make_config(**RICH), language))
    assert [fact for fact in said if fact not in text] == []


@pytest.mark.parametrize("written", [as_html, as_markdown])
def test_the_cookies_are_those_of_the_catalogue(written: Callable[..., str]) -> None:
    """Each declared cookie is listed once, beside the site's own and the one that holds the answer."""
    config = make_config(**RICH)
    text = written(config)
    listed = _Tags(text).names if written is as_html else re.findall(r"^- `([^`]+)`", text, re.MULTILINE)
    declared = [cookie.name for service in config.catalog.services.values() for cookie in service.cookies]
    assert sorted(listed) == sorted(["__Host-consent", "basket", *declared])


@each_form
def test_categories_come_in_the_order_of_the_declaration(
    written: Callable[..., str], read: Callable[[str], str]
) -> None:
    """Essential first, then as the preferences show them; those nobody uses are not there."""
    text = read(written(make_config(**RICH)))
    places = [
        text.index(said) for said in ("Needed for this site", "Shows us which", "Chooses ads", "Fonts and")
    ]
    assert places == sorted(places)
    assert "Measures how fast" not in text


# -- nothing but facts


@each_form
def test_nothing_is_invented(written: Callable[..., str], read: Callable[[str], str]) -> None:
    """What a bare declaration does not hold leaves no empty label behind."""
    bare = {"id": "bare", "name": "Bare", "category": "analytics", "sells_or_shares": False}
    text = read(written(make_config(services=[bare], records={"url": "none"})))
    for word in ("Last changed", "Data goes", "Also stores", "Privacy policy of", "selling", "None", "Your rights",
                 "history", "a record of", "Recipient: Bare", "Recipient: .", "()"):  # fmt: skip
        assert word not in text
    assert "Do Not Sell" not in text


def test_a_service_without_a_provider_has_a_country() -> None:
    """Within the EEA the country stands behind whoever is known to receive the data."""
    service = {"id": "bare", "name": "Bare", "category": "analytics", "country": "DE"}
    found = service_of(facts(make_config(services=[service]), "en"), "Bare")
    assert (found["recipient"], found["transfer"]) == ("Bare (Germany)", "")


def test_essential_services_neither_sell_nor_wait() -> None:
    """What needs no consent is not among what an opt-out stops."""
    found = service_of(facts(make_config(use=["stripe"]), "en"), "Stripe")
    assert (found["sells"], found["unheld"]) == ("", "")


# -- only what is true


@pytest.mark.parametrize(
    "changes",
    [
        {"site": {"regime": "opt-out"}},
        {"site": {"regime": "by-region"}},
        {"site": {"mode": "report"}},
        {"cookies": {"unknown": "allow"}},
        {"categories": [{"id": "analytics", "basis": "exempt_with_objection"}]},
        {"services": [{"id": "google-analytics", "hold": False}]},
    ],
)
def test_it_promises_to_hold_back_only_where_all_is_held(changes: dict[str, Any]) -> None:
    """Where something does not wait for a yes, the policy does not say that everything does."""
    strict = "Nothing that needs your consent is loaded or stored before you allow it."
    use = ["google-analytics"]
    assert strict in facts(make_config(use=use), "en")["choices"]
    found = facts(make_config(use=use, **changes), "en")
    assert strict not in found["choices"]
    assert "until you allow it" not in found["intro"]


def test_a_service_that_is_not_held_says_so() -> None:
    """`hold = false` is told of the service that has it."""
    config = make_config(use=["google-analytics"], services=[{"id": "google-analytics", "hold": False}])
    assert "loaded at once" in service_of(facts(config, "en"), "Google Analytics")["unheld"]


@pytest.mark.parametrize(
    ("regime", "basis"),
    [
        ("opt-in", "Used only with your consent."),
        ("opt-out", "Used unless you object."),
        ("none", "Used unless you object."),
        ("by-region", "Used only with your consent; where no law asks for it, unless you object."),
    ],
)
def test_the_basis_is_that_of_the_regime(regime: str, basis: str) -> None:
    """Where silence allows, nothing is said to wait for consent."""
    found = facts(make_config(use=["google-analytics"], site={"regime": regime}), "en")
    assert [category["basis"] for category in found["categories"]] == [
        "Needed, so used without consent.",
        basis,
    ]
    assert ("opt-out" in [link["url"].rpartition("/")[2] for link in found["links"]]) is (regime != "opt-in")


GPC, GPC_ASK, GPC_OFF = (
    "nobody asks you",
    "sends Global Privacy Control, nothing is sold or shared without",
    "act on Global",
)
DNT, DNT_ALONE, DNT_ALL, DNT_OFF = "in the same way", "sends Do Not Track, nothing", "everything that is not", "act on Do Not"  # fmt: skip


@pytest.mark.conformance("ENF-11")
@pytest.mark.parametrize(
    ("signals", "gpc", "dnt"),
    [
        ({}, GPC, DNT),
        ({"when_on": "ask"}, GPC_ASK, DNT),
        ({"dnt_scope": "all"}, GPC, DNT_ALL),
        ({"dnt": False}, GPC, DNT_OFF),
        ({"gpc": False}, GPC_OFF, DNT_ALONE),
        ({"gpc": False, "dnt": False}, GPC_OFF, DNT_OFF),
    ],
)
def test_both_signals_are_explained_as_they_are_set(signals: dict[str, Any], gpc: str, dnt: str) -> None:
    """ENF-11: the policy says what Global Privacy Control and Do Not Track do here, also where that is nothing."""
    found = facts(make_config(signals=signals), "en")["signals"]
    assert [gpc in found[0], dnt in found[1], len(found)] == [True, True, 2]


@pytest.mark.parametrize(
    ("records", "options", "said", "unsaid"),
    [
        ({}, {}, "no name and no address", "also holds"),
        ({"ip": "truncate"}, {}, "It also holds, shortened or scrambled: your IP address.", "no address"),
        (
            {"user_agent": "hash", "page": "hash"},
            {},
            "the name of your browser and the address of the page",
            "no name",
        ),
        ({}, {"accounts": True}, "for which account", "no name"),
        ({"url": "none"}, {"accounts": True}, "", "account"),
    ],
)
def test_what_a_record_holds_is_said(
    records: dict[str, str], options: dict[str, Any], said: str, unsaid: str
) -> None:
    """A record that keeps more than the choice is not said to keep nothing more."""
    proof = facts(make_config(records=records), "en", **options)["proof"]
    assert said in proof
    assert unsaid not in proof


@pytest.mark.parametrize(
    ("changes", "ages", "said"),
    [
        ({}, False, True),
        ({"site": {"regime": "by-region"}}, False, False),
        ({"site": {"regime": "opt-out"}}, True, True),
        ({"categories": [{"id": "marketing", "basis": "exempt_with_objection"}]}, False, False),
        ({"categories": [{"id": "marketing", "basis": "exempt_with_objection"}]}, True, True),
    ],
)
def test_children_are_spoken_of_where_they_are_spared(
    changes: dict[str, Any], *, ages: bool, said: bool
) -> None:
    """Under opt-in silence denies for everyone; elsewhere the site must know who is under 16."""
    found = facts(make_config(use=["meta-pixel"], **changes), "en", ages=ages)
    assert bool(found["children"]) is said


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["__Host-consent"]),
        ({"id": "b"}, ["__Host-consent-b"]),
        ({"cookie_domain": "shop.example"}, ["__Secure-consent"]),
        ({"origins": ["http://localhost:8000"]}, ["consent"]),
    ],
)
def test_our_own_cookie_is_listed_by_its_name(changes: dict[str, Any], names: list[str]) -> None:
    """The cookie that holds the answer is called what the site's settings make of it."""
    found = service_of(facts(make_config(site=changes), "en"), "Example Shop")
    assert [cookie["name"] for cookie in found["cookies"]] == names
    assert found["cookies"][0]["time"] == "180 days"


def test_accounts_bring_a_second_cookie() -> None:
    """Who is signed in has the browser's own answer kept beside the account's."""
    found = service_of(facts(make_config(), "en", accounts=True), "Example Shop")
    assert [cookie["name"] for cookie in found["cookies"]] == ["__Host-consent", "__Host-consent-own"]


# -- hostile text

HOSTILE = '<script>alert(1)</script> "quoted" [x](javascript:x) **b** `c` &amp; ~~d~~ # {e} _f_ \\ \n# g'


def hostile() -> ConsentConfig:
    """Return a declaration whose every free text would break out if it could."""
    service = {
        "id": "bad",
        "name": HOSTILE,
        "category": "analytics",
        "provider": HOSTILE,
        "description": HOSTILE,
        "policy_url": "javascript:alert(1)",
        "storage": ["<b>`|"],
        "cookies": [{"name": "``<i>|`*", "purpose": HOSTILE}],
    }
    site = {"name": HOSTILE}
    return make_config(site=site, controller={"name": HOSTILE, "contact": "javascript:x"}, services=[service])


def test_hostile_text_stays_text_in_html() -> None:
    """No declared text becomes a tag, an attribute or a link that runs something."""
    text = as_html(hostile())
    assert {"script", "i", "b", "onerror"} & set(_Tags(text).tags) == set()
    assert 'href="javascript:' not in text
    assert " ".join(HOSTILE.split()) in read_html(text)


def test_hostile_text_stays_text_in_markdown() -> None:
    """No declared text becomes markup, a link, a heading or HTML; names of cookies are code as they are."""
    text = as_markdown(hostile())
    assert "- ``` ``<i>|`* ```: " in text
    outside = text.replace("``` ``<i>|`* ```", "").replace("`__Host-consent`", "")
    assert set(outside) & set("~") == set()
    assert re.search(r"(?<!\()<(?!/)", re.sub(r"\]\(<[^<>\n]*>\)", "", outside)) is None
    assert re.search(r"(?<!\\)\]\(<?javascript", outside) is None
    assert re.search(r"(?<!\\)`", outside) is None
    assert re.findall(r"^# .*", outside, re.MULTILINE) == ["# Cookie policy"]
    assert " ".join(HOSTILE.split()) in read_markdown(text)


@pytest.mark.parametrize("start", ["- ", "1. ", "+ ", "12) "])
def test_a_text_begins_no_list_in_markdown(start: str) -> None:
    """A description that begins like a list is still a paragraph."""
    service = {"id": "a", "name": "A", "category": "analytics", "description": f"{start}first"}
    line = f"{start}first"
    text = as_markdown(make_config(services=[service]))
    assert line not in text.splitlines()
    assert line in read_markdown(text)


@pytest.mark.parametrize(
    ("contact", "url"),
    [
        ("privacy@example.com", "mailto:privacy@example.com"),
        ("https://example.com/contact", "https://example.com/contact"),
        ("+49 30 123456", ""),
        ("a@b?bcc=c@d", ""),
        ("//elsewhere.example", ""),
    ],
)
def test_a_contact_is_linked_where_it_can_be(contact: str, url: str) -> None:
    """An address for mail or on the web is a link, anything else is text."""
    assert facts(make_config(controller={"contact": contact}), "en")["controller"]["contact_url"] == url


# -- where it goes


def test_the_fragment_goes_into_a_template_as_it_is() -> None:
    """A Jinja template of the site's own shows it without escaping it, its headings below the site's."""
    site = Site(make_config(**RICH), SECRET)
    page = Environment(autoescape=True).from_string("<h1>Privacy</h1>{{ policy }}")
    text = page.render(policy=site.policy_fragment("de"))
    assert '<div class="consent-policy" lang="de" dir="ltr">' in text
    assert "<h1" not in text.removeprefix("<h1>")


def test_the_fragment_speaks_the_sites_first_language() -> None:
    """Without a language it is the site's first; a mount point stands in its links; an unknown language is told."""
    site = Site(make_config(site={"languages": ["de", "en"]}), SECRET)
    assert isinstance(site.policy_fragment(), Markup)
    assert "Ihre Auswahl" in site.policy_fragment()
    assert 'href="/shop/_consent/preferences" data-consent="preferences"' in site.policy_fragment(
        "en", "/shop"
    )
    with pytest.raises(ValueError, match="no texts in 'xx'"):
        site.policy_fragment("xx")


def test_the_macro_can_be_replaced(tmp_path: Path) -> None:
    """A site's own template of that name is used for the page and the fragment."""
    (tmp_path / "own").mkdir()
    own = "{% macro cookie_policy(policy, level=2) %}<p>{{ policy.controller.name }}</p>{% endmacro %}"
    (tmp_path / "own" / "cookie_policy.html").write_text(own, "utf-8")
    config = make_config(site={"templates": "own"}).at(tmp_path)
    assert Site(config, SECRET).policy_fragment() == "<p>Example GmbH</p>"


# -- the command line


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A declaration in a file."""
    path = tmp_path / "consent.toml"
    controller = declaration()["controller"]
    path.write_text(
        f'use = ["google-analytics"]\n[site]\nname = "Example Shop"\nregime = "opt-out"\nlanguages = ["de", "en"]\n'
        f'[controller]\nname = "{controller["name"]}"\ncontact = "{controller["contact"]}"\n',
        "utf-8",
    )
    return path


def run(*arguments: str) -> Any:
    """Run a command; nothing of the process's environment reaches it."""
    unset = dict.fromkeys(["CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"])
    return CliRunner().invoke(main, list(arguments), env=unset)


def test_the_command_writes_markdown_in_the_sites_language(declared: Path) -> None:
    """Standard output holds the policy and nothing else."""
    found = run("policy", "--config", str(declared))
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.startswith("# Cookie-Richtlinie\n\n")
    assert found.stdout.endswith(".\n")


def test_the_command_writes_html_to_a_file(declared: Path, tmp_path: Path) -> None:
    """A language and a form can be chosen; with a file nothing is printed, and nothing else is written."""
    target = tmp_path / "cookies.html"
    found = run(
        "policy", "--config", str(declared), "--language", "en", "--format", "html", "--output", str(target)
    )
    assert (found.exit_code, found.output) == (0, "")
    assert "Google Analytics" in target.read_text("utf-8")
    assert set(tmp_path.iterdir()) == {declared, target}


@pytest.mark.parametrize(
    "arguments", [["--config", "missing.toml"], ["--output", "missing/policy.md"], ["--language", "xx"]]
)
def test_what_cannot_be_written_is_exit_code_2(declared: Path, arguments: list[str]) -> None:
    """A declaration, a language or a folder that is not there is said in words."""
    config = [] if "--config" in arguments else ["--config", str(declared)]
    found = run("policy", *config, *arguments)
    assert found.exit_code == 2
    assert "Error: " in found.stderr


# -- how current it is


@pytest.mark.conformance("ENF-11")
@pytest.mark.parametrize(
    ("updated", "advice"),
    [
        ("", "[site] updated is not set"),
        ("2025-11-22", "[site] updated is older than 12 months (2025-11-22)"),
        ("2025-11-23", ""),
        ("2026-11-23", ""),
        ("2024-02-29", "older than 12 months"),
    ],
)
def test_a_stale_policy_is_told(updated: str, advice: str) -> None:
    """ENF-11: what nobody has looked through for 12 months is told with what to do, and nothing else is."""
    found = review_advice(updated, date(2026, 11, 23))
    assert found.startswith(advice) if advice[:1] == "[" else advice in found
    assert bool(found) is bool(advice)
    assert ('updated = "2026-11-23"' in found) is bool(advice)


@pytest.mark.conformance("ENF-11")
@pytest.mark.parametrize(("updated", "told"), [("", True), ("2001-01-01", True), ("2999-01-01", False)])
def test_check_warns_and_succeeds(declared: Path, updated: str, *, told: bool) -> None:
    """ENF-11: `check` names a policy that is stale or undated, with exit code 0."""
    dated = declared.read_text("utf-8").replace("[controller]", f'updated = "{updated}"\n[controller]')
    declared.write_text(dated, "utf-8")
    found = run("check", "--config", str(declared))
    assert found.exit_code == 0
    assert ("[site] updated is" in found.stdout) is told
