"""What a site has in place of ours is used, and what cannot be used is refused at the start, with a way to mend it."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.assets import Assets
from consent_middleware.banner import Banner, Page, Shape
from consent_middleware.codec import ChoiceCodec
from consent_middleware.errors import ConfigError
from consent_middleware.overrides import Overrides
from consent_middleware.policy import Circumstances, Notice, Rules, make_choice
from consent_middleware.policy_page import facts
from consent_middleware.records import NoticeText
from consent_middleware.regions import Regime
from consent_middleware.resources import read_text, resource_root
from consent_middleware.signals import NO_SIGNALS
from consent_middleware.site import Site
from consent_middleware.texts import load_texts
from consent_middleware.visitor import CookieNames, Visitors
from helpers_core import NOW, SECRET, make_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Client, Serve
    from consent_middleware.config import ConsentConfig

USED = ["google-analytics", "youtube", "stripe"]
OURS = sorted(path.name for path in Path(str(resource_root() / "templates")).iterdir())
OVERRIDABLE = [name for name in OURS if name != "dashboard.html"]
DOCS = Path(__file__).resolve().parents[1] / "docs" / "customising.md"
PAGE = b"<!doctype html><html lang='en'><head><title>Shop</title></head><body><p>Hello</p></body></html>"
REJECT = '<button type="submit" name="action" value="reject_all" class="a">No</button>'
ACCEPT = '<button type="submit" name="action" value="accept_all" class="a">Yes</button>'
FORM = f'<form method="post" action="{{{{ urls.choice }}}}">{REJECT}{ACCEPT}</form>'
TWINS = f'<section id="consent-banner">{FORM}</section>'


def put(folder: Path, files: Mapping[str, str]) -> None:
    """Write a site's own files."""
    for name, content in files.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def configured(folder: Path, **sections: Any) -> ConsentConfig:
    """Return the declaration of a site that has a folder of its own files."""
    site = {"templates": "mine", **sections.pop("site", {})}
    return make_config(**{"use": USED, "site": site, **sections}).at(folder)


@cache
def assets() -> Assets:
    """Return static files; which they are shows in their address alone."""
    return Assets(make_config(use=USED).catalog, Rules(), CookieNames())


def banner(config: ConsentConfig) -> Banner:
    """Return the banner of a site."""
    return Banner(config, assets())


def overridden(folder: Path, files: Mapping[str, str], **sections: Any) -> Banner:
    """Return the banner of a site with these files."""
    put(folder, files)
    return banner(configured(folder, **sections))


def refused(folder: Path, files: Mapping[str, str], **sections: Any) -> list[str]:
    """Return what is said of files that are refused, each a whole sentence with a way to mend it."""
    with pytest.raises(ConfigError) as caught:
        overridden(folder, files, **sections)
    assert {fault.path for fault in caught.value.faults} == {"site.templates"}
    assert all(fault.problem.endswith(".") and fault.hint for fault in caught.value.faults)
    return [f"{fault.problem} {fault.hint}" for fault in caught.value.faults]


def changed(name: str, old: str, new: str) -> dict[str, str]:
    """Return a copy of one of our templates with a part of it changed."""
    ours = read_text("templates", name)
    assert old in ours
    return {name: ours.replace(old, new)}


def everything(subject: Banner, config: ConsentConfig) -> list[bytes]:
    """Return all that visitors can be shown, in the states that differ."""
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    found = []
    for regime, notices in product(Regime, ((), tuple(Notice))):
        seen = Circumstances(regime)
        parts = subject.snippets("en", "/app", Shape.ASK, notices, circumstances=seen, changes=("x",))
        found += [parts.head, parts.body, parts.tail, subject.notice("en", regime).encode()]
        for units, page in ((None, Page()), (config.catalog.asked, Page(problem="Sorry."))):
            choice = make_choice(config.catalog, units, now=NOW, signals=NO_SIGNALS) if units else None
            who = visitors.with_choice(choice, NO_SIGNALS, NOW, seen)
            found += [subject.preferences("en", "", who, page), subject.opt_out("en", "", who, page)]
    found += [subject.policy("en", "", Page()), subject.policy_fragment("en").encode()]
    return [*found, subject.receipt("en", "", Page(), {"receipts": [], "notices": {}})]


# -- templates


@pytest.mark.parametrize("name", OVERRIDABLE)
def test_a_copy_of_ours_changes_nothing(tmp_path: Path, name: str) -> None:
    """Each template and icon can be replaced by itself: it is accepted, and every page stays byte for byte the same."""
    own = overridden(tmp_path, {name: read_text("templates", name)}, banner={"close": True})
    plain = make_config(use=USED, banner={"close": True})
    assert everything(own, plain) == everything(banner(plain), plain)


