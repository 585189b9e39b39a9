"""consent.toml: its shape, its defaults, and one error that names every fault.

Reads a file, a dict of the same shape or a `ConsentConfig`. Every fault is found in one go.
"""

from __future__ import annotations

import hmac
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from consent_middleware.config.faults import cross_faults, shape_fault
from consent_middleware.config.model import ConsentConfig
from consent_middleware.errors import ConfigError, Fault

__all__ = ["ConsentConfig", "derived_key", "is_guessable", "load_config", "load_secret_keys"]

_LABEL = b"consent-middleware: a key of its own, made from the site's secret key"
_SHORT_KEY = 16
_PLACEHOLDER = "change-me"


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | ConsentConfig | None = None,
    environ: Mapping[str, str] | None = None,
) -> ConsentConfig:
    """Read and check a declaration.

    Args:
        source: A path, a dict of the same shape, or a `ConsentConfig`; None: ``CONSENT_CONFIG``, else
            ``consent.toml`` in the current folder.
        environ: Stands for ``os.environ``: ``CONSENT_RECORDS_URL``, ``CONSENT_RECORDS_JOURNAL`` and ``CONSENT_MODE``
            override the file.

    Raises:
        ConfigError: With every fault found.
    """
    env = os.environ if environ is None else environ
    if isinstance(source, ConsentConfig):
        label, raw, folder = "ConsentConfig", source.model_dump(exclude_unset=True), source.folder
    elif isinstance(source, Mapping):
        label, raw, folder = "dict", dict(source), Path.cwd()
    elif source is not None and not isinstance(source, str | os.PathLike):
        hint = "Give a path, a dict of the same shape as consent.toml, or a ConsentConfig."
        raise ConfigError(
            "config", [Fault("config", f"is no declaration. Found {type(source).__name__}.", hint)]
        )
    else:
        path = Path(source or env.get("CONSENT_CONFIG") or "consent.toml")
        label, raw, folder = str(path), _read(path), path.resolve().parent
    raw = _overridden(raw, env)
    faults: list[Fault] = []
    config: ConsentConfig | None = None
    try:
        config = ConsentConfig.model_validate(raw)
    except ValidationError as error:
        found = [shape_fault(details) for details in error.errors(include_url=False)]
        # A value that may be of two shapes is reported once, not once a shape.
        faults += {fault.path: fault for fault in reversed(found)}.values()
        faults.reverse()
    faults += cross_faults(raw)
    if faults or config is None:
        raise ConfigError(label, faults)
    return config.at(folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        hint = (
            "Give config=..., set CONSENT_CONFIG, or write consent.toml with at least:\n"
            '      [site]\n      name = "Example Shop"\n'
            '      [controller]\n      name = "Example GmbH"\n      contact = "privacy@example.com"'
        )
        raise ConfigError(str(path), [Fault("", f"there is no file {str(path)!r}.", hint)]) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), [Fault("", "the file is not UTF-8.", "Save it as UTF-8.")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), [Fault("", f"the file is not valid TOML: {error}.")]) from None
    except IsADirectoryError:
        hint = f"Give the file in it: {str(path / 'consent.toml')!r}."
        raise ConfigError(str(path), [Fault("", "this is a folder, not a file.", hint)]) from None
    except OSError as error:
        raise ConfigError(str(path), [Fault("", f"the file cannot be read: {error.strerror}.")]) from None


def _overridden(raw: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    for variable, section, key in (
        ("CONSENT_RECORDS_URL", "records", "url"),
        ("CONSENT_RECORDS_JOURNAL", "records", "journal"),
        ("CONSENT_MODE", "site", "mode"),
    ):
        value = env.get(variable)
        if value and isinstance(raw.get(section, {}), Mapping):
            raw = {**raw, section: {**raw.get(section, {}), key: value}}
    return raw


def load_secret_keys(
    secret_key: str | Iterable[str] | None, environ: Mapping[str, str] | None = None
) -> list[str]:
    """Return the signing keys: the last signs, all verify.

    Raises:
        ConfigError: There is none.
    """
    env = os.environ if environ is None else environ
    given = env.get("CONSENT_SECRET_KEY", "").split(",") if secret_key is None else secret_key
    given = given if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else list(given)
    if not isinstance(given, str) and (
        not isinstance(given, Iterable)
        or isinstance(given, bytes)
        or not all(isinstance(k, str) for k in given)
    ):
        raise ConfigError("secret_key", [Fault("secret_key", "is neither a text nor a list of texts.")])
    keys = [key.strip() for key in ([given] if isinstance(given, str) else given) if key and key.strip()]
    if not keys:
        hint = (
            "Make one with:  consent-middleware keys new\n"
            "    and pass it as secret_key=... or set CONSENT_SECRET_KEY (several, comma-separated: the last signs)."
        )
        raise ConfigError(
            "secret_key", [Fault("secret_key", "there is no secret to sign the consent cookie with.", hint)]
        )
    return keys


def derived_key(secret: str | bytes) -> str:
    """Return the key that a site's general secret key makes for us: never the one that signs its sessions."""
    return hmac.digest(secret if isinstance(secret, bytes) else secret.encode(), _LABEL, "sha256").hex()


def is_guessable(key: str | bytes) -> bool:
    """Return whether a secret is short, or left over from an example."""
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    return len(text) < _SHORT_KEY or text.startswith(_PLACEHOLDER)
