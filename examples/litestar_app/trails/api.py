"""The JSON API. It is no page: nothing is put into it, and its bytes leave as they are."""

from __future__ import annotations

from litestar import Controller, get
from litestar.exceptions import NotFoundException

from .reports import TRAILS, Level, Trail


class TrailApi(Controller):
    """Trails, for programs and for the page's own script."""

    path = "/api/trails"

    @get()
    async def find(self, level: Level | None = None) -> list[Trail]:
        """Return all trails, or those of one level."""
        return [trail for trail in TRAILS.values() if level in {None, trail.level}]

    @get("/{slug:str}")
    async def one(self, slug: str) -> Trail:
        """Return one trail."""
        if slug not in TRAILS:
            raise NotFoundException("There is no such trail.")
        return TRAILS[slug]
