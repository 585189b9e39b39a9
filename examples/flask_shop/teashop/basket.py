"""The basket: in the session, which is essential, so that it works whatever the visitor has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, session, url_for

from .catalogue import TEAS, price

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

__all__ = ["blueprint"]

blueprint = Blueprint("basket", __name__, url_prefix="/basket")


@blueprint.app_context_processor
def count() -> dict[str, int]:
    """Tell every page how much is in the basket."""
    return {"in_basket": sum(session.get("basket", {}).values())}


@blueprint.get("/")
def show() -> str:
    """Show what is in it."""
    lines = [(TEAS[slug], number) for slug, number in session.get("basket", {}).items() if slug in TEAS]
    total = price(sum(tea.cents * number for tea, number in lines))
    return render_template("basket.html", lines=lines, total=total)


@blueprint.post("/")
def add() -> ResponseReturnValue:
    """Put a tea in."""
    slug = request.form.get("tea", "")
    if slug in TEAS:
        basket = dict(session.get("basket", {}))
        session["basket"] = {**basket, slug: min(basket.get(slug, 0) + 1, 99)}
    return redirect(url_for(".show"), 303)


@blueprint.post("/empty")
def empty() -> ResponseReturnValue:
    """Take everything out."""
    session.pop("basket", None)
    return redirect(url_for(".show"), 303)
