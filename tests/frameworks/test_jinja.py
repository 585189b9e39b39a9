"""The Jinja extension, in environments that know no web framework, and in Starlette's."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jinja2 import (
    DictLoader,
    Environment,
    StrictUndefined,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
)
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from consent_middleware import Consent, UnknownIdError, asgi
from consent_middleware.jinja import ConsentExtension, install
from consent_middleware.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

KEY = "a-secret-of-32-characters-length"


class Granted:
    """A request's consent with some units granted; counts how often it was read."""

    base = "/app"
    visitor_language = "de"

    def __init__(self, site: Site, *units: str) -> None:
        self.site = site
        self.reads = 0
        self._granted = frozenset(units) | {"essential"}

    def read(self) -> Any:
        """Return what `Consent` reads of a visitor."""
        self.reads += 1
        return SimpleNamespace(decision=SimpleNamespace(granted=self._granted))

    def identify(self, _subject: str | None) -> None:
        """Is not asked for here."""

    def stage(self, _granted: frozenset[str]) -> None:
        """Is not asked for here."""


@pytest.fixture
def site(declaration: Callable[..., Any]) -> Site:
    """A compiled site in two languages."""
    return Site(declaration(site={"languages": ["en", "de"]}, records={"url": "none"}), KEY)


def render(site: Site, source: str, *units: str, **context: Any) -> str:
    """Render a template for a visitor who granted some units."""
    environment = Environment(autoescape=True, extensions=[ConsentExtension])
    return environment.from_string(source).render(consent=Consent(Granted(site, *units)), **context)


# -- {% consent %}


@pytest.mark.parametrize(
    ("source", "units", "rendered"),
    [
        ('a{% consent "analytics" %}b{% endconsent %}c', (), "ac"),
        ('a{% consent "analytics" %}b{% endconsent %}c', ("analytics",), "abc"),
        ('{% consent "house-stats" %}b{% else %}d{% endconsent %}', (), "d"),
        ('{% consent "house-stats" %}b{% else %}d{% endconsent %}', ("house-stats",), "b"),
        ('{% consent "essential" %}b{% endconsent %}', (), "b"),
        ("{% consent unit %}b{% endconsent %}", ("analytics",), "b"),
        ('{% consent "analytics" %}{% set x = 1 %}{% endconsent %}{{ x }}', ("analytics",), "1"),
        (
            '{% consent "marketing" %}1{% consent "analytics" %}2{% endconsent %}{% endconsent %}',
            ("marketing",),
            "1",
        ),
        (
            '{% for n in [1, 2] %}{% consent "analytics" %}{{ n }}{% endconsent %}{% endfor %}',
            ("analytics",),
            "12",
        ),
    ],
)
def test_what_is_not_granted_is_left_out(
    site: Site, source: str, units: tuple[str, ...], rendered: str
) -> None:
    """A block stands where its category or service is granted; the rest is `{% else %}`."""
    assert render(site, source, *units, unit="analytics") == rendered


def test_values_in_a_block_are_escaped(site: Site) -> None:
    """As anywhere else in the template."""
    assert render(site, '{% consent "essential" %}{{ x }}{% endconsent %}', x="<b>") == "&lt;b&gt;"


# -- {% consent_template %}


@pytest.mark.parametrize("units", [(), ("marketing", "meta-pixel")], ids=["refused", "granted"])
def test_a_template_is_the_same_for_everyone(site: Site, units: tuple[str, ...]) -> None:
    """Inert round its content, by category or service; consent is not read, so the page may be cached."""
    granted = Granted(site, *units)
    environment = Environment(autoescape=True, extensions=[ConsentExtension])
    source = (
        '{% consent_template "marketing" %}{{ x }}{% endconsent_template %}'
        '{% consent_template "meta-pixel" %}<img>{% endconsent_template %}'
    )
    rendered = environment.from_string(source).render(consent=Consent(granted), x="&")
    assert rendered == (
        '<template data-category="marketing">&amp;</template><template data-service="meta-pixel"><img></template>'
    )
    assert granted.reads == 0