# The beginning of a line that is rendered, where that is not the first tag.
RENDERED = {"preferences.html": "<h1", "opt-out.html": "<h1", "receipt.html": "<dl>", "policy.html": "<h1",
            "cookie_policy.html": "<p>{{ policy.intro"}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OVERRIDABLE if name.endswith(".html")])
@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("{{ nothing.there }}", "cannot be rendered: 'nothing' is undefined (line {line})"),
        ("{{ t.prefs_titel }}", "there is no 'prefs_titel' (line {line}). Did you mean 'prefs_title'?"),
        ("{% blok %}", "cannot be rendered: Encountered unknown tag 'blok'"),
        ("{{ 1|nofilter }}", "cannot be rendered: No filter named 'nofilter' (line {line})"),
    ],
)
def test_a_broken_copy_is_refused(tmp_path: Path, name: str, added: str, words: str) -> None:
    """Whatever template breaks, the error names it and the line, also where only some visitors would see it."""
    lines = read_text("templates", name).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(RENDERED.get(name, "<")))
    lines[at] = added + lines[at]
    (found, *_) = refused(tmp_path, {name: "\n".join(lines)})
    if name == "cookie_policy.html":  # is given the facts alone
        words = words.replace(
            "there is no 'prefs_titel' (line {line}). Did you mean 'prefs_title'?", "'t' is undefined"
        )
    assert f"{name}: cannot be rendered" in found
    assert words.format(line=at + 1) in found


def test_an_override_is_used(tmp_path: Path) -> None:
    """A template in the site's folder replaces ours of that name, and no other."""
    found = overridden(tmp_path, {"banner.html": TWINS}).snippets("en", "", Shape.ASK)
    assert found.body.decode().strip() == TWINS.replace("{{ urls.choice }}", "/_consent/choice")
    assert b"consent-link" in found.tail


def test_a_part_of_a_page_is_used_in_each(tmp_path: Path) -> None:
    """What all pages of ours are made from can be replaced at once."""
    own = overridden(tmp_path, changed("_page.html", "<main>", '<header>Mine</header><main id="m">'))
    assert b"<header>Mine</header>" in own.policy("en", "", Page())


def test_parts_of_the_sites_own(tmp_path: Path) -> None:
    """A template may include, import and extend files of any name, in folders too."""
    files = {
        "banner.html": '{% extends "parts/base.html" %}{% block twins %}' + FORM + "{% endblock %}",
        "parts/base.html": '<div id="consent-banner">{% block twins %}{% endblock %}{% include "note.txt" %}</div>',
        "note.txt": "A note.",
    }
    assert b"A note.</div>" in overridden(tmp_path, files).snippets("en", "", Shape.ASK).body


def test_a_part_that_is_chosen_as_the_page_is_made(tmp_path: Path) -> None:
    """Where a name is put together in the template, any file may be meant."""
    files = {"banner.html": TWINS + '{% include "more-" ~ lang ~ ".html" %}', "more-en.html": "More."}
    assert b"More." in overridden(tmp_path, files).snippets("en", "", Shape.ASK).body


def test_what_breaks_in_one_language_is_found(tmp_path: Path) -> None:
    """Every language of the site is tried."""
    broken = {"banner.html": TWINS + "{% if lang == 'ar' %}{{ nothing }}{% endif %}"}
    overridden(tmp_path, broken)
    assert "'nothing' is undefined" in refused(tmp_path, broken, site={"languages": ["en", "de", "ar"]})[0]


def test_what_is_wrong_in_each_language_is_said_once(tmp_path: Path) -> None:
    """A fault of a template is one fault, however many languages there are."""
    assert len(refused(tmp_path, {"banner.html": FORM}, site={"languages": ["en", "de", "ar"]})) == 1


STATES = [
    ("banner.html", "changes"), ("banner.html", "known"), ("loader.html", "shared"), ("link.html", "notices"),
    ("link.html", "regime == 'opt-out'"), ("link.html", "regime == 'none'"), ("preferences.html", "problem"),
    ("preferences.html", "saved"), ("preferences.html", "regime == 'opt-out'"), ("preferences.html", "answered"),
    ("preferences.html", "changes"), ("preferences.html", "notices"), ("opt-out.html", "opted_out"),
    ("opt-out.html", "by_signal"), ("opt-out.html", "signed_in"), ("opt-out.html", "problem"),
    ("receipt.html", "entries"), ("receipt.html", "not entries"), ("receipt.html", "token"),
    ("receipt.html", "state == 'erased'"), ("receipt.html", "state == 'withdrawn'"), ("receipt.html", "problem"),
    ("placeholder.html", "unit"), ("placeholder.html", "not unit"), ("placeholder.html", "provider"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "state"), STATES)
