"""The Jinja extension: tags and functions for templates, in any Jinja environment. Knows no web framework.

=============================================  =================================================================
``{% consent "analytics" %}..{% endconsent %}``  left out where not granted; may have an ``{% else %}``
``{% consent_template "analytics" %}..``         sent to everyone, inert; the page's script brings it to life once
                                                 granted, without a reload, so the page may be cached for everyone
``{{ consent_link() }}``                         a link to the settings
``{{ consent_placeholder("youtube", url) }}``    an iframe, or the box that stands for it until its service is granted
=============================================  =================================================================

``environment.add_extension(ConsentExtension)`` is enough: the visitor's consent is then ``consent`` in the template's
context, else that of Starlette's ``request``. `install` says where else it is, and lets ids be checked early.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import TemplateRuntimeError, nodes, pass_context
from jinja2.ext import Extension
from markupsafe import Markup, escape

from consent_middleware.consent import Consent
from consent_middleware.errors import UnknownIdError
from consent_middleware.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment
    from jinja2.parser import Parser
    from jinja2.runtime import Context

    from consent_middleware.site import Site

__all__ = ["ConsentExtension", "find_consent", "install"]

Attribute = str | int | bool | None
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9-]*\Z")
_NO_ID = "takes the id of a category or a service, in quotes"


def install(
    environment: Environment,
    *,
    site: Callable[[], Site] | None = None,
    consent: Callable[[Context], Consent] | None = None,
) -> None:
    """Add the tags and functions to an environment.

    Args:
        environment: Of the site's templates.
        site: Returns the site, so that an unknown id in a tag is an error when its template is compiled; without
            it, when it is rendered.
        consent: Returns the visitor's consent, given a template's context; default: `find_consent`.
    """
    environment.extend(consent_site=site, consent_of=consent or find_consent)
    environment.add_extension(ConsentExtension)


def find_consent(context: Context) -> Consent:
    """Return the visitor's consent: ``consent`` in a template's context, else ``request.state.consent``.

    Raises:
        TemplateRuntimeError: There is neither.
    """
    found = context.get("consent")
    if isinstance(found, Consent):
        return found
    found = getattr(getattr(context.get("request"), "state", None), "consent", None)
    if isinstance(found, Consent):
        return found
    raise TemplateRuntimeError(
        f"{context.name or 'this template'}: there is no consent in the template's context. Let ConsentMiddleware wrap "
        "the app, and give the template `request` (Starlette) or `consent`; import macros `with context`."
    )


class ConsentExtension(Extension):
    """Consent in templates."""

    tags = {"consent", "consent_template"}  # noqa: RUF012 - Jinja's own attribute

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        for name, default in (("consent_site", None), ("consent_of", find_consent)):
            if not hasattr(environment, name):
                environment.extend(**{name: default})
        environment.globals |= {"consent_link": consent_link, "consent_placeholder": consent_placeholder}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Compile a tag.

        Raises:
            TemplateSyntaxError: It names no category or service of the site.
        """
        tag = next(parser.stream)
        unit = parser.parse_expression()
        if isinstance(unit, nodes.Const):
            self._check(unit.value, tag.value, parser, tag.lineno)
        given: list[nodes.Expr] = [unit, nodes.ContextReference()]
        if tag.value == "consent_template":
            start = self.call_method("_start", given, lineno=tag.lineno)
            body = parser.parse_statements(("name:endconsent_template",), drop_needle=True)
            end = nodes.TemplateData("</template>")
            return [nodes.Output([start], lineno=tag.lineno), *body, nodes.Output([end])]
        test = self.call_method("_allows", given, lineno=tag.lineno)
        body, otherwise = parser.parse_statements(("name:else", "name:endconsent")), []
        if next(parser.stream).value == "else":
            otherwise = parser.parse_statements(("name:endconsent",), drop_needle=True)
        return nodes.If(test, body, [], otherwise, lineno=tag.lineno)

    def _check(self, unit: object, tag: str, parser: Parser, line: int) -> None:
        if not isinstance(unit, str):
            parser.fail(f"{{% {tag} %}} {_NO_ID}; found {unit!r}.", line)
        site: Callable[[], Site] | None = getattr(self.environment, "consent_site", None)
        if site is None:
            return
        try:
            site().check_unit(unit)
        except UnknownIdError as error:
            parser.fail(f"{{% {tag} %}}: {error}", line)

    # -- what a compiled tag calls

    def _allows(self, unit: object, context: Context) -> bool:
        return _consent_of(context).allows(_text(unit, "consent"))

    def _start(self, unit: object, context: Context) -> Markup:
        mark = _mark(_consent_of(context).site, _text(unit, "consent_template"))
        return Markup(f"<template {mark}>")  # noqa: S704 - an id that was looked up


