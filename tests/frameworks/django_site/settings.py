"""The settings of a small shop, as `startproject` writes them, with consent added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).parent
SECRET_KEY = "the shop's own secret, known to the tests alone"
ALLOWED_HOSTS = ["shop.example"]
ROOT_URLCONF = "frameworks.django_site.urls"
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "consent_middleware.django",
]
MIDDLEWARE = [
    "consent_middleware.django.ConsentMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
# The tables without the history of how they came about: a test run needs no more.
MIGRATION_MODULES = dict.fromkeys(("admin", "auth", "contenttypes", "sessions"))
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

CONSENT: dict[str, Any] = {
    "config": {
        "use": ["google-analytics", "meta-pixel", "youtube"],
        "site": {"name": "Example Shop", "languages": ["en", "de"]},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "records": {"url": "none"},
    }
}
