"""What is wrong with a declaration: each fault with its path, what was found, what is accepted, the nearest name.

Turns pydantic's findings into words, and finds what no single value shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, get_args, get_origin
from urllib.parse import urlsplit

from consent_middleware.catalog import ESSENTIAL, builtin_services, known_cookie_owners
from consent_middleware.config.model import DEFAULT_CATEGORIES, SECTIONS, ConsentConfig
from consent_middleware.errors import Fault, nearest
from consent_middleware.regions import region_header_problem
from consent_middleware.texts import available_languages, best_language

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["cross_faults", "shape_fault"]

_SCHEME = re.compile(r"([a-z][a-z0-9]*(?:\+[a-z0-9]+)?)://")
_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
_DRIVERS = {
    "postgresql": "psycopg2",
    "postgresql+psycopg": "psycopg",
    "postgresql+psycopg2": "psycopg2",
    "mysql": "MySQLdb",
    "mysql+pymysql": "pymysql",
    "mariadb+pymysql": "pymysql",
}
# What pydantic calls the kinds of value, as a file writes them: what is wanted, and how it looks.
_WANTED = {
    "string_type": ("must be a string", "Put it in quotes."),
    "int_type": ("must be a whole number", "Write it without quotes."),
    "bool_type": ("must be true or false", "Write it without quotes."),
    "list_type": ("must be a list", 'Write it in brackets: ["...", "..."].'),
    "model_type": ("must be a table", ""),
    "dict_type": ("must be a table", ""),
}
_TRACKING = frozenset({"analytics", "marketing"})

# Accepted by the file's shape, refused with a clear word until the version that acts on them.
_NOT_YET: tuple[tuple[str, str, tuple[object, ...]], ...] = (("site", "replay_on_grant", (False,)),)


def _path_of(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not step.startswith(("function-", "constrained-")) and step not in {"str", "dict[str,str]"}:
            text += f".{step}" if text else step
    return text


def shape_fault(details: ErrorDetails) -> Fault:
    """Return one of pydantic's findings in our words."""
    path = _path_of(details["loc"])
    kind, found = details["type"], details["input"]
    if kind == "missing":
        return Fault(path, "is required and missing.")
    if kind == "extra_forbidden":
        section = SECTIONS.get(re.sub(r"\[\d+\]", "[]", _path_of(details["loc"][:-1])))
        known = list(section.model_fields) if section else []
        key = str(details["loc"][-1])
        if key == "use" and section is not ConsentConfig:  # in TOML it belongs to the table it stands below
            return Fault(
                path, "'use' is not a known key here.", "It stands at the top, above the first [section]."
            )
        return Fault(
            path, f"{key!r} is not a known key.", nearest(key, known) or f"Known here: {', '.join(known)}."
        )
    # A store's URL may hold a password, which an error message must not repeat.
    shown = "" if path == "records.url" else f" Found {found!r}."
    if kind == "literal_error":
        expected = details.get("ctx", {}).get("expected", "")
        return Fault(
            path, f"accepted: {expected}.{shown}", nearest(found, re.findall(r"'([^']+)'", expected))
        )
    if wanted := _WANTED.get(kind):
        hint = f"Write [[{path}]]." if path in {"services", "categories"} else wanted[1]
        return Fault(path, f"{wanted[0]}.{shown}", hint)
    message = details["msg"].removeprefix("Value error, ")
    return Fault(path, f"{message[:1].lower()}{message[1:]}.{shown}")