def test_what_breaks_in_some_states_is_found(tmp_path: Path, name: str, state: str) -> None:
    """A fault that only some visitors would meet is found at the start too."""
    ours = read_text("templates", name)
    wrong = f"{{% if {state} %}}{{{{ nothing.there }}}}{{% endif %}}"
    spot = "{% block main %}" if "{% block main %}" in ours else ""
    broken = ours.replace(spot, spot + wrong) if spot else ours + wrong
    assert "cannot be rendered: 'nothing' is undefined" in refused(tmp_path, {name: broken})[0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"banner.html": "{{ 1 / 0 }}"}, "banner.html: cannot be rendered: division by zero (line 1)."),
        ({"banner.html": "\n{{ 'x{y}'.format(z=1) }}"}, "banner.html: cannot be rendered: 'y' (line 2)."),
        ({"banner.html": "{% include 'baner.html' %}"}, "there is no template 'baner.html' (line 1). Did you mean 'banner.html'?"),
        ({"banner.html": "{% include 'banner.html' %}"}, "it includes itself without an end"),
        ({"banner.html": "{{ urls.choise }}"}, "there is no 'choise' (line 1). Did you mean 'choice'?"),
        ({"policy.html": "{% from 'mine.html' import x %}", "mine.html": "\n{{ no }}"}, "mine.html: cannot be rendered: 'no' is undefined (line 2)."),
        ({"cookie_policy.html": "x"}, "policy.html"),
        ({"_form.html": "{{ no }}"}, "_form.html: cannot be rendered: 'no' is undefined (line 1)."),
        ({"_form.html": "none"}, '_form.html (in preferences.html): nothing in it has id="consent-form".'),
        ({"preferences.html": "{% include '_form.html' %}", "_form.html": "x"}, "preferences.html (with _form.html): nothing in it"),
    ],
)  # fmt: skip
def test_why_a_template_cannot_be_rendered(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """The error says what is wrong in the site's own words, where, and what may be meant."""
    assert words in "\n".join(refused(tmp_path, files))


def test_a_macro_alone_is_tried_too(tmp_path: Path) -> None:
    """The policy as a part of the site's own page is made by itself, and its error has the line of the template."""
    page = '{% extends "_page.html" %}'
    macro = "{% macro cookie_policy(policy) %}\n\n{{ policy.nothing.there }}\n{% endmacro %}"
    (found,) = refused(tmp_path, {"policy.html": page, "cookie_policy.html": macro})
    assert found.startswith("cookie_policy.html: cannot be rendered: ")
    assert "(line 3)" in found


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are a fault of the configuration, told once."""
    (tmp_path / "mine").mkdir()
    for name in ("banner.html", "theme.css", "texts.toml", "icon-close.svg"):
        (tmp_path / "mine" / name).write_bytes(b"\xff")
        (found,) = refused(tmp_path, {})
        assert found.startswith(name)
        assert found.endswith("not UTF-8. Save it as UTF-8.")
        (tmp_path / "mine" / name).unlink()


@pytest.mark.parametrize("name", ["banner.html", "texts.toml"])
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What the server's user may not read is told by name."""
    real = Path.read_text

    def read(path: Path, *options: Any) -> str:
        if path == tmp_path / "mine" / name:
            raise PermissionError(13, "Permission denied")
        return real(path, *options)

    monkeypatch.setattr(Path, "read_text", read)
    (found,) = refused(tmp_path, {name: "x"})
    assert found.startswith(name)
    assert "cannot be read: Permission denied. Let the server's user read it." in found


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """What an editor may put before UTF-8 does not come into the middle of a page."""
    found = overridden(tmp_path, {"banner.html": "\ufeff" + TWINS}).snippets("en", "", Shape.ASK)
    assert found.body.startswith(b"<section")


# -- the answers


def twins(old: str = "", new: str = "") -> str:
    """Return the short banner with a part of it changed."""
    assert old in TWINS
    return TWINS.replace(old, new) if old else TWINS


FIRST, ALIKE = "the first two buttons are not", "do not look the same"
HIDDEN, SENDS = "Accept all is hidden", "Accept all does not send the answer"
YES = 'class="a">Yes'


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("<p>We use cookies.</p>", FIRST),
        (twins("reject_all", "accept_all"), FIRST),
        (twins(REJECT, "<button value='choose'>Choose</button>" + REJECT), FIRST),
        (twins(REJECT + ACCEPT, ACCEPT + REJECT), FIRST),
        (twins(REJECT, ""), FIRST),
        (twins(YES, 'class="big">Yes'), ALIKE),
        (twins(YES, 'class="a" style="font-size: 2em">Yes'), ALIKE),
        (twins('class="a">No', 'class="a" style="color: #eee">No'), ALIKE),
        (twins(REJECT, '<input type="submit" name="action" value="reject_all" class="a"/>'), ALIKE),
        (twins(YES, 'hidden="" class="a">Yes'), HIDDEN),
        (twins(ACCEPT, f"<details>{ACCEPT}</details>"), HIDDEN),
        (twins(ACCEPT, f"<div style='display: none'>{ACCEPT}</div>"), HIDDEN),
        (twins(ACCEPT, f"<p aria-hidden='true'>{ACCEPT}</p>"), HIDDEN),
        (twins(ACCEPT, f"<template>{ACCEPT}</template>"), HIDDEN),
        (twins('name="action" value="accept_all"', 'name="answer" value="accept_all"'), SENDS),
        (twins(YES, 'disabled="" class="a">Yes'), SENDS),
        (twins('type="submit" name="action" value="accept_all"', 'type="button" name="action" value="accept_all"'), SENDS),
        (twins('method="post"', 'method="get"'), SENDS),
        (twins("{{ urls.choice }}", "/elsewhere"), SENDS),
        (twins(YES, 'formmethod="get" class="a">Yes'), SENDS),
        (twins("</form>", "").replace(ACCEPT, "</form>" + ACCEPT), SENDS),
        (FORM, 'nothing in it has id="consent-banner"'),
    ],
)  # fmt: skip
@pytest.mark.conformance("EU-2", "CA-8")
def test_a_banner_without_twins_is_refused(tmp_path: Path, template: str, words: str) -> None:
    """EU-2, CA-8: a template without both equal buttons, seen and at work, does not start."""
    assert any(
        f"banner.html: {words}" in found or words in found
        for found in refused(tmp_path, {"banner.html": template})
    )


