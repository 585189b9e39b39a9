from __future__ import annotations

from html.parser import HTMLParser
from itertools import product
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import turbohtml
from markupsafe import escape

from consent_middleware.assets import Assets
from consent_middleware.banner import Banner, Page, Shape
from consent_middleware.codec import ChoiceCodec
from consent_middleware.policy import Circumstances, Notice, Rules, make_choice
from consent_middleware.policy import opt_out as said_no
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.texts import direction, list_of, load_texts, plural
from consent_middleware.visitor import Visitor, Visitors
from helpers_core import NOW, SECRET, make_config

if TYPE_CHECKING:
    from consent_middleware.config import ConsentConfig

# Two that are read by many, one from right to left, one without spaces; test_translations.py looks at all of them.
LANGUAGES = ["en", "de", "ar", "ja"]
USED = ["google-analytics", "youtube", "stripe"]


def banner(config: ConsentConfig, *, accounts: bool = False) -> Banner:
    """Return the banner of a site."""
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    return Banner(config, Assets(config.catalog, Rules(), visitors.names), accounts=accounts)


def shop(*, accounts: bool = False, **sections: Any) -> Banner:
    """Return the banner of a site that uses a few services, in every language."""
    site = {"languages": LANGUAGES, **sections.pop("site", {})}
    return banner(make_config(**{"use": USED, "site": site, **sections}), accounts=accounts)


def visitor(
    config: ConsentConfig,
    *granted: str,
    answered: bool = True,
    signals: Signals = NO_SIGNALS,
    regime: Regime = Regime.OPT_IN,
) -> Visitor:
    """Return a visitor of a site who granted these units."""
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    choice = make_choice(config.catalog, frozenset(granted), now=NOW, signals=signals) if answered else None
    return visitors.with_choice(choice, signals, NOW, Circumstances(regime))


def tree(markup: bytes) -> ET.Element:
    """Parse a snippet as XML; a snippet can hold several elements."""
    return ET.fromstring(b"<r>" + markup + b"</r>")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("regime", list(Regime))
def test_snippets_are_ascii_and_xml(language: str, shape: Shape, regime: Regime) -> None:
    """What goes into a page reads the same in every charset, in HTML and in XHTML."""
    found = shop().snippets(
        language,
        "",
        shape,
        tuple(Notice),
        circumstances=Circumstances(regime),
        changes=("R\u00e4tsel & <b>",),
    )
    for part in (found.head, found.body, found.tail):
        part.decode("ascii")
        tree(part)


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        (Shape.ASK, (True, True, True)),
        (Shape.LINK, (True, False, True)),
        (Shape.LOADER, (True, False, False)),
    ],
)
def test_what_each_shape_holds(shape: Shape, parts: tuple[bool, bool, bool]) -> None:
    """The loader is always there, the banner only where it asks, the link unless nothing shows."""
    found = shop().snippets("en", "", shape)
    assert (bool(found.head), bool(found.body), bool(found.tail)) == parts


def test_no_link_where_the_site_places_it() -> None:
    """`link = "none"` leaves the standing link to the site."""
    assert shop(banner={"link": "none"}).snippets("en", "", Shape.LINK).tail == b""


@pytest.mark.parametrize(
    ("position", "theme", "link", "language", "use", "policy"),
    [
        *product(["bottom", "top", "center", "corner"], ["auto"], ["corner"], LANGUAGES, [USED], ["/privacy"]),
        *product(["bottom"], ["light", "dark"], ["corner", "footer", "none"], LANGUAGES, [USED, []], ["/p", ""]),
    ],
)  # fmt: skip
def test_every_setting_renders_everything(
    position: str, theme: str, link: str, language: str, use: list[str], policy: str
) -> None:
    """No value a template asks for is ever missing, in any setting and language."""
    config = make_config(
        site={"languages": [language], "policy_url": policy},
        banner={"position": position, "theme": theme, "link": link},
        use=use,
    )
    subject = banner(config)
    for shape, notices, regime in product(Shape, [(), tuple(Notice)], Regime):
        subject.snippets(language, "/app", shape, notices, circumstances=Circumstances(regime))
    for page in (Page(), Page(next="/x?y=1", saved=True, problem="Sorry.")):
        for answered, regime in product([False, True], Regime):
            who = visitor(config, *config.catalog.asked, answered=answered, regime=regime)
            subject.preferences(language, "/app", who, page)
            subject.opt_out(language, "/app", who, page)


