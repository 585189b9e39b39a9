"""The Flask extension: ``Consent(app)``, or ``Consent()`` and later ``init_app(app)``.

Wraps the app's ``wsgi_app`` in the WSGI middleware, so that cookies written after ``after_request`` (Flask's own session
is one) are seen too, and gives views, templates and ``flask consent`` what they need. Decides nothing.
"""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode

import click
import flask
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

from consent_middleware import jinja
from consent_middleware.config import derived_key, is_guessable, load_config, load_secret_keys
from consent_middleware.consent import Consent as VisitorConsent
from consent_middleware.errors import ConfigError, Fault, nearest
from consent_middleware.reporting import logger
from consent_middleware.site import Site
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flask.typing import ResponseReturnValue, RouteCallable

    from consent_middleware.config import ConsentConfig
    from consent_middleware.environ import Environ
    from consent_middleware.exchange import Exchange
    from consent_middleware.records import ConsentRecord
    from consent_middleware.request import ConsentRequest
    from consent_middleware.site import ConfigSource
    from consent_middleware.wsgi import App, StartResponse

__all__ = ["Consent", "get_consent", "requires_consent"]

View = TypeVar("View", bound="RouteCallable")
_NAME = "consent"  # in app.extensions, on the command line, on flask.g
_LAID_OVER = ("CONSENT_RECORDS_URL", "CONSENT_RECORDS_JOURNAL", "CONSENT_MODE")
_KNOWN = ("CONSENT_CONFIG", "CONSENT_SECRET_KEY", *_LAID_OVER)
_BELOW = ("app", "wsgi_app", "application")  # what a layer usually calls the app that it wraps


class Consent:
    """Add consent to Flask apps. One object may serve several, each with settings of its own.

    Settings, from ``app.config``:

    ``CONSENT_CONFIG``: a path, a dict, a `ConsentConfig`; default: the environment's, else ``consent.toml``.
    ``CONSENT_SECRET_KEY``: one key or several (the last signs, all verify); default: the environment's, else keys made
    from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.
    ``CONSENT_MODE``, ``CONSENT_RECORDS_URL``, ``CONSENT_RECORDS_JOURNAL``: laid over the declaration, below the environment's.

    Args:
        app: The app; None: call `init_app`.
        region: Given a `ConsentRequest`, where the visitor is: ``"DE"``, ``"US-CA"``, None where unknown.
        age_class: Likewise: ``"under_13"``, ``"13_15"``, ``"adult"`` or ``"unknown"``.
        subject: Likewise: the account the visitor is logged in to. Flask's session is not open yet: where the account
            stands there, call ``flask.g.consent.identify()`` instead.
        skip: Given a `ConsentRequest`, True leaves the banner out; the filter stays.
        nonce: Given a `ConsentRequest`, the CSP nonce of its response; ``flask.g`` is that of the request.
        on_change: Called with each `ConsentRecord` once it is durable.
        on_opt_out: Called with the record of each opt-out at least once.

    Raises:
        ConfigError: As `init_app`.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        region: Callable[[ConsentRequest], str | None] | None = None,
        age_class: Callable[[ConsentRequest], str | None] | None = None,
        subject: Callable[[ConsentRequest], str | None] | None = None,
        skip: Callable[[ConsentRequest], bool] | None = None,
        nonce: Callable[[ConsentRequest], str | None] | None = None,
        on_change: Callable[[ConsentRecord], object] | None = None,
        on_opt_out: Callable[[ConsentRecord], object] | None = None,
    ) -> None:
        self._hooks = {
            "region": region,
            "age_class": age_class,
            "subject": subject,
            "skip": skip,
            "nonce": nonce,
            "on_change": on_change,
            "on_opt_out": on_opt_out,
        }
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Add consent to an app. Afterwards ``app.extensions["consent"].site`` is its `Site`.

        Settings are read now, so that what is wrong with them shows at the start, and once more at the first request,
        so that a key that is set in between counts. A `ProxyFix` stays outside, whenever it is put round the app.

        Raises:
            ConfigError: The settings cannot be used, the app has consent already, it has served a request, or it
                is no Flask app.
        """
        if not hasattr(app, "wsgi_app"):
            hint = "For Quart: app.asgi_app = ConsentMiddleware(app.asgi_app), from consent_middleware.asgi."
            raise _fault("app", f"is no Flask app, but {type(app).__name__}.", hint)
        layers = [*_layers(app)]
        if _NAME in app.extensions or any(isinstance(layer, ConsentMiddleware) for layer in layers):
            raise _fault(
                "app",
                "has consent already.",
                "Call Consent(app) or init_app(app) once, and wrap wsgi_app in no ConsentMiddleware beside.",
            )
        fixes = [layer for layer in layers if isinstance(layer, ProxyFix)]
        middleware = _Middleware(fixes[-1].app if fixes else app.wsgi_app, app, self._hooks)
        try:
            app.before_request(_compare_schemes)
        except AssertionError:
            hint = "Call it where the app is made, before it serves."
            raise _fault("app", "has served a request before consent was added.", hint) from None
        if fixes:
            fixes[-1].app = cast("Any", middleware)
            _tell_of_layers(layers)
        else:
            app.wsgi_app = middleware  # type: ignore[method-assign]
        app.extensions[_NAME] = middleware
        flask.appcontext_pushed.connect(_provide, app)
        jinja.install(app.jinja_env, site=lambda: middleware.site, consent=lambda _: get_consent())
        app.jinja_env.globals[_NAME] = _consent
        app.cli.add_command(_Commands(app))