@pytest.mark.parametrize(
    "template",
    [
        TWINS,
        twins(ACCEPT, f"<details open=''>{ACCEPT}</details>"),
        twins(REJECT + ACCEPT, (REJECT + ACCEPT).replace("<button", "<input").replace("submit", "SUBMIT")),
        twins("</form>", "</form><form id='f' method='post' action='{{ urls.choice }}'></form>")
        .replace("<form method", "<form><x method").replace('class="a"', 'form="f" class="a"'),
        twins(ACCEPT, f"<p>Unclosed <br><img src='x'>{ACCEPT}</b>"),
    ],
)  # fmt: skip
def test_what_is_as_good_is_accepted(tmp_path: Path, template: str) -> None:
    """Open details, inputs, a form named by its id, and markup as browsers forgive it."""
    assert overridden(tmp_path, {"banner.html": template}).snippets("en", "", Shape.ASK).body


FORMS = [
    ('id="consent-form"', "", 'nothing in it has id="consent-form"'),
    ('name="next"', 'name="nxt"', "the form has no field next"),
    ('value="save"', 'value="keep"', "the form has no button save"),
    ('value="withdraw"', 'value="undo"', "the form has no button withdraw"),
    ('value="opt_out" class="consent-twin"', 'value="opt_out" class="consent-quiet"',
     "Do not sell or share, Reject all and Accept all do not look the same"),
    ('regime == "opt-out"', "false", "the first three buttons are not Do not sell or share, Reject all and Accept all"),
    ('value="reject_all" class="consent-twin"', 'value="reject_all" class="consent-quiet"', ALIKE),
    ('value="accept_all"', 'hidden="" value="accept_all"', HIDDEN),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), FORMS)
@pytest.mark.conformance("EU-2", "CA-8")
def test_a_form_without_its_answers_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """EU-2, CA-8: the preferences have the same twins, and before them the opt-out where silence allows."""
    found = refused(tmp_path, changed("_form.html", old, new))
    assert any(text.startswith("_form.html (in preferences.html)") and words in text for text in found)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("preferences.html", 'id="consent-title"', "", 'nothing in it has id="consent-title"'),
        ("opt-out.html", 'value="opt_out"', 'value="save"', "there is no button that opts out"),
        ("opt-out.html", 'method="post"', "", "there is no button that opts out"),
        ("opt-out.html", 'class="consent-opt-out"', 'hidden="hidden"', "the button that opts out is hidden"),
        ("link.html", 'id="consent-link"', 'id="link"', 'nothing in it has id="consent-link"'),
        ("link.html", 'href="{{ urls.preferences }}{{ said }}"', 'href="#"', "there is no link to /_consent/preferences"),
        ("link.html", 'href="{{ urls.opt_out }}{{ said }}"', 'hidden="" href="{{ urls.opt_out }}{{ said }}"', "there is no link to /_consent/opt-out"),
        ("link.html", 'role="status"', "", 'nothing in it has role="status"'),
        ("loader.html", "banner.js", "mine.js", "it does not load banner.js"),
        ("loader.html", "banner.css", "mine.css", "it does not load banner.css"),
        ("loader.html", 'nonce="" src="{{ urls.static }}guard', 'src="{{ urls.static }}guard', "guard.js does not stand on a line"),
        ("loader.html", 'guard.js"', 'guard.js" defer="defer"', "guard.js would run after"),
        ("loader.html", "data-mode", "data-mood", "guard.js has no data-mode"),
        ("placeholder.html", 'href="{{ url }}"', 'href="#"', "there is no link to what is held"),
        ("receipt.html", "{{ urls.erase }}", "/erase", "there is no button that erases"),
        ("_page.html", "{% block main %}{% endblock %}", "", "there is no button that opts out"),
    ],
)  # fmt: skip
def test_what_pages_must_have(tmp_path: Path, name: str, old: str, new: str, words: str) -> None:
    """What scripts, agents and visitors rely on cannot be left out."""
    found = refused(tmp_path, changed(name, old, new))
    assert any(name in text and words in text for text in found)


