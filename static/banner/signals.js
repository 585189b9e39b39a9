// Tells vendors what is granted (CONFORMANCE GCM-1 to GCM-4). Served behind the guard, where a declared service listens.
(() => {
  "use strict";
  const page = /** @type {any} */ (window);
  const core = page.consent?.[Symbol.for("consent")];
  if (!core?.site.modes || core.signalled) return;
  core.signalled = true;

  /** @type {{modes: Record<string, string>, mode: any, category: Record<string, string>}} */
  const { modes, mode } = core.site;
  const GOOGLE = ["ad_storage", "ad_user_data", "ad_personalization", "analytics_storage",
    "functionality_storage", "personalization_storage", "security_storage"];

  /** Granted if every declared service that obeys the key is. @param {string} key */
  function granted(key) {
    if (modes[key]) return modes[key].split(" ").every(page.consent.acceptedService);
    return key.endsWith(".security_storage")
      || (/functionality|personalization_storage/.test(key) && page.consent.acceptedService("functional"));
  }

  /** @param {string} vendor @param {string[]} keys */
  const state = (vendor, keys) => Object.fromEntries(keys.map((key) => [key, granted(`${vendor}.${key}`) ? "granted" : "denied"]));

  /** The keys that declared services list for a vendor. @param {string} vendor */
  const keysOf = (vendor) => Object.keys(modes).filter((key) => key.startsWith(`${vendor}.`)).map((key) => key.slice(vendor.length + 1));

  /** @param {Record<string, string>} values */
  const some = (values) => Object.entries(values).some(([key, value]) => key !== "security_storage" && value === "granted");

  /** Each vendor's way of being told, first and later. @type {((first: boolean) => void)[]} */
  const tellers = [];

  if (keysOf("google").length) {
    page.dataLayer ??= [];
    // The queue takes arguments objects only, no arrays.
    page.gtag ??= function gtag() { page.dataLayer.push(arguments); };
    tellers.push((first) => {
      if (first) {
        const none = Object.fromEntries(GOOGLE.map((key) => [key, key === "security_storage" ? "granted" : "denied"]));
        page.gtag("consent", "default", mode.wait_for_update_ms ? { ...none, wait_for_update: mode.wait_for_update_ms } : none);
        for (const name of ["ads_data_redaction", "url_passthrough"]) if (mode[name]) page.gtag("set", name, true);
      }
      const now = state("google", GOOGLE);
      if (!first || some(now)) page.gtag("consent", "update", now);
    });
  }

  /**
   * Meta's loader does nothing where fbq exists, so no stub is made here. Instead the one that the loader makes is
   * told as soon as it has its queue: before "init", which stands behind the loader.
   * @param {() => void} say
   */
  function awaitMeta(say) {
    const plain = { configurable: true, enumerable: true, writable: true };
    Object.defineProperty(page, "fbq", {
      configurable: true,
      get: () => undefined,
      set(fbq) {
        Object.defineProperty(page, "fbq", { ...plain, value: fbq });
        if (fbq.queue) say();
        else {
          Object.defineProperty(fbq, "queue", {
            configurable: true,
            set(queue) {
              Object.defineProperty(fbq, "queue", { ...plain, value: queue });
              say();
            },
          });
        }
      },
    });
  }

  const uet = keysOf("uet");
  if (uet.length) {
    page.uetq ??= [];
    tellers.push((first) => {
      const now = state("uet", uet);
      if (first) page.uetq.push("consent", "default", Object.fromEntries(uet.map((key) => [key, "denied"])));
      if (!first || some(now)) page.uetq.push("consent", "update", now);
    });
  }

  const clarity = keysOf("clarity");
  if (clarity.length) {
    // The vendor's own stub, which its loader keeps.
    page.clarity ??= function stub() { (page.clarity.q ??= []).push(arguments); };
    tellers.push(() => page.clarity("consentv2", state("clarity", clarity)));
  }

  if (modes.meta) {
    const say = () => page.fbq?.("consent", granted("meta") ? "grant" : "revoke");
    if (page.fbq) say();
    else awaitMeta(say);
    tellers.push((first) => { if (!first) say(); });
  }

  for (const tell of tellers) tell(true);
  (core.watchers ??= []).push(() => { for (const tell of tellers) tell(false); });
})();
