"""The table of events."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make it."""

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                ("slug", models.SlugField(unique=True)),
                ("starts", models.DateTimeField()),
                ("room", models.CharField(max_length=60)),
                ("text", models.TextField()),
                (
                    "guests",
                    models.ManyToManyField(blank=True, related_name="events", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ("starts",),
            },
        ),
    ]
