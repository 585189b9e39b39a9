// Holds. Runs in the head, before paint, and decides nothing that the server has not compiled in.
(() => {
  "use strict";
  /**
   * @typedef {{names: Record<string, string>, fp: string, units: string[], tokens: string, always: string[], asked: number[],
   *   category: Record<string, string>, deny: number[], days: number, quiet: boolean, honour: number, reload?: boolean,
   *   hosts?: Table, cookies?: Table, storage?: Table, unknown?: boolean, modes?: any}} Site
   * @typedef {[string, string][]} Table units that let through, and the regular expression of what; the first that matches counts
   */
  const KEY = Symbol.for("consent");
  const page = /** @type {any} */ (window);
  // Not just `consent`: an element with that id would answer too.
  if (page.consent?.[KEY]) return;
  // Of a document without an address of its own the one that made it; a sandbox has no origin.
  const home = new URL(page.origin === "null" ? document.baseURI : page.origin);

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
        : units.map((unit, i) => [i, units.indexOf(category[unit])].some((n) => n >= 0 && said.includes(tokens.substr(2 * n, 2))));
      const granted = bits(1);
      return { flags: bytes[0], granted, refused, count: granted.filter(Boolean).length, at: parseInt(time, 16) };
    } catch {}
  }

  let choice = parse("");

  /** @param {number} i */
  const allowed = (i) => !!choice?.granted[i] && !(SITE.deny[i] & signals() & ~choice.flags);

  /** @type {any} The guard of the document that made this one: what it knows holds here too. */
  let above;
  try {
    above = page.parent.consent[KEY];
    if (above.site.fp !== SITE.fp) above = 0;
  } catch {}

  /** @param {string} id @returns {boolean} */
  const accepted = (id) => !id || always.includes(id) || (above ? above.accepted(id)
    : allowed(units.indexOf(id)) && units.every((unit, i) => category[unit] !== id || allowed(i)));

  // Whose a URL, a cookie, a name in storage is

  /** @param {Table} [table] */
  function finder(table) {
    const rules = table?.map(([units, source]) => /** @type {const} */ ([units.split(" "), RegExp(source)]));
    return (/** @type {string} */ text) => rules?.find(([, rule]) => rule.test(text))?.[0];
  }
  const hosts = finder(SITE.hosts);
  const cookies = finder(SITE.cookies);
  const stored = finder(SITE.storage);

  /** @param {string[]} [found] @returns {any} the units of which one must be granted, if none is */
  const held = (found) => (found?.some(accepted) === false ? found : undefined);

  /** @param {any} value @returns {any} */
  function waits(value) {
    try {
      const { protocol, host, hostname, pathname } = new URL(value, document.baseURI);
      if (/^(http|ws)/.test(protocol)) return held((host === home.host && hosts(pathname)) || hosts(hostname.replace(/\.$/, "") + pathname));
    } catch {}
  }

  /** With and without its prefix, and as a piece of a name that was split. @param {string} name */
  function owners(name) {
    const bare = name.replace(/^__(secure|host)-/i, "");
    for (const form of [name, bare]) {
      const found = cookies(form) || cookies(form.replace(/([-.]\d{1,3}|C\d\d?)$/, ""));
      if (found) return found;
    }
  }

  /** @param {string} name @returns {any} */
  const blocked = (name) => {
    const found = owners(name);
    return found ? held(found) : SITE.unknown || accepted("marketing") ? undefined : true;
  };

  // Elements

  const URLS = ["src", "srcset", "href", "xlink:href", "data", "poster", "background", "imagesrcset"];
  const LINKS = /^(link|script|image|img|use|feImage)$/;
  /** @type {Set<any>} Held where no look at the document finds them: not in it yet, or in a shadow root. */
  const loose = new Set();
  /** Let through by one click. */
  const free = new WeakSet();

  /** Keeps a URL for later, or clears the marks of one that was kept. @param {any} el @param {string} name @param {any} value */
  function keep(el, name, value) {
    name = name.toLowerCase();
    if (free.has(el) || !URLS.includes(name) || (/f$/.test(name) && !LINKS.test(el.localName))
      || (el.rel && !/style|pre[flrc]|icon|dns|mod|mani/.test(el.rel))) return;
    const found = /set$/.test(name) ? String(value).split(/[\s,]+/).map(waits).find(Boolean) : waits(value);
    const script = el.localName === "script";
    if (found) {
      el.setAttribute("data-" + name, value);
      for (const mark of [name, "data-service", "data-category"]) el.removeAttribute(mark);
      el.setAttribute(found[1] || found[0] in category ? "data-service" : "data-category", found.join(" "));
      if (script && el.type !== "text/plain") {
        if (el.type) el.setAttribute("data-type", el.type);
        el.type = "text/plain";
      }
      if (el.getRootNode() !== document && loose.size < 200) loose.add(el);
    } else if (el.hasAttribute("data-" + name)) {
      const type = el.getAttribute("data-type") || "";
      for (const mark of [name, "service", "category", "type"]) el.removeAttribute("data-" + mark);
      if (type) el.type = type;
      else if (script) el.removeAttribute("type");
    }
    return found;
  }

  /** @param {any} root @returns {number} how much in it is held */
  const sweep = (root) => [root, ...root.querySelectorAll?.("*") || []]
    .flatMap((el) => [...el.attributes || []].filter(({ name, value }) => keep(el, name, value))).length;

  // HTML

  const inert = document.implementation.createHTMLDocument("");
  /** @type {any} */
  let policy;
  const rules = { createHTML: String, createScript: String, createScriptURL: String };
  /** Made when needed: a strict site may not know its name. @returns {any} */
  const trust = () => policy ??= page.trustedTypes?.createPolicy("consent", rules) ?? rules;

  /** HTML with what it holds back; what holds nothing back is the very same. @param {any} html @param {string} [head] what goes in front */
  function written(html, head = "") {
    let text = html;
    if (/(src|set|href|data|poster|background)\s*=/i.test(html)) {
      const box = inert.createElement("template");
      box.innerHTML = html;
      if (sweep(box.content)) text = box.innerHTML;
    }
    return head || text !== html ? trust().createHTML(head + text) : html;
  }

  const answered = () => !!choice && SITE.asked.every((i) => choice?.granted[i] || choice?.refused[i]);

  /** Reads the cookie and says on <html> whether to ask. @param {boolean} [told] the server has just taken an answer */
  function read(told) {
    const name = SITE.names[home.protocol === "https:" ? "https" : "http"] + "=";
    // Of duplicates the most restrictive counts, of equals the newest.
    let cookies = "";
    try {
      cookies = document.cookie;
    } catch {}
    choice = cookies.split("; ").flatMap((c) => c.startsWith(name) && parse(c.slice(name.length)) || [])
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

  // Interception. What no script can stop (import(), CSS url() and @import, FontFace, what workers load) is left to the page's policy.

  /** @typedef {(args: any[], self: any, name: string, go: () => any) => any} Test what it returns takes the place of the call */

  /** The storage behind its stand-in, and the other way round. */
  const real = new WeakMap();
  const boxes = new WeakMap();
  /** The element behind an animated string. */
  const animated = new WeakMap();
  const known = new WeakSet();

  /** Guards another realm, if it is ours. @param {any} win */
  function enter(win) {
    try {
      if (!known.has(win)) install(win);
    } catch {}
    return win;
  }

  function refuse() {
    throw new DOMException("Held back until consent", "SecurityError");
  }

  /** Asks nobody, so that it fails as without a network. @param {number} at where the URL stands @returns {Test} */
  const elsewhere = (at) => (args) => {
    if (waits(args[at]?.url ?? args[at])) args[at] = "about:blank";
  };

  /** @param {any} win */
  function install(win) {
    known.add(win);
    if (win[KEY]) return;
    win[KEY] = 1;

    /**
     * Puts a test in front of methods, constructors, getters or setters, where there are any.
     * @param {string} types whose; the window's own where empty
     * @param {string} members @param {Test} test @param {"value" | "get" | "set"} [kind]
     */
    function on(types, members, test, kind = "value") {
      for (const type of types.split(" ")) for (const name of members.split(" ")) {
        const owner = type ? win[type]?.prototype : win;
        const found = owner && Object.getOwnPropertyDescriptor(owner, name);
        if (found?.[kind]) {
          /** @param {any} _ @param {any} self @param {any[]} args */
          const apply = (_, self, args) => {
            const go = () => Reflect.apply(found[kind], real.get(self) ?? self, args);
            const result = test(args, self, name, go) ?? go();
            for (let i = 0; i < win.length; i++) enter(win[i]);
            return result;
          };
          /** @param {any} native @param {any[]} args @param {any} target */
          const construct = (native, args, target) => test(args, target, name, apply) ?? Reflect.construct(native, args, target);
          Object.defineProperty(owner, name, { ...found, [kind]: new Proxy(found[kind], { apply, construct }) });
        }
      }
    }

    on("Document", "cookie", ([value]) => {
      const [, name, rest] = /^[=\s]*([^=;]*)([^]*)/.exec(value) || ["", "", ""];
      const age = /;\s*max-age\s*=\s*(-?\d+)/i.exec(rest);
      const gone = age ? +age[1] <= 0 : Date.parse(/;\s*expires\s*=([^;]*)/i.exec(rest)?.[1] || "") < Date.now();
      return gone ? undefined : blocked(name.trim());
    }, "set");
    on("Document", "cookie", (args, self, name, go) => go().split("; ")
      .filter((/** @type {string} */ one) => !held(owners(one.split("=")[0]))).join("; "), "get");
    on("CookieStore", "set", ([one]) => (one.expires <= Date.now() || !blocked(one.name ?? one) ? undefined : Promise.resolve()));

    // A name can be set without a method: so a stand-in, which every method takes for the real one.
    on("Storage", "setItem getItem removeItem clear key", ([name], self, member) => (member[0] === "s" ? held(stored(`${name}`)) : undefined));
    on("", "localStorage sessionStorage", (args, self, name, go) => {
      const store = go();
      if (!boxes.has(store)) {
        const box = new Proxy(store, {
          get: (_, name) => store[name],
          set: (_, name, value) => held(stored(String(name))) || Reflect.set(store, name, value),
          defineProperty: (_, name, how) => held(stored(String(name))) || Reflect.defineProperty(store, name, how),
        });
        boxes.set(store, box);
        real.set(box, store);
      }
      return boxes.get(store);
    }, "get");
    on("IDBFactory", "open", ([name]) => held(stored(name)) && refuse());

    const types = Object.getOwnPropertyNames(win).filter((name) => /^(HTML|SVG)\w+Element$/.test(name)).join(" ");
    on(types, "src srcset href data poster background imageSrcset", ([value], el, name) => keep(el, name, value), "set");
    on(types, "href", (args, self, name, go) => {
      const moving = go();
      if (moving.animVal !== undefined) animated.set(moving, self);
      return moving;
    }, "get");
    on("SVGAnimatedString", "baseVal", ([value], self) => animated.has(self) && keep(animated.get(self), "href", value) || undefined, "set");
    on(types, "contentWindow", (args, self, name, go) => enter(go()), "get");
    on(types, "contentDocument", (args, self, name, go) => {
      enter(self.contentWindow);
      return go();
    }, "get");

    on("Element NamedNodeMap", "setAttribute setAttributeNS setAttributeNode setAttributeNodeNS setNamedItem setNamedItemNS", (args, self, name, go) => {
      const [node] = args;
      const at = args.length - 1;
      if (node?.nodeType) {
        const el = self.nodeType ? self : self[0]?.ownerElement;
        if (el) return keep(el, node.name, node.value);
        // Of an empty map the element is not known before.
        const done = go() || false;
        keep(node.ownerElement, node.name, node.value);
        return done;
      }
      if (/^srcdoc$/i.test(args[at - 1])) args[at] = written(args[at], inner);
      return keep(self, args[at - 1], args[at]);
    });
    on("Attr Node", "value nodeValue textContent", ([value], self) => self.ownerElement && keep(self.ownerElement, self.name, value) || undefined, "set");
    on("HTMLIFrameElement", "srcdoc", (args) => {
      args[0] = written(args[0], inner);
    }, "set");

    /** @type {Test} */
    const html = (args, self, name) => {
      if (self.ownerDocument === inert) return;
      if (name[0] === "w") args.splice(0, args.length, args.join(""));
      const at = +(name[0] === "i" && args.length > 1);
      args[at] = written(args[at]);
    };
    on("Element ShadowRoot", "innerHTML outerHTML", html, "set");
    on("Element ShadowRoot Range Document", "setHTMLUnsafe insertAdjacentHTML createContextualFragment write writeln", html);
    on("Node Element CharacterData Document DocumentFragment Range",
      "appendChild insertBefore replaceChild append prepend replaceChildren before after replaceWith insertAdjacentElement importNode adoptNode insertNode",
      (args, self) => {
        for (const node of args) if (node?.ownerDocument && node.ownerDocument !== (self.ownerDocument || self)) sweep(node);
      });

    on("", "WebSocket EventSource WebTransport Worker SharedWorker", ([url]) => waits(url) && refuse());
    on("", "fetch", elsewhere(0));
    on("XMLHttpRequest", "open", elsewhere(1));
    on("", "Audio", (args) => {
      const [url] = args.splice(0);
      if (url !== undefined) return Object.assign(new win.Audio(), { src: url });
    });
    on("", "open", (args, self, name, go) => enter(go()));
    on("Navigator", "sendBeacon", ([url]) => waits(url) && false);
  }

  const { src, nonce } = /** @type {any} */ (document.currentScript);
  const inner = `<script src="${src}" nonce="${nonce}"><\/script>`;
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
    [KEY]: { site: SITE, base: src.slice(0, src.lastIndexOf("static/")), ids, accepted, waits, read, queue, trust, loose, free, owners, stored, watchers: [] },
  };
  read();
  if (SITE.hosts) install(page);
})();
