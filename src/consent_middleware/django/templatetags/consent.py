"""Template tags: ``{% load consent %}``.

====================================================  ===============================================================
``{% consent "analytics" %}...{% endconsent %}``       left out where it is not granted
``{% consent_template "x" %}...{% endconsent_template %}``  sent inert; comes to life when the visitor agrees
``{% consent_placeholder "youtube" src=... %}``        a frame that waits, with a box of its size in its place
``{% consent_link %}``                                 a link to the settings
====================================================  ===============================================================

An id that the site does not declare is an error when the template is compiled, not when a visitor meets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.template import Library, Node, TemplateSyntaxError, Variable
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from consent_middleware.django import conf
from consent_middleware.django.access import get_consent
from consent_middleware.errors import UnknownIdError
from consent_middleware.texts import best_language

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.template.base import NodeList, Parser, Token
    from django.template.context import Context

register = Library()


class ConsentNode(Node):
    """A part of a page that waits for consent: left out, or sent inert."""

    def __init__(self, unit: _Unit, nodelist: NodeList, *, inert: bool) -> None:
        self.unit = unit
        self.nodelist = nodelist
        self.inert = inert

    def render(self, context: Context) -> SafeString:
        """Render the part."""
        unit = self.unit.resolve(context)
        if self.inert:
            inner = mark_safe(self.nodelist.render(context))  # noqa: S308 - rendered by Django, escaped already
            return format_html('<template data-{}="{}">{}</template>', _kind(unit), unit, inner)
        request = _request(context)
        if request is None or not get_consent(request).allows(unit):
            return SafeString("")
        return self.nodelist.render(context)


class _Unit:
    """A category or a service, named in the template or by a variable."""

    def __init__(self, text: str, tag: str) -> None:
        self._variable = Variable(text)
        self._literal = self._variable.literal
        if self._literal is not None:
            if not isinstance(self._literal, str):
                raise TemplateSyntaxError(
                    f"{{% {tag} %}} takes a category or a service in quotes, not {text}."
                )
            try:
                _kind(self._literal)
            except UnknownIdError as error:
                raise TemplateSyntaxError(f"{{% {tag} {text} %}}: {error}") from error

    def resolve(self, context: Context) -> str:
        """Return its id."""
        return str(self._variable.resolve(context))


def _kind(unit: str) -> str:
    """Return ``category`` or ``service``.

    Raises:
        UnknownIdError: The site declares no such id.
    """
    catalog = conf.declaration().catalog
    return "category" if catalog.check_id(unit) in catalog.categories else "service"


def _request(context: Context) -> HttpRequest | None:
    """Return the request a template is rendered for, None where there is none."""
    found: HttpRequest | None = getattr(context, "request", None) or context.get("request")
    return found


def _block(parser: Parser, token: Token) -> ConsentNode:
    tag, *given = token.split_contents()
    if len(given) != 1:
        raise TemplateSyntaxError(f'{{% {tag} %}} takes one category or service: {{% {tag} "analytics" %}}.')
    unit = _Unit(given[0], tag)
    nodelist = parser.parse((f"end{tag}",))
    parser.delete_first_token()
    return ConsentNode(unit, nodelist, inert=tag == "consent_template")


register.tag("consent", _block)
register.tag("consent_template", _block)


@register.simple_tag
def consent_placeholder(unit: str, src: str, **attributes: Any) -> SafeString:
    """Render an iframe that waits for a category or service; until then a box of its size says who would load.

    Args:
        unit: A category or a service.
        src: What the frame shows once it may.
        attributes: Of the iframe, e.g. ``title="How we roast" width="560" height="315"``; a name's ``_`` means ``-``.

    Raises:
        UnknownIdError: The site declares no such id.
    """
    others = format_html_join(
        "", ' {}="{}"', ((key.replace("_", "-"), value) for key, value in attributes.items())
    )
    return format_html('<iframe data-{}="{}" data-src="{}"{}></iframe>', _kind(unit), unit, src, others)


@register.simple_tag(takes_context=True)
def consent_link(context: Context, text: str = "", **attributes: Any) -> SafeString:
    """Render a link to the visitor's settings, in the language that is active.

    Args:
        context: The template's.
        text: In place of "Cookie settings".
        attributes: Of the link, e.g. ``class="footer"``.
    """
    config, request = conf.declaration(), _request(context)
    base = request.META.get("SCRIPT_NAME", "").rstrip("/") if request else ""
    languages = config.site.languages
    language = best_language([get_language() or ""], languages) or languages[0]
    said = f"?lang={language}" if len(languages) > 1 else ""
    others = format_html_join("", ' {}="{}"', attributes.items())
    texts = config.texts(language)
    # The visitor's own regime would make the page personal.
    words = text or (texts["your_choices"] if config.site.regime == "opt-out" else texts["link"])
    url = f"{base}{config.site.path}/preferences{said}"
    return format_html('<a href="{}" data-consent="preferences"{}>{}</a>', url, others, words)
