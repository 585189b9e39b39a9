// Asks, lifts and withdraws. Handlers are delegated, so swapped bodies keep working.
(() => {
  "use strict";
  const page = /** @type {any} */ (window);
  const { consent } = page;
  const KEY = Symbol.for("consent");
  const core = consent?.[KEY];
  if (!core || core.started) return;
  core.started = true;

  /** @param {string} css @param {any} [from] @returns {any} */
  const $ = (css, from = document) => from.querySelector(css);
  /** @param {string} css @param {any} [from] @returns {any[]} */
  const $$ = (css, from = document) => [...from.querySelectorAll(css)];
  /** @param {string} tag @param {object} properties @returns {any} */
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const { site, src } = core;
  const base = src.slice(0, src.lastIndexOf("static/"));
  const files = src.slice(0, src.lastIndexOf("/") + 1);
  const { nonce } = /** @type {any} */ (document.currentScript || {});
  /** @type {string[]} */
  const ids = site.units.map(([/** @type {string} */ id]) => id);
  /** @type {Record<string, string>} the categories of services */
  const category = Object.fromEntries(site.units.flatMap(([/** @type {string} */ id, , , /** @type {string} */ of]) => (of ? [[id, of]] : [])));
  const always = ids.filter((_, i) => site.units[i][2] & 8);
  const accepted = consent.acceptedService;
  /** Whether everything that is asked about is granted. */
  const isAll = () => ids.every((id, i) => accepted(id) || !(site.units[i][2] & 4));
  const isAny = () => ids.some((id) => accepted(id) && !always.includes(id));
  let known = ids.filter(accepted);

  // Lifting

  const ATTRIBUTES = ["srcset", "imagesrcset", "poster", "background", "href", "xlink:href", "data", "src"];
  const WAITING = ATTRIBUTES.map((name) => `[data-${name.replace(":", "\\:")}]`);
  const NAMED = ":is([data-category],[data-service],[data-name])";
  const SCRIPTS = `script[type="text/plain"]${NAMED}`;
  const OTHERS = `template${NAMED},:not(script):is(${WAITING})${NAMED}`;
  const PATIENCE_MS = 10000;
  const failed = new WeakSet();
  const warned = new Set();
  const { trust } = core;

  /** @param {any} el The service decides where one is named. */
  const nameOf = (el) => el.dataset.service || el.dataset.name || el.dataset.category || "";

  /** Any one of several will do. @param {string[]} withdrawn */
  const due = (withdrawn) => (/** @type {any} */ el) => {
    const name = nameOf(el);
    if (failed.has(el)) return false;
    if (name[0] === "!") return withdrawn.includes(name.slice(1));
    const declared = name.split(" ").filter((/** @type {string} */ id) => ids.includes(id));
    if (declared.length) return declared.some(accepted);
    if (!warned.has(name)) console.warn(`consent: "${name}" is not declared`);
    warned.add(name);
    return false;
  };

  /** This document and those of our own origin inside it. @param {any} [win] @returns {any[]} */
  function documents(win = page) {
    try {
      return [win.document, ...Array.from(win, documents).flat()];
    } catch {
      return [];
    }
  }

  /** @type {any[]} Open shadow roots: looked for at a decision only, since it takes a walk over the page. */
  let shadows = [];
  const findShadows = () => { shadows = documents().flatMap((one) => $$("*", one).flatMap((el) => el.shadowRoot ?? [])); };

  /** @param {string} css */
  const everywhere = (css) => [...documents(), ...shadows].flatMap((one) => $$(css, one));

  /** Gives an element its URLs back, through the guard: what is still not granted stays held. @param {any} el */
  function restore(el) {
    const kept = ATTRIBUTES.map((name) => [name, el.getAttribute(`data-${name}`)]).filter(([, value]) => value !== null);
    const script = el.localName === "script";
    if (script && kept.length) el.setAttribute("type", el.dataset.type || "");
    for (const name of [...kept.map(([name]) => name), "type"]) el.removeAttribute(`data-${name}`);
    if (script && !el.getAttribute("type")) el.removeAttribute("type");
    for (const [name, value] of kept) {
      const url = /^(script|embed|object)$/.test(el.localName) ? trust().createScriptURL(value) : value;
      if (name[0] === "x") el.setAttributeNS("http://www.w3.org/1999/xlink", name, url);
      else el.setAttribute(name, url);
      // Of these a change alone is not noticed.
      if (name === "imagesrcset") el.replaceWith(el);
    }
    if (el.localName === "source") el.parentNode?.load?.();
  }

  /** Settles once it has come or failed, or nobody waits any longer. @param {any} el */
  const over = (el) => new Promise((done) => {
    for (const type of ["load", "error"]) el.addEventListener(type, done);
    setTimeout(done, PATIENCE_MS);
  });

  /** Settles once a script has run or failed. @param {any} held */
  function run(held) {
    if (held.matches(`:is(${WAITING})`)) {
      // The element itself: the page may listen to it. What fires no event is not waited for.
      const ran = !held.noModule && /^$|module|(java|ecma)script/.test(held.dataset.type || "") && over(held);
      restore(held);
      return ran;
    }
    // A clone passes Trusted Types; only source and text need the policy.
    const script = held.cloneNode();
    const { type } = held.dataset;
    const src = held.getAttribute("src");
    for (const name of ["type", "src", "data-type"]) script.removeAttribute(name);
    if (type) script.type = type;
    script.nonce = held.nonce;
    if (src) script.src = trust().createScriptURL(src);
    else script.text = trust().createScript(held.text);
    held.replaceWith(script);
    return src && over(script);
  }

  /** @param {any} el */
  function open(el) {
    if (el.localName !== "template") {
      const focused = el.ownerDocument.activeElement === el;
      const { sandbox } = el.dataset;
      if (sandbox !== undefined) el.setAttribute("sandbox", sandbox);
      el.removeAttribute("data-sandbox");
      if (isPlaceholder(el)) el.removeAttribute("srcdoc");
      restore(el);
      if (focused) el.focus();
      return;
    }
    const content = document.importNode(el.content, true);
    // Its scripts join the queue, so that they run in order too.
    for (const script of $$('script:not([type="text/plain"])', content)) {
      if (script.type) script.dataset.type = script.type;
      script.type = "text/plain";
      script.text = trust().createScript(script.text);
      if (!nameOf(script)) script.dataset.category = nameOf(el);
    }
    el.replaceWith(content);
  }

  /** Held where no look at the document finds them: pixels that never come into it, shadow roots. @param {string[]} withdrawn */
  function loose(withdrawn) {
    for (const el of core.loose) if (el.getRootNode() === document || !el.matches(`:is(${WAITING})`)) core.loose.delete(el);
    return [...core.loose].filter(due(withdrawn));
  }

  /** @param {string[]} withdrawn */
  async function lift(withdrawn) {
    for (;;) {
      const others = everywhere(OTHERS).filter(due(withdrawn));
      // Looked up anew each time: the visitor may withdraw while one loads.
      const next = others.length ? others : everywhere(SCRIPTS).filter(due(withdrawn)).slice(0, 1);
      const last = next.length ? next : loose(withdrawn);
      if (!last.length) return;
      for (const el of last) {
        try {
          if (next === others || last !== next) open(el);
          else await run(el);
        } catch (error) {
          failed.add(el);
          console.error(error);
        }
      }
    }
  }

  let lifting = Promise.resolve();
  /** @param {string[]} [withdrawn] */
  const liftAll = (withdrawn = []) => { lifting = lifting.then(() => lift(withdrawn)); };

  // What stands in a held frame

  /** @param {any} el */
  const isPlaceholder = (el) => /data-consent-load|consent-held/.test(el.srcdoc);
  const prepared = new WeakSet();

  /** Shows the buttons of a held frame's document, which need a script. @param {any} frame */
  function reveal(frame) {
    if (!isPlaceholder(frame)) return;
    for (const button of $$("[data-consent-load]", frame.contentDocument || frame)) {
      button.hidden = false;
      button.onclick = () => {
        const { consentLoad, unit } = button.dataset;
        if (consentLoad === "once") {
          frame[KEY] = frame;
          open(frame);
        } else {
          consent.acceptService([unit, ...Object.keys(category).filter((id) => category[id] === unit)]);
        }
      };
    }
  }

  function placeholders() {
    for (const frame of $$("iframe[srcdoc][data-src]")) {
      if (!prepared.has(frame)) {
        prepared.add(frame);
        frame.addEventListener("load", () => reveal(frame));
        reveal(frame);
      }
    }
  }

  // The state of the page

  let timer = 0;
  let busy = false;
  /** @type {Promise<unknown> | undefined} what was withdrawn goes from cookies and storage */
  let clearing;

  /** @param {string} name */
  const tell = (name) => document.dispatchEvent(new CustomEvent(`consent:${name}`, { detail: { granted: known } }));

  /** Reads the cookie again, acts on it, returns whether anything changed. @param {boolean} [told] */
  function refresh(told) {
    const before = known;
    // What was withdrawn is hidden from now on.
    const { cookie } = document;
    core.read(told);
    known = ids.filter(accepted);
    const withdrawn = before.filter((id) => !known.includes(id));
    const changed = String(before) !== String(known);
    if (withdrawn.length) clearing = preferences().then(() => core.forget?.(withdrawn, cookie));
    if (told || changed) for (const watcher of core.watchers || []) watcher();
    if (changed) findShadows();
    liftAll(withdrawn);
    core.fill?.();
    return changed;
  }

  /** @param {any} el */
  const shown = (el) => el?.isConnected && el.getClientRects().length && el !== document.body;

  /** The body never gets the focus. */
  function home() {
    const spot = [...$$("#consent-link a"), ...$$('[data-consent="preferences"]')].find(shown) || $("main,h1,h2");
    if (spot?.tabIndex < 0) spot.tabIndex = -1;
    spot?.focus({ preventScroll: true });
  }

  /** Whom the page has asked for anything, as the browser itself remembers: services, or categories of those that nobody declared. */
  const contacted = () => new Set(performance.getEntriesByType("resource").flatMap(({ name }) => {
    const { hostname, pathname } = new URL(name, location.href);
    return (hostname !== location.hostname && core.find(hostname + pathname)) || [];
  })).size;

  /** Says what holds now, where the visitor looks next, with a way back. @param {any} status @param {string[]} before @param {boolean} first @param {string} [receipt] */
  function report(status, before, first, receipt) {
    const { saved, needed, all, count, undo, receipt: name } = status.dataset;
    const words = isAny() ? isAll() ? all : saved : `${needed} ${count?.replace("{n}", String(contacted()))}`;
    const back = make("button", { type: "button", textContent: undo });
    // What held before holds again; who had not answered yet is asked again.
    back.onclick = async () => {
      await post(["action", "save"], ["detail", "1"], ...before.map(field));
      if (!first || !banner) return;
      status.textContent = "";
      document.documentElement.dataset.consentState = "ask";
      $("button", banner).focus();
    };
    status.replaceChildren(words, " ", back);
    // Who withdraws gets the only key to the history.
    if (receipt) status.append(" ", make("a", { href: receipt, textContent: name }));
    clearTimeout(timer);
    timer = setTimeout(() => { status.textContent = ""; }, receipt ? 60000 : 12000);
  }

  /** @param {string} url @param {URLSearchParams} body */
  async function send(url, body) {
    // Kept alive: who answers and follows a link at once has answered.
    const answer = await fetch(url, { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } });
    if (!answer.ok || !/json/.test(answer.headers.get("Content-Type") || "")) throw Error(String(answer.status));
    const { receipt } = await answer.json();
    const first = !consent.validConsent();
    const before = known.filter((id) => !always.includes(id));
    const dialog = $("#consent-dialog");
    const active = document.activeElement;
    const changed = refresh(true);
    await clearing;
    if (dialog) dialog.close();
    else if (!shown(active)) home();
    const status = (!dialog && $("#consent-form [role=status]")) || $("#consent-link [role=status]");
    if (status) report(status, before, first, receipt);
    if (first) tell("first");
    tell("change");
    if (site.reload && changed) location.reload();
    return true;
  }

  /** Itself or what it stands in; a form's field named "closest" would hide the method. @param {any} el @param {string} css @returns {any} */
  const above = (el, css) => el instanceof Element && Element.prototype.closest.call(el, css);

  // Captured: before libraries that take over forms.
  document.addEventListener("submit", async (event) => {
    const form = /** @type {any} */ (event.target);
    const button = /** @type {any} */ (event.submitter);
    if (!above(form, "#consent-banner form,#consent-form") || !button?.value) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
    body.set(button.name, button.value);
    try {
      // Buttons named "action" hide the form's own property.
      await send(form.getAttribute("action"), body);
    } catch {
      form.append(make("input", { type: "hidden", name: button.name, value: button.value }));
      HTMLFormElement.prototype.submit.call(form);
    }
    busy = false;
  }, true);

  // The preferences, and what a withdrawal takes: their script and style sheet come when they are first wanted.

  /** @type {Promise<unknown> | undefined} */
  let coming;
  /** @param {any} el */
  const arrives = (el) => {
    el.nonce = nonce;
    document.head.append(el);
    return over(el);
  };
  const preferences = () => coming ??= Promise.all([
    arrives(make("link", { rel: "stylesheet", href: `${files}form.css` })),
    arrives(make("script", { src: trust().createScriptURL(`${files}preferences.js`) })),
  ]);

  /** @param {any} [from] the opener, which gets the focus back */
  async function show(from = document.activeElement) {
    await preferences();
    return core.show ? core.show(from) : location.assign(`${base}preferences`);
  }

  document.addEventListener("click", (event) => {
    const pings = above(event.target, "[ping]");
    if (pings && pings.ping.split(/\s+/).some(core.waits)) pings.removeAttribute("ping");
    const from = above(event.target, '[data-consent="preferences"]');
    if (!from || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    show(from);
  }, true);

  // What the site may call

  /** @param {string[][]} pairs */
  const post = (...pairs) => send(`${base}choice`, new URLSearchParams(pairs)).catch(() => false);
  /** @param {string} id */
  const field = (id) => [id in category ? "service" : "category", id];
  /** @param {string | string[]} ids */
  consent.acceptCategory = (ids) => ids === "all" ? post(["action", "accept_all"])
    : ids.length ? post(["action", "save"], ...[ids].flat().map((id) => ["category", id])) : post(["action", "reject_all"]);
  /** @param {string | string[]} ids */
  consent.acceptService = (ids) => post(["action", "save"], ["detail", "1"],
    ...[...new Set([known, ids].flat())].filter((id) => !always.includes(id)).map(field));
  consent.showPreferences = () => show();
  /** @param {boolean} service @param {boolean} yes */
  const list = (service, yes) => ids.filter((id) => id in category === service && accepted(id) === yes);
  consent.getUserPreferences = () => ({
    acceptType: isAll() ? "all" : isAny() ? "custom" : "necessary",
    acceptedCategories: list(false, true),
    rejectedCategories: list(false, false),
    acceptedServices: list(true, true),
    rejectedServices: list(true, false),
  });

  // The page as it comes, changes and comes back

  /** @type {any} */
  let banner;
  /** @type {any} */
  let link;
  /** @type {any} */
  let style;
  /**
   * What stands on a page once: who swaps the body, or all of the page, takes it out, or brings copies from a cache.
   * @param {any} one ours, once there is one @param {string} css @param {"append" | "prepend"} put
   */
  function once(one, css, put) {
    for (const el of $$(css)) if (el !== (one ??= el)) el.remove();
    if (one && !one.isConnected) document.body[put](one);
    return one;
  }
  /** Tells the style sheet how much room the banner takes. */
  function measure() {
    if (!shown(banner)) return;
    const { offsetTop, offsetHeight, dataset } = banner;
    const room = dataset.position === "top" ? offsetTop + offsetHeight : innerHeight - offsetTop;
    document.documentElement.style.setProperty("--consent-room", `${room}px`);
  }
  const sizes = new ResizeObserver(measure);

  /** A page may cover the banner without meaning to: then it goes above everything, and the site hears of it, not of the visitor (ENF-6). */
  function check() {
    const reject = $("#consent-banner button");
    if (!shown(reject)) return;
    const { x, y, width, height } = reject.getBoundingClientRect();
    const top = document.elementFromPoint(x + width / 2, y + height / 2);
    if (reject.contains(top) || $("#consent-dialog")) return;
    banner.popover = "manual";
    banner.showPopover?.();
    navigator.sendBeacon(`${base}covered`);
  }

  function scan() {
    placeholders();
    liftAll();
    if ($("#consent-form:not([data-ready])")) preferences().then(() => core.fill?.());
    style = once(style, "link[href$='/banner.css']", "append");
    link = once(link, "#consent-link", "append");
    if (banner !== (banner = once(banner, "#consent-banner", "prepend"))) sizes.observe(banner);
  }
  new MutationObserver((changes) => {
    if (changes.some((change) => change.addedNodes.length)) scan();
  }).observe(document, { childList: true, subtree: true });

  // The back/forward cache; other tabs.
  const again = () => { if (refresh()) tell("change"); };
  /** A page that is the same for everyone does not know its visitor; the server does, and keeps a signal's opt-out. */
  async function ask() {
    const tag = $("script[data-shared]");
    if (!tag || !(tag.dataset.shared || navigator.globalPrivacyControl || navigator.doNotTrack === "1")) return;
    try {
      const { mode, status, link: html } = await (await fetch(`${base}state.json`, { headers: { Accept: "application/json" } })).json();
      tag.dataset.mode = mode;
      again();
      if (html) {
        const box = make("template", { innerHTML: trust().createHTML(html) });
        link.replaceWith(link = $("#consent-link", box.content));
      }
      if (status) $("#consent-link [role=status]").textContent = status;
    } catch {} // not to be reached, or a page without the link
    tag.dataset.told = "";
  }
  addEventListener("resize", measure);
  addEventListener("pageshow", (event) => { if (event.persisted) again(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

  core.ui = { $, $$, make, base, accepted, shown, home };
  scan();
  setTimeout(check, 1000);
  tell("ready");
  ask();
})();
