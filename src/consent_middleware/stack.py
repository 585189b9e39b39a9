"""What an app tells of its own make-up: whether it can be wrapped, and what of it escapes a middleware that was added to it.

Reads attributes only, so no framework is imported; an app that has none of them tells nothing. Standing outside is no
fault by itself: compression, CORS and host checks belong there. What escapes shows in the code of what stands outside:
who sets cookies or answers with pages names what it does that with.
"""

from __future__ import annotations

import inspect
from functools import partial
from itertools import takewhile
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["escapes", "is_added", "is_behind_router", "root_path", "takes", "way_out"]

_DEPTH = 50  # of middlewares; more would be a circle
_TELLING = frozenset({"set_cookie", "HTMLResponse", "TemplateResponse"})
_FRAMEWORK = frozenset({"starlette", "fastapi", "builtins"})  # known: a session's cookie is the app's own
_REMEDY = (
    "Wrap the whole app, below everything that is added to it: app = ConsentMiddleware(app, ...); "
    "or else add ConsentMiddleware last (in a list of middleware: first)."
)
_WRAP = "Wrap the whole app instead, below everything that is added to it: app = ConsentMiddleware(app, ...)."


def takes(app: object, count: int) -> bool:
    """Return whether an app can be called with so many arguments: three are ASGI's, two WSGI's.

    An app whose signature cannot be read, or takes anything, is believed.
    """
    if not callable(app):
        return False
    if isinstance(app, type) and not hasattr(app, "__await__" if count == 3 else "__iter__"):
        return False  # what it makes is no answer, but an app
    try:
        signature = inspect.signature(app, follow_wrapped=False)  # what is called, not what was decorated
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def way_out(app: object, usual: str) -> str:
    """Return the hint for an app that does not fit; what is no app at all, or aiohttp's, fits neither adapter."""
    if isinstance(app, type):
        return f"This is the class {app.__name__}: make an app of it first, and wrap that."
    if not callable(app):
        return f"Found {type(app).__name__}: give the app itself first, then config=... and secret_key=..."
    if type(app).__module__.partition(".")[0] == "aiohttp":
        return "aiohttp.web speaks neither ASGI nor WSGI: put a small ASGI app before it (docs/frameworks/aiohttp.md)."
    return usual


def is_behind_router(app: Any) -> bool:
    """Return whether an app is one route of Litestar, or stands before one: then our own addresses never get here."""
    for _ in range(_DEPTH):
        inner = getattr(app, "app", None)
        if inner is None:
            break
        app = inner
    return type(getattr(app, "__self__", None)).__module__.startswith("litestar.routes")


def is_added(app: object, kind: type) -> bool:
    """Return whether a middleware of this class was added to an app."""
    return any(_is(added, kind) for added in getattr(app, "user_middleware", ()))


def root_path(app: object) -> str:
    """Return the root path that a FastAPI app gives itself, which what is wrapped round it does not see."""
    path = getattr(app, "root_path", "") if hasattr(app, "user_middleware") else ""
    return path if isinstance(path, str) else ""


def escapes(app: object, kind: type) -> list[str]:
    """Return in words what of an app stands outside a middleware that was added to it, and sets cookies or answers with pages.

    Args:
        app: The app that the middleware was added to; None where it is wrapped.
        kind: The middleware's class.
    """
    if not is_added(app, kind):
        return []
    added = getattr(app, "user_middleware", ())
    words = [
        f"{_name(part)} stands outside ConsentMiddleware: its cookies are not held, and its pages get no banner. {_REMEDY}"
        for outer in takewhile(lambda one: not _is(one, kind), added)
        for part in _parts(outer)
        if _tells(part)
    ]
    handlers = getattr(app, "exception_handlers", {})
    words += [
        f"{_name(handler)}, the handler for {'500' if key == 500 else 'Exception'}, answers outside ConsentMiddleware, since "
        f"add_middleware puts it inside the error handling: this page gets no banner, and its cookies are not held. {_WRAP}"
        for key, handler in handlers.items()
        if key in (500, Exception) and _tells(handler)
    ]
    return words


def _is(added: object, kind: type) -> bool:
    cls = getattr(added, "cls", None)
    return isinstance(cls, type) and issubclass(cls, kind)


def _parts(added: Any) -> Iterator[object]:
    """Yield a middleware's class and the functions it is given, like that of ``@app.middleware("http")``."""
    yield added.cls
    yield from (value for value in (*added.args, *added.kwargs.values()) if callable(value))


def _tells(part: Any) -> bool:
    """Return whether the code of a class or function sets cookies or answers with pages."""
    if isinstance(part, partial):
        return _tells(part.func)
    if isinstance(part, type):
        own = (base for base in part.__mro__ if base.__module__.partition(".")[0] not in _FRAMEWORK)
        return any(
            _tells(value) for base in own for value in vars(base).values() if not isinstance(value, type)
        )
    function = getattr(part, "__func__", part)  # of a method
    return _names(getattr(function, "__code__", None))


def _names(constant: object) -> bool:
    """Return whether a code, or a constant in it, names what sets cookies or answers with pages."""
    if isinstance(constant, CodeType):
        return not _TELLING.isdisjoint(constant.co_names) or _names(constant.co_consts)
    if isinstance(constant, tuple):
        return any(_names(one) for one in constant)
    text = constant.decode("latin-1") if isinstance(constant, bytes) else constant
    return isinstance(text, str) and text.lower() == "set-cookie"


def _name(part: object) -> str:
    found = part.func if isinstance(part, partial) else part
    return str(getattr(found, "__qualname__", type(found).__qualname__))