class _Buttons(HTMLParser):
    """Collect the buttons of a page, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            self.found.append(dict(attrs))


def buttons(markup: bytes) -> list[dict[str, str | None]]:
    """Return the attributes of every button."""
    parser = _Buttons()
    parser.feed(markup.decode("ascii"))
    return parser.found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.conformance("EU-2", "CA-8")
def test_the_twins_are_equal(language: str) -> None:
    """EU-2, CA-8: Reject all and Accept all come first and differ in nothing but what they say."""
    reject, accept, *_ = buttons(shop().snippets(language, "", Shape.ASK).body)
    assert (reject.pop("value"), accept.pop("value")) == ("reject_all", "accept_all")
    assert reject == accept


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.conformance("ENF-3", "ENF-4")
def test_the_banner_says_what_it_must(language: str) -> None:
    """ENF-3, ENF-4: the word consent, the purposes, the partners and the withdrawal stand on the first layer."""
    markup = " ".join("".join(tree(shop().snippets(language, "", Shape.ASK).body).itertext()).split())
    texts = load_texts(language)
    assert texts["categories"]["analytics"]["phrase"] in markup
    assert plural(language, "partners", 1) in markup
    assert texts["link"] in markup


def test_no_identifier_stands_in_a_page() -> None:
    """BREACH, caches: nothing of a visitor, and no nonce unless the app gave one."""
    found = shop().snippets("en", "", Shape.ASK)
    assert b"nonce" not in found.head + found.body + found.tail


def test_a_nonce_is_put_into_the_loader() -> None:
    """The app's own nonce lets our loader run under its policy."""
    found = shop().snippets("en", "", Shape.ASK, nonce="abc123")
    assert found.head.count(b' nonce="abc123"') == 3
    assert b"nonce" not in found.body + found.tail


def test_a_nonce_changes_nothing_for_the_next() -> None:
    """A nonce is used in one response and remembered in none."""
    subject = shop()
    before = subject.snippets("en", "", Shape.ASK)
    subject.snippets("en", "", Shape.ASK, nonce="abc123")
    assert subject.snippets("en", "", Shape.ASK) == before


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("", "/_consent", b'action="/_consent/choice"'),
        ("/app", "/_consent", b'action="/app/_consent/choice"'),
        ("/caf\u00e9 x", "/_consent", b'action="/caf%C3%A9%20x/_consent/choice"'),
        ('/"><script>', "/_consent", b'action="/%22%3E%3Cscript%3E/_consent/choice"'),
        ("", "/privacy/choice", b'action="/privacy/choice/choice"'),
    ],
)
def test_urls_start_from_the_mount_point(base: str, path: str, url: bytes) -> None:
    """Where the app is mounted comes first, escaped."""
    assert url in shop(site={"path": path}).snippets("en", base, Shape.ASK).body


def test_the_sites_words_are_escaped() -> None:
    """A name with markup in it is text."""
    config = make_config(
        site={"name": "<b>Shop</b>", "policy_url": '/p"onclick="x'},
        categories=[{"id": "analytics", "title": "<i>Numbers</i>"}],
    )
    found = banner(config)
    everything = found.snippets("en", "", Shape.ASK).body + found.preferences(
        "en", "", visitor(config), Page()
    )
    assert b"<b>" not in everything
    assert b"<i>" not in everything
    assert b'"onclick="' not in everything


def preferences(subject: Banner, who: Visitor, page: Page = Page(), language: str = "en") -> str:  # noqa: B008
    """Return the preferences page as text."""
    return subject.preferences(language, "", who, page).decode()