# -- unknown ids


@pytest.mark.parametrize("tag", ["consent", "consent_template"])
def test_an_unknown_id_fails_when_the_template_is_compiled(site: Site, tag: str) -> None:
    """Where the site is known: with the template, the line and what is near, in a branch that never runs too."""
    environment = Environment(
        loader=DictLoader(
            {"page.html": f'\n{{% if 0 %}}{{% {tag} "analytcs" %}}{{% end{tag} %}}{{% endif %}}'}
        )
    )
    install(environment, site=lambda: site)
    with pytest.raises(TemplateSyntaxError, match="Did you mean 'analytics'") as raised:
        environment.get_template("page.html")
    assert (raised.value.name, raised.value.lineno) == ("page.html", 2)


@pytest.mark.parametrize(
    "source", ['{% consent "nobody" %}{% endconsent %}', "{% consent unit %}{% endconsent %}"]
)
def test_an_unknown_id_fails_when_it_is_rendered(site: Site, source: str) -> None:
    """Where the site is not known before, or the id is a variable."""
    with pytest.raises(UnknownIdError, match="'nobody' is neither"):
        render(site, source, unit="nobody")


def test_an_id_must_be_a_text(site: Site) -> None:
    """Left out quotes and other slips are said in words."""
    with pytest.raises(
        TemplateSyntaxError, match=r"takes the id of a category or a service, in quotes; found 5"
    ):
        Environment(extensions=[ConsentExtension]).from_string("{% consent 5 %}{% endconsent %}")
    with pytest.raises(TemplateRuntimeError, match="in quotes; found Undefined"):
        render(site, "{% consent analytics %}{% endconsent %}")
    strict = Environment(extensions=[ConsentExtension], undefined=StrictUndefined)
    with pytest.raises(UndefinedError, match="'analytics' is undefined"):
        strict.from_string("{% consent analytics ~ '' %}{% endconsent %}").render(
            consent=Consent(Granted(site))
        )


@pytest.mark.parametrize(
    "source",
    ['{% consent "analytics" %}', '{% consent_template "analytics" %}x', "{% consent %}x{% endconsent %}"],
)
def test_a_tag_that_is_not_complete(source: str) -> None:
    """Without its end, or without an id."""
    with pytest.raises(TemplateSyntaxError):
        Environment(extensions=[ConsentExtension]).from_string(source)


def test_a_template_without_consent_says_what_is_missing() -> None:
    """Instead of letting something through, or nothing."""
    environment = Environment(
        extensions=[ConsentExtension], loader=DictLoader({"a.html": "{{ consent_link() }}"})
    )
    for context in ({}, {"consent": True}, {"request": object()}):
        with pytest.raises(
            TemplateRuntimeError, match=r"a\.html: there is no consent in the template's context"
        ):
            environment.get_template("a.html").render(context)


# -- functions


def test_a_link_to_the_settings(site: Site) -> None:
    """From the mount point, in the site's first language; the page's script opens the dialog instead."""
    assert render(site, "{{ consent_link() }}") == (
        '<a href="/app/_consent/preferences" data-consent="preferences">Cookie settings</a>'
    )


def test_a_links_words_language_and_attributes(site: Site) -> None:
    """Everything is escaped; the visitor's language is there for who wants it."""
    source = '{{ consent_link("<Wahl>", language=consent.language, class_="a\\"b", aria_label="x", hidden=true, id=none) }}'
    assert render(site, source) == (
        '<a class="a&#34;b" aria-label="x" hidden href="/app/_consent/preferences?lang=de" data-consent="preferences">'
        "&lt;Wahl&gt;</a>"
    )
    assert ">Cookie-Einstellungen</a>" in render(site, '{{ consent_link(language="de") }}')


