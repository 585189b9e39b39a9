"""What happens in the library, and who comes."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse


class Event(models.Model):
    """Something that happens at a time and a place."""

    title = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    starts = models.DateTimeField()
    room = models.CharField(max_length=60)
    text = models.TextField()
    guests = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="events")

    class Meta:
        """The next one first."""

        ordering = ("starts",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return where its page is."""
        return reverse("event", args=[self.slug])
