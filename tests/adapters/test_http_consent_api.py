"""What the app reads and changes: `consent.allows`, `.update` and their promises (issue parts 4, 9 and 10)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.errors import LateChangeError, UnknownIdError
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Client, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
TEXT = ("Content-Type", "text/plain")
PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"


class Updating:
    """An app that makes a choice for the visitor, and keeps what it could read before and after."""

    def __init__(self, changes: dict[str, bool], body: bytes = PAGE) -> None:
        self.changes = changes
        self.body = body
        self.before: frozenset[str] = frozenset()
        self.after: frozenset[str] = frozenset()

    def __call__(self, seen: Any) -> Any:
        """Answer one request."""
        self.before = seen.consent.granted
        seen.consent.update(self.changes)
        self.after = seen.consent.granted
        return 200, [HTML if self.body is PAGE else TEXT, ("Set-Cookie", "_ga=1")], [self.body]


def consent_of(app: Client, **headers: str) -> Any:
    """Return what the app got for one request."""
    app.get(headers=headers)
    return app.seen[-1].consent


OK = (200, [TEXT], [b"ok"])


@pytest.mark.conformance("GCM-4")
@pytest.mark.parametrize(
    ("granted", "unit", "allowed"),
    [
        ((), "essential", True),
        ((), "analytics", False),
        (("analytics",), "analytics", True),
        (("analytics",), "google-analytics", True),
        (("analytics",), "marketing", False),
        (("google-analytics",), "google-analytics", True),
        (("all",), "house-stats", True),
        (("house-stats",), "meta-pixel", False),
    ],
)
def test_allows_tells_categories_and_services(
    serve: Serve, granted: tuple[str, ...], unit: str, *, allowed: bool
) -> None:
    """A category or a service: allowed if it was granted, or needs no grant."""
    app = serve(OK)
    assert consent_of(app, cookie=app.granting(*granted)).allows(unit) is allowed


@pytest.mark.parametrize(
    ("unit", "nearest"), [("analytic", "analytics"), ("google_analytics", "google-analytics")]
)
def test_an_unknown_id_raises_with_the_nearest_known(serve: Serve, unit: str, nearest: str) -> None:
    """A typo is loud, and names what was meant."""
    consent = consent_of(serve(OK))
    with pytest.raises(UnknownIdError, match=f"Did you mean '{nearest}'"):
        consent.allows(unit)


def test_update_refuses_an_unknown_id(serve: Serve) -> None:
    """A typo in a server-side choice changes nothing."""
    app = serve(Updating({"nothing": True}))
    with pytest.raises(UnknownIdError):
        app.get()


def test_the_app_reads_the_state(serve: Serve) -> None:
    """Answered, granted, signals, regime, reasons and the preferences' address."""
    app = serve(OK)
    consent = consent_of(app, cookie=app.granting("analytics"))
    assert consent.answered is True
    assert {"essential", "analytics", "google-analytics"} <= consent.granted
    assert consent.signals == Signals(gpc=False, dnt=False)
    assert consent.regime.value == "opt-in"
    assert consent.reasons["house-stats"] == "denied: the visitor refused"
    assert consent.preferences_url == "/_consent/preferences"


def test_unanswered_is_no_answer(serve: Serve) -> None:
    """Before any choice nothing is answered, and only the essential is granted."""
    consent = consent_of(serve(OK))
    assert (consent.answered, consent.granted) == (False, frozenset({"essential"}))


@pytest.mark.parametrize("body", [PAGE, b"text"], ids=["page", "text"])
def test_update_takes_effect_on_the_same_response(serve_loops: Serve, body: bytes) -> None:
    """The choice is committed before the headers go: the cookie comes, and the filter knows it already."""
    app = serve_loops(Updating({"analytics": True}, body))
    response = app.visit()
    assert response.set_names == ["_ga", "__Host-consent"]
    assert response.get("cache-control") == "private"
    assert [(record["state"], record["method"]) for record in app.records()] == [("custom", "api")]


def test_update_is_read_back_at_once(serve: Serve) -> None:
    """After `update` the app sees its own choice; a category stands for its services."""
    updating = Updating({"analytics": True})
    serve(updating).get()
    assert updating.before == {"essential"}
    assert updating.after >= {"analytics", "google-analytics"}


def test_update_changes_only_what_it_names(serve: Serve) -> None:
    """What is not named stays; a service that goes takes its category along."""
    updating = Updating({"google-analytics": False})
    app = serve(updating)
    app.get(headers={"cookie": app.granting("all")})
    assert updating.before - updating.after == {"google-analytics", "analytics"}


def test_update_ends_the_banner_of_its_own_page(serve: Serve) -> None:
    """The page that answers a server-side choice asks no more."""
    body = serve(Updating({"analytics": True})).visit().body
    assert b"guard.js" in body
    assert b'id="consent-banner"' not in body


