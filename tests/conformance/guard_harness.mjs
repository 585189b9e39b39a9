// Runs guard.js once a case, with stubs for what a browser gives it, and prints what it decides.
// stdin: {"guards": [source, ...], "cases": [[guard, cookies, gpc, dnt, now_ms, protocol, framed, mode], ...]}
// stdout: [[accepted ids, state, answered], ...]
let text = "";
for await (const chunk of process.stdin) text += chunk;
const { guards, cases } = JSON.parse(text);

const programs = guards.map(
  (source) => new Function("window", "document", "navigator", "location", "Date", source),
);

// As a parent of another origin: where reading it gives nothing, the engine words a new error for every case, which
// takes longer than all the rest.
const denied = new Error("cross-origin");

const results = cases.map(([guard, cookie, gpc, dnt, now, protocol, framed, mode]) => {
  const window = { origin: `${protocol}//www.example.com`, get parent() { throw denied; } };
  window.self = window;
  window.top = framed ? {} : window;
  const document = {
    cookie,
    currentScript: { src: `${protocol}//www.example.com/_consent/static/0123456789ab/guard.js`, dataset: { mode: String(mode) } },
    documentElement: { dataset: {} },
    cloneNode: () => ({}),
  };
  const navigator = { globalPrivacyControl: gpc, doNotTrack: dnt };
  programs[guard](window, document, navigator, { protocol }, { now: () => now });
  const { site } = window.consent[Symbol.for("consent")];
  const accepted = site.units.filter(([id, , , category]) => (category
    ? window.consent.acceptedService(id)
    : window.consent.acceptedCategory(id))).map(([id]) => id);
  return [accepted.sort(), document.documentElement.dataset.consentState, window.consent.validConsent()];
});
process.stdout.write(JSON.stringify(results));