@pass_context
def consent_link(context: Context, text: str = "", *, language: str = "", **attributes: Attribute) -> Markup:
    """Return a link to the settings: for a footer, or a site with ``link = "none"``.

    Args:
        text: What it reads; default: what the standing link does.
        language: That of the words, and of the settings; default: the site's first, so that the page stays the same
            for everyone. ``language=consent.language`` is the visitor's.
        attributes: More of the element's; ``class_`` for ``class``.

    Raises:
        ValueError: The site does not speak the language, or an attribute has no such name.
    """
    link = _consent_of(context).link(text, language)
    return link.replace("<a", Markup(f"<a{_attributes(attributes)}"), 1)  # noqa: S704 - they are escaped


@pass_context
def consent_placeholder(
    context: Context, unit: str, url: str, title: str = "", **attributes: Attribute
) -> Markup:
    """Return an iframe that waits: until its service is granted, a box of the same size says who would load.

    The same for everyone: the middleware puts the box into the page, the page's script takes it away.

    Args:
        unit: The id of a service or a category.
        url: Of what is framed.
        title: What a screen reader calls it; default: the service's name.
        attributes: More of the element's, e.g. ``width=560``; ``class_`` for ``class``, True for one without a value.

    Raises:
        UnknownIdError: The site declares no such id.
        ValueError: The URL is none of the web's, or an attribute has no such name.
    """
    if read_url(url) is None:
        raise ValueError(
            f"consent_placeholder: {url!r} is no address that a frame may load; give an https:// one."
        )
    site = _consent_of(context).site
    mark = _mark(site, unit)
    services = site.catalog.services
    named = title or (services[unit].name if unit in services else unit)
    place = "src" if unit in site.catalog.always else "data-src"
    given = _attributes({place: url, "title": named, **attributes})
    return Markup(f"<iframe {mark}{given}></iframe>")  # noqa: S704 - all of it is escaped


def _consent_of(context: Context) -> Consent:
    found: Consent = context.environment.consent_of(context)  # type: ignore[attr-defined]  # `extend` made it
    return found


def _text(unit: object, tag: str) -> str:
    if isinstance(unit, str):
        return unit
    raise TemplateRuntimeError(f"{{% {tag} %}} {_NO_ID}; found {unit!r}.")


def _mark(site: Site, unit: str) -> str:
    """Return the attribute that says what lifts an element; the service decides where a name is both."""
    site.check_unit(unit)
    kind = "service" if unit in site.catalog.services else "category"
    return f'data-{kind}="{unit}"'


def _attributes(given: dict[str, Attribute]) -> str:
    """Write an element's attributes; None and False leave one out, True has no value."""
    written = []
    for key, value in given.items():
        name = key.rstrip("_").replace("_", "-")
        if not _ATTRIBUTE.match(name):
            raise ValueError(f"{key!r} is no attribute's name.")
        if value is True:
            written.append(f" {name}")
        elif value is not None and value is not False:
            written.append(f' {name}="{escape(value)}"')
    return "".join(written)
