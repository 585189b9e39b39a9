"""What the app answers."""

from __future__ import annotations

from django.urls import path
from django.views.generic import TemplateView

from . import views

urlpatterns = [
    path("", views.EventList.as_view(), name="home"),
    path("event/<slug:slug>/", views.EventPage.as_view(), name="event"),
    path("event/<slug:slug>/come/", views.come, name="come"),
    path("tour/", TemplateView.as_view(template_name="events/tour.html"), name="tour"),
    path("privacy/", TemplateView.as_view(template_name="events/privacy.html"), name="privacy"),
]