def test_the_new_cookie_is_believed(serve: Serve) -> None:
    """What `update` set comes back as the same state."""
    app = serve(Updating({"analytics": True}))
    cookie = next(value for value in app.get().all("set-cookie") if value.startswith("__Host-consent"))
    assert consent_of(app, cookie=cookie.partition(";")[0]).allows("analytics")


def test_the_same_update_again_writes_nothing(serve: Serve) -> None:
    """The same state again: no record, no cookie."""
    app = serve(Updating({"analytics": True}))
    cookie = next(value for value in app.get().all("set-cookie") if value.startswith("__Host-consent"))
    again = app.get(headers={"cookie": cookie.partition(";")[0]})
    assert (again.set_names, len(app.records())) == (["_ga"], 1)


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_a_late_update_raises(serve: Serve, kind: tuple[str, str]) -> None:
    """Once the headers have gone a choice cannot be kept, so it is refused aloud."""
    caught: list[Exception] = []

    def body(seen: Any) -> Any:
        yield b"<!doctype html><html><head></head><body>" + b"x" * 3000
        try:
            seen.consent.update({"analytics": True})
        except LateChangeError as error:
            caught.append(error)
        yield b"end"

    app = serve(lambda seen: (200, [kind], body(seen)))
    app.visit()
    assert len(caught) == 1
    assert app.records() == []


def test_update_below_a_redirect(serve: Serve) -> None:
    """A form's own redirect carries the choice."""

    def app(seen: Any) -> Any:
        seen.consent.update({"marketing": True})
        return 303, [TEXT, ("Location", "/thanks")], [b""]

    assert serve(app).request("POST", "/newsletter").set_names == ["__Host-consent"]


# -- records


@pytest.mark.conformance("REC-1", "REC-2")
def test_a_grant_is_recorded_under_a_new_id(serve_loops: Serve) -> None:
    """One row, with the identifier of the cookie, the moment, the notice and every purpose."""
    app = serve_loops(OK)
    cookie = app.choose("accept_all").all("set-cookie")[0]
    (record,) = app.records()
    assert record["principal_id"] == cookie.split(".")[5]
    assert (record["state"], record["method"], record["time"]) == (
        "given",
        "banner.accept_all",
        "2027-01-15T08:02:03Z",
    )
    assert {purpose["state"] for purpose in record["purposes"]} == {"given"}


@pytest.mark.conformance("REC-1")
def test_a_refusal_is_recorded_without_id_and_to_the_hour(serve: Serve) -> None:
    """Who grants nothing gets no identifier, in the cookie or the record."""
    app = serve(OK)
    cookie = app.choose("reject_all").all("set-cookie")[0]
    (record,) = app.records()
    assert (record["principal_id"], record["time"]) == (None, "2027-01-15T08:00:00Z")
    assert cookie.split(".")[5] == ""


@pytest.mark.conformance("REC-1")
def test_a_withdrawal_is_recorded_under_its_id_which_then_goes(serve: Serve) -> None:
    """The proof is complete, and the browser is nobody again."""
    app = serve(OK)
    first = app.choose("accept_all").all("set-cookie")[0].partition(";")[0]
    second = app.choose("withdraw", headers={"cookie": first}).all("set-cookie")[0].partition(";")[0]
    given, withdrawn = app.records()
    assert withdrawn["principal_id"] == given["principal_id"]
    assert withdrawn["state"] == "withdrawn"
    assert second.split(".")[5] == ""


def test_a_changed_grant_keeps_its_id(serve: Serve) -> None:
    """Two grants of one browser stand under one pseudonym."""
    app = serve(OK)
    first = app.choose("accept_all").all("set-cookie")[0].partition(";")[0]
    app.choose("save", {"category": "analytics"}, {"cookie": first})
    ids = {record["principal_id"] for record in app.records()}
    assert len(ids) == 1


@pytest.mark.conformance("GPC-6")
@pytest.mark.parametrize("action", ["accept_all", "reject_all"])
def test_the_same_answer_again_writes_no_record_and_sets_no_cookie(serve: Serve, action: str) -> None:
    """A double click, or the back button: one row."""
    app = serve(OK)
    cookie = app.choose(action).all("set-cookie")[0].partition(";")[0]
    again = app.choose(action, headers={"cookie": cookie})
    assert (again.status, again.all("set-cookie"), len(app.records())) == (303, [], 1)


@pytest.mark.conformance("GPC-6", "ROW-7")
def test_a_signal_writes_no_record(serve: Serve) -> None:
    """GPC-6: under opt-in a signal writes nothing, however many requests carry it."""
    app = serve((200, [HTML], [PAGE]))
    for _ in range(3):
        app.visit(headers={"sec-gpc": "1", "dnt": "1"})
    assert app.records() == []


