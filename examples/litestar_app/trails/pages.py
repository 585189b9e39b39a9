"""The pages."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body
from litestar.response import Redirect, Template

from .reports import TRAILS, Level


class Pages(Controller):
    """What visitors see."""

    include_in_schema = False

    @get("/")
    async def home(self, request: Request[Any, Any, Any]) -> Template:
        """Show all trails, those that the visitor keeps marked."""
        kept = request.session.get("kept", [])
        return Template("home.html", context={"trails": TRAILS.values(), "levels": Level, "kept": kept})

    @get("/trail/{slug:str}")
    async def trail(self, request: Request[Any, Any, Any], slug: str) -> Template:
        """Show one trail."""
        if slug not in TRAILS:
            raise NotFoundException("There is no such trail.")
        kept = slug in request.session.get("kept", [])
        # Asking makes the page this visitor's own: `Cache-Control: private`.
        counted = request.state.consent.allows("analytics")
        return Template("trail.html", context={"trail": TRAILS[slug], "kept": kept, "counted": counted})

    @post("/keep")
    async def keep(
        self,
        request: Request[Any, Any, Any],
        data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
    ) -> Redirect:
        """Keep a trail in the session, or let it go."""
        slug = data.get("trail", "")
        kept = [known for known in request.session.get("kept", []) if known != slug]
        if slug in TRAILS and len(kept) == len(request.session.get("kept", [])):
            kept.append(slug)
        request.session["kept"] = kept
        return Redirect(f"/trail/{slug}" if slug in TRAILS else "/", status_code=303)

    @get("/webcam")
    async def webcam(self) -> Template:
        """Show a film from a third party."""
        return Template("webcam.html")

    @get("/privacy")
    async def privacy(self) -> Template:
        """Say what is processed; the banner links here."""
        return Template("privacy.html")
