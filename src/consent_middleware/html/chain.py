"""A body on its way through the rewriter and then the injector, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consent_middleware.html.injector import Injector
    from consent_middleware.html.rewriter import Rewriter

__all__ = ["Chain"]


class Chain:
    """Rewrite a body's tags, then put our markup in; same interface as `Injector`.

    Args:
        rewriter: Makes held tags inert.
        injector: None for a body that gets no markup: a fragment.
    """

    __slots__ = ("_injector", "_is_whole", "_rewriter")

    def __init__(self, rewriter: Rewriter, injector: Injector | None) -> None:
        self._rewriter = rewriter
        self._injector = injector
        self._is_whole = False

    @property
    def decided(self) -> bool:
        """Whether it is settled what is done; nothing leaves before."""
        return self._injector is None or self._injector.decided

    @property
    def untouched(self) -> bool:
        """Whether the body passes as it came, once `decided`; of a stream of HTML that is not known beforehand."""
        rewriter = self._rewriter
        is_kept = rewriter.is_data or (self._is_whole and not rewriter.touched)
        return is_kept and (self._injector is None or self._injector.untouched)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; return what can leave now."""
        out = self._rewriter.feed(chunk)
        return self._injector.feed(out) if self._injector else out

    def close(self) -> bytes:
        """End the body; return what was held back."""
        rest = self._rewriter.close()
        return self._injector.feed(rest) + self._injector.close() if self._injector else rest

    def whole(self, body: bytes) -> bytes:
        """Return a complete body."""
        self._is_whole = True
        rewritten = self._rewriter.whole(body)
        return self._injector.whole(rewritten) if self._injector else rewritten
