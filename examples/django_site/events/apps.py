"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """What happens in the library."""

    name = "events"
