"""The setting ``CONSENT``, and the site it makes: one a process, whichever handler or test client asks.

::

    CONSENT = {
        "config": "consent.toml",      # a path from BASE_DIR, a dict, a ConsentConfig; this is the default
        "secret_key": [...],           # default: CONSENT_SECRET_KEY, else derived from SECRET_KEY
        "on_change": "shop.consent.on_change",   # a hook, or where it is: region, age_class, subject, ...
    }
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.utils.module_loading import import_string

from consent_middleware.config import ConsentConfig, derived_key, load_config, load_secret_keys
from consent_middleware.errors import ConfigError, Fault, nearest
from consent_middleware.site import Hooks, Site

if TYPE_CHECKING:
    from consent_middleware.records import ConsentRecord
    from consent_middleware.request import ConsentRequest
    from consent_middleware.site import ConfigSource

__all__ = [
    "SETTINGS",
    "ConsentSettings",
    "consent_options",
    "declaration",
    "forget",
    "given",
    "hooks",
    "keys",
    "site",
    "watch",
]


class ConsentSettings(TypedDict, total=False):
    """The shape of the setting, for type checkers: ``CONSENT: ConsentSettings = {...}``."""

    config: ConfigSource
    secret_key: str | Iterable[str]
    region: str | Callable[[ConsentRequest], str | Awaitable[str | None] | None]
    age_class: str | Callable[[ConsentRequest], str | Awaitable[str | None] | None]
    subject: str | Callable[[ConsentRequest], str | Awaitable[str | None] | None]
    skip: str | Callable[[ConsentRequest], bool | Awaitable[bool]]
    nonce: str | Callable[[ConsentRequest], str | Awaitable[str | None] | None]
    on_change: str | Callable[[ConsentRecord], object]
    on_opt_out: str | Callable[[ConsentRecord], object]


HOOKS = tuple(field.name for field in fields(Hooks))
KEYS = tuple(ConsentSettings.__annotations__)
# What the site is made from; where a test overrides one of them, it is made anew.
SETTINGS = frozenset(
    {
        "BASE_DIR",
        "CONSENT",
        "CSRF_COOKIE_NAME",
        "LANGUAGE_COOKIE_NAME",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "SESSION_COOKIE_NAME",
    }
)
_COOKIES = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "LANGUAGE_COOKIE_NAME")


def given() -> Mapping[str, Any]:
    """Return the setting ``CONSENT``, its keys checked.

    Raises:
        ConfigError: It is no dict, or holds a key that nobody reads.
    """
    found = getattr(settings, "CONSENT", {})
    if not isinstance(found, Mapping):
        hint = 'Write CONSENT = {"config": "consent.toml"}.'
        raise ConfigError("settings", [Fault("CONSENT", f"is {type(found).__name__}, not a dict.", hint)])
    faults = [
        Fault(f"CONSENT[{key!r}]", "is not a setting.", nearest(key, KEYS) or f"Known: {', '.join(KEYS)}.")
        for key in found
        if key not in KEYS
    ]
    if faults:
        raise ConfigError("settings", faults)
    return found


@cache
def declaration() -> ConsentConfig:
    """Return what the site declares, with the cookies that Django's own settings name among the essential ones.

    Raises:
        ConfigError: With every fault found.
    """
    source = _source()
    config = load_config(source)
    if isinstance(source, Mapping) and (base := getattr(settings, "BASE_DIR", None)):
        config = config.at(Path(base))
    # A site may call its session as it likes; csrftoken, sessionid, messages and django_language are known.
    names = [getattr(settings, setting) for setting in _COOKIES]
    undeclared = [name for name in names if not config.catalog.owners(name)]
    if not undeclared:
        return config
    cookies = config.cookies.model_copy(update={"essential": [*config.cookies.essential, *undeclared]})
    return load_config(config.model_copy(update={"cookies": cookies}))


def _source() -> Any:
    """Return what ``CONSENT`` names; a path starts from BASE_DIR, wherever the process was started."""
    source, base = given().get("config"), getattr(settings, "BASE_DIR", None)
    if base is None:
        return source
    if source is None and not os.environ.get("CONSENT_CONFIG"):
        source = "consent.toml"
    return Path(base) / source if isinstance(source, (str, os.PathLike)) else source


def keys() -> list[str]:
    """Return the signing keys; the last signs, all verify.

    Raises:
        ConfigError: What ``CONSENT`` holds is none.
        ImproperlyConfigured: There is no ``SECRET_KEY`` to derive one from.
    """
    own: str | Iterable[str] | None = given().get("secret_key")
    if own is not None or os.environ.get("CONSENT_SECRET_KEY"):
        return load_secret_keys(own)
    # Django names the newest first, and signs with it.
    return [derived_key(key) for key in (*reversed(settings.SECRET_KEY_FALLBACKS), settings.SECRET_KEY)]


def hooks() -> dict[str, Callable[..., Any]]:
    """Return the site's hooks by name.

    Raises:
        ConfigError: One cannot be imported or called.
    """
    faults: list[Fault] = []
    found = {name: _hook(name, hook, faults) for name in HOOKS if (hook := given().get(name)) is not None}
    if faults:
        raise ConfigError("settings", faults)
    return found


def _hook(name: str, hook: Any, faults: list[Fault]) -> Any:
    where = f"CONSENT[{name!r}]"
    if isinstance(hook, str):
        try:
            hook = import_string(hook)
        except ImportError as error:
            faults.append(Fault(where, f"cannot be imported: {error}.", "Name a function by its full path."))
            return None
    if not callable(hook):
        hint = 'Give one, or its full path such as "shop.consent.region".'
        faults.append(Fault(where, "is no function.", hint))
        return None
    return hook


def consent_options() -> dict[str, Any]:
    """Return what ``CONSENT`` says as the arguments of the middleware that wraps a whole handler.

    ::

        from consent_middleware.wsgi import ConsentMiddleware  # or asgi

        application = ConsentMiddleware(get_wsgi_application(), **consent_options())

    Raises:
        ConfigError: The setting, the declaration, a key or a hook cannot be used.
    """
    return {"config": declaration(), "secret_key": keys(), **hooks()}


@cache
def site() -> Site:
    """Return the site, made when first asked for.

    Raises:
        ConfigError: The setting, the declaration, a key or a hook cannot be used.
        ImproperlyConfigured: There is no ``SECRET_KEY``.
    """
    plain = {name: _plain(hook) for name, hook in hooks().items()}
    return Site(declaration(), keys(), hooks=Hooks(**plain))


def _plain(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that can be called from a worker thread, from which the event loop can be reached."""
    return async_to_sync(hook) if iscoroutinefunction(hook) else hook


def watch(*, sender: Any, **_: object) -> None:
    """Have ``runserver`` start again when the declaration changes."""
    with suppress(ConfigError):  # the checks say so
        source = _source() or os.environ.get("CONSENT_CONFIG", "consent.toml")
        if isinstance(source, (str, os.PathLike)):
            sender.watch_file(Path(source).resolve())


def forget(*, setting: str, **_: object) -> None:
    """Let go of the site where a test changes a setting that it is made from."""
    if setting not in SETTINGS:
        return
    if site.cache_info().currsize and (close := getattr(site().store, "close", None)):
        close()
    site.cache_clear()
    declaration.cache_clear()
