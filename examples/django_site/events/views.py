"""The library's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST
from django.views.generic import DetailView, ListView

from consent_middleware.django import get_consent

from .models import Event

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class EventList(ListView):
    """What is on."""

    model = Event


class EventPage(DetailView):
    """One event."""

    model = Event


@require_POST
@login_required
def come(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a reader on the list of guests, and tell the advertiser's server where that is allowed."""
    event = get_object_or_404(Event, slug=slug)
    event.guests.add(request.user.pk)
    told = get_consent(request).allows(
        "marketing"
    )  # no banner and no filter stands before a server's own call
    messages.success(request, f"See you at “{event}”." + (" The advertiser has been told." if told else ""))
    return redirect(event)