def requires_consent(unit: str, *, otherwise: RouteCallable | None = None) -> Callable[[View], View]:
    """Answer a view only where a category or service is granted: ``@app.get(...)`` above, this below.

    Who has not answered yet and comes by a link is sent to the settings, and from there back (303). Everything else is
    a 403 that says why in the visitor's language; the app's error handler for it is asked as usual.

    Args:
        unit: A category or service.
        otherwise: Called in the view's place, with its arguments.

    Raises:
        UnknownIdError: The site declares no such id; at once within an app's context, else when the view is called.
    """
    if flask.has_app_context() and _NAME in flask.current_app.extensions:
        flask.current_app.extensions[_NAME].site.check_unit(unit)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            consent = get_consent()
            if consent.allows(unit):
                return _call(view, *args, **kwargs)
            return _call(otherwise, *args, **kwargs) if otherwise else _refuse(consent, unit)

        return cast("View", guarded)

    return decorate


def _call(view: RouteCallable, *args: Any, **kwargs: Any) -> ResponseReturnValue:
    answer: ResponseReturnValue = flask.current_app.ensure_sync(view)(*args, **kwargs)
    return answer


def _refuse(consent: VisitorConsent, unit: str) -> ResponseReturnValue:
    """Ask who was not asked yet; who said no is not asked again at every turn."""
    request = flask.request
    mode = request.headers.get("Sec-Fetch-Mode")
    navigates = mode == "navigate" if mode else "text/html" in request.headers.get("Accept", "")
    if request.method in {"GET", "HEAD"} and navigates and not consent.answered:
        query = request.query_string.decode("latin-1")
        here = quote(request.script_root + request.path) + (f"?{query}" if query else "")
        return flask.redirect(f"{consent.preferences_url}?{urlencode({'next': here})}", 303)
    raise Forbidden(consent.site.banner.refusal(consent.language, unit))


# -- flask.g.consent


def get_consent() -> VisitorConsent:
    """Return the consent of the request that is answered; without one, or where no middleware ran, nobody's."""
    request = flask.request if flask.has_request_context() else None
    found = request.environ.get("consent_middleware.consent") if request else None
    if found is not None:
        return cast("VisitorConsent", found)
    middleware = flask.current_app.extensions.get(_NAME)
    if middleware is None:
        raise _fault(
            "app", "has no consent.", "Call Consent(app), or consent.init_app(app), where the app is made."
        )
    return VisitorConsent.of_nobody(middleware.site, request.script_root if request else "")


# One that looks each time: a request may use the application context of a test or a command that is already there.
_consent = LocalProxy(get_consent)


def _provide(_app: flask.Flask, **_: Any) -> None:
    flask.g.consent = _consent


# -- the settings


@dataclass(frozen=True, slots=True)
class _Settings:
    """What an app's configuration says at one moment.

    Attributes:
        source: Of the declaration.
        laid_over: What replaces some of it.
        keys: That sign consent; none where there are none yet.
        session_cookie: Its name; Flask's own cookie is essential, whatever it is called.
    """

    source: ConfigSource
    laid_over: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    session_cookie: str

    @classmethod
    def of(cls, app: flask.Flask) -> _Settings:
        config = app.config
        unknown = [name for name in config if name.startswith("CONSENT_") and name not in _KNOWN]
        if unknown:
            known = f"Known: {', '.join(_KNOWN)}; everything else stands in consent.toml."
            raise ConfigError(
                f"app.config of {app.name!r}",
                [
                    Fault(name, "is no setting.", f"{nearest(name, _KNOWN)} {known}".strip())
                    for name in unknown
                ],
            )
        laid_over = tuple((name, str(config[name])) for name in _LAID_OVER if config.get(name))
        return cls(config.get("CONSENT_CONFIG"), laid_over, _keys(app), config["SESSION_COOKIE_NAME"])

    def declaration(self) -> ConsentConfig:
        """Return the declaration, with the session's cookie among what is essential."""
        config = load_config(self.source, {**dict(self.laid_over), **os.environ})
        if config.catalog.owners(self.session_cookie):
            return config
        essential = [*config.cookies.essential, self.session_cookie]
        return config.model_copy(
            update={"cookies": config.cookies.model_copy(update={"essential": essential})}
        )


