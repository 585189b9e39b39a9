"""How the staff sees events."""

from __future__ import annotations

from django.contrib import admin

from .models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    """A list by date, with a search."""

    list_display = ("title", "starts", "room")
    list_filter = ("room",)
    search_fields = ("title", "text")
    prepopulated_fields = {"slug": ["title"]}  # noqa: RUF012 - Django's own attribute
    filter_horizontal = ("guests",)