def test_a_placeholder_that_scripts_cannot_find_is_refused(tmp_path: Path) -> None:
    """What would never load is told."""
    (found,) = refused(tmp_path, {"placeholder.html": '<a href="{{ url }}">Open</a>'})
    assert 'nothing in it has class="consent-held"' in found


def test_all_is_said_at_once(tmp_path: Path) -> None:
    """Faults of several files come in one error."""
    files = {
        "banner.html": FORM,
        "link.html": "{{ no }}",
        **changed("receipt.html", "{{ urls.erase }}", "/x"),
    }
    assert len(refused(tmp_path, files)) == 3


# -- what lies in the folder


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("banners.html", "Did you mean 'banner.html'?"),
        ("optout.html", "Did you mean 'opt-out.html'?"),
        ("them.css", "Did you mean 'theme.css'?"),
        ("text.toml", "Did you mean 'texts.toml'?"),
        ("icon-opt_out.svg", "Did you mean 'icon-opt-out.svg'?"),
        ("parts/banner.htm", "Did you mean 'banner.html'?"),
        ("zzz", "Known are: loader.html, banner.html"),
        ("dashboard.html", ""),
    ],
)
def test_a_file_that_nothing_takes_is_refused(tmp_path: Path, name: str, hint: str) -> None:
    """A misspelt name would pass for an override that works."""
    (found,) = refused(tmp_path, {name: "x"})
    assert found.startswith(f"{name}: nothing takes a file of this name. {hint}")


