from __future__ import annotations

from html.parser import HTMLParser
from itertools import product
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from consent_middleware.assets import Assets
from consent_middleware.banner import Banner, Page, Shape
from consent_middleware.codec import ChoiceCodec
from consent_middleware.errors import ConfigError
from consent_middleware.policy import Notice, Rules, make_choice
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.texts import available_languages, load_texts
from consent_middleware.visitor import Visitor, Visitors
from helpers_core import NOW, SECRET, make_config

if TYPE_CHECKING:
    from pathlib import Path

    from consent_middleware.config import ConsentConfig

LANGUAGES = list(available_languages())
USED = ["google-analytics", "youtube", "stripe"]


def banner(config: ConsentConfig) -> Banner:
    """Return the banner of a site."""
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    return Banner(config, Assets(config.catalog, Rules(), visitors.names))


def shop(**sections: Any) -> Banner:
    """Return the banner of a site that uses a few services, in every language."""
    site = {"languages": LANGUAGES, **sections.pop("site", {})}
    return banner(make_config(**{"use": USED, "site": site, **sections}))


def visitor(
    config: ConsentConfig, *granted: str, answered: bool = True, signals: Signals = NO_SIGNALS
) -> Visitor:
    """Return a visitor of a site who granted these units."""
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    choice = make_choice(config.catalog, frozenset(granted), now=NOW, signals=signals) if answered else None
    return visitors.with_choice(choice, signals, NOW)


def tree(markup: bytes) -> ET.Element:
    """Parse a snippet as XML; a snippet can hold several elements."""
    return ET.fromstring(b"<r>" + markup + b"</r>")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", list(Shape))
def test_snippets_are_ascii_and_xml(language: str, shape: Shape) -> None:
    """What goes into a page reads the same in every charset, in HTML and in XHTML."""
    found = shop().snippets(language, "", shape, tuple(Notice))
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
    for shape, notices in product(Shape, [(), tuple(Notice)]):
        subject.snippets(language, "/app", shape, notices)
    for page in (Page(), Page(next="/x?y=1", saved=True, problem="Sorry.")):
        for who in (visitor(config, answered=False), visitor(config, *config.catalog.asked)):
            subject.preferences(language, "/app", who, page)


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
def test_the_twins_are_equal(language: str) -> None:
    """EU-2, CA-8: Reject all and Accept all come first and differ in nothing but what they say."""
    reject, accept, *_ = buttons(shop().snippets(language, "", Shape.ASK).body)
    assert (reject.pop("value"), accept.pop("value")) == ("reject_all", "accept_all")
    assert reject == accept


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_banner_says_what_it_must(language: str) -> None:
    """ENF-3, ENF-4: the word consent, the purposes, the partners and the withdrawal stand on the first layer."""
    markup = " ".join("".join(tree(shop().snippets(language, "", Shape.ASK).body).itertext()).split())
    texts = load_texts(language)
    assert texts["categories"]["analytics"]["phrase"] in markup
    assert texts["partners_many"].format(n=1) in markup or texts["partners_one"].format(n=1) in markup
    assert texts["banner_withdraw"] in markup


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


def test_nothing_is_pre_ticked() -> None:
    """EU-2: before an answer every box is empty."""
    config = make_config(use=USED)
    assert checked(preferences(banner(config), visitor(config, answered=False))) == set()


def test_the_form_shows_the_answer() -> None:
    """What was granted is ticked, and nothing else."""
    config = make_config(use=USED)
    who = visitor(config, "analytics", "google-analytics")
    assert checked(preferences(banner(config), who)) == {"google-analytics"}


def test_the_form_works_without_scripts() -> None:
    """A3: the page is complete: a POST form with the four answers, and where to go on."""
    config = make_config(use=USED)
    markup = preferences(banner(config), visitor(config), Page(next="/shop?a=1&b=2"))
    actions = [button.get("value") for button in buttons(markup.encode("ascii", "xmlcharrefreplace"))]
    assert set(actions) >= {"reject_all", "accept_all", "save", "withdraw"}
    assert 'name="next" value="/shop?a=1&amp;b=2"' in markup


def test_a_problem_is_said() -> None:
    """What went wrong stands on the page, escaped."""
    config = make_config()
    assert "&lt;sorry&gt;" in preferences(banner(config), visitor(config), Page(problem="<sorry>"))


@pytest.mark.parametrize("language", LANGUAGES)
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


# -- overrides


def overridden(folder: Path, **files: str) -> Banner:
    """Return the banner of a site with templates of its own."""
    (folder / "mine").mkdir()
    for name, content in files.items():
        (folder / "mine" / f"{name}.html").write_text(content, "utf-8")
    return banner(make_config(site={"templates": "mine"}).at(folder))


TWINS = '<div><button value="reject_all" class="a">No</button><button value="accept_all" class="a">Yes</button></div>'


def test_an_override_is_used(tmp_path: Path) -> None:
    """A template in the site's folder replaces ours of that name, and no other."""
    found = overridden(tmp_path, banner=TWINS).snippets("en", "", Shape.ASK)
    assert found.body.decode().strip() == TWINS
    assert b"consent-link" in found.tail


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("<p>We use cookies.</p>", "the first two buttons"),
        (TWINS.replace("reject_all", "accept_all"), "the first two buttons"),
        (TWINS.replace("<div>", "<div><button value='choose'>Choose</button>"), "the first two buttons"),
        ("<button value='accept_all'></button><button value='reject_all'></button>", "the first two buttons"),
        ("<button value='accept_all'>Yes</button>", "the first two buttons"),
        (TWINS.replace('"a">Yes', '"big">Yes'), "do not look the same"),
        (TWINS.replace('"a">Yes', '"a" style="font-size: 2em">Yes'), "do not look the same"),
        (TWINS.replace('"a">No', '"a" style="color: #eee">No'), "do not look the same"),
        ("{{ nothing.there }}", "cannot be rendered"),
        ("{% if %}", "cannot be rendered"),
        ("{{ 1 / 0 }}", "cannot be rendered"),
        ("{{ 'x{y}'.format(z=1) }}", "cannot be rendered"),
        ("{% include 'nowhere.html' %}", "cannot be rendered"),
    ],
)
def test_a_banner_without_twins_is_refused(tmp_path: Path, template: str, words: str) -> None:
    """EU-2, CA-8: a template without both equal buttons does not start."""
    with pytest.raises(ConfigError, match=words):
        overridden(tmp_path, banner=template)


def test_submit_inputs_are_buttons_too(tmp_path: Path) -> None:
    """Buttons written as inputs count like any other."""
    template = (
        '<input type="submit" name="action" value="reject_all"/><input type="submit" value="accept_all"/>'
    )
    assert overridden(tmp_path, banner=template).snippets("en", "", Shape.ASK).body


def test_a_broken_page_template_is_refused(tmp_path: Path) -> None:
    """A syntax error in a template that only some visitors see is found at the start, not by them."""
    with pytest.raises(ConfigError, match="cannot be rendered"):
        overridden(tmp_path, banner=TWINS, preferences="{% block %}")


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are a fault of the configuration."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "banner.html").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be rendered"):
        banner(make_config(site={"templates": "mine"}).at(tmp_path))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is a typo."""
    with pytest.raises(ConfigError, match="there is no folder"):
        banner(make_config(site={"templates": "nowhere"}).at(tmp_path))