def checked(markup: str) -> set[str]:
    """Return the services and categories that are ticked in the form."""
    found = set()

    class Boxes(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            if (
                tag == "input"
                and values.get("type") == "checkbox"
                and "checked" in values
                and "name" in values
            ):
                found.add(str(values["value"]))

    Boxes().feed(markup)
    return found


@pytest.mark.conformance("EU-2")
def test_nothing_is_pre_ticked() -> None:
    """EU-2: before an answer every box is empty."""
    config = make_config(use=USED)
    assert checked(preferences(banner(config), visitor(config, answered=False))) == set()


def test_the_form_shows_the_answer() -> None:
    """What was granted is ticked, and nothing else."""
    config = make_config(use=USED)
    who = visitor(config, "analytics", "google-analytics")
    assert checked(preferences(banner(config), who)) == {"google-analytics"}


@pytest.mark.conformance("A11Y-3")
def test_the_form_works_without_scripts() -> None:
    """A3: the page is complete: a POST form with the four answers, and where to go on."""
    config = make_config(use=USED)
    markup = preferences(banner(config), visitor(config), Page(next="/shop?a=1&b=2"))
    actions = [button.get("value") for button in buttons(markup.encode("ascii", "xmlcharrefreplace"))]
    assert set(actions) >= {"reject_all", "accept_all", "save", "withdraw"}
    assert 'name="next" value="/shop?a=1&amp;b=2"' in markup


def test_what_is_in_another_language_says_so() -> None:
    """What the catalogue has in English only is marked as English; countries are in the visitor's language."""
    config = make_config(use=USED, site={"languages": LANGUAGES})
    subject = banner(config)
    german = preferences(subject, visitor(config), language="de")
    assert '<span lang="en" dir="auto">Counts visits and shows which pages are read.</span>' in german
    assert '<code dir="ltr">_ga</code> <span lang="en" dir="auto">Tells visitors apart.</span>' in german
    assert "<bdi>Google LLC</bdi> (Vereinigte Staaten)" in german
    assert "<span lang=" not in preferences(subject, visitor(config))


def test_a_site_says_what_a_cookie_is_for_in_each_language() -> None:
    """A cookie's purpose may be given by language, like the other texts of a site."""
    own = {"en": "Keeps your basket.", "de": "Merkt sich den Warenkorb."}
    service = {"id": "basket", "category": "functional", "cookies": [{"name": "basket", "purpose": own}]}
    config = make_config(services=[service], site={"languages": LANGUAGES})
    assert own["de"] in preferences(banner(config), visitor(config), language="de")
    assert own["en"] in preferences(banner(config), visitor(config))


def test_what_is_always_on_says_why() -> None:
    """The built-in words tell; to a site's own words the reason is added."""
    why = str(load_texts("en")["why_always"])
    plain = make_config()
    assert why not in preferences(banner(plain), visitor(plain))
    own = make_config(categories=[{"id": "essential", "basis": "exempt", "description": "Your basket."}])
    assert f"Your basket. {why}" in preferences(banner(own), visitor(own))


def test_a_problem_is_said() -> None:
    """What went wrong stands on the page, escaped."""
    config = make_config()
    assert "&lt;sorry&gt;" in preferences(banner(config), visitor(config), Page(problem="<sorry>"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.conformance("EU-5")
def test_a_notice_is_the_banner_as_shown(language: str) -> None:
    """EU-5: what a record proves is the first layer in that language."""
    found = shop()
    assert (
        found.notice(language).encode("ascii", "xmlcharrefreplace").strip()
        == found.snippets(language, "", Shape.ASK).body.strip()
    )


def test_messages_are_in_the_visitors_language() -> None:
    """A text by its key, in the language asked for."""
    assert shop().message("de", "save") == load_texts("de")["save"]


def test_the_build_changes_with_the_markup() -> None:
    """A page rendered from other settings is told apart."""
    assert shop().build == shop().build
    assert shop().build != shop(banner={"position": "top"}).build


# -- where silence allows

each_language = pytest.mark.parametrize("language", LANGUAGES)
SVG = "{http://www.w3.org/2000/svg}svg"


def words(element: ET.Element) -> str:
    """Return the text in an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def link(
    language: str = "en", *notices: Notice, regime: Regime = Regime.OPT_OUT, **sections: Any
) -> ET.Element:
    """Return the standing link."""
    return tree(
        shop(**sections).snippets(language, "", Shape.LINK, notices, circumstances=Circumstances(regime)).tail
    )


@each_language
@pytest.mark.conformance("CA-6")
def test_the_link_to_the_choices(language: str) -> None:
    """CA-6: both links stand side by side, to the preferences and to the page of its own."""
    texts = load_texts(language)
    assert [(a.get("href"), words(a)) for a in link(language).iter("a")] == [
        (f"/_consent/preferences?lang={language}", texts["your_choices"]),
        (f"/_consent/opt-out?lang={language}", texts["opt_out_title"]),
    ]


def test_one_language_needs_no_name() -> None:
    """A site in one language has no need to say which."""
    config = make_config(use=USED)
    found = (
        banner(config).snippets("en", "", Shape.ASK).body + banner(config).snippets("en", "", Shape.ASK).tail
    )
    assert b'name="lang"' not in found
    assert b"?lang=" not in found


def test_the_choices_open_as_a_dialog() -> None:
    """The preferences open in the page; the opt-out page is gone to."""
    assert [a.get("data-consent") for a in link().iter("a")] == ["preferences", None]


@pytest.mark.conformance("CA-6")
def test_the_icon_says_nothing() -> None:
    """CA-6: the blue icon is there, and the link's name comes from its words alone."""
    (icon,) = link().iter(SVG)
    assert (icon.get("aria-hidden"), icon.get("focusable"), words(icon)) == ("true", "false", "")
    assert {path.get("fill") for path in icon} == {"#fff", "#06f"}


@each_language
@pytest.mark.parametrize("regime", [Regime.OPT_IN, Regime.NONE])
def test_elsewhere_the_link_is_plain(language: str, regime: Regime) -> None:
    """Only opt-out has the icon and the second link; without a word about it, it is opt-in."""
    found = link(language, regime=regime)
    assert [words(a) for a in found.iter("a")] == [load_texts(language)["link"]]
    assert list(found.iter(SVG)) == []
    assert shop().snippets(language, "", Shape.LINK) == shop().snippets(
        language, "", Shape.LINK, circumstances=Circumstances(Regime.OPT_IN)
    )


@each_language
@pytest.mark.parametrize("notice", list(Notice))
@pytest.mark.conformance("CA-4")
def test_each_notice_stands_beside_the_link(language: str, notice: Notice) -> None:
    """CA-4: inline, as a status, in the visitor's language."""
    (status,) = (e for e in link(language, notice).iter() if e.get("role") == "status")
    assert words(status) == load_texts(language)["notice_" + notice.value.replace("-", "_")]


def test_notices_are_sentences() -> None:
    """Several are told apart by one full stop, whether or not they bring their own."""
    (status,) = (e for e in link("en", *Notice).iter() if e.get("role") == "status")
    assert ".." not in words(status)
    assert words(status).count(load_texts("en")["notice_opted_out"]) == 1


def test_the_link_stays_small() -> None:
    """It goes into every page: icon, both links and all, with room for a status."""
    assert (
        len(shop().snippets("en", "", Shape.LINK, circumstances=Circumstances(Regime.OPT_OUT)).tail) <= 1_400
    )


@pytest.mark.conformance("ENF-9")
@each_language
def test_the_first_layer_says_where_a_choice_holds(language: str) -> None:
    """ENF-9: for the account where the site has accounts and somebody is logged in, else in this browser; never both."""
    texts = load_texts(language)
    for accounts, known in product([False, True], repeat=2):
        subject = shop(accounts=accounts)
        found = subject.snippets(language, "", Shape.ASK, circumstances=Circumstances(known=known))
        text = words(tree(found.body))
        said = [key for key in ("scope_browser", "scope_account") if texts[key] in text]
        assert said == ["scope_account" if accounts and known else "scope_browser"]


@pytest.mark.conformance("EU-5")
def test_what_is_kept_as_shown_under_opt_out() -> None:
    """EU-5: where there is no banner, the link and the page it leads to are what was shown."""
    notice = shop().notice("en", Regime.OPT_OUT)
    assert "Your Privacy Choices" in notice
    assert 'value="opt_out"' in notice
    assert "consent-banner" not in notice


@each_language
def test_what_changed_is_said(language: str) -> None:
    """The banner and the form name what is new since the answer, escaped; without changes they say nothing."""
    config = make_config(use=USED, site={"languages": [language]})
    subject, title = banner(config), load_texts(language)["changes_title"]
    changes = ("<Hotjar>", "Meta")
    for told in (changes, ()):
        asked = subject.snippets(language, "", Shape.ASK, changes=told).body.decode("ascii")
        form = subject.preferences(language, "", visitor(config), Page(), changes=told).decode()
        said = [words(p) for p in tree(asked.encode()).iter("p") if p.get("class") == "consent-changed"]
        assert said == ([f"{title} {list_of(language, changes)}."] if told else [])
        assert (f"{escape(list_of(language, changes))}." in form) is bool(told)


@each_language
@pytest.mark.conformance("CA-8")
def test_the_form_lets_say_no_first(language: str) -> None:
    """CA-8: under opt-out the first button says no to sale and sharing, and looks like the twins."""
    config = make_config(use=USED, site={"languages": [language]})
    page = banner(config).preferences(language, "", visitor(config, regime=Regime.OPT_OUT), Page())
    first, *twins = buttons(page.decode().encode("ascii", "xmlcharrefreplace"))[:3]
    assert [first.pop("value"), *(twin.pop("value") for twin in twins)] == [
        "opt_out",
        "reject_all",
        "accept_all",
    ]
    assert [first] * 2 == twins
    assert f"<title>{load_texts(language)['your_choices']} - Example Shop</title>" in page.decode()


def test_elsewhere_the_form_is_as_before() -> None:
    """Where nothing is allowed by silence, there is nothing to opt out of."""
    config = make_config(use=USED)
    assert 'value="opt_out"' not in preferences(banner(config), visitor(config))


# -- the opt-out page


def opt_out(
    language: str = "en",
    subject: Banner | None = None,
    *,
    opted_out: bool = False,
    by_signal: bool = False,
    signed_in: bool = False,
    accounts: bool = False,
    page: Page = Page(next="/shop?a=1&b=2"),  # noqa: B008 - frozen
) -> ET.Element:
    """Return the opt-out page as a tree."""
    subject = subject or shop(accounts=accounts)
    config = subject._config
    said = said_no(config.catalog, None, now=NOW, signals=NO_SIGNALS) if opted_out and not by_signal else None
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    circumstances = Circumstances(Regime.OPT_OUT, known=signed_in)
    who = visitors.with_choice(said, Signals(gpc=by_signal), NOW, circumstances)
    markup = subject.opt_out(language, "", who, page).decode()
    return ET.fromstring(markup.removeprefix("<!doctype html>\n"))


each_state = pytest.mark.parametrize(
    "state",
    [
        {},
        {"accounts": True},
        {"opted_out": True},
        {"opted_out": True, "by_signal": True, "accounts": True},
        {"opted_out": True, "signed_in": True, "accounts": True},
        {"page": Page(problem="Sorry & <b>")},
    ],
    ids=lambda state: "+".join(state) or "plain",
)


@each_language
@each_state
def test_the_opt_out_page_is_html(language: str, state: dict[str, Any]) -> None:
    """No parser has anything to mend, and no id stands twice."""
    page = opt_out(language, **state)
    turbohtml.parse("<!doctype html>\n" + ET.tostring(page, encoding="unicode", method="html"), strict=True)
    ids = [e.get("id") for e in page.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


@each_language
@pytest.mark.conformance("CA-5", "CA-6")
def test_the_opt_out_page_by_name(language: str) -> None:
    """CA-5, CA-6: a page of its own, called what the law calls it, in the language and direction of the visitor."""
    page = opt_out(language)
    title = load_texts(language)["opt_out_title"]
    assert page.findtext("head/title") == f"{title} - Example Shop"
    assert page.findtext(".//h1") == title
    assert (page.get("lang"), page.get("dir")) == (language, direction(language))


def test_the_direction_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a language runs from right to left, so do the page and the link."""
    monkeypatch.setattr("consent_middleware.banner.direction", {"de": "rtl"}.get)
    assert (opt_out("de").get("dir"), link("de")[0].get("dir")) == ("rtl", "rtl")


@each_language
@pytest.mark.conformance("ENF-10")
def test_opting_out_is_one_post(language: str) -> None:
    """ENF-10: one form, one button, nothing to fill in, nobody to prove to be."""
    page = opt_out(language)
    (form,) = page.iter("form")
    assert (form.get("method"), form.get("action")) == ("post", "/_consent/choice")
    fields = [(e.get("type"), e.get("name"), e.get("value")) for e in page.iter("input")]
    assert fields == [("hidden", "next", "/shop?a=1&b=2"), ("hidden", "lang", language)]
    (button,) = page.iter("button")
    assert (button.get("name"), button.get("value")) == ("action", "opt_out")
    assert [e.tag for e in page.iter() if e.tag in ("select", "textarea")] == []


@each_state
@pytest.mark.conformance("ENF-10")
def test_the_opt_out_page_stays_here(state: dict[str, Any]) -> None:
    """ENF-10: nothing on it leads or asks to another host."""
    page = opt_out(**state)
    urls = [e.get(name) or "" for e in page.iter() for name in ("href", "src", "action") if e.get(name)]
    assert [url for url in urls if not url.startswith("/") or url.startswith("//")] == []


def test_who_it_is_about() -> None:
    """Every service that sells or shares is named with its provider, and no other."""
    found = [words(li) for li in opt_out(subject=shop(use=["meta-pixel", "hotjar", "stripe"])).iter("li")]
    assert found == ["Meta Pixel (Meta Platforms, Inc.)", "Hotjar (Hotjar Limited)"]


def test_a_provider_is_not_named_twice() -> None:
    """A service called like its provider, or without one, stands alone."""
    services = [
        {"id": "a", "name": "Acme", "category": "marketing", "provider": "Acme"},
        {"id": "b", "name": "Blub", "category": "marketing"},
        {"id": "c", "name": "Counter", "category": "analytics", "sells_or_shares": False},
    ]
    assert [words(li) for li in opt_out(subject=shop(use=[], services=services)).iter("li")] == [
        "Acme",
        "Blub",
    ]


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ([{"id": "c", "name": "Counter", "category": "analytics", "sells_or_shares": False}], True),
        ([], False),
    ],
)
def test_nobody_is_only_said_where_it_holds(services: list[dict[str, Any]], said: bool) -> None:  # noqa: FBT001
    """A site whose tags are marked by category names no service, and does not claim that there is none."""
    page = words(opt_out(subject=shop(use=[], services=services)))
    assert (load_texts("en")["opt_out_nobody"] in page) is said


@each_language
@pytest.mark.parametrize("by_signal", [False, True])
@pytest.mark.conformance("CA-4")
def test_who_is_opted_out_is_told(language: str, by_signal: bool) -> None:  # noqa: FBT001
    """CA-4: that it holds, by whose word, and where to change it; there is nothing left to send."""
    page, texts = opt_out(language, opted_out=True, by_signal=by_signal), load_texts(language)
    (status,) = (e for e in page.iter() if e.get("role") == "status")
    assert texts["notice_opted_out"] in words(status)
    assert (texts["notice_signal_honored"] in words(status)) is by_signal
    assert (texts["opt_out_by_choice"] in words(status)) is not by_signal
    assert list(page.iter("form")) == []
    (change,) = (a for a in page.iter("a") if words(a) == texts["opt_out_change"])
    assert change.get("href") == f"/_consent/preferences?next=/shop%3Fa%3D1%26b%3D2&lang={language}"
    assert change.get("data-consent") is None


@each_language
@pytest.mark.parametrize(
    ("state", "scope", "sign_in"),
    [
        ({}, "opt_out_scope", False),
        ({"accounts": True}, "opt_out_scope", True),
        ({"accounts": True, "signed_in": True}, "opt_out_account", False),
    ],
)
@pytest.mark.conformance("ENF-8", "ENF-9")
def test_the_scope_is_said(language: str, state: dict[str, Any], scope: str, sign_in: bool) -> None:  # noqa: FBT001
    """ENF-8, ENF-9: in this browser; signing in is only spoken of where there are accounts, to who is not."""
    page, texts = words(opt_out(language, **state)), load_texts(language)
    assert texts[scope].format(site="Example Shop") in page
    assert (texts["opt_out_sign_in"] in page) is sign_in


def test_a_problem_is_said_on_the_opt_out_page() -> None:
    """What went wrong stands there as an alert, escaped."""
    (alert,) = (e for e in opt_out(page=Page(problem="<sorry>")).iter() if e.get("role") == "alert")
    assert words(alert) == "<sorry>"


def test_the_opt_out_page_knows_its_mount_point() -> None:
    """Its addresses begin where the app does."""
    config = make_config(use=USED)
    markup = banner(config).opt_out(
        "en", "/app", visitor(config, answered=False, regime=Regime.OPT_OUT), Page()
    )
    assert b'action="/app/_consent/choice"' in markup
    assert b"nonce" not in markup