def _tables(raw: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    value = raw.get(key)
    for index, table in enumerate(value if isinstance(value, list) else []):
        if isinstance(table, Mapping):
            yield index, table


def _strings(raw: Mapping[str, Any], section: str, key: str) -> list[str]:
    table = raw.get(section) if section else raw
    value = table.get(key) if isinstance(table, Mapping) else None
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def cross_faults(raw: Mapping[str, Any]) -> list[Fault]:
    """Find what no single value shows. Works on the raw table, so that it reports beside other faults."""
    return [
        *_use_faults(raw),
        *_service_faults(raw),
        *_essential_faults(raw),
        *_essential_service_faults(raw),
        *_language_faults(raw),
        *_store_faults(raw),
        *_region_faults(raw),
        *_version_faults(raw),
    ]


def _use_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    known = builtin_services()
    for index, id_ in enumerate(_strings(raw, "", "use")):
        if id_ not in known:
            short = [name for name in known if "".join(word[0] for word in name.split("-")) == id_]
            hint = nearest(id_, known) or (f"Did you mean {' or '.join(map(repr, short))}?" if short else "")
            hint = (
                hint or "`consent-middleware catalog` lists what is known; else declare it in [[services]]."
            )
            yield Fault(f"use[{index}]", f"{id_!r} is not in the built-in catalogue.", hint)


def _service_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    categories = [*DEFAULT_CATEGORIES, *(str(t.get("id")) for _, t in _tables(raw, "categories"))]
    used = set(_strings(raw, "", "use"))
    yield from _repeated(raw, "categories")
    yield from _repeated(raw, "services")
    for index, table in _tables(raw, "services"):
        path, id_, category = f"services[{index}]", str(table.get("id")), table.get("category")
        if id_ in categories:
            yield Fault(f"{path}.id", f"{id_!r} is the id of a category; a service needs one of its own.")
        if id_ in builtin_services() and id_ not in used:
            yield Fault(
                f"{path}.id",
                f"{id_!r} is in the built-in catalogue.",
                f'Add "{id_}" to use, or choose another id.',
            )
        elif category is None and id_ not in used:
            yield Fault(f"{path}.category", "is required and missing.", f"One of: {', '.join(categories)}.")
        if isinstance(category, str) and category not in categories:
            hint = nearest(category, categories) or f"Known: {', '.join(categories)}."
            yield Fault(f"{path}.category", f"{category!r} is not a category.", hint)


def _repeated(raw: Mapping[str, Any], key: str) -> Iterator[Fault]:
    seen = set[str]()
    for index, table in _tables(raw, key):
        id_ = table.get("id")
        if isinstance(id_, str) and id_ in seen:
            yield Fault(f"{key}[{index}].id", f"{id_!r} is declared twice.", "Merge the two tables.")
        seen.add(str(id_))


def _essential_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """A cookie that is known to track cannot be called essential (CONFORMANCE ENF-1)."""
    declared = [
        (str(cookie.get("name")), str(table.get("id")))
        for _, table in _tables(raw, "services")
        if table.get("category") != ESSENTIAL
        for _, cookie in _tables(table, "cookies")
    ]
    for index, name in enumerate(_strings(raw, "cookies", "essential")):
        owners = [service.name for service in known_cookie_owners(name)] or [
            service.name
            for service in builtin_services().values()
            if service.category != ESSENTIAL
            and any(fnmatchcase(cookie.name, name) for cookie in service.cookies)
        ]
        path = f"cookies.essential[{index}]"
        if owners:
            yield Fault(
                path,
                f"{name!r} is a tracking cookie of {', '.join(owners)}; it cannot be essential.",
                "Remove it.",
            )
        for other, service_id in declared:
            if name == other:
                yield Fault(
                    path,
                    f"{name!r} is also declared by the service {service_id!r}.",
                    "Remove one of the two.",
                )


def _essential_service_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Nor can a service that measures or advertises, whatever it is called (CONFORMANCE ENF-1)."""
    for index, table in _tables(raw, "services"):
        if table.get("category") != ESSENTIAL:
            continue
        for position, pattern in enumerate(table.get("hosts") or ()):
            owners = _trackers_at(str(pattern))
            if owners:
                problem = f"{pattern!r} is where {', '.join(owners)} tracks; it cannot be essential."
                path = f"services[{index}].hosts[{position}]"
                yield Fault(path, problem, "Declare the service in a category that is asked about.")
        known = builtin_services().get(str(table.get("id")))
        if known and known.category in _TRACKING:
            problem = f"{known.id!r} is {known.category} software; it cannot be essential."
            yield Fault(f"services[{index}].category", problem, "Leave the category out.")
        for position, cookie in _tables(table, "cookies"):
            name = str(cookie.get("name"))
            owners = [s.name for s in known_cookie_owners(name) if s.category in _TRACKING]
            if owners:
                problem = f"{name!r} is a tracking cookie of {', '.join(owners)}; it cannot be essential."
                path = f"services[{index}].cookies[{position}].name"
                yield Fault(path, problem, "Declare the service in a category that is asked about.")


def _trackers_at(pattern: str) -> list[str]:
    """Return the names of the services that measure or advertise at a host pattern."""
    name = pattern.partition("/")[0]
    return [
        service.name
        for service in builtin_services().values()
        if service.category in _TRACKING
        and any(
            host.removeprefix("*.") == name.removeprefix("*.")
            or (name.startswith("*.") and "/" not in host and host.endswith(name[1:]))
            for host in service.hosts
        )
    ]


def _language_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    languages = available_languages()
    found = _strings(raw, "site", "languages")
    for index, language in enumerate(found):
        if language not in languages:
            near = best_language([language], languages)
            hint = f"Did you mean {near!r}?" if near else nearest(language, languages)
            hint = hint or f"Available: {', '.join(sorted(languages))}."
            yield Fault(
                f"site.languages[{index}]", f"there are no texts in {language!r} in this version.", hint
            )
    site = raw.get("site")
    if isinstance(site, Mapping) and site.get("languages") == []:
        yield Fault("site.languages", "is empty.", 'At least one is needed, e.g. ["en"].')


def _store_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Find a store that cannot be opened, without opening it; its URL is never repeated."""
    table = raw.get("records")
    url = table.get("url") if isinstance(table, Mapping) else None
    if not isinstance(url, str) or url == "none":
        return
    scheme = _SCHEME.match(url)
    if scheme is None:
        hint = 'For instance "sqlite:///consent-records.db", "postgresql+psycopg://user@host/name" or "none".'
        yield Fault("records.url", "is not the address of a database.", hint)
    elif scheme[1].partition("+")[0] not in _DATABASES:
        hint = nearest(scheme[1], _DATABASES) or f"Known: {', '.join(_DATABASES)}."
        yield Fault("records.url", f"{scheme[1]!r} is no kind of database that records can be kept in.", hint)
    elif not _has_port(url):
        yield Fault("records.url", "has a port that is no number.")
    elif (module := _DRIVERS.get(scheme[1])) and find_spec(module) is None:
        yield Fault("records.url", f"{scheme[1]} needs the driver {module}.", f"Run: pip install {module}")


def _has_port(url: str) -> bool:
    """Return whether what stands where the port does is one, or nothing."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _version_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    for section, key, accepted in _NOT_YET:
        table = raw.get(section)
        value = table.get(key, accepted[0]) if isinstance(table, Mapping) else accepted[0]
        model = SECTIONS[section].model_fields[key]
        if value not in accepted and _is_valid(model.annotation, value):
            yield Fault(
                f"{section}.{key}",
                f"{value!r} is not available in this version yet.",
                f"Leave it at {accepted[0]!r}.",
            )


def _region_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    names = _strings(raw, "site", "region_headers")
    for index, name in enumerate(names):
        problem = region_header_problem(name, names)
        if problem:
            yield Fault(f"site.region_headers[{index}]", problem)


def _is_valid(annotation: Any, value: object) -> bool:
    if get_origin(annotation) is list:
        return isinstance(value, list)
    options = get_args(annotation)
    return value in options if options else isinstance(value, annotation)