def test_a_picture_that_nothing_takes_is_refused(tmp_path: Path) -> None:
    """What is no text is told in the same words."""
    put(tmp_path, {".keep": ""})
    (tmp_path / "mine" / "logo.png").write_bytes(b"\x89PNG\xff")
    assert "logo.png: nothing takes" in refused(tmp_path, {})[0]


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    """What editors and version control leave behind is no override."""
    files = {
        ".gitkeep": "",
        "banner.html~": "x",
        "#banner.html#": "x",
        ".git/config": "x",
        "banner.html": TWINS,
    }
    assert overridden(tmp_path, files).snippets("en", "", Shape.ASK).body


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is a typo."""
    (found,) = refused(tmp_path, {}, site={"templates": "nowhere"})
    assert "there is no folder" in found


def test_an_empty_folder_changes_nothing(tmp_path: Path) -> None:
    """A folder that waits for its files is fine."""
    put(tmp_path, {".keep": ""})
    own, plain = banner(configured(tmp_path)), make_config(use=USED)
    assert everything(own, plain) == everything(banner(plain), plain)


def test_only_what_is_concerned_is_rehearsed(tmp_path: Path) -> None:
    """An own icon of the link is tried in the link alone; without files nothing is."""
    put(tmp_path, {"icon-opt-out.svg": read_text("templates", "icon-opt-out.svg")})
    found = Overrides(configured(tmp_path))
    assert [name for name in OVERRIDABLE if found.concern(name)] == ["icon-opt-out.svg", "link.html"]


def test_the_build_changes_with_any_file(tmp_path: Path) -> None:
    """What only some pages hold tells their renderings apart too."""
    before = banner(make_config(use=USED)).build
    own = overridden(tmp_path, changed("placeholder.html", "<p><strong>", '<p class="x"><strong>'))
    assert own.build != before


# -- texts

OWN = '[en]\nbanner_title = "A word about cookies"\nsaved = "Done, {braces}."\n'


def worded(folder: Path, toml: str, **sections: Any) -> list[str]:
    """Return what is said of own texts that are refused."""
    sections = {"site": {"languages": ["en", "de"]}, **sections}
    return refused(folder, {"texts.toml": toml}, **sections)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[en", "texts.toml is not valid TOML: "),
        ('save = "x"', "texts.toml: save stands outside a table. Texts stand below their language: [en]"),
        ('[fr]\nsave = "x"', '[fr] is not a language of this site. Add "fr" to [site] languages.'),
        ('[xx]\nsave = "x"', "[xx] is not a language that there are texts in. Offered here: en, de."),
        ('[dee]\nsave = "x"', "Did you mean 'de'?"),
        ('[en]\nbanner_titel = "x"', "[en] banner_titel is not a text of ours. Did you mean 'banner_title'?"),
        ('[en]\nzzzzzz = "x"', "[en] zzzzzz is not a text of ours. docs/customising.md names them."),
        ('[en]\npartners = "x"', "[en] partners has a form for each number"),
        ('[en]\ncookies_many = "x"', "[en] cookies_many has a form for each number"),
        ('[en]\npolicy_details = "x"', "[en] policy_details is a table, and only plain texts"),
        ('[en.categories]\nessential = "x"', "Categories are worded in [[categories]]."),
        ("[en]\nsave = 1", "[en] save is not a text. Found 1."),
        ('[en]\nsave = " "', "[en] save is empty."),
        ('[en]\nsave = """a\nb"""', "[en] save holds a line break"),
        ('[en]\nbanner_needed = "We use cookies."', "[en] banner_needed must hold {site}, as ours does. Ours is: "),
        ('[en]\nbanner_needed = "{site} {name}"', "must hold {site}"),
        ('[en]\nbanner_needed = "{site!r}"', "must hold {site}"),
        ('[en]\nbanner_needed = "{site:>9}"', "must hold {site}"),
        ('[en]\nbanner_needed = "{site.name}"', "must hold {site}"),
        ('[en]\nbanner_needed = "{site"', "must hold {site}"),
        ('[de]\nsave = "{name}"', "[de] save must hold nothing in braces"),
        ('[en]\nreject_all = "No"', "[en] rewords reject_all and leaves accept_all as it is. Word both, or neither."),
        ('[en]\naccept_all = "Yes"', "[en] rewords accept_all and leaves reject_all as it is."),
        ('[en]\nreject_all = "OK"\naccept_all = " ok"', "lets reject_all and accept_all be taken for each other."),
        ('[en]\nreject_all = "Accept all"\naccept_all = "Reject all"', "be taken for each other. Say plainly"),
    ],
)  # fmt: skip
def test_texts_that_are_refused(tmp_path: Path, toml: str, words: str) -> None:
    """What cannot take the place of ours is told with its language, its key and what to do."""
    assert words in "\n".join(worded(tmp_path, toml))


def test_all_faults_of_texts_are_said(tmp_path: Path) -> None:
    """Every fault of the file comes in one error, beside those of others."""
    put(tmp_path, {"theme.css": "@import 'x';"})
    assert len(worded(tmp_path, '[en]\nsave = ""\nclose = ""\n[xx]\n')) == 4


def test_texts_are_used_everywhere(tmp_path: Path) -> None:
    """The banner, the pages, messages and the policy in each form take their words from one place."""
    toml = """
        [en]
        banner_title = "Biscuits?"
        prefs_title = "Biscuit jar"
        facts_longest = "until {time}"
        session_only = "till you go"
        bad_request = "Pardon?"
        notice_signal_honored = "We heard you"
        changed_processing = "something"
        policy_title = "Biscuit policy"
        receipt_title = "Biscuit history"
        held_title = "{name} stays out"
    """
    put(tmp_path, {"texts.toml": toml})
    config = configured(tmp_path, site={"languages": ["en", "de"]})
    own = banner(config)
    visitors = Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET]))
    who = visitors.with_choice(None, NO_SIGNALS, NOW, Circumstances())
    asked = own.snippets("en", "", Shape.ASK, (Notice.SIGNAL_HONORED,))
    assert b"Biscuits?" in asked.body
    assert b"until " in asked.body
    assert b"We heard you" in asked.tail
    form = own.preferences("en", "", who, Page())
    assert b"Biscuit jar" in form
    assert b"till you go" in form
    assert own.message("en", "bad_request") == "Pardon?"
    assert own.status("en", (Notice.SIGNAL_HONORED,)) == "We heard you"
    assert b"<h1>Biscuit policy" in own.policy("en", "", Page())
    assert facts(config, "en")["title"] == "Biscuit policy"
    assert b"Biscuit history" in own.receipt("en", "", Page(), {"receipts": [], "notices": {}})
    assert own.message("de", "bad_request") == load_texts("de")["bad_request"]


@pytest.mark.conformance("EU-5")
def test_what_was_shown_is_recorded_in_the_sites_words(tmp_path: Path) -> None:
    """EU-5: the notice that a record proves holds the texts that visitors read, under each regime."""
    toml = '[en]\nbanner_title = "Biscuits?"\nopt_out_how = "One crumb stops it."\n'
    own = overridden(tmp_path, {"texts.toml": toml})
    assert "Biscuits?" in own.notice("en", Regime.OPT_IN)
    assert "One crumb stops it." in own.notice("en", Regime.OPT_OUT)


def test_texts_follow_the_folder(tmp_path: Path) -> None:
    """A declaration that moves reads its texts anew; without a folder all are ours."""
    put(tmp_path / "a", {"texts.toml": '[en]\nsave = "Keep"'})
    config = configured(tmp_path / "a")
    assert config.texts("en")["save"] == "Keep"
    assert config.at(tmp_path / "b").texts("en")["save"] == "Save choices"
    assert make_config().texts("en") is load_texts("en")


def test_texts_over_leave_ours_alone() -> None:
    """Replacing makes other texts; what goes by a number stays."""
    ours = load_texts("en")
    own = ours.over({"save": "Keep"})
    assert (own["save"], ours["save"], own.plural("partners", 1)) == ("Keep", "Save choices", "1 partner")


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[en]\nreject_all = "No"\naccept_all = "Yes"', "rewords reject_all (en), accept_all (en)."),
        ('[en]\nyour_choices = "Mine"', "rewords your_choices (en)."),
        ('[en]\nreject_all = "Reject all"\naccept_all = "Accept all"', ""),
        ('[en]\nsave = "Keep"', ""),
    ],
)
def test_prescribed_words_are_warned_of(
    tmp_path: Path, log: pytest.LogCaptureFixture, toml: str, told: str
) -> None:
    """Other words for the two answers may stand, and the log says so once."""
    put(tmp_path, {"texts.toml": toml})
    Site(configured(tmp_path), SECRET)
    found = [record.message for record in log.records if "rewords" in record.message]
    assert len(found) == bool(told)
    assert told in "".join(found)


# -- icons

ICON = '<svg viewBox="0 0 9 9" aria-hidden="true"><path d="M0 0h9"/></svg>'


def drawn(inside: str, attributes: str = 'aria-hidden="true"') -> str:
    """Return an icon."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{inside}</svg>'


