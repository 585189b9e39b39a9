"""The shop's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, abort, g, render_template, session

from consent_middleware.flask import requires_consent

from .catalogue import TEAS, price

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue

__all__ = ["blueprint"]

# `static_folder` is what all examples share; the shop's own files are in `static/`, as usual.
blueprint = Blueprint("pages", __name__, static_folder="../../common", static_url_path="/common")
blueprint.add_app_template_filter(price)


@blueprint.get("/")
def home() -> str:
    """Show all teas."""
    return render_template("home.html", teas=TEAS.values())


@blueprint.get("/tea/<slug>")
def tea(slug: str) -> str:
    """Show one tea, and remember for the recommendations that it was looked at, if that is allowed."""
    if slug not in TEAS:
        abort(404)
    if g.consent.allows("analytics"):
        session["seen"] = [slug, *(seen for seen in session.get("seen", []) if seen != slug)][:4]
    return render_template("tea.html", tea=TEAS[slug])


@blueprint.get("/for-you")
@requires_consent("analytics")
def recommendations() -> str:
    """Recommend what goes with the teas looked at. Who has not answered is asked first; who refused reads why."""
    seen = [TEAS[slug] for slug in session.get("seen", []) if slug in TEAS]
    other = [tea for tea in TEAS.values() if tea not in seen]
    alike = sorted(
        other, key=lambda tea: min((abs(tea.celsius - known.celsius) for known in seen), default=0)
    )
    return render_template("for_you.html", seen=seen, teas=alike[:3])


@blueprint.get("/favicon.ico")
def icon() -> Response:
    """Answer what browsers ask for beside pages that name no icon, such as the settings."""
    return blueprint.send_static_file("icon.svg")


@blueprint.get("/film")
def film() -> str:
    """Show how tea is made: a video from a third party."""
    return render_template("film.html")


@blueprint.get("/privacy")
def privacy() -> str:
    """Say what is processed; the banner links here."""
    return render_template("privacy.html")


@blueprint.app_errorhandler(403)
@blueprint.app_errorhandler(404)
def problem(error: Exception) -> ResponseReturnValue:
    """Say in words what is wrong."""
    return render_template("problem.html", error=error), getattr(error, "code", 500)
