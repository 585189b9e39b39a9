"""Consent for every ASGI and WSGI site.

One line adds it::

    from consent_middleware.asgi import ConsentMiddleware  # FastAPI, Starlette, ...
    from consent_middleware.wsgi import ConsentMiddleware  # Flask, ...
    from consent_middleware.flask import Consent  # Flask, with tags for its templates and more

Importing this package imports no framework and opens nothing.
"""

from consent_middleware.config import ConsentConfig, load_config
from consent_middleware.consent import Consent
from consent_middleware.errors import (
    ConfigError,
    ConsentError,
    Fault,
    LateChangeError,
    StoreError,
    UnknownIdError,
)
from consent_middleware.owner import Records
from consent_middleware.records import ConsentRecord, Person
from consent_middleware.request import ConsentRequest
from consent_middleware.snapshot import Snapshot
from consent_middleware.version import __version__

__all__ = [
    "ConfigError",
    "Consent",
    "ConsentConfig",
    "ConsentError",
    "ConsentRecord",
    "ConsentRequest",
    "Fault",
    "LateChangeError",
    "Person",
    "Records",
    "Snapshot",
    "StoreError",
    "UnknownIdError",
    "__version__",
    "load_config",
]
