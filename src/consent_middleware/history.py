"""What the receipt page is told of a visitor's history: receipts, put into words in the visitor's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from consent_middleware.texts import format_date, format_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_middleware.texts import Texts

__all__ = ["entries"]


def entries(history: Mapping[str, Any], texts: Texts) -> list[dict[str, Any]]:
    """Return one entry a receipt, the newest first.

    Args:
        history: The shape of ``records.json`` (docs/receipts.md).
        texts: What visitors read in their language.
    """
    return [_entry(receipt, history["notices"], texts) for receipt in reversed(history["receipts"])]


def _entry(
    receipt: Mapping[str, Any], notices: Mapping[str, Mapping[str, str]], texts: Texts
) -> dict[str, Any]:
    event, notice = receipt["event"], notices.get(receipt["notice"]["sha256"])
    services = [p for p in receipt["purposes"] if p["id"] != p["category"]] or receipt["purposes"]
    return {
        "id": receipt["record_id"],
        "time": event["time"],
        "when": format_moment(texts.language, event["time"]),
        "until": format_date(texts.language, event["valid_until"]),
        "state": texts["receipt_states"].get(event["state"], event["state"]),
        "method": texts["receipt_methods"].get(
            event["method"].replace(".", "_").replace(":", "_"), event["method"]
        ),
        "given": [_name(p, texts) for p in services if p["state"] == "given"],
        "refused": [_name(p, texts) for p in services if p["state"] != "given"],
        "controller": receipt["controller"],
        "shown": {
            "language": notice["language"],
            "text": " ".join(str(Markup(notice["text"]).striptags()).split()),  # noqa: S704 - only its words are taken
            "sha256": receipt["notice"]["sha256"],
        }
        if notice
        else None,
    }


def _name(purpose: Mapping[str, Any], texts: Mapping[str, Any]) -> str:
    own = texts["categories"].get(purpose["id"], {}).get("title")
    return str(own or purpose.get("title") or purpose["id"])
