// The preferences, as a page and as a dialog, and what a withdrawal takes: loaded when they are first wanted.
(() => {
  "use strict";
  const { consent } = /** @type {any} */ (window);
  const core = consent?.[Symbol.for("consent")];
  if (!core?.ui || core.show) return;
  const { $, $$, make, base, accepted, shown, home } = core.ui;
  /** @type {any} */
  let opener;
  let busy = false;

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

  /** @param {any} from the opener, which gets the focus back */
  core.show = async (/** @type {any} */ from) => {
    const present = $("#consent-title");
    present?.focus();
    if (present || busy) return true;
    busy = true;
    // In the language of the page, which the browser's own may not be.
    const url = `${base}preferences?lang=${$(".consent-root")?.lang || ""}`;
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
  };

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
  core.forget = async (/** @type {string[]} */ withdrawn, /** @type {string} */ cookies) => {
    const gone = lost(withdrawn);
    for (const one of cookies.split("; ")) if (gone(core.owners(one.split("=")[0]))) expire(one.split("=")[0]);
    try {
      for (const store of [localStorage, sessionStorage]) {
        for (const key of Object.keys(store)) if (gone(core.find(`#${key}`))) store.removeItem(key);
      }
      for (const { name = "" } of await indexedDB.databases()) if (gone(core.find(`#${name}`))) indexedDB.deleteDatabase(name);
    } catch {}
  };

  // The form

  /** Every form on the page says what holds. */
  core.fill = () => $$("#consent-form").forEach((/** @type {any} */ form) => {
    if (!("ready" in form.dataset)) enhance(form);
    fill(form);
  });
  core.fill();

  // A page that was asked to send the visitor back does so, as it does with scripts off.
  const own = $("#consent-form");
  if (own && new URLSearchParams(location.search).has("next")) {
    document.addEventListener("consent:change", () => {
      const { value } = $("[name=next]", own);
      // Who withdraws goes there by way of the only key to the history.
      const receipt = $("[role=status] a", own)?.href;
      // Later: a reload may have been asked for, too.
      setTimeout(() => location.assign(receipt ? `${receipt}&next=${encodeURIComponent(value)}` : value));
    });
  }
})();