def _keys(app: flask.Flask) -> tuple[str, ...]:
    """Return the keys that sign consent; the last does, all verify."""
    given = app.config.get("CONSENT_SECRET_KEY")
    if given is not None or os.environ.get("CONSENT_SECRET_KEY"):
        return tuple(load_secret_keys(given))
    fallbacks: Iterable[str | bytes] = app.config.get("SECRET_KEY_FALLBACKS") or ()
    return tuple(derived_key(key) for key in (*fallbacks, app.secret_key) if key) if app.secret_key else ()


def _fault(path: str, problem: str, hint: str) -> ConfigError:
    return ConfigError("consent_middleware.flask.Consent", [Fault(path, problem, hint)])


# -- the middleware, and what else stands round the app


class _Middleware(ConsentMiddleware):
    """The WSGI middleware with an app's settings, looked at once more when the first request comes."""

    def __init__(self, inner: App, app: flask.Flask, hooks: dict[str, Any]) -> None:
        self._app = app
        self._settings = settings = _Settings.of(app)
        # Until the app has a key one of no use stands in, so that the rest is checked now.
        super().__init__(inner, settings.declaration(), settings.keys or (secrets.token_urlsafe(),), **hooks)
        self._is_settled = False
        self._settling = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self._is_settled:
            with self._settling:
                self._settle()
        return super().__call__(environ, start_response)

    def _settle(self) -> None:
        """Take what the app's settings have become since they were read.

        Raises:
            ConfigError: There is still no key, or the settings cannot be used any more.
        """
        if self._is_settled:
            return
        settings = _Settings.of(self._app)
        if not settings.keys:
            hint = (
                'Set app.secret_key or app.config["CONSENT_SECRET_KEY"] before the first request, or CONSENT_SECRET_KEY in '
                "the environment. Make one with:  consent-middleware keys new"
            )
            raise _fault("SECRET_KEY", "there is no secret to sign the consent cookie with.", hint)
        if settings != self._settings:
            self.site = Site(settings.declaration(), settings.keys, hooks=self.site.hooks)
            self._settings = settings
        secret = self._app.secret_key
        if secret and settings.keys[-1] == derived_key(secret) and is_guessable(secret):
            logger.warning(
                "consent_middleware: app.secret_key can be guessed; make one: consent-middleware keys new"
            )
        self._is_settled = True


def _layers(app: flask.Flask) -> Iterator[Any]:
    """Yield what stands round an app, outermost first, as far as it can be seen."""
    layer: Any = app.wsgi_app
    seen: list[Any] = [app]
    while layer is not None and not any(layer is one for one in seen):
        yield layer
        seen.append(layer)
        layer = next((found for name in _BELOW if callable(found := getattr(layer, name, None))), None)


def _tell_of_layers(layers: list[Any]) -> None:
    """Say which layers stand outside a `ProxyFix`, where what they set is not seen."""
    inner = max(place for place, layer in enumerate(layers) if isinstance(layer, ProxyFix))
    for layer in layers[:inner]:
        if not isinstance(layer, ProxyFix):
            logger.warning(
                "consent_middleware: %s stands outside ProxyFix, so that cookies it sets are not held back. Put ProxyFix "
                "round the app last.",
                type(layer).__name__,
            )


def _compare_schemes() -> None:
    """Say once where a layer further in knows of HTTPS what the middleware did not."""
    exchange: Exchange | None = flask.request.environ.get("consent_middleware.active")
    if exchange is not None and flask.request.is_secure and not exchange.secure:
        words = (
            "the app sees HTTPS, consent plain HTTP: what changes it stands inside. Add Consent(app) before that layer, "
            "or set [site] origins."
        )
        exchange.site.reporter.once(logging.WARNING, ("scheme",), words)


# -- flask consent


class _Commands(click.Group):
    """``flask consent``: the commands of ``consent-middleware``, for the app's declaration and keys."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__(
            _NAME,
            help="Consent: what `consent-middleware` does, for this app's declaration and keys.",
            callback=lambda: _preset(app),
            context_settings={"help_option_names": ["-h", "--help"]},  # as the commands have it elsewhere
        )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands; an app that has this one has begun already."""
        return [name for name in _main().list_commands(ctx) if name != "init"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        return _main().get_command(ctx, cmd_name)


def _main() -> click.Group:
    from consent_middleware.cli import main  # noqa: PLC0415 - no site needs it to serve

    return main


def _preset(app: flask.Flask) -> None:
    """Tell the commands whose declaration and keys they are for."""
    from consent_middleware.cli.opening import Preset, in_words  # noqa: PLC0415 - as above

    with in_words():
        settings = _Settings.of(app)
        found = Preset(settings.declaration(), settings.keys or None)
    click.get_current_context().obj = found
