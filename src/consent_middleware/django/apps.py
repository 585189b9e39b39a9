"""The Django app: its system checks, its template tags, and a site that follows a test's settings."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed
from django.utils.autoreload import autoreload_started

from consent_middleware.django import conf
from consent_middleware.django.checks import check_consent

__all__ = ["ConsentAppConfig"]


class ConsentAppConfig(AppConfig):
    """``INSTALLED_APPS += ["consent_middleware.django"]``."""

    name = "consent_middleware.django"
    label = "consent_middleware"
    verbose_name = "Consent"

    def ready(self) -> None:
        """Register the checks, and follow what changes."""
        register(check_consent, "consent")
        setting_changed.connect(conf.forget)
        autoreload_started.connect(conf.watch)
