from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.catalog import Basis, CookieSpec, builtin_services
from consent_middleware.config import (
    ConsentConfig,
    derived_key,
    is_guessable,
    load_config,
    load_secret_keys,
)
from consent_middleware.errors import ConfigError, Fault
from consent_middleware.regions import Regime
from consent_middleware.signals import DntScope, WhenOn
from helpers_core import declaration, make_config

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = (
    '[site]\nname = "Example Shop"\n[controller]\nname = "Example GmbH"\ncontact = "privacy@example.com"\n'
)


def faults(source: object, environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    """Return what is wrong with a declaration."""
    with pytest.raises(ConfigError) as caught:
        load_config(source, environ or {})  # type: ignore[arg-type]
    return caught.value.faults


def stats(**fields: Any) -> dict[str, Any]:
    """Return a service table with these fields laid over a sound one."""
    return {"id": "stats", "category": "analytics", **fields}


# -- one fault a row: sections, the path, words that must stand in it

BAD: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("unknown key", {"site": {"nme": "x"}}, "site.nme", ["'nme' is not a known key", "'name'"]),
    ("unknown key, none near", {"csp": {"zzz": 1}}, "csp.zzz", ["Known here: mode, allow."]),
    ("unknown section", {"sites": {}}, "sites", ["is not a known key", "Did you mean 'site'?"]),
    ("unknown key of a service", {"services": [stats(host=[])]}, "services[0].host", ["'hosts'"]),
    (
        "unknown key of a cookie",
        {"services": [stats(cookies=[{"name": "a", "retenton": "P1D"}])]},
        "services[0].cookies[0].retenton",
        ["'retention'"],
    ),
    ("unknown key of a category", {"categories": [{"id": "x", "base": "y"}]}, "categories[0].base", ["'basis'"]),
    ("wrong type", {"site": {"name": 5}}, "site.name", ["string", "Found 5."]),
    ("no coercion", {"signals": {"gpc": "yes"}}, "signals.gpc", ["true or false", "without quotes", "Found 'yes'."]),
    ("not an integer", {"site": {"consent_days": "180"}}, "site.consent_days", ["whole number", "without quotes"]),
    ("too few days", {"site": {"consent_days": 0}}, "site.consent_days", ["accepted: 1 to 400", "Found 0."]),
    ("too many days", {"site": {"consent_days": 401}}, "site.consent_days", ["accepted: 1 to 400"]),
    ("site id", {"site": {"id": "My Shop"}}, "site.id", ["up to 32 lower-case letters", "'My Shop'"]),
    ("origin with a path", {"site": {"origins": ["https://a.example/"]}}, "site.origins[0]", ["an origin such as"]),
    ("origin without scheme", {"site": {"origins": ["a.example"]}}, "site.origins[0]", ["'a.example'"]),
    ("cookie domain", {"site": {"cookie_domain": ".shop.example"}}, "site.cookie_domain", ["a domain such as"]),
    ("path without slash", {"site": {"path": "consent"}}, "site.path", ["'/_consent'"]),
    ("path with slash at its end", {"site": {"path": "/c/"}}, "site.path", ["without a slash at its end"]),
    ("literal", {"site": {"mode": "enforced"}}, "site.mode", ["accepted: 'enforce' or 'report'", "'enforce'?"]),
    ("literal, none near", {"banner": {"theme": "zz"}}, "banner.theme", ["'auto', 'light', 'dark', 'paper', 'ocean', 'forest', 'berry' or 'contrast'"]),
    ("regime", {"site": {"regime": "optin"}}, "site.regime", ["Did you mean 'opt-in'?"]),
    ("text of a wrong type", {"services": [stats(description=5)]}, "services[0].description", ["string", "Found 5."]),
    ("language", {"site": {"languages": ["xx"]}}, "site.languages[0]", ["no texts in 'xx'", "Available: "]),
    ("region", {"site": {"languages": ["de-AT"]}}, "site.languages[0]", ["no texts in 'de-AT'", "Did you mean 'de'?"]),
    ("no language", {"site": {"languages": []}}, "site.languages", ["is empty", '["en"]']),
    ("unknown service", {"use": ["google-analytic"]}, "use[0]", ["'google-analytics'?"]),
    (
        "unknown service, none near",
        {"use": ["zzzzzz"]},
        "use[0]",
        ["`consent-middleware catalog`", "declare it in [[services]]"],
    ),
    ("unknown service, initials", {"use": ["ga"]}, "use[0]", ["'google-ads'", "'google-analytics'"]),
    ("empty site name", {"site": {"name": ""}}, "site.name", ["is empty"]),
    ("blank site name", {"site": {"name": " \t"}}, "site.name", ["is empty"]),
    ("empty controller", {"controller": {"name": ""}}, "controller.name", ["is empty"]),
    ("empty contact", {"controller": {"contact": ""}}, "controller.contact", ["is empty"]),
    ("service id", {"services": [stats(id="My Stats")]}, "services[0].id", ["lower-case letters"]),
    ("category typo", {"services": [stats(category="analitics")]}, "services[0].category", ["'analytics'?"]),
    ("category unknown", {"services": [stats(category="zz")]}, "services[0].category", ["Known: essential, "]),
    ("no category", {"services": [{"id": "stats"}]}, "services[0].category", ["required", "One of: essential"]),
    ("service twice", {"services": [stats(), stats()]}, "services[1].id", ["declared twice", "Merge"]),
    ("service named like a category", {"services": [stats(id="marketing")]}, "services[0].id", ["id of a category"]),
    (
        "catalogue service not in use",
        {"services": [{"id": "hotjar", "name": "x"}]},
        "services[0].id",
        ['Add "hotjar" to use'],
    ),
    ("category twice", {"categories": [{"id": "x"}, {"id": "x"}]}, "categories[1].id", ["declared twice"]),
    ("country", {"services": [stats(country="Germany")]}, "services[0].country", ["two capital letters"]),
    ("host with scheme", {"services": [stats(hosts=["https://a.example"])]}, "services[0].hosts[0]", ["without scheme"]),
    ("storage wildcard", {"services": [stats(storage=["**"])]}, "services[0].storage[0]", ["match everything"]),
    (
        "cookie name",
        {"services": [stats(cookies=[{"name": "a b"}])]},
        "services[0].cookies[0].name",
        ["a cookie name", "'a b'"],
    ),
    ("bare wildcard", {"services": [stats(cookies=[{"name": "*"}])]}, "services[0].cookies[0].name", ["'*' alone"]),
    (
        "duration",
        {"services": [stats(cookies=[{"name": "a", "retention": "13 months"}])]},
        "services[0].cookies[0].retention",
        ["ISO 8601", "'13 months'"],
    ),
    ("empty duration", {"records": {"retention": "P"}}, "records.retention", ["ISO 8601"]),
    ("empty time", {"records": {"retention": "P1DT"}}, "records.retention", ["ISO 8601"]),
    ("tracking cookie", {"cookies": {"essential": ["_ga"]}}, "cookies.essential[0]", ["Google Analytics", "Remove it."]),
    ("tracking family", {"cookies": {"essential": ["_ga_ABC"]}}, "cookies.essential[0]", ["Google Analytics"]),
    ("tracking chunk", {"cookies": {"essential": ["__Secure-_ga"]}}, "cookies.essential[0]", ["Google Analytics"]),
    ("tracking pattern", {"cookies": {"essential": ["_g*"]}}, "cookies.essential[0]", ["tracking cookie of"]),
    (
        "essential and declared",
        {"cookies": {"essential": ["st"]}, "services": [stats(cookies=[{"name": "st"}])]},
        "cookies.essential[0]",
        ["also declared by the service 'stats'"],
    ),
    (
        "tracking cookie of an essential service",
        {"services": [stats(category="essential", cookies=[{"name": "_ga"}])]},
        "services[0].cookies[0].name",
        ["Google Analytics", "essential"],
    ),
    (
        "catalogue tracker called essential",
        {"use": ["google-analytics"], "services": [{"id": "google-analytics", "category": "essential"}]},
        "services[0].category",
        ["'google-analytics'", "essential"],
    ),
    ("regime", {"site": {"regime": "out"}}, "site.regime", ["'opt-in'", "'by-region'", "Found 'out'."]),
    ("day of change", {"site": {"updated": "2026-02-30"}}, "site.updated", ["'2026-11-22'"]),
    ("replay not yet", {"site": {"replay_on_grant": True}}, "site.replay_on_grant", ["not available"]),
    ("csp mode", {"csp": {"mode": "on"}}, "csp.mode", ["'report-only'", "Found 'on'."]),
    ("consent mode key", {"services": [stats(consent_mode=["google.ads"])]}, "services[0].consent_mode[0]", ["Found"]),
    ("consent mode wait", {"consent_mode": {"wait_for_update_ms": -1}}, "consent_mode.wait_for_update_ms", ["0 to"]),
    (
        "essential host that tracks",
        {"services": [stats(category="essential", hosts=["www.google-analytics.com"])]},
        "services[0].hosts[0]",
        ["Google Analytics", "cannot be essential"],
    ),
    (
        "essential wildcard over a tracker",
        {"services": [stats(category="essential", hosts=["*.hotjar.com"])]},
        "services[0].hosts[0]",
        ["Hotjar"],
    ),
    ("host with a scheme", {"services": [stats(hosts=["https://a.example"])]}, "services[0].hosts[0]", ["without"]),
    ("the whole site as a host", {"services": [stats(hosts=["/"])]}, "services[0].hosts[0]", ["a path of this site"]),
    (
        "region header in capitals",
        {"site": {"region_headers": ["CF-IPCountry"]}},
        "site.region_headers[0]",
        ["not in lower case", "'cf-ipcountry'"],
    ),
    ("store that is no address", {"records": {"url": "foo"}}, "records.url", ["is not the address of a database."]),
    ("a section that is no table", {"banner": 5}, "banner", ["Found 5."]),
    ("services that are no list", {"services": {}}, "services", ["list"]),
    ("a service that is no table", {"services": [5]}, "services[0]", ["Found 5."]),
    ("use that is no list", {"use": "hotjar"}, "use", ["list"]),
]  # fmt: skip