def test_a_link_where_silence_allows(declaration: Callable[..., Any]) -> None:
    """An opt-out site's link has the name that Californian law prescribes."""
    declared = declaration(site={"regime": "opt-out"}, records={"url": "none"})
    assert ">Your Privacy Choices</a>" in render(Site(declared, KEY), "{{ consent_link() }}")


def test_a_language_that_the_site_does_not_speak(site: Site) -> None:
    """An error that names those it does."""
    with pytest.raises(ValueError, match="'fr' is none of the site's languages: en, de"):
        render(site, '{{ consent_link(language="fr") }}')


def test_a_placeholder_waits(site: Site) -> None:
    """An iframe that loads nothing by itself, named and sized, the same for everyone."""
    granted = Granted(site, "google-analytics")
    environment = Environment(autoescape=True, extensions=[ConsentExtension])
    source = '{{ consent_placeholder("google-analytics", "https://a.example/?x=1&y", width=560, allowfullscreen=true) }}'
    assert environment.from_string(source).render(consent=Consent(granted)) == (
        '<iframe data-service="google-analytics" data-src="https://a.example/?x=1&amp;y" title="Google Analytics" '
        'width="560" allowfullscreen></iframe>'
    )
    assert granted.reads == 0


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        (
            '{{ consent_placeholder("analytics", "/map", "A map") }}',
            '<iframe data-category="analytics" data-src="/map" title="A map"></iframe>',
        ),
        (
            '{{ consent_placeholder("essential", "/map") }}',
            '<iframe data-category="essential" src="/map" title="essential"></iframe>',
        ),
    ],
)
def test_a_placeholder_of_a_category(site: Site, source: str, rendered: str) -> None:
    """What needs no consent is a plain iframe."""
    assert render(site, source) == rendered


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('{{ consent_placeholder("nobody", "/map") }}', "'nobody' is neither"),
        ('{{ consent_placeholder("analytics", "javascript:alert(1)") }}', "no address that a frame may load"),
        (
            '{{ consent_placeholder("analytics", "/", **{"x onload": "y"}) }}',
            "'x onload' is no attribute's name",
        ),
    ],
)
def test_a_placeholder_that_cannot_be(site: Site, source: str, error: str) -> None:
    """An unknown service, a URL that runs code, an attribute that is none."""
    with pytest.raises((UnknownIdError, ValueError), match=error):
        render(site, source)


# -- environments


def test_an_async_environment(site: Site) -> None:
    """`enable_async` works as without."""
    environment = Environment(autoescape=True, enable_async=True, extensions=[ConsentExtension])
    template = environment.from_string(
        '{% consent "analytics" %}a{% endconsent %}{% consent_template "analytics" %}b{% endconsent_template %}'
    )
    rendered = asyncio.run(template.render_async(consent=Consent(Granted(site, "analytics"))))
    assert rendered == 'a<template data-category="analytics">b</template>'


def test_an_extension_is_added_by_its_name(site: Site) -> None:
    """As the documentation says; with `overlay` it stays."""
    environment = Environment(autoescape=True)
    environment.add_extension("consent_middleware.jinja.ConsentExtension")
    template = environment.overlay(trim_blocks=True).from_string('{% consent "essential" %}a{% endconsent %}')
    assert template.render(consent=Consent(Granted(site))) == "a"


def test_starlettes_templates(declaration: Callable[..., Any]) -> None:
    """The request is enough: `Jinja2Templates` passes it on."""
    environment = Environment(autoescape=True, extensions=[ConsentExtension], loader=DictLoader({
        "page.html": '{% consent "analytics" %}all{% else %}some{% endconsent %} {{ consent_link() }}'
    }))  # fmt: skip
    templates = Jinja2Templates(env=environment)

    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    inner = Starlette(routes=[Route("/", page)])
    app: Any = asgi.ConsentMiddleware(inner, declaration(records={"url": "none"}), KEY)

    async def fetch() -> str:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, root_path="/app"), base_url="http://shop.example"
        ) as client:
            return (await client.get("/")).text

    assert "some <a" in asyncio.run(fetch())