def test_on_change_is_called_once_the_record_is_durable(serve: Serve) -> None:
    """The hook gets the record, after it stands in the store."""
    told: list[Any] = []
    app = serve(OK, on_change=lambda record: told.append((record.record_id, len(app.records()))))
    app.choose("accept_all")
    assert told == [(app.records()[0]["record_id"], 1)]


def test_a_failing_hook_does_not_undo_the_choice(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """The choice is durable; the site's own code is only logged."""

    def broken(_record: Any) -> None:
        raise RuntimeError("mail server away")

    response = serve(OK, on_change=broken).choose("accept_all")
    assert (response.status, response.set_names) == (303, ["__Host-consent"])
    assert "on_change hook failed" in log.text


@pytest.mark.conformance("EU-5")
def test_the_notice_is_kept_once(serve: Serve) -> None:
    """What was shown is stored by its hash, however often it is answered."""
    app = serve(OK)
    app.choose("accept_all")
    app.choose("reject_all")
    hashes = {record["notice_sha256"] for record in app.records()}
    connection = sqlite3.connect(app.site.config.records.url.removeprefix("sqlite:///"))
    stored = {row[0] for row in connection.execute("select sha256 from consent_notices")}
    connection.close()
    assert stored == hashes
    assert len(hashes) == 1


# -- a store that is away


def broken_store(folder: Path, on_store_failure: str) -> dict[str, Any]:
    """Return the changes that point the store at a folder that is not there."""
    url = f"sqlite:///{folder}/missing/records.db"
    return {"records": {"url": url, "journal": f"{folder}/journal", "on_store_failure": on_store_failure}}


def test_with_a_journal_a_grant_survives_a_store_that_is_away(
    serve_loops: Serve, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """Nothing acknowledged is lost: the choice is kept in a file, and replayed with the next record."""
    app = serve_loops(OK, broken_store(tmp_path, "journal"))
    response = app.choose("accept_all")
    assert (response.status, response.set_names) == (303, ["__Host-consent"])
    assert len(list((tmp_path / "journal").glob("*.json"))) == 1
    assert "kept in the journal" in log.text
    (tmp_path / "missing").mkdir()
    app.site.store.store._away_until = 0.0  # type: ignore[union-attr]  # it has rested
    app.choose("reject_all")
    assert sorted(record["state"] for record in app.records()) == ["given", "refused"]
    assert not list((tmp_path / "journal").glob("*.json"))


def test_refuse_answers_a_grant_with_503_and_changes_nothing(serve_loops: Serve, tmp_path: Path) -> None:
    """Without proof no grant: 503 in words, no cookie."""
    response = serve_loops(OK, broken_store(tmp_path, "refuse")).choose("accept_all")
    assert (response.status, response.all("set-cookie"), response.get("retry-after")) == (503, [], "30")
    assert response.body


@pytest.mark.parametrize("action", ["reject_all", "withdraw"])
def test_refuse_still_lets_a_refusal_take_effect(serve: Serve, tmp_path: Path, action: str) -> None:
    """A refusal needs no proof to be obeyed."""
    app = serve(OK, broken_store(tmp_path, "refuse"))
    response = app.choose(action, headers={"cookie": f"{app.granting('all')}; _ga=1"})
    assert response.status == 303
    assert {"__Host-consent", "_ga"} <= set(response.set_names)


def test_refuse_still_lets_a_partial_withdrawal_take_effect(serve: Serve, tmp_path: Path) -> None:
    """Taking back a part grants nothing new, so it is obeyed like a refusal."""
    app = serve(OK, broken_store(tmp_path, "refuse"))
    headers = {"cookie": f"{app.granting('all')}; _fbp=1"}
    response = app.choose("save", {"category": "analytics"}, headers)
    assert response.status == 303
    assert "_fbp" in response.set_names


def test_refuse_drops_a_server_side_grant(serve: Serve, tmp_path: Path) -> None:
    """An `update` that cannot be proved grants nothing; the app's response goes out all the same."""
    response = serve(Updating({"analytics": True}), broken_store(tmp_path, "refuse")).get()
    assert (response.status, response.all("set-cookie")) == (200, [])


def test_the_log_of_a_failed_store_names_no_visitor(
    serve: Serve, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """The driver's own message may quote the row, so it is not logged."""
    serve(OK, broken_store(tmp_path, "refuse")).choose("accept_all")
    assert "could not be recorded" in log.text
    assert "INSERT" not in log.text


def test_no_store_is_a_choice_of_the_site(serve: Serve) -> None:
    """`records.url = "none"` keeps nothing, and everything else works."""
    response = serve(OK, {"records": {"url": "none"}}).choose("accept_all")
    assert (response.status, response.set_names) == (303, ["__Host-consent"])


def test_every_other_request_leaves_the_store_closed(serve: Serve, tmp_path: Path) -> None:
    """The store is opened with the first record, never before."""
    app = serve((200, [HTML], [PAGE]))
    app.visit()
    app.get("/_consent/preferences")
    assert not (tmp_path / "records.db").exists()
