"""Opt-out agents, as a visitor's browser runs them: autoconsent itself, and what our Consent-O-Matic rule needs.

autoconsent comes as its authors build it (PyPI: duckduckgo-autoconsent-py); only what a browser's own side does, to
answer its messages, is ours. Consent-O-Matic's engine is in no registry: what runs its rule here is a small
interpreter of that part of its published rule language that our rule uses, and of no other part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duckduckgo_autoconsent import bundle, rules_json

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

__all__ = ["AUTOCONSENT_RULE", "CONSENT_O_MATIC_RULE", "add_autoconsent", "consent_o_matic", "heard"]

RULES = Path(__file__).parents[2] / "docs" / "agents"
AUTOCONSENT_RULE: dict[str, Any] = json.loads((RULES / "autoconsent.json").read_text("utf-8"))
CONSENT_O_MATIC_RULE: dict[str, Any] = json.loads((RULES / "consent-o-matic.json").read_text("utf-8"))

_BROWSER_SIDE = """\
if (window.top === window) {
  const given = %s;
  const answer = (message) => queueMicrotask(() => window.autoconsentReceiveMessage(message));
  window.agentSaid = [];
  window.autoconsentSendMessage = (message) => {
    window.agentSaid.push(structuredClone(message));
    if (message.type === "init") answer({ type: "initResp", ...given });
    if (message.type === "optOutResult" && message.scheduleSelfTest) answer({ type: "selfTest" });
  };
%s
}
"""
_HEARD = """(kind) => window.agentSaid?.findLast(({ type, state }) => type === kind || state?.lifecycle === kind)"""

_CONSENT_O_MATIC = """async ([{ detectors, methods }, wishes]) => {
  const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
  const nothingElse = (rest) => { if (Object.keys(rest).length) throw Error(`not known here: ${Object.keys(rest)}`); };
  let root = document;
  const all = ({ selector, displayFilter, ...rest }) => {
    nothingElse(rest);
    const found = selector === ":scope" ? [root] : [...root.querySelectorAll(selector)];
    return found.filter((el) => displayFilter === undefined || displayFilter === (el.offsetHeight !== 0));
  };
  const matches = ({ type, target, ...rest }) => {
    nothingElse(rest);
    const [el] = all(target);
    return { css: Boolean(el), checkbox: el?.checked }[type];
  };
  const setTo = async (wish, { type, matcher, toggleAction, ...rest }) => {
    nothingElse(rest);
    if (matches(matcher) !== wish) await act(toggleAction);
  };
  const actions = {
    click: async ({ target }) => all(target)[0]?.click(),
    hide: async ({ target }) => all(target)[0]?.classList.add("ConsentOMatic-CMP-Hider"),
    list: async ({ actions }) => { for (const action of actions) await act(action); },
    waitcss: async ({ target, retries, waitTime }) => {
      for (let left = retries; left && !all(target).length; left -= 1) await pause(waitTime);
    },
    foreach: async ({ target, action }) => {
      const before = root;
      for (root of all(target)) await act(action);
      root = before;
    },
    consent: async ({ consents }) => { for (const one of consents) await setTo(wishes.includes(one.type), one); },
  };
  const act = (action) => actions[action.type](action);
  const found = detectors.find(({ presentMatcher }) => presentMatcher.every(matches));
  if (!found?.showingMatcher.every(matches)) return false;
  for (const name of ["HIDE_CMP", "OPEN_OPTIONS", "HIDE_CMP", "DO_CONSENT", "SAVE_CONSENT"]) {
    await act(methods.find((method) => method.name === name).action);
  }
  document.querySelectorAll(".ConsentOMatic-CMP-Hider").forEach((el) => el.classList.remove("ConsentOMatic-CMP-Hider"));
  return true;
}"""


def add_autoconsent(
    context: BrowserContext, *rules: dict[str, Any], known: bool = False, **settings: Any
) -> None:
    """Let autoconsent run on every page, opting out.

    Args:
        context: The browser profile.
        rules: Beside the ones that are part of its code.
        known: Whether it gets the long list of rules that it ships with, too.
        settings: Of autoconsent's configuration, where they are not the usual ones.
    """
    config = {"autoAction": "optOut", "isMainWorld": True, **settings}
    listed = json.loads(rules_json()) if known else []
    given = {"config": config, "rules": {"autoconsent": [*listed, *rules]}}
    context.add_init_script(_BROWSER_SIDE % (json.dumps(given), bundle()))


def heard(page: Page, kind: str) -> dict[str, Any]:
    """Wait until autoconsent has sent a message of this type, or reached this state; return its last one."""
    page.wait_for_function(_HEARD, arg=kind)
    message: dict[str, Any] = page.evaluate(_HEARD, kind)
    return message


def consent_o_matic(page: Page, *wishes: str) -> bool:
    """Run our Consent-O-Matic rule on a page; return whether it found anything to do.

    Args:
        page: Where it runs.
        wishes: The visitor's yes, by the letters of Consent-O-Matic; the rest is a no.
    """
    (rule,) = (part for name, part in CONSENT_O_MATIC_RULE.items() if name != "$schema")
    worked: bool = page.evaluate(_CONSENT_O_MATIC, [rule, list(wishes)])
    return worked
