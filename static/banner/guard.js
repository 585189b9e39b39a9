// Holds. Runs in the head, before paint, and decides nothing that the server has not compiled in.
(() => {
  "use strict";
  /**
   * @typedef {{names: Record<string, string>, fp: string, units: string[], tokens: string[], always: string[], asked: number[],
   *   category: Record<string, string>, deny: number[], days: number, quiet: boolean, honour: number, reload?: boolean}} Site
   */
  const KEY = Symbol.for("consent");
  const page = /** @type {any} */ (window);
  // Not just `consent`: an element with that id would answer too.
  if (page.consent?.[KEY]) return;

  const SITE = /** @type {Site} */ (/** @type {any} */ ("__SITE__"));
  const { units, tokens, category, always } = SITE;
  const ids = [...new Set([...always, ...units])];
  const signals = () => SITE.honour
    & (+(/** @type {any} */ (navigator).globalPrivacyControl === true) | (navigator.doNotTrack === "1" ? 2 : 0));

  /** Malformed or expired is no choice, never an error. @param {string} raw */
  function parse(raw) {
    const part = raw.split(".");
    const [version, print, state, refusals, time] = part;
    if (version !== "v1" || part.length !== 7 || !(Date.now() / 1000 < parseInt(time, 16) + SITE.days * 86400)) return;
    try {
      const bytes = Array.from(atob(state.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
      const same = print === SITE.fp;
      const width = (units.length + 7) >> 3;
      if (same && bytes.length !== 1 + 2 * width) return;
      const said = [...refusals.matchAll(/../g)].map(String);
      /** @param {number} from */
      const bits = (from) => units.map((_, i) => same && (bytes[from + (i >> 3)] >> (i & 7) & 1) === 1);
      // Changed processing voids grants, never refusals.
      const refused = same ? bits(1 + width)
        : units.map((unit, i) => said.includes(tokens[i]) || said.includes(tokens[units.indexOf(category[unit])]));
      const granted = bits(1);
      return { flags: bytes[0], granted, refused, count: granted.filter(Boolean).length, at: parseInt(time, 16) };
    } catch {}
  }

  let choice = parse("");

  /** @param {number} i */
  const allowed = (i) => !!choice?.granted[i] && !(SITE.deny[i] & signals() & ~choice.flags);

  /** @param {string} id */
  const accepted = (id) => always.includes(id)
    || (allowed(units.indexOf(id)) && units.every((unit, i) => category[unit] !== id || allowed(i)));

  const answered = () => !!choice && SITE.asked.every((i) => choice?.granted[i] || choice?.refused[i]);

  /** Reads the cookie and says on <html> whether to ask. @param {boolean} [told] the server has just taken an answer */
  function read(told) {
    const name = SITE.names[location.protocol === "https:" ? "https" : "http"] + "=";
    // Of duplicates the most restrictive counts, of equals the newest.
    choice = document.cookie.split("; ").flatMap((c) => c.startsWith(name) && parse(c.slice(name.length)) || [])
      .sort((a, b) => a.count - b.count || b.at - a.at)[0];
    const ask = !told && SITE.asked.length && !answered() && !(SITE.quiet && signals());
    document.documentElement.dataset.consentState = window.top !== window.self ? "framed" : ask ? "ask" : "decided";
  }

  /** @param {boolean} service @param {boolean} yes */
  const list = (service, yes) => ids.filter((id) => id in category === service && accepted(id) === yes);

  /** @type {any[]} Calls made before banner.js is there. */
  const queue = [];
  /** @param {string} name */
  const later = (name) => (/** @type {any[]} */ ...args) => new Promise((done) => { queue.push([name, args, done]); });

  const { src } = /** @type {any} */ (document.currentScript);
  page.consent = {
    acceptedCategory: accepted,
    acceptedService: accepted,
    validConsent: answered,
    getUserPreferences: () => ({
      acceptType: ids.every(accepted) ? "all" : ids.some((id) => !always.includes(id) && accepted(id)) ? "custom" : "necessary",
      acceptedCategories: list(false, true),
      rejectedCategories: list(false, false),
      acceptedServices: list(true, true),
      rejectedServices: list(true, false),
    }),
    acceptCategory: later("acceptCategory"),
    acceptService: later("acceptService"),
    showPreferences: later("showPreferences"),
    [KEY]: { site: SITE, base: src.slice(0, src.lastIndexOf("static/")), ids, accepted, read, queue },
  };
  read();
})();
