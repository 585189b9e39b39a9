"""The visitor's region as a proxy or CDN in front of the site states it in request headers.

Only headers that the site names (``site.region_headers``) are read, for anybody can send any header: the site
knows which ones its proxy overwrites. What cannot be read means "unknown", never an error.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from consent_middleware.regions.rules import read_region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["REGION_HEADERS", "region_from_headers", "region_header_problem"]

# Country header -> the header that holds its sub-division, "" where there is none.
REGION_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "cf-ipcountry": "cf-region-code",  # Cloudflare; the second by the transform "Add visitor location headers"
        "cloudfront-viewer-country": "cloudfront-viewer-country-region",  # Amazon CloudFront, by request policy
        "x-vercel-ip-country": "x-vercel-ip-country-region",  # Vercel
        "x-appengine-country": "x-appengine-region",  # Google App Engine
        # Fastly's region header is left out: its older data set numbers regions by FIPS 10-4, not by ISO 3166-2.
        "fastly-geo-country": "",
    }
)
_COUNTRY_OF = {region: country for country, region in REGION_HEADERS.items() if region}
_NAME = re.compile(r"[a-z0-9-]+")


def region_from_headers(names: Sequence[str], header: Callable[[bytes], bytes | None]) -> str:
    """Return the region that the named request headers state.

    Args:
        names: The headers the site believes, lower-case, most trusted first. The sub-division of a header in
            `REGION_HEADERS` counts only if its own header is named too, anywhere in the list, and never
            without its country. Any other name is a country header of the site's own proxy.
        header: Looks up a request header by lower-case name; repeated ones joined with commas.

    Returns:
        What the first header that yields a region says, as `read_region` returns it: ``"US-CA"``, ``"DE"``;
        ``""`` if none does. A value that is repeated, malformed or no ASCII yields nothing.

    Source: ISO 3166-1, ISO 3166-2; the providers' documentation of their request headers.
    """
    for name in names:
        region = "" if name in _COUNTRY_OF else read_region(_value(header, name))
        if region:
            companion = REGION_HEADERS.get(name, "")
            return _within(region, _value(header, companion)) if companion in names else region
    return ""


def region_header_problem(name: str, named: Sequence[str] | None = None) -> str:
    """Return what is wrong with a header name in ``site.region_headers``, in words; ``""`` if nothing is.

    Args:
        name: One name of the list.
        named: The whole list; where given, a sub-division header without its country is a problem too.
    """
    if not _NAME.fullmatch(name):
        lowered = name.lower()
        if _NAME.fullmatch(lowered):
            return f"{name!r} is not in lower case. Write {lowered!r}."
        return f"{name!r} is not a header name: only the letters a-z, digits and dashes can stand in it."
    country = _COUNTRY_OF.get(name)
    if named is not None and country is not None and country not in named:
        return f"{name!r} says a part of a country, but {country!r}, which says the country, is not named."
    return ""


def _value(header: Callable[[bytes], bytes | None], name: str) -> str:
    """Return a header's value, ``""`` where it is absent; bytes beyond ASCII become letters no region holds."""
    return (header(name.encode("ascii", "replace")) or b"").decode("latin-1").strip(" \t")


def _within(region: str, part: str) -> str:
    """Return a country's sub-division, the country itself where the part cannot be read."""
    return read_region(f"{region}-{part}") or region
