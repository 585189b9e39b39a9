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
  /** @type {string[]} */
  const ids = site.units.map(([/** @type {string} */ id]) => id);
  /** @type {Record<string, string>} the categories of services */
  const category = Object.fromEntries(site.units.flatMap(([/** @type {string} */ id, , , /** @type {string} */ of]) => (of ? [[id, of]] : [])));
  const always = ids.filter((_, i) => site.units[i][2] & 8);
  const accepted = consent.acceptedService;
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
    if (!warned.has(name)) console.warn(`consent: "${name}" is not declared and stays held back`);
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

  /** Settles once a script has run or failed. @param {any} held */
  function run(held) {
    if (held.matches(`:is(${WAITING})`)) {
      // The element itself: the page may listen to it. What fires no event is not waited for.
      const over = !held.noModule && /^$|module|(java|ecma)script/.test(held.dataset.type || "") && new Promise((done) => {
        for (const type of ["load", "error"]) held.addEventListener(type, done, { once: true });
        setTimeout(done, PATIENCE_MS);
      });
      restore(held);
      return over;
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
    const over = src && new Promise((done) => {
      script.onload = script.onerror = done;
      setTimeout(done, PATIENCE_MS);
    });
    held.replaceWith(script);
    return over;
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
  const isPlaceholder = (el) => el.localName === "iframe" && /data-consent-load|consent-held/.test(el.getAttribute("srcdoc") || "");
  const prepared = new WeakSet();

  /** Shows the buttons of a held frame's document, which need a script. @param {any} frame */
  function reveal(frame) {
    if (!isPlaceholder(frame)) return;
    for (const button of $$("[data-consent-load]", frame.contentDocument || document.createElement("p"))) {
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

  // Withdrawing

  /** Whether something of these owners was withdrawn and is nobody's who may stay. @param {string[]} withdrawn */
  const lost = (withdrawn) => (/** @type {string[] | undefined} */ owners) => (
    owners?.some((id) => withdrawn.includes(id)) && !owners.some(accepted));

  /** Wherever it may stand: at each path above this page, for each domain above this host. @param {string} name */
  function expire(name) {
    const steps = location.pathname.split("/").slice(1);
    const paths = steps.flatMap((_, i) => ["", "/"].map((end) => `/${steps.slice(0, i + 1).join("/")}${end}`));
    const labels = location.hostname.split(".");
    const domains = labels.slice(1).map((_, i) => `;domain=${labels.slice(i).join(".")}`);
    const secure = location.protocol === "https:" ? ";secure" : "";
    for (const path of ["/", ...paths]) {
      for (const domain of ["", ...domains]) document.cookie = `${name}=;max-age=0;path=${path}${domain}${secure}`;
    }
  }

  /** @param {string[]} withdrawn @param {string} cookies what the page saw before */
  async function forget(withdrawn, cookies) {
    const gone = lost(withdrawn);
    for (const one of cookies.split("; ")) if (gone(core.owners(one.split("=")[0]))) expire(one.split("=")[0]);
    try {
      for (const store of [localStorage, sessionStorage]) {
        for (const key of Object.keys(store)) if (gone(core.find(`#${key}`))) store.removeItem(key);
      }
      for (const { name = "" } of await indexedDB.databases()) if (gone(core.find(`#${name}`))) indexedDB.deleteDatabase(name);
    } catch {}
  }

  // The state of the page

  /** @type {any} */
  let opener;
  let timer = 0;
  let busy = false;

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
    if (withdrawn.length) forget(withdrawn, cookie);
    if (told || changed) for (const watcher of core.watchers || []) watcher();
    if (changed) findShadows();
    liftAll(withdrawn);
    $$("#consent-form").forEach(fill);
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

  /** @param {string} url @param {URLSearchParams} body */
  async function send(url, body) {
    // Kept alive: who answers and follows a link at once has answered.
    const answer = await fetch(url, { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } });
    if (!answer.ok || !/json/.test(answer.headers.get("Content-Type") || "")) throw Error(String(answer.status));
    const { receipt } = await answer.json();
    const first = !consent.validConsent();
    const dialog = $("#consent-dialog");
    const active = document.activeElement;
    const changed = refresh(true);
    if (dialog) dialog.close();
    else if (!shown(active)) home();
    const status = (!dialog && $("#consent-form [role=status]")) || $("#consent-link [role=status]");
    if (status) {
      status.textContent = status.dataset.saved;
      // Who withdraws gets the only key to the history.
      if (receipt) status.append(" ", make("a", { href: receipt, textContent: status.dataset.receipt }));
      clearTimeout(timer);
      timer = setTimeout(() => { status.textContent = ""; }, receipt ? 60000 : 6000);
    }
    if (first) tell("first");
    tell("change");
    if (site.reload && changed) location.reload();
    return true;
  }

  // Captured: before libraries that take over forms.
  document.addEventListener("submit", async (event) => {
    const form = /** @type {any} */ (event.target);
    const button = /** @type {any} */ (event.submitter);
    // A field named "matches" would hide the form's own method.
    if (!(form instanceof Element) || !Element.prototype.matches.call(form, "#consent-banner form,#consent-form") || !button?.value) return;
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

  // The preferences

  /** The services beside a category's switch. @param {any} el */
  const services = (el) => $$("[name=service]", el.closest("[role=group]"));

  /** A category's switch says what its services say. @param {any} form */
  function sum(form) {
    for (const box of $$("[data-consent-category]", form)) {
      const all = services(box);
      box.checked = all.every((one) => one.checked);
      box.indeterminate = !box.checked && all.some((one) => one.checked);
    }
  }

  /** The boxes say what holds. @param {any} form */
  function fill(form) {
    for (const box of $$("[name=category],[name=service]", form)) box.checked = accepted(box.value);
    $("[value=withdraw]", form).hidden = !consent.validConsent();
    sum(form);
  }

  /** With scripts, categories get a switch and fold. @param {any} form */
  function enhance(form) {
    form.dataset.ready = "";
    for (const box of $$("[data-consent-category]", form)) box.closest("label").hidden = false;
    for (const details of $$("details", form)) details.open = false;
    sum(form);
  }

  document.addEventListener("change", (event) => {
    const box = /** @type {any} */ (event.target);
    const form = box.closest("#consent-form");
    if (!form) return;
    if (box.dataset.consentCategory) for (const one of services(box)) one.checked = box.checked;
    sum(form);
  });

  /** @param {string} url @returns {Promise<Document>} parsed by the request: Trusted Types forbid innerHTML */
  const load = (url) => new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = 8000;
    request.onload = () => done(request.response);
    request.onerror = request.ontimeout = fail;
    request.send();
  });

  /** @param {any} [from] the opener, which gets the focus back */
  async function show(from = document.activeElement) {
    const present = $("#consent-title");
    present?.focus();
    if (present || busy) return true;
    busy = true;
    const url = `${base}preferences`;
    try {
      const { body, documentElement: { lang, dir } } = await load(url);
      const form = document.importNode($("#consent-form", body), true);
      const title = document.importNode($("#consent-title", body), true);
      title.autofocus = true;
      const dialog = make("dialog", { id: "consent-dialog", className: "consent-root", lang, dir });
      Object.assign(dialog.dataset, body.dataset);
      dialog.setAttribute("aria-labelledby", "consent-title");
      const close = make("button", { type: "button", className: "consent-quiet", textContent: form.dataset.close });
      close.onclick = () => dialog.close();
      const bar = make("div", { className: "consent-bar" });
      bar.append(title, close);
      $("[name=next]", form).value = location.pathname + location.search;
      enhance(form);
      dialog.append(bar, form);
      opener = from;
      // Escape and Close only close: what was ticked is forgotten.
      dialog.onclose = () => {
        dialog.remove();
        if (shown(opener)) opener.focus();
        else home();
      };
      document.body.append(dialog);
      dialog.showModal();
    } catch {
      location.assign(url);
    }
    busy = false;
    return true;
  }

  document.addEventListener("click", ({ target }) => {
    const link = target instanceof Element && /** @type {any} */ (target.closest("[ping]"));
    if (link && link.ping.split(/\s+/).some(core.waits)) link.removeAttribute("ping");
  }, true);

  document.addEventListener("click", (event) => {
    const from = event.target instanceof Element && /** @type {any} */ (Element.prototype.closest.call(event.target, '[data-consent="preferences"]'));
    if (!from || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    show(from);
  }, true);

  // What the site may call

  /** @param {string[][]} pairs */
  const post = (...pairs) => send(`${base}choice`, new URLSearchParams(pairs)).catch(() => false);
  /** @param {string | string[]} ids */
  consent.acceptCategory = (ids) => ids === "all" ? post(["action", "accept_all"])
    : ids.length ? post(["action", "save"], ...[ids].flat().map((id) => ["category", id])) : post(["action", "reject_all"]);
  /** @param {string | string[]} ids */
  consent.acceptService = (ids) => post(["action", "save"], ["detail", "1"],
    ...[...new Set([known, ids].flat())].filter((id) => !always.includes(id)).map((id) => [id in category ? "service" : "category", id]));
  consent.showPreferences = () => show();
  /** @param {boolean} service @param {boolean} yes */
  const list = (service, yes) => ids.filter((id) => id in category === service && accepted(id) === yes);
  consent.getUserPreferences = () => ({
    acceptType: ids.every(accepted) ? "all" : ids.some((id) => !always.includes(id) && accepted(id)) ? "custom" : "necessary",
    acceptedCategories: list(false, true),
    rejectedCategories: list(false, false),
    acceptedServices: list(true, true),
    rejectedServices: list(true, false),
  });

  // The page as it comes, changes and comes back

  /** @type {any} */
  let banner;
  /** Tells the style sheet how much room the banner takes. */
  function measure() {
    if (!shown(banner)) return;
    const { offsetTop, offsetHeight, dataset } = banner;
    const room = dataset.position === "top" ? offsetTop + offsetHeight : innerHeight - offsetTop;
    document.documentElement.style.setProperty("--consent-room", `${room}px`);
  }
  const sizes = new ResizeObserver(measure);

  function scan() {
    placeholders();
    liftAll();
    $$("#consent-form:not([data-ready])").forEach(enhance);
    if (banner !== (banner = $("#consent-banner")) && banner) sizes.observe(banner);
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
      const { mode, status, link } = await (await fetch(`${base}state.json`, { headers: { Accept: "application/json" } })).json();
      tag.dataset.mode = mode;
      again();
      if (link) {
        const box = make("template", { innerHTML: trust().createHTML(link) });
        $("#consent-link")?.replaceWith(box.content);
      }
      const place = $("#consent-link [role=status]");
      if (place && status) place.textContent = status;
    } catch {}
    tag.dataset.told = "";
  }
  addEventListener("resize", measure);
  addEventListener("pageshow", (event) => { if (event.persisted) again(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

  scan();
  tell("ready");
  ask();
})();
