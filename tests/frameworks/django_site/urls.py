"""What the shop answers."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.decorators.cache import cache_page

from frameworks.django_site import views

urlpatterns = [
    path("", views.home),
    path("data.json", views.data),
    path("cookies/", views.cookies),
    path("raw-cookie/", views.raw_cookie),
    path("what-i-see/", views.what_i_see),
    path("choose/", views.choose),
    path("tags/", views.tags),
    path("order/", views.order),
    path("cached/", cache_page(60)(views.cached)),
    path("cached-tags/", cache_page(60)(views.tags)),
    path("stream/", views.stream),
    path("stream-async/", views.stream_async),
    path("download/", views.download),
    path("page-file/", views.page_file),
    path("part/", views.part),
    path("broken/", views.broken),
    path("async/", views.home_async),
    path("admin/", admin.site.urls),
]
