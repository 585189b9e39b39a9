"""Effects run in place, by adapters that may block: WSGI, and Django, which goes to a worker thread first where it must not.

What an effect is, and whether it may fail, stands in `site` and in `endpoints`; nothing is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent_middleware.reporting import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.choices import Outcome
    from consent_middleware.exchange import Exchange
    from consent_middleware.replies import Reply
    from consent_middleware.request import ConsentRequest
    from consent_middleware.site import Site

__all__ = ["answer", "commit", "deliver", "look", "settle"]


def look(exchange: Exchange, request: Callable[[], ConsentRequest], client: str | None) -> None:
    """Ask the site's hooks who this is, and where; one that fails knows nothing.

    Args:
        exchange: The request's.
        request: Makes what a hook is given.
        client: The peer's address.
    """
    site = exchange.site
    said: dict[str, object] = {}
    if site.about_visitor:
        asked = request()
        for name, hook in site.about_visitor:
            try:
                said[name] = hook(asked)
            except Exception:  # noqa: BLE001 - what the site's own code does not know is unknown
                logger.exception("consent_middleware: the %s hook failed; it counts as unknown", name)
    exchange.circumstances = site.whereabouts.circumstances(said, exchange.header, client)
    if exchange.seen.unbound:
        site.bind(exchange)


def deliver(site: Site) -> None:
    """Tell the site of the opt-outs that it has not been told of yet."""
    outbox, hook = site.outbox, site.hooks.on_opt_out
    if outbox is None or hook is None or not outbox.is_due:
        return
    for record in outbox.waiting():
        try:
            hook(record)
        except Exception:  # noqa: BLE001 - it is told again
            logger.exception("consent_middleware: the on_opt_out hook failed; it is called again later")
        else:
            outbox.done(record)


def answer(exchange: Exchange, query: bytes, body: bytes) -> Reply:
    """Return the reply to a request for one of our own resources, its choice durable and its history read."""
    site = exchange.site
    reply = site.endpoints.answer(exchange.own_request(query, body))
    if reply.outcome is not None and not commit(site, reply.outcome):
        reply = reply.otherwise or reply
    return site.fulfil(reply)


def commit(site: Site, outcome: Outcome) -> bool:
    """Make a choice durable; return whether it may be acknowledged."""
    if not (outcome.effects or outcome.erases):
        return True
    durable = site.commit(outcome)
    if durable is None:
        return False
    if site.hooks.on_change is not None:
        for record in durable:
            try:
                site.hooks.on_change(record)
            except Exception:  # noqa: BLE001 - the choice is durable; the site's own code must not undo it
                logger.exception("the on_change hook failed")
    return True


def settle(exchange: Exchange, request: Callable[[], ConsentRequest]) -> None:
    """Settle what an exchange needs before its headers: a staged choice, the app's nonce.

    Args:
        exchange: The request's.
        request: Makes what the nonce hook is given.
    """
    site, nonce = exchange.site, exchange.site.hooks.nonce
    if exchange.identifies and exchange.seen.unbound:
        site.bind(exchange)
    if exchange.staged is not None and not commit(site, exchange.staged):
        exchange.drop_staged()
    if nonce is not None:
        exchange.use_nonce(nonce(request()))
