from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consent_middleware.records import Changes, Declarations
from helpers_core import make_catalog, service

if TYPE_CHECKING:
    from pathlib import Path

OLD = make_catalog(
    service("shop", "essential"),
    service("stats", "analytics", "st", name="Statistics"),
    service("ads", "marketing", name="Adverts"),
)
NEW = make_catalog(
    service("shop", "essential", "basket"),
    service("stats", "analytics", "st", "st2", name="Statistics of ours"),
    service("map", "functional", name="Map"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where declarations are kept; not there yet."""
    return tmp_path / "journal" / "declarations"


@pytest.mark.conformance("EU-6")
def test_what_changed_is_known_by_name(folder: Path) -> None:
    """EU-6: new, changed and gone services; what needs no consent is not told."""
    Declarations(OLD, folder).keep()
    found = Declarations(NEW, folder).since(OLD.fingerprint)
    assert found == Changes(new=("Map",), changed=("Statistics of ours",), gone=("Adverts",))


def test_wording_is_no_change(folder: Path) -> None:
    """Another name for the same processing is nothing that a visitor must be told."""
    Declarations(OLD, folder).keep()
    renamed = make_catalog(
        service("shop", "essential"),
        service("stats", "analytics", "st", name="Numbers"),
        service("ads", "marketing", name="Adverts"),
    )
    assert Declarations(renamed, folder).since(OLD.fingerprint) == Changes()


def test_nothing_is_written_before_an_answer(folder: Path) -> None:
    """Making a site leaves no trace."""
    Declarations(OLD, folder)
    assert not folder.exists()


def test_one_file_a_declaration(folder: Path) -> None:
    """However often, and by however many workers, it is kept."""
    for _ in range(3):
        subject = Declarations(OLD, folder)
        subject.keep()
        subject.keep()
    assert [path.name for path in folder.iterdir()] == [f"{OLD.fingerprint}.json"]
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": ["b"]}', "\x00", '"text"'])
def test_a_file_that_is_none_is_passed_over(folder: Path, content: str) -> None:
    """What is not ours is left where it is, and says nothing."""
    folder.mkdir(parents=True)
    (folder / f"{OLD.fingerprint}.json").write_text(content, "utf-8")
    assert Declarations(NEW, folder).since(OLD.fingerprint) == Changes()


def test_an_unknown_declaration_tells_nothing(folder: Path) -> None:
    """A visitor from another host's time is told in general words."""
    assert Declarations(NEW, folder).since("AAAAAAAA") == Changes()


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The answer goes on; the log says so once."""
    (tmp_path / "file").write_text("x", "utf-8")
    subject = Declarations(OLD, tmp_path / "file" / "declarations")
    subject.keep()
    subject.keep()
    assert len([r for r in caplog.records if "could not be kept" in r.getMessage()]) == 1