@pytest.mark.parametrize(("sections", "path", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_one_fault_is_named_with_its_path(sections: dict[str, Any], path: str, words: list[str]) -> None:
    """Each fault is reported once, where it stands, with what was found and what is accepted."""
    found = faults({**declaration(), **declaration(**sections)})
    assert [fault.path for fault in found] == [path]
    assert [word for word in words if word not in str(found[0])] == []


@pytest.mark.parametrize(
    ("missing", "path"),
    [("site", "site"), ("controller", "controller")],
)
def test_required_sections(missing: str, path: str) -> None:
    """`site` and `controller` have no default."""
    table = declaration()
    del table[missing]
    assert [(f.path, f.problem) for f in faults(table)] == [(path, "is required and missing.")]


@pytest.mark.parametrize(
    ("section", "key"), [("site", "name"), ("controller", "name"), ("controller", "contact")]
)
def test_required_keys(section: str, key: str) -> None:
    """The site's name and its controller have no default."""
    table = declaration()
    del table[section][key]
    assert [(f.path, f.problem) for f in faults(table)] == [(f"{section}.{key}", "is required and missing.")]


def test_a_service_without_id_is_one_fault() -> None:
    """Two services without an id are told apart from two of the same id."""
    found = faults(declaration(services=[{"category": "analytics"}, {"category": "analytics"}]))
    assert [fault.path for fault in found] == ["services[0].id", "services[1].id"]


def test_every_fault_comes_in_one_error() -> None:
    """Nobody has to start the server five times to find five faults."""
    table = {
        "site": {"nme": "x", "mode": "off", "languages": ["xx"], "regime": "no"},
        "use": ["hotjarr"],
        "services": [{"id": "stats", "cookies": [{"name": "a b"}]}],
        "cookies": {"essential": ["_ga"]},
    }
    assert {fault.path for fault in faults(table)} == {
        "site.name",
        "site.nme",
        "site.mode",
        "site.languages[0]",
        "site.regime",
        "controller",
        "use[0]",
        "services[0].category",
        "services[0].cookies[0].name",
        "cookies.essential[0]",
    }


def test_the_message_counts_and_lists_the_faults() -> None:
    """The error's text names the source, the number of faults, and each of them on a line."""
    with pytest.raises(ConfigError) as caught:
        load_config({"site": {"name": "x"}, "use": ["zzzzzz"]}, {})
    lines = str(caught.value).splitlines()
    assert lines[0] == "dict: 2 faults in the consent configuration:"
    assert [line[:5] for line in lines[1:]] == ["  - c", "  - u"]


@pytest.mark.parametrize("url", [5, ["postgresql://u:hunter2@db/x"], {"u": "hunter2"}])
def test_the_stores_password_is_never_shown(url: object) -> None:
    """A wrong `records.url` is reported without its value."""
    found = faults(declaration(records={"url": url}))
    assert {fault.path for fault in found} == {"records.url"}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("url", ["hunter2", "u:hunter2@db/x", "postgresql:hunter2@db", "://u:hunter2@db/x"])
def test_what_is_no_address_of_a_database_is_not_repeated(url: str) -> None:
    """A `records.url` that is no URL may still hold a password."""
    (found,) = faults(declaration(records={"url": url}))
    assert (found.path, found.problem) == ("records.url", "is not the address of a database.")
    assert "hunter2" not in str(found)


def test_a_port_that_is_no_number_is_not_repeated() -> None:
    """A URL whose port cannot be read is a fault without its value."""
    (found,) = faults(declaration(records={"url": "sqlite://u:p@db:hunter2/x"}))
    assert found.path == "records.url"
    assert "port" in found.problem
    assert "hunter2" not in str(found)


def installed(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make these database drivers the only ones that are installed."""

    def find_spec(name: str) -> object:
        return name if name in modules else None

    monkeypatch.setattr("consent_middleware.config.faults.find_spec", find_spec)


DRIVERS = pytest.mark.parametrize(
    ("scheme", "driver"),
    [
        ("postgresql", "psycopg2"),
        ("postgresql+psycopg", "psycopg"),
        ("postgresql+psycopg2", "psycopg2"),
        ("mysql+pymysql", "pymysql"),
    ],
)


@DRIVERS
def test_a_driver_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str
) -> None:
    """A store whose driver is missing is found at the start, with what to install and without the password."""
    installed(monkeypatch)
    (found,) = faults(declaration(records={"url": f"{scheme}://u:hunter2@db/x"}))
    assert found.path == "records.url"
    assert f"needs the driver {driver}." in found.problem
    assert found.hint.startswith("Run: pip install ")
    assert "hunter2" not in str(found)


@DRIVERS
def test_a_driver_that_is_installed_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str
) -> None:
    """With its driver a store's URL is taken as it is."""
    installed(monkeypatch, driver)
    url = f"{scheme}://u:p@db/x"
    assert make_config(records={"url": url}).records.url == url


def test_a_store_given_by_the_environment_is_checked_too() -> None:
    """A `CONSENT_RECORDS_URL` that is no URL is a fault like one in the file."""
    (found,) = faults(declaration(), {"CONSENT_RECORDS_URL": "foo"})
    assert (found.path, found.problem) == ("records.url", "is not the address of a database.")


def test_use_below_a_section_says_where_it_belongs(tmp_path: Path) -> None:
    """In TOML a key below a section belongs to it: the fault says that `use` stands at the top."""
    path = tmp_path / "consent.toml"
    path.write_text(MINIMAL + 'use = ["hotjar"]\n', "utf-8")
    (found,) = faults(path)
    assert found.path == "controller.use"
    assert "above the first [section]" in found.hint


# -- defaults


def test_a_name_and_a_controller_are_enough() -> None:
    """Everything else has the default that DESIGN.md gives."""
    config = make_config()
    site = config.site
    assert (site.path, site.policy_url, site.mode, site.rendering) == (
        "/_consent", "/privacy", "enforce", "auto"
    )  # fmt: skip
    assert (site.consent_days, site.languages, site.transcode, site.id) == (180, ["en"], True, "")
    assert (config.signals.gpc, config.signals.dnt, config.cookies.unknown) == (True, True, "block")
    assert (config.records.url, config.records.retention) == ("sqlite:///consent-records.db", "P3Y")
    assert (config.records.on_store_failure, config.records.journal) == ("journal", "consent-journal")
    assert (config.banner.position, config.banner.theme, config.banner.link) == ("bottom", "auto", "corner")


def test_settings_as_the_decision_takes_them() -> None:
    """Regime, scope and quietness come out as the enums `decide` knows."""
    config = make_config(signals={"dnt_scope": "all", "when_on": "ask"})
    assert (config.regime, config.dnt_scope, config.when_on) == (Regime.OPT_IN, DntScope.ALL, WhenOn.ASK)


def test_default_categories() -> None:
    """Without `[[categories]]` there are five, essential first."""
    assert list(make_config().catalog.categories) == [
        "essential", "functional", "analytics", "performance", "marketing"
    ]  # fmt: skip


def test_a_listed_category_keeps_its_words_and_basis() -> None:
    """A listed category replaces the default of its id; a new one comes behind."""
    config = make_config(
        categories=[
            {"id": "analytics", "basis": "exempt", "title": "Numbers", "description": {"en": "We count."}},
            {"id": "research"},
        ]
    )
    catalog = config.catalog
    assert list(catalog.categories)[-1] == "research"
    assert catalog.categories["analytics"].basis is Basis.EXEMPT
    assert catalog.categories["analytics"].description == {"en": "We count."}
    assert catalog.asked >= {"research"}


def test_essential_cookies_join_the_presets() -> None:
    """A site's own essential cookies pass beside those of known software."""
    catalog = make_config(cookies={"essential": ["basket"]}).catalog
    assert catalog.owners("basket") == ("essential",)
    assert catalog.owners("sessionid") == ("essential",)


# -- services


def test_use_takes_a_service_from_the_catalogue() -> None:
    """A service named in `use` is declared with all the catalogue knows."""
    assert make_config(use=["hotjar"]).catalog.services["hotjar"] == builtin_services()["hotjar"]


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("name", "Ours", "Ours"),
        ("category", "functional", "functional"),
        ("provider", "Example GmbH", "Example GmbH"),
        ("country", "DE", "DE"),
        ("policy_url", "/stats", "/stats"),
        ("description", {"de": "Zählt."}, {"de": "Zählt."}),
        ("sells_or_shares", False, False),
        ("hosts", ["stats.example.com"], ("stats.example.com",)),
        ("inline", ["ours("], ("ours(",)),
        ("storage", ["ours_*"], ("ours_*",)),
        ("cookies", [{"name": "ours", "path": "/a"}], (CookieSpec("ours", path="/a"),)),
        ("cookies", [], ()),
    ],
)
def test_overriding_a_used_service_field_by_field(field: str, given: object, expected: object) -> None:
    """A table with an id from `use` changes the fields it names, and no other."""
    base = builtin_services()["google-analytics"]
    found = make_config(
        use=["google-analytics"], services=[{"id": "google-analytics", field: given}]
    ).catalog.services["google-analytics"]
    others = [name for name in type(base).__dataclass_fields__ if name != field]
    assert getattr(found, field) == expected
    assert [getattr(found, name) for name in others] == [getattr(base, name) for name in others]


def test_an_essential_service_of_the_sites_own() -> None:
    """A service that the site cannot work without may be essential, with cookies nobody tracks with."""
    catalog = make_config(
        services=[{"id": "shop", "category": "essential", "cookies": [{"name": "basket"}]}]
    ).catalog
    assert "shop" in catalog.always


@pytest.mark.conformance("CA-11")
def test_a_service_of_the_sites_own_has_defaults() -> None:
    """Beyond id and category a service needs nothing; it shares unless it says that it does not."""
    found = make_config(services=[stats()]).catalog.services["stats"]
    assert (found.name, found.sells_or_shares, found.hold, found.cookies) == ("stats", True, True, ())


# -- where it is read from


def test_a_file(tmp_path: Path) -> None:
    """A path to a TOML file is read."""
    path = tmp_path / "consent.toml"
    path.write_text('use = ["hotjar"]\n' + MINIMAL, "utf-8")
    assert load_config(path, {}).use == ["hotjar"]


def test_consent_config_names_the_file(tmp_path: Path) -> None:
    """Without a path `CONSENT_CONFIG` names the file."""
    path = tmp_path / "elsewhere.toml"
    path.write_text(MINIMAL, "utf-8")
    assert load_config(None, {"CONSENT_CONFIG": str(path)}).folder == tmp_path


def test_the_current_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither, `consent.toml` in the current folder is read."""
    (tmp_path / "consent.toml").write_text(MINIMAL, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONSENT_CONFIG", raising=False)
    assert load_config().site.name == "Example Shop"


def test_paths_start_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths mean the declaration's folder, wherever the process was started."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "consent.toml").write_text(MINIMAL, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_config("site/consent.toml", {}).folder == tmp_path / "site"


def test_a_dict_starts_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declaration that is no file has the current folder for its paths."""
    monkeypatch.chdir(tmp_path)
    assert make_config().folder == tmp_path


def test_a_config_object_is_taken_as_it_is(tmp_path: Path) -> None:
    """A `ConsentConfig` passes through, with its folder, and is checked like a file."""
    config = make_config(use=["hotjar"]).at(tmp_path)
    again = load_config(config, {})
    assert again == config
    assert again.folder == tmp_path


def test_a_config_object_is_checked_too() -> None:
    """What no single value shows is found in an object as well."""
    config = ConsentConfig.model_validate(declaration(use=["zzzzzz"]))
    found = faults(config)
    assert [fault.path for fault in found] == ["use[0]"]


def test_a_missing_file_says_what_to_write(tmp_path: Path) -> None:
    """Where there is no file the error shows the least that one must hold."""
    path = tmp_path / "consent.toml"
    (found,) = faults(path)
    assert str(path) in found.problem
    assert "CONSENT_CONFIG" in found.hint
    assert 'contact = "privacy@example.com"' in found.hint


def test_the_example_for_a_missing_file_is_valid(tmp_path: Path) -> None:
    """What the error shows can be pasted and works."""
    (found,) = faults(tmp_path / "consent.toml")
    lines = found.hint.splitlines()[1:]
    path = tmp_path / "pasted.toml"
    path.write_text("\n".join(line.strip() for line in lines), "utf-8")
    assert load_config(path, {}).controller.name == "Example GmbH"


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """Broken TOML is one fault, not a traceback."""
    path = tmp_path / "consent.toml"
    path.write_bytes(b"[site\n")
    (found,) = faults(path)
    assert found.problem.startswith("the file is not valid TOML: ")


@pytest.mark.parametrize(
    "content",
    [
        b'[site]\nname = "\xff"\n',
        MINIMAL.encode("utf-16"),
        MINIMAL.replace("Shop", "Caf\xe9").encode("latin-1"),
    ],
)
def test_a_file_that_is_not_utf_8(tmp_path: Path, content: bytes) -> None:
    """Another encoding is one fault, which says how to save the file."""
    path = tmp_path / "consent.toml"
    path.write_bytes(content)
    (found,) = faults(path)
    assert (found.problem, found.hint) == ("the file is not UTF-8.", "Save it as UTF-8.")


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """What an editor may put before UTF-8 is no part of the declaration."""
    path = tmp_path / "consent.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load_config(path, {}).site.name == "Example Shop"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder in the file's place is one fault, not a traceback."""
    (found,) = faults(tmp_path)
    assert found.problem == "this is a folder, not a file."
    assert str(tmp_path / "consent.toml") in found.hint


@pytest.mark.parametrize("source", [7, ["consent.toml"], b"consent.toml"], ids=str)
def test_a_source_of_another_kind_is_one_fault(source: Any) -> None:
    """What is neither a path nor a table is named, with what would do."""
    (found,) = faults(source)
    assert (found.path, found.problem) == ("config", f"is no declaration. Found {type(source).__name__}.")
    assert found.hint.startswith("Give a path, a dict")


@pytest.mark.parametrize(
    ("raw", "path", "hint"),
    [
        ({"site": "Shop"}, "site", ""),
        ({"use": "youtube"}, "use", "Write it in brackets"),
        ({"services": {"id": "x"}}, "services", "Write [[services]]."),
    ],
)
def test_a_value_of_the_wrong_shape_says_how_it_is_written(raw: dict[str, Any], path: str, hint: str) -> None:
    """A table, a list and an array of tables are named in the words of the file, not of the library that checks it."""
    found = [fault for fault in faults({**declaration(), **raw}) if fault.path == path]
    assert [fault.problem.partition(". ")[0] in {"must be a table", "must be a list"} for fault in found] == [
        True
    ]
    assert found[0].hint.startswith(hint)


@pytest.mark.parametrize(
    ("url", "hint"),
    [("oracle://u:hunter2@db/x", "Known: sqlite"), ("postgres://u:hunter2@db/x", "'postgresql'")],
)
def test_a_database_that_keeps_no_records_is_named(url: str, hint: str) -> None:
    """A kind of database that is not known is found at the start, without the password."""
    (found,) = faults(declaration(records={"url": url}))
    assert "is no kind of database" in found.problem
    assert hint in found.hint
    assert "hunter2" not in str(found)


# -- the environment


def test_environment_overrides_the_store() -> None:
    """`CONSENT_RECORDS_URL` beats the file, so that no password stands in it."""
    config = load_config(declaration(), {"CONSENT_RECORDS_URL": "sqlite:////var/lib/shop/elsewhere.db"})
    assert config.records.url == "sqlite:////var/lib/shop/elsewhere.db"


def test_environment_overrides_the_journal() -> None:
    """`CONSENT_RECORDS_JOURNAL` beats the file: beside a declaration that is deployed read-only nothing can wait."""
    given = declaration(records={"journal": "here"})
    assert load_config(given, {"CONSENT_RECORDS_JOURNAL": "/data/journal"}).records.journal == "/data/journal"


def test_environment_overrides_the_mode() -> None:
    """`CONSENT_MODE` beats the file."""
    config = load_config(declaration(site={"mode": "enforce"}), {"CONSENT_MODE": "report"})
    assert config.site.mode == "report"


def test_environment_leaves_the_rest_of_a_section() -> None:
    """An override changes one key."""
    config = load_config(declaration(records={"retention": "P1Y"}), {"CONSENT_RECORDS_URL": "none"})
    assert config.records.retention == "P1Y"


def test_environment_is_checked_too() -> None:
    """A wrong mode in the environment is a fault like one in the file."""
    (found,) = faults(declaration(), {"CONSENT_MODE": "reprot"})
    assert found.path == "site.mode"
    assert "'report'?" in found.hint


def test_empty_environment_overrides_nothing() -> None:
    """A variable that is set to nothing counts as not set."""
    config = load_config(declaration(), {"CONSENT_MODE": "", "CONSENT_RECORDS_URL": ""})
    assert (config.site.mode, config.records.url) == ("enforce", "sqlite:///consent-records.db")


def test_environment_beside_a_broken_section() -> None:
    """An override never hides that its section is no table."""
    (found,) = faults(declaration(records="x"), {"CONSENT_RECORDS_URL": "none"})
    assert found.path == "records"


# -- secret keys


@pytest.mark.parametrize(
    ("given", "environment", "keys"),
    [
        ("one", "", ["one"]),
        (["old", "new"], "", ["old", "new"]),
        (("old", "new"), "ignored", ["old", "new"]),
        ("a,b", "", ["a,b"]),
        (None, "one", ["one"]),
        (None, "old,new", ["old", "new"]),
        (None, " old , new ,", ["old", "new"]),
    ],
)
def test_secret_keys(given: str | list[str] | None, environment: str, keys: list[str]) -> None:
    """An argument beats the environment, where commas part several keys."""
    assert load_secret_keys(given, {"CONSENT_SECRET_KEY": environment}) == keys


@pytest.mark.parametrize("given", [None, "", "  ", [], [""]])
def test_no_secret_key_shows_the_command(given: str | list[str] | None) -> None:
    """Without a key the error shows the command which makes one."""
    with pytest.raises(ConfigError, match="consent-middleware keys new"):
        load_secret_keys(given, {})


@pytest.mark.parametrize("given", [12345, b"hunter2", [1], [b"hunter2"], ["sound", None], object()])
def test_a_secret_key_of_a_wrong_type(given: Any) -> None:
    """What is neither a text nor a list of texts is a fault, and its value is not repeated."""
    with pytest.raises(ConfigError) as caught:
        load_secret_keys(given, {})
    (found,) = caught.value.faults
    assert (found.path, found.problem) == ("secret_key", "is neither a text nor a list of texts.")


def test_secret_key_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a given environment the process's own is read."""
    monkeypatch.setenv("CONSENT_SECRET_KEY", "from the process")
    assert load_secret_keys(None) == ["from the process"]


def test_a_derived_key_is_its_secrets_own() -> None:
    """The same for a text and its bytes, another for another secret, and never the secret itself."""
    secret = "a-secret-of-32-characters-length"
    key = derived_key(secret)
    assert (key, len(key)) == (derived_key(secret.encode()), 64)
    assert len({key, secret, derived_key(secret + "x")}) == 3


@pytest.mark.parametrize(
    ("key", "guessable"),
    [("dev", True), (b"\xff" * 15, True), ("change-me-to-32-random-characters", True), ("k" * 16, False)],
)
def test_a_key_that_can_be_guessed(key: str | bytes, guessable: bool) -> None:  # noqa: FBT001
    """Short, or copied from an example."""
    assert is_guessable(key) is guessable
