"""``python manage.py demo``: the tables, a few events, and an account for the admin with a password made up now."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from ...models import Event  # noqa: TID252 - a project is no package of its own

_EVENTS = (
    (
        "Story hour",
        "story-hour",
        2,
        "Children's corner",
        "A bear, a boat and a very small door. From four years on.",
    ),
    (
        "Repair evening",
        "repair-evening",
        5,
        "Workshop",
        "Bring what is broken. Tools and tea are there, and patience.",
    ),
    (
        "Maps of the old town",
        "maps",
        9,
        "Reading room",
        "Six sheets from the archive, on the table for one afternoon.",
    ),
    (
        "Chess, quietly",
        "chess",
        12,
        "Gallery",
        "Ten boards. Beginners sit by the window, where somebody explains.",
    ),
)


class Command(BaseCommand):
    """Fill an empty database."""

    requires_system_checks = ()  # the server makes them
    help = "Makes the tables, a few events and an account for the admin."

    def handle(self, **_: object) -> None:
        """Do so; twice does no harm."""
        call_command("migrate", verbosity=0)
        today = timezone.now().replace(hour=17, minute=0, second=0, microsecond=0)
        for title, slug, days, room, text in _EVENTS:
            facts = {"title": title, "starts": today + timedelta(days=days), "room": room, "text": text}
            Event.objects.get_or_create(slug=slug, defaults=facts)
        password = secrets.token_urlsafe(9)
        get_user_model().objects.update_or_create(
            username="demo",
            defaults={"is_staff": True, "is_superuser": True, "password": make_password(password)},
        )
        self.stdout.write(f"Sign in   as demo, password {password}; the admin is at /admin/")
