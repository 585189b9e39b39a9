// Holds. Runs in the head, before paint, and decides nothing that the server has not compiled in.
(() => {
  "use strict";
  /**
   * @typedef {{names: Record<string, string>, fp: string, units: string[], tokens: string[], always: string[], asked: number[],
   *   category: Record<string, string>, deny: number[], days: number, quiet: boolean, honour: number, reload?: boolean,
   *   hosts?: Table, cookies?: Table, storage?: Table, unknown?: boolean, modes?: any}} Site
   * @typedef {Record<string, string>} Table patterns by the unit that lets them through, "" for what is free
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
        : units.map((unit, i) => said.includes(tokens[i]) || said.includes(tokens[units.indexOf(category[unit])]));
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

  /**
   * Compiles patterns; an exact one decides before a wildcard, then the longest. A host's are followed by its path.
   * @param {Table | undefined} table @param {string} any what "*" stands for @param {string} end
   */
  function finder(table, any, end) {
    /** @type {Record<string, string[]>} */
    const owners = {};
    for (const unit in table) for (const pattern of table[unit].split(" ")) (owners[pattern] ??= []).push(unit);
    /** @param {string} pattern */
    const rank = (pattern) => (pattern.includes("*") ? 0 : 1e6) + pattern.split("/")[0].length * 1e3 + pattern.length;
    const rules = Object.keys(owners).sort((a, b) => rank(b) - rank(a)).map((pattern) => ({
      test: RegExp("^" + pattern.replace(/[^\w*]/g, "\\$&").replace(/\*/g, any) + (pattern.includes("/") && end !== "$" ? "" : end)),
      units: owners[pattern],
    }));
    return (/** @type {string} */ name) => rules.find(({ test }) => test.test(name))?.units;
  }
  const hosts = finder(SITE.hosts, "[^/]*", "/");
  const cookies = finder(SITE.cookies, "[^]*", "$");
  const stored = finder(SITE.storage, "[^]*", "$");

  /** @param {string[]} [found] @returns {any} the units that must be granted, if none is */
  const held = (found) => found && !found.some(accepted) && found;

  /** @param {any} value @returns {any} */
  function waits(value) {
    try {
      const { protocol, host, hostname, pathname } = new URL(value, document.baseURI);
      return /^(http|ws)s?:/.test(protocol)
        && held((host === home.host && hosts(pathname)) || hosts(hostname.replace(/\.$/, "") + pathname));
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

  /** @param {string} name */
  const blocked = (name) => {
    const found = owners(name);
    return found ? held(found) : !SITE.unknown && !accepted("marketing");
  };

  // Elements

  const URLS = /^(src|srcset|href|xlink:href|data|poster|background|imagesrcset)$/;
  const TAGS = "script iframe frame img image link video audio source track embed object input use feImage body table td".split(" ");
  /** @type {Set<any>} Held where no look at the document finds them: not in it yet, or in a shadow root. */
  const loose = new Set();
  /** Let through by one click. */
  const free = new WeakSet();

  /** Keeps a URL for later, or clears the marks of one that was kept. @param {any} el @param {string} name @param {any} value */
  function keep(el, name, value) {
    name = name.toLowerCase();
    if (free.has(el) || !URLS.test(name) || !TAGS.includes(el.localName) || (el.rel && !/style|pre[flrc]|icon|dns|mod|mani/.test(el.rel))) return;
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
  const sweep = (root) => [root, ...root.querySelectorAll?.(String(TAGS)) || []]
    .flatMap((el) => [...el.attributes || []].filter(({ name, value }) => keep(el, name, value))).length;

  // HTML

  const blank = document.implementation.createHTMLDocument("");
  const TAG = RegExp(`<(${TAGS.join("|")})\\b`, "i");
  /** @type {any} */
  let policy;
  const rules = { createHTML: String, createScript: String, createScriptURL: String };
  /** Made when needed: a strict site may not know its name. @returns {any} */
  const trust = () => policy ??= page.trustedTypes?.createPolicy("consent", rules) ?? rules;

  /** A document's text, with what it holds back. @param {any} html @param {string} [head] what goes in front of any */
  function written(html, head = "") {
    const given = html;
    if (!head && !TAG.test(html)) return html;
    const inert = new DOMParser().parseFromString(html, "text/html");
    const root = inert.documentElement;
    if (sweep(root)) html = /<(!d|html|head|body)/i.test(html) ? "<!DOCTYPE html>" + root.outerHTML : inert.head.innerHTML + inert.body.innerHTML;
    else if (!head) return html;
    try {
      return trust().createHTML(head + html);
    } catch {
      // The site's policy names other rules only: its page must not break.
      return given;
    }
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

  /**
   * Puts a handler in front of functions, constructors, getters or setters, where there are any.
   * @param {any} owner @param {string} names
   * @param {(args: any[], self: any, go: () => any, name: string) => any} handler
   * @param {"value" | "get" | "set"} [kind]
   */
  function patch(owner, names, handler, kind = "value") {
    for (const name of names.split(" ")) {
      const found = owner && Object.getOwnPropertyDescriptor(owner, name);
      const native = found?.[kind];
      if (native) {
        Object.defineProperty(owner, name, { ...found, [kind]: new Proxy(native, {
          apply: (_, self, args) => handler(args, self, () => Reflect.apply(native, self, args), name),
          construct: (_, args, target) => handler(args, target, () => Reflect.construct(native, args, target), name),
        }) });
      }
    }
  }

  function refuse() {
    throw new DOMException("Held back until consent", "SecurityError");
  }

  const mute = new WeakSet();
  const known = new WeakSet();
  const boxes = new WeakMap();
  /** What stands behind an object: the storage behind its stand-in, the element behind an animated string. */
  const contents = new WeakMap();
  const PLACES = /** @type {any} */ ({ outerHTML: "replaceWith", beforebegin: "before", afterbegin: "prepend", beforeend: "append", afterend: "after" });

  /** @param {any} args @param {any} self @param {() => any} go @param {string} name */
  function html(args, self, go, name) {
    const value = args[1] && name[0] === "i" ? args[1] : args[0];
    const range = name[0] === "c";
    const target = range ? self.startContainer : self;
    if (target.ownerDocument === blank || !TAG.test(value)) return go();
    const place = PLACES[name] || (name[8] === "j" && PLACES[String(args[0]).toLowerCase()]) || "replaceChildren";
    const around = /^(r.*W|be|af)/.test(place) ? target.parentNode : target.host || target;
    const box = blank.createElementNS((around.nodeType === 1 ? around : blank.body).namespaceURI, around.localName || "body");
    let root;
    if (range) {
      const inner = blank.createRange();
      inner.selectNodeContents(box);
      root = inner.createContextualFragment(value);
    } else {
      box.innerHTML = value;
      root = box.content || box;
    }
    if (!sweep(root)) return go();
    // Parsed without scripts, so that what noscript holds became elements.
    for (const off of root.querySelectorAll("noscript")) off.textContent = off.innerHTML;
    if (range) return document.adoptNode(root);
    (place[7] === "C" && self.content || self)[place](...root.childNodes);
  }

  /** @param {any} win */
  function frames(win) {
    for (let i = 0; i < win.length; i++) {
      // A page may have set "length" to something else.
      const inner = win[i];
      if (inner && !known.has(inner)) {
        known.add(inner);
        enter(inner);
      }
    }
  }

  /** Guards another realm, if it is ours. @param {any} win */
  function enter(win) {
    try {
      install(win);
    } catch {}
    return win;
  }

  /** @param {any} win */
  function install(win) {
    if (win[KEY]) return;
    win[KEY] = 1;
    /** @param {string} names @param {string} members @param {any} handler @param {any} [kind] */
    const on = (names, members, handler, kind) => {
      for (const name of names.split(" ")) patch(win[name]?.prototype, members, handler, kind);
    };
    /** @param {any} handler */
    const after = (handler) => (/** @type {any} */ args, /** @type {any} */ self, /** @type {any} */ go, /** @type {string} */ name) => {
      const done = handler(args, self, go, name);
      if (win.length) frames(win);
      return done;
    };

    on("Document", "cookie", (/** @type {any} */ [value], /** @type {any} */ _, /** @type {any} */ go) => {
      const text = String(value);
      const age = /;\s*max-age\s*=\s*(-?\d+)/i.exec(text);
      const gone = age ? +age[1] <= 0 : Date.parse(/;\s*expires\s*=([^;]*)/i.exec(text)?.[1] || "") < Date.now();
      if (gone || !blocked(/^[=\s]*([^=;]*)/.exec(text)?.[1].trim() || "")) go();
    }, "set");
    on("Document", "cookie", (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => go().split("; ")
      .filter((/** @type {string} */ one) => !held(owners(one.split("=")[0]))).join("; "), "get");
    on("CookieStore", "set", (/** @type {any} */ [one = ""], /** @type {any} */ _, /** @type {any} */ go) => (
      one.expires <= Date.now() || !blocked(one.name ?? one) ? go() : Promise.resolve()));
    on("CookieStore", "getAll", async (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => (await go())
      .filter((/** @type {any} */ one) => !held(owners(one.name))));

    // A name can be set without a method: so a stand-in, which every method takes for the real one.
    on("Storage", "setItem getItem removeItem clear key", (/** @type {any} */ args, /** @type {any} */ self, /** @type {any} */ go, /** @type {string} */ name) => {
      const real = contents.get(self);
      if (real) return real[name](...args);
      if (name !== "setItem" || !held(stored(String(args[0])))) return go();
    });
    patch(win, "localStorage sessionStorage", (_, self, go) => {
      const real = go();
      let box = boxes.get(real);
      if (!box) {
        boxes.set(real, box = new Proxy(real, {
          get: (_, name) => real[name],
          set: (_, name, value) => held(stored(String(name))) || Reflect.set(real, name, value),
          defineProperty: (_, name, how) => held(stored(String(name))) || Reflect.defineProperty(real, name, how),
        }));
        contents.set(box, real);
      }
      return box;
    }, "get");
    on("IDBFactory", "open", (/** @type {any} */ [name], /** @type {any} */ _, /** @type {any} */ go) => (held(stored(name)) ? refuse() : go()));

    for (const name of Object.getOwnPropertyNames(win)) {
      if (/^SVG\w+Element$/.test(name)) {
        on(name, "href", (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => {
          const moving = go();
          contents.set(moving, self);
          return moving;
        }, "get");
      } else if (/^HTML\w+Element$/.test(name)) {
        on(name, "src srcset href data poster background imageSrcset", (/** @type {any} */ [value], /** @type {any} */ el, /** @type {any} */ go, /** @type {string} */ member) => {
          if (!keep(el, member, value)) go();
        }, "set");
        on(name, "contentWindow", (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => enter(go()), "get");
        on(name, "contentDocument", (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => {
          const inner = go();
          enter(inner?.defaultView);
          return inner;
        }, "get");
      }
    }
    on("SVGAnimatedString", "baseVal", (/** @type {any} */ [value], /** @type {any} */ self, /** @type {any} */ go) => {
      const el = contents.get(self);
      if (!el || !keep(el, "href", value)) go();
    }, "set");
    /** @param {any} args @param {any} self @param {any} go @param {string} name */
    const attribute = (args, self, go, name) => {
      const node = args[0]?.value !== undefined && args[0];
      const el = self.nodeType ? self : self[0]?.ownerElement;
      const [key, value] = node ? [node.name, node.value] : args.slice(-2);
      if (name[3] === "A" && String(key).toLowerCase() === "srcdoc" && !node) args[args.length - 1] = written(value, inner);
      // Of an empty map the element is not known before.
      const done = el && keep(el, String(key), value) ? null : go();
      if (!el && node.ownerElement) keep(node.ownerElement, key, value);
      return done;
    };
    on("Element NamedNodeMap", "setAttribute setAttributeNS setAttributeNode setAttributeNodeNS setNamedItem setNamedItemNS", attribute);
    on("Attr Node", "value nodeValue textContent", (/** @type {any} */ [value], /** @type {any} */ self, /** @type {any} */ go) => {
      if (!self.ownerElement || !keep(self.ownerElement, self.name, value)) go();
    }, "set");
    on("HTMLIFrameElement", "srcdoc", (/** @type {any} */ args, /** @type {any} */ _, /** @type {any} */ go) => {
      args[0] = written(args[0], inner);
      go();
    }, "set");

    on("Element ShadowRoot", "innerHTML outerHTML", after(html), "set");
    on("Element ShadowRoot Range", "setHTMLUnsafe insertAdjacentHTML createContextualFragment", after(html));
    on("Document", "write writeln", after((/** @type {any} */ args, /** @type {any} */ _, /** @type {any} */ go) => {
      if (args[1]) args.splice(0, args.length, args.join(""));
      args[0] = written(args[0]);
      return go();
    }));
    on("Node Element CharacterData Document DocumentFragment Range",
      "appendChild insertBefore replaceChild append prepend replaceChildren before after replaceWith insertAdjacentElement importNode adoptNode insertNode",
      after((/** @type {any} */ args, /** @type {any} */ self, /** @type {any} */ go) => {
        for (const node of args) if (node?.ownerDocument && node.ownerDocument !== (self.ownerDocument || self)) sweep(node);
        return go();
      }));

    patch(win, "WebSocket EventSource WebTransport Worker SharedWorker", ([url], _, go) => (waits(url) ? refuse() : go()));
    patch(win, "fetch", ([what], _, go) => (waits(what?.url ?? what) ? Promise.reject(new TypeError("Failed to fetch")) : go()));
    patch(win, "Audio", (args, _, go) => {
      const [url] = args.splice(0);
      const el = go();
      if (url !== undefined) el.src = url;
      return el;
    });
    patch(win, "open", (_, self, go) => enter(go()));
    on("Navigator", "sendBeacon", (/** @type {any} */ [url], /** @type {any} */ _, /** @type {any} */ go) => !waits(url) && go());
    on("XMLHttpRequest", "open", (/** @type {any} */ [, url], /** @type {any} */ self, /** @type {any} */ go) => {
      mute[waits(url) ? "add" : "delete"](self);
      go();
    });
    on("XMLHttpRequest", "send", (/** @type {any} */ _, /** @type {any} */ self, /** @type {any} */ go) => {
      if (!mute.has(self)) return go();
      setTimeout(() => ["error", "loadend"].forEach((type) => self.dispatchEvent(new ProgressEvent(type))));
    });
    win.addEventListener("click", (/** @type {any} */ { target }) => {
      const link = target.closest?.("[ping]");
      if (link?.ping.split(/\s+/).some(waits)) link.removeAttribute("ping");
    }, true);
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
    [KEY]: { site: SITE, base: src.slice(0, src.lastIndexOf("static/")), ids, accepted, read, queue, trust, loose, free, owners, stored, watchers: [] },
  };
  read();
  if (SITE.hosts) install(page);
})();
