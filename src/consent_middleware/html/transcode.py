"""Open a gzip body, let the injector at it, and close it again, as a stream.

A compressing middleware inside the app must not hide the page from us. Decompression gives a bounded output
a step, so that a small body that unfolds to a huge one never stands in memory whole. Source: RFC 1952.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.html.chain import Chain
    from consent_middleware.html.injector import Injector

__all__ = ["GzipTranscoder"]

_STEP = 65_536
_INPUT = 16_384
_MAGIC = b"\x1f\x8b"
_GZIP = 31
_LEVEL = 5


class GzipTranscoder:
    """Feed gzip bytes in, get gzip bytes with everything inserted out; same interface as `Injector`.

    A body that turns out not to be gzip before anything has left passes as it came. One that breaks later
    ends there, as it would have ended in the browser.
    """

    __slots__ = ("_broken", "_deflate", "_ended", "_inflate", "_injector", "_raw", "_started")

    def __init__(self, injector: Injector | Chain) -> None:
        self._injector = injector
        self._inflate = zlib.decompressobj(_GZIP)
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._raw: list[bytes] = []
        self._started = False
        self._broken = self._ended = False

    @property
    def decided(self) -> bool:
        """Whether it is settled what is inserted."""
        return self._broken or self._injector.decided

    @property
    def untouched(self) -> bool:
        """Whether the body passes as it came, once `decided`."""
        return not self._started and (self._broken or self._injector.untouched)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next compressed bytes; return what can leave now."""
        if self.decided and self.untouched:
            return chunk
        return self._pass(chunk, flush=True)

    def close(self) -> bytes:
        """End the body."""
        if self.decided and self.untouched:
            return b""
        rest = self._injector.close()
        if self.untouched:
            return b"".join(self._raw)
        self._started = True
        return self._deflate.compress(rest) + self._deflate.flush()

    def whole(self, body: bytes) -> bytes:
        """Return a complete body with everything inserted."""
        return self._pass(body, flush=False) + self.close()

    def _pass(self, chunk: bytes, *, flush: bool) -> bytes:
        """Open, inject and close a chunk step by step; return the app's own bytes if nothing is to be done."""
        if not self._started:
            self._raw.append(chunk)
        out = []
        for piece in self._open(chunk):
            plain = self._injector.feed(piece)
            if plain and not self._injector.untouched:
                self._started = True
                out.append(self._deflate.compress(plain))
        if not self.decided:
            return b""
        if self.untouched:
            raw, self._raw = self._raw, []
            return b"".join(raw)
        if self._started:
            self._raw = []
        if flush and out:  # lets the browser paint what the app has sent, as it could before
            out.append(self._deflate.flush(zlib.Z_SYNC_FLUSH))
        return b"".join(out)

    def _open(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk unfolds to, 64 KB at a time; gzip allows several members in a row."""
        for start in range(0, len(chunk), _INPUT):  # what is left of a long input is copied each step
            yield from self._unfold(chunk[start : start + _INPUT])

    def _unfold(self, data: bytes) -> Iterator[bytes]:
        while data and not self._broken and not self._ended:
            if self._inflate.eof:
                if not data.startswith(_MAGIC[: len(data)]):
                    self._ended = True  # padding behind the last member: not ours to judge
                    return
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                piece = self._inflate.decompress(data, _STEP)
            except zlib.error:
                self._broken = True
                return
            if piece:
                yield piece
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
