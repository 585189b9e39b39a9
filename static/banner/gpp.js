// The Global Privacy Platform's page interface (CONFORMANCE IAB-2, IAB-3): section usnat, from an unregistered creator.
(() => {
  "use strict";
  const page = /** @type {any} */ (window);
  const core = page.consent?.[Symbol.for("consent")];
  if (!core || core.gpp) return;
  core.gpp = true;

  const SECTION = "usnat";
  const ID = 7;
  const signalled = () => /** @type {any} */ (navigator).globalPrivacyControl === true;
  const optedOut = () => !page.consent.acceptedService("marketing");
  const encoded = () => `CVQ${optedOut() ? "V" : "q"}AAAAAACA.${signalled() ? "YA" : "QA"}`;
  const string = () => `DBABLA~${encoded()}`;

  /** The core segment and the segment of the signal. */
  function section() {
    const out = optedOut() ? 1 : 2;
    return [
      {
        Version: 2,
        SharingNotice: 1,
        SaleOptOutNotice: 1,
        SharingOptOutNotice: 1,
        TargetedAdvertisingOptOutNotice: 1,
        SensitiveDataProcessingOptOutNotice: 0,
        SensitiveDataLimitUseNotice: 0,
        SaleOptOut: out,
        SharingOptOut: out,
        TargetedAdvertisingOptOut: out,
        SensitiveDataProcessing: Array(16).fill(0),
        KnownChildSensitiveDataConsents: [0, 0, 0],
        PersonalDataConsents: 0,
        MspaCoveredTransaction: 2,
        MspaOptOutOptionMode: 0,
        MspaServiceProviderMode: 0,
      },
      { SubsectionType: 1, Gpc: signalled() },
    ];
  }

  const ping = () => ({
    gppVersion: "1.1",
    cmpStatus: "loaded",
    cmpDisplayStatus: document.documentElement.dataset.consentState === "ask" ? "visible" : "hidden",
    signalStatus: "ready",
    supportedAPIs: [`${ID}:${SECTION}`],
    cmpId: 1,
    sectionList: [ID],
    applicableSections: [ID],
    gppString: string(),
    parsedSections: { [SECTION]: section() },
  });

  /** @type {Map<number, (event: any, success: boolean) => void>} */
  const listeners = new Map();
  let last = 0;
  /** @param {number} listenerId @param {string} eventName @param {any} data */
  const event = (listenerId, eventName, data) => ({ eventName, listenerId, data, pingData: ping() });

  /** @type {Record<string, (parameter: any, callback: any) => any>} */
  const commands = {
    ping,
    addEventListener(_, callback) {
      listeners.set(++last, callback);
      return event(last, "listenerRegistered", true);
    },
    removeEventListener: (id) => event(id, "listenerRemoved", listeners.delete(id)),
    hasSection: (name) => name === SECTION,
    getSection: (name) => (name === SECTION ? section() : null),
    getField(path) {
      const [name, field] = String(path).split(".");
      const found = name === SECTION && section().find((segment) => field in segment);
      return found ? /** @type {any} */ (found)[field] : null;
    },
  };

  const waiting = page.__gpp?.queue || [];
  /** Answers by its callback only. @param {string} command @param {any} callback @param {any} [parameter] */
  page.__gpp = (command, callback, parameter) => {
    const known = Object.hasOwn(commands, command);
    const answer = known ? commands[command](parameter, callback) : null;
    callback?.(answer, known && answer !== null);
  };
  for (const call of waiting) page.__gpp(...call);

  let told = string();
  (core.watchers ??= []).push(() => {
    if (told === string()) return;
    told = string();
    for (const [id, callback] of listeners) callback(event(id, "sectionChange", SECTION), true);
  });
})();
