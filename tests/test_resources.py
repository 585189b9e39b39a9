from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consent_middleware import resources
from consent_middleware.resources import read_bytes, read_text, resource_root

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget where the resources are, before and after."""
    resource_root.cache_clear()
    yield
    resource_root.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_a_checkout_has_them_at_the_top() -> None:
    """An editable install finds templates and static files beside src."""
    assert resource_root() == Path(resources.__file__).resolve().parents[2]


@pytest.mark.usefixtures("fresh")
def test_a_wheel_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package holds templates, they are used."""
    (tmp_path / "templates").mkdir()
    monkeypatch.setattr(resources, "files", lambda _name: tmp_path)
    assert resource_root() == tmp_path


def test_a_resource_is_read() -> None:
    """A file comes as bytes or as text."""
    assert read_bytes("templates", "banner.html").decode() == read_text("templates", "banner.html")
