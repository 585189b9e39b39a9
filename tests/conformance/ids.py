"""Every id that a test can be marked with, in our own words, and which of them must have one.

`make conformance` prints these with what the tests marked `conformance("GPC-1", ...)` say of them. The sources
are the specifications, laws and decisions that each line names; this is engineering input, not legal advice.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IDS", "PARTS", "REQUIRED", "ROWS"]

IDS: Mapping[str, str] = MappingProxyType(
    {
        "GPC-1": "Sec-GPC is on only if its value is exactly 1",
        "GPC-2": "Of several Sec-GPC fields, joined or not, one exact 1 is enough",
        "GPC-3": "The signal counts for every method and resource, and reaches the app as it came",
        "GPC-4": "/.well-known/gpc.json is a public statement of the site, unless the app has its own",
        "GPC-5": "What was made for one visitor says so in Vary and Cache-Control; nothing else does",
        "GPC-6": "One record a change of state, never one a request",
        "GPC-7": "The page's script sees the signal that the server sees",
        "DNT-1": "Of DNT only the first character counts, and DNT: 0 is never consent",
        "DNT-2": "Where switched on, the Tk header tells the tracking status",
        "DNT-3": "Where switched on, /.well-known/dnt/ holds the status object",
        "DNT-4": "dnt_scope: DNT denies what GPC denies, or all that is not essential",
        "DNT-5": "dnt-policy.txt, a promise of the site's owner, is never published by default",
        "CA-1": "With GPC on the browser is opted out of sale and sharing, and asked nothing",
        "CA-2": "The signal beats an older yes; a known user's later yes may stand",
        "CA-3": "A signal writes an opt-out that lasts, and its absence is no opt-in",
        "CA-4": "The page says in place that the signal is honoured, never in a pop-up",
        "CA-5": "There is an opt-out page of its own, and a hook for the site's systems and partners",
        "CA-6": "A link to the choices, with the blue icon beside it",
        "CA-7": "No question for 12 months after an opt-out",
        "CA-8": "The more private way is never longer, smaller or harder to find",
        "CA-9": "Visitors under 16 are asked before sale and sharing",
        "CA-10": "The states that require GPC are versioned data; by default it counts everywhere",
        "CA-11": "GPC covers marketing and whatever sells or shares, declared by service",
        "EU-1": "Before opt-in nothing that is not exempt is stored, read or loaded",
        "EU-2": "Reject stands on the first layer, equal to Accept; nothing is ticked in advance",
        "EU-3": "Scrolling, Escape, closing, clicking beside it and waiting grant nothing",
        "EU-4": "Taking consent back is as easy as giving it: a standing link on every page",
        "EU-5": "The proof holds the choice, how it was asked, and a copy of what was shown",
        "EU-6": "Changed processing asks again about what was granted; refusals stand; wording asks nobody",
        "EU-7": "An answer is kept 180 days, an opt-out 400 and refreshed",
        "EU-8": "Every category has its basis: consent, exempt, or exempt until the visitor objects",
        "EU-9": "The region decides the regime, and an unknown one means opt-in",
        "REC-1": "A record has the fields of ISO/IEC TS 27560",
        "REC-2": "Records are only appended; time and subject are the server's; no address, no user agent",
        "REC-3": "Visitors download and erase their own history by the signed cookie alone",
        "GCM-1": "Google hears the default of all seven keys first, before any tag",
        "GCM-2": "One update a decision; the consent mode's settings are passed on",
        "GCM-3": "Microsoft's UET and Clarity hear of it in their own words",
        "GCM-4": "Meta hears revoke before init, then grant",
        "IAB-1": "No TC string is ever made",
        "IAB-2": "__gpp answers its commands and its queue as an unregistered creator; off by default",
        "IAB-3": "The usnat section is that of the test vectors",
        "COOKIE-1": "Size, control characters and expiry of cookies as browsers read them",
        "COOKIE-2": "A deletion reaches the host-only cookie and every parent domain's",
        "COOKIE-3": "A deletion meets the rules of the cookie's prefix, and is partitioned where the cookie is",
        "COOKIE-4": "Set-Cookie is never joined, several Cookie headers are read, deletions always pass",
        "COOKIE-5": "Clear-Site-Data is never sent by default",
        "COOKIE-6": "The consent cookie: __Host- on HTTPS, SameSite=Lax, Path=/, readable, signed",
        "A11Y-1": "Targets of 24 px or more; the banner never hides what has the focus",
        "A11Y-2": "Preferences: a labelled modal dialog that keeps and returns the focus; Escape grants nothing",
        "A11Y-3": "Banner: a labelled region early in the page, a plain form without scripts, no stolen focus",
        "A11Y-4": "Contrast, zoom, narrow screens, states in words, and the visitor's display settings",
        "ENF-1": "A jar of 50 declared cookies is empty after withdrawal; no tracker is called essential",
        "ENF-2": "From the withdrawing request on neither app nor page sees a withdrawn cookie",
        "ENF-3": "The first layer names the purposes and the number of partners",
        "ENF-4": "Consent, partners, withdrawal and third countries show unscrolled on a small screen",
        "ENF-5": "No X by default; where there is one, it is a recorded refusal and says so",
        "ENF-6": "The preferences open and stay, decided or not, with GPC, beside a chat widget",
        "ENF-7": "After an opt-out, and with GPC, no way to a tracker works",
        "ENF-8": "A known user's signal follows the account",
        "ENF-9": "An account's choice never alters the browser's own; the first layer states its scope",
        "ENF-10": "An opt-out is one POST, without a personal field or a foreign link",
        "ENF-11": "The policy page explains the signals, and a stale one is warned about",
    }
)

ROWS: Mapping[str, str] = MappingProxyType(
    {
        "ROW-1": "opt-in, no signal, no choice or an expired one: only what is needed, banner",
        "ROW-2": "opt-in, a signal, no choice: only what is needed, link and status",
        "ROW-3": "opt-in, no signal, a choice: as stored",
        "ROW-4": "opt-in, any signal, a refusal: only what is needed, not asked again",
        "ROW-5": "opt-in, GPC, an older yes: as stored without what sells or shares",
        "ROW-6": "opt-in, DNT or both, an older yes: as stored without what the signals deny",
        "ROW-7": "opt-in, a signal earlier and none now: as stored, and nothing was written",
        "ROW-8": "opt-in, a signal, a newer yes: as stored, and the page says so",
        "ROW-9": "opt-out, no signal, no choice: all, and the footer's link",
        "ROW-10": "opt-out, GPC, no choice: opted out, and the status says so",
        "ROW-11": "opt-out, DNT, no choice: all without what DNT denies",
        "ROW-12": "opt-out, both signals, no choice: all without what either denies",
        "ROW-13": "opt-out, no signal, a choice: as stored",
        "ROW-14": "opt-out, no signal now, an opt-out by an earlier one: still out",
        "ROW-15": "opt-out, any signal, a refusal: it stands, no question for 12 months",
        "ROW-16": "opt-out, GPC or both, an older yes: as stored without what the signals deny",
        "ROW-17": "opt-out, GPC or both, a known user's newer yes after the notice: as stored",
        "ROW-18": "opt-out, GPC or both, the same of somebody unknown: without what sells or shares",
        "ROW-19": "opt-out, DNT only, an older or a newer yes: less what DNT denies, or as stored",
        "ROW-20": "opt-out, known to be under 16, no opt-in: nothing that sells or shares",
        "ROW-21": "no regime, no signal: all, or as stored",
        "ROW-22": "no regime, a signal: as the opt-out rows",
    }
)

# What of an id no test shows yet, mostly since it is not there yet.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "GCM-2": "regions of their own",
        "IAB-1": "a place for a registered consent manager",
        "COOKIE-5": "storage, cleared on withdrawal, as a setting",
        "ENF-1": "what cannot be deleted is named",
    }
)

# The ids that have a test: losing it is a failure. Whoever writes the first test of another adds it here.
REQUIRED = frozenset(
    {
        "GPC-1", "GPC-2", "GPC-3", "GPC-4", "GPC-5", "GPC-6", "GPC-7",
        "DNT-1", "DNT-2", "DNT-3", "DNT-4", "DNT-5",
        "CA-1", "CA-2", "CA-3", "CA-4", "CA-5", "CA-6", "CA-7", "CA-8", "CA-9", "CA-10", "CA-11",
        "EU-1", "EU-2", "EU-3", "EU-4", "EU-5", "EU-6", "EU-7", "EU-8", "EU-9",
        "REC-1", "REC-2", "REC-3",
        "GCM-1", "GCM-2", "GCM-3", "GCM-4",
        "IAB-1", "IAB-2", "IAB-3",
        "COOKIE-1", "COOKIE-2", "COOKIE-3", "COOKIE-4", "COOKIE-5", "COOKIE-6",
        "A11Y-1", "A11Y-2", "A11Y-3", "A11Y-4",
        "ENF-1", "ENF-2", "ENF-3", "ENF-4", "ENF-5", "ENF-6", "ENF-7", "ENF-8", "ENF-9", "ENF-10", "ENF-11",
        "ROW-1", "ROW-2", "ROW-3", "ROW-4", "ROW-5", "ROW-6", "ROW-7", "ROW-8",
        "ROW-9", "ROW-10", "ROW-11", "ROW-12", "ROW-13", "ROW-14", "ROW-15", "ROW-16", "ROW-17", "ROW-18", "ROW-19",
        "ROW-20", "ROW-21", "ROW-22",
    }
)  # fmt: skip