@pytest.mark.parametrize(
    ("icon", "words"),
    [
        ("", "does not begin with <svg."),
        (f"<?xml version='1.0'?>{ICON}", "does not begin with <svg. Leave out what stands before it"),
        (f"<!DOCTYPE svg [<!ENTITY a 'b'>]>{ICON}", "does not begin with <svg."),
        ("<svg>", "is not well-formed XML: "),
        ("<svg>&nbsp;</svg>", "is not well-formed XML: "),
        (ICON + ICON, "is not well-formed XML: "),
        ("<svgx/>", "holds <svgx>."),
        (drawn("", 'width="9"'), 'is read out beside the words. Add aria-hidden="true"'),
        (drawn("<script>x</script>"), "holds <script>."),
        (drawn("<style>p{}</style>"), "holds <style>."),
        (drawn("<foreignObject/>"), "holds <foreignObject>."),
        (drawn("<a href='#x'/>"), "holds <a>."),
        (drawn("<path onclick='x'/>"), "holds the script onclick."),
        (drawn("<path ONLOAD='x'/>"), "holds the script onload."),
        (drawn("<use href='/x.svg#a'/>"), "refers to something else: '/x.svg#a'."),
        (drawn("<use xlink:href='https://x.example'/>"), "refers to something else"),
        (drawn("<path fill='url(https://x.example#a)'/>"), "refers to something else"),
        (drawn("<path style='fill: URL( x )'/>"), "refers to something else"),
        (drawn("<path d='{{ x }}'/>"), "is a picture, not a template."),
    ],
)
@pytest.mark.parametrize("name", ["icon-close.svg", "icon-opt-out.svg"])
def test_icons_that_are_refused(tmp_path: Path, name: str, icon: str, words: str) -> None:
    """An icon is a drawing: nothing in it runs, is asked for elsewhere or is read out."""
    assert any(text.startswith(name) and words in text for text in refused(tmp_path, {name: icon}))


def test_an_icon_is_used(tmp_path: Path) -> None:
    """An icon of the site's own stands where ours did, and may refer within itself."""
    icon = drawn("<defs><path id='a' d='M0 0'/></defs><use href='#a'/><path fill='url(#a)'/>")
    own = overridden(
        tmp_path, {"icon-close.svg": ICON + "\n\n", "icon-opt-out.svg": icon}, banner={"close": True}
    )
    found = own.snippets("en", "", Shape.ASK, circumstances=Circumstances(Regime.OPT_OUT))
    assert f"{ICON}</button>".encode() in found.body
    assert f"{icon}</a>".encode() in found.tail


# -- style


