// Asks, lifts and withdraws. Handlers are delegated, so swapped bodies keep working.
(() => {
  "use strict";
  const page = /** @type {any} */ (window);
  const { consent } = page;
  const core = consent?.[Symbol.for("consent")];
  if (!core || core.started) return;
  core.started = true;

  /** @param {string} css @param {any} [from] @returns {any} */
  const $ = (css, from = document) => from.querySelector(css);
  /** @param {string} css @param {any} [from] @returns {any[]} */
  const $$ = (css, from = document) => [...from.querySelectorAll(css)];
  /** @param {string} tag @param {object} properties @returns {any} */
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  /** @type {string[]} */
  let known = core.ids.filter(core.accepted);

  // Lifting

  const NAMED = ":is([data-category],[data-service],[data-name])";
  const SCRIPTS = `script[type="text/plain"]${NAMED}`;
  const OTHERS = `template${NAMED},:not(script):is([data-src],[data-srcset])${NAMED}`;
  const lifted = new WeakSet();
  const warned = new Set();
  /** @type {any} */
  let policy;
  const rules = { createScript: String, createScriptURL: String };
  /** Made with the first script: a strict site may not know its name. */
  const trust = () => policy ??= page.trustedTypes?.createPolicy("consent", rules) ?? rules;

  /** @param {any} el The service decides where one is named. */
  const nameOf = (el) => el.dataset.service || el.dataset.name || el.dataset.category || "";

  /** @param {string[]} withdrawn */
  const due = (withdrawn) => (/** @type {any} */ el) => {
    const name = nameOf(el);
    if (lifted.has(el)) return false;
    if (name[0] === "!") return withdrawn.includes(name.slice(1));
    if (core.ids.includes(name)) return core.accepted(name);
    if (!warned.has(name)) console.warn(`consent: "${name}" is not declared and stays held back`);
    warned.add(name);
    return false;
  };

  /** Settles once an external script has run or failed. @param {any} held */
  function run(held) {
    // A clone passes Trusted Types; only source and text need the policy.
    const script = held.cloneNode();
    const { src = held.getAttribute("src"), type } = held.dataset;
    for (const name of ["type", "src", "data-src", "data-type"]) script.removeAttribute(name);
    if (type) script.type = type;
    script.nonce = held.nonce;
    if (src) script.src = trust().createScriptURL(src);
    else script.text = trust().createScript(held.text);
    // What fires no event is not waited for.
    const over = src && !script.noModule && /^$|module|(java|ecma)script/.test(script.type)
      && new Promise((done) => { script.onload = script.onerror = done; });
    held.replaceWith(script);
    return over;
  }

  /** @param {any} el */
  function open(el) {
    for (const name of ["srcset", "src"]) {
      const value = el.getAttribute(`data-${name}`);
      if (value !== null) el.setAttribute(name, value);
      el.removeAttribute(`data-${name}`);
    }
    if (el.localName !== "template") return;
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

  /** @param {string[]} withdrawn */
  async function lift(withdrawn) {
    for (;;) {
      const others = $$(OTHERS).filter(due(withdrawn));
      // Looked up anew each time: the visitor may withdraw while one loads.
      const next = others.length ? others : $$(SCRIPTS).filter(due(withdrawn)).slice(0, 1);
      if (!next.length) return;
      for (const el of next) {
        lifted.add(el);
        try {
          if (others.length) open(el);
          else await run(el);
        } catch (error) {
          console.error(error);
        }
      }
    }
  }

  let lifting = Promise.resolve();
  /** @param {string[]} [withdrawn] */
  const liftAll = (withdrawn = []) => { lifting = lifting.then(() => lift(withdrawn)); };

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
    core.read(told);
    known = core.ids.filter(core.accepted);
    liftAll(before.filter((id) => !known.includes(id)));
    $$("#consent-form").forEach(fill);
    return String(before) !== String(known);
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
    const first = !consent.validConsent();
    const dialog = $("#consent-dialog");
    const active = document.activeElement;
    refresh(true);
    if (dialog) dialog.close();
    else if (!shown(active)) home();
    const status = (!dialog && $("#consent-form [role=status]")) || $("#consent-link [role=status]");
    if (status) {
      status.textContent = status.dataset.saved;
      clearTimeout(timer);
      timer = setTimeout(() => { status.textContent = ""; }, 6000);
    }
    if (first) tell("first");
    tell("change");
    if (core.site.reload) location.reload();
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
    for (const box of $$("[name=category],[name=service]", form)) box.checked = core.accepted(box.value);
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
    const url = `${core.base}preferences`;
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

  document.addEventListener("click", (event) => {
    const from = event.target instanceof Element && /** @type {any} */ (Element.prototype.closest.call(event.target, '[data-consent="preferences"]'));
    if (!from || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    show(from);
  }, true);

  // What the site may call

  const { always, category } = core.site;
  /** @param {string[][]} pairs */
  const post = (...pairs) => send(`${core.base}choice`, new URLSearchParams(pairs)).catch(() => false);
  /** @param {string | string[]} ids */
  consent.acceptCategory = (ids) => ids === "all" ? post(["action", "accept_all"])
    : ids.length ? post(["action", "save"], ...[ids].flat().map((id) => ["category", id])) : post(["action", "reject_all"]);
  /** @param {string | string[]} ids */
  consent.acceptService = (ids) => post(["action", "save"], ["detail", "1"],
    ...[...new Set([known, ids].flat())].filter((id) => !always.includes(id)).map((id) => [id in category ? "service" : "category", id]));
  consent.showPreferences = () => show();
  for (const [name, args, done] of core.queue) done(consent[name](...args));

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
    liftAll();
    $$("#consent-form:not([data-ready])").forEach(enhance);
    if (banner !== (banner = $("#consent-banner")) && banner) sizes.observe(banner);
  }
  new MutationObserver((changes) => {
    if (changes.some((change) => change.addedNodes.length)) scan();
  }).observe(document, { childList: true, subtree: true });

  // The back/forward cache; other tabs.
  const again = () => { if (refresh()) tell("change"); };
  addEventListener("resize", measure);
  addEventListener("pageshow", (event) => { if (event.persisted) again(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

  scan();
  tell("ready");
})();