@pytest.mark.parametrize(
    ("css", "words"),
    [
        ("@import 'mine.css';", "theme.css: holds @import."),
        ("@IMPORT url(x)", "holds @import."),
        (r"@\69mport 'x'", "holds @import."),
        ("a{background:url(https://x.example/a.png)}", "refers to another host, 'https://x.example/a.png'."),
        ('a{background:url( "//x.example/a.png" )}', "refers to another host, '//x.example/a.png'."),
        ("a{background:url(/**/HTTP://x.example)}", "refers to another host, 'HTTP://x.example'."),
        (r"a{background:u\72l(\2f\2f x.example)}", "refers to another host"),
        (r"a{background:url(\/\/x.example)}", "refers to another host"),
        ('a{background:image-set("/a.png" 1x, "https://x.example" 2x)}', "refers to another host"),
    ],
)
def test_styles_that_are_refused(tmp_path: Path, css: str, words: str) -> None:
    """A style sheet asks nobody else for anything, before any answer."""
    assert words in refused(tmp_path, {"theme.css": css})[0]


@pytest.mark.parametrize(
    "css",
    [
        "a{color:red}",
        "/* see https://x.example, @import */",
        "a{background:url(/a.png)}",
        "a{background:url('data:image/svg+xml,%3Csvg xmlns=\"http://www.w3.org/2000/svg\"/%3E')}",
        "a{src:url(data:font/woff2;base64,//8A)}",
        r"a::before{content:'\201c \110000'}",
        "/* open",
    ],
)
def test_styles_that_are_accepted(tmp_path: Path, css: str) -> None:
    """What stays with the site is its own affair; it follows our own rules."""
    put(tmp_path, {"theme.css": css})
    assert Overrides(configured(tmp_path)).style == css.encode()


def test_a_long_style_is_warned_of(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """Every page waits for the style sheet."""
    rules = "".join(f".a{n * n * 7919}{{color:#{n * 7919 % 4096:03x}}}" for n in range(3000))
    put(tmp_path, {"theme.css": rules})
    Site(configured(tmp_path), SECRET)
    assert any(
        "theme.css has " in record.message and "below 4,096" in record.message for record in log.records
    )


def test_the_style_follows_the_theme(tmp_path: Path) -> None:
    """The site's own rules come last, and other rules have another address."""
    put(tmp_path, {"theme.css": ".mine{color:red}"})
    own = Site(configured(tmp_path, banner={"theme": "ocean"}), SECRET).assets
    plain = Site(make_config(use=USED, banner={"theme": "ocean"}).at(tmp_path), SECRET).assets
    before, after = plain.get("banner.css"), own.get("banner.css")
    assert before
    assert after
    assert after.plain == before.plain + b".mine{color:red}"
    assert own.hash != plain.hash


# -- the guide, and all of it in a page that is served


def block(language: str, containing: str) -> str:
    """Return the fenced block of the guide that holds a text."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    return next(text for text in found if containing in text)


def guide() -> dict[str, str]:
    """Return the files that the guide shows."""
    return {
        "texts.toml": block("toml", "A word about cookies"),
        "icon-close.svg": block("svg", "<svg"),
        "theme.css": block("css", "#_#_"),
        "banner.html": block("html", "consent-banner"),
        "more.html": block("html", "consent-more"),
    }


@pytest.fixture
def served(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Serve a page with the files of the guide, as a reader would have them."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, guide())
    (tmp_path / "mine").rename(tmp_path / "consent")
    site = tomllib.loads(block("toml", "templates = "))["site"] | {"languages": ["en", "de"]}
    return serve((200, [("Content-Type", "text/html; charset=utf-8")], [PAGE]), {"site": site})


def test_the_guides_files_are_served(served: Client) -> None:
    """Template, texts, part and style of the guide reach the visitor, in their language."""
    page = served.visit(headers={"accept-language": "en"}).text
    assert 'aria-label="A word about cookies"' in page
    assert 'class="consent-more"><a' in page
    style = re.search(r'href="(/_consent/static/\w+/banner\.css)"', page)
    assert style
    assert served.get(style[1]).text.endswith(guide()["theme.css"])


def test_the_guides_texts_are_recorded(served: Client) -> None:
    """The record of an answer holds the hash of the site's own words."""
    served.choose("accept_all")
    (record,) = served.records()
    notice = served.site.banner.notice("en")
    assert "A word about cookies" in notice
    assert record["notice_sha256"] == NoticeText.of(notice, "en").sha256


def test_the_guide_says_where_ours_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the guide prints the folder of our templates."""
    command = re.search(r'python -c "(.*)"', block("sh", "resource_root"))
    assert command
    exec(command[1], {})
    assert (Path(capsys.readouterr().out.strip()) / "banner.html").is_file()


def test_the_guide_names_every_file() -> None:
    """What can be replaced is listed, and nothing else is."""
    text = DOCS.read_text("utf-8")
    listed = set(
        re.findall(
            r"`([\w.-]+\.(?:html|svg|css|toml))`",
            text[text.index("## Files of your own") : text.index("## Texts")],
        )
    )
    assert listed - {"consent.toml", "banners.html"} == {*OVERRIDABLE, "texts.toml", "theme.css"}
