// Holds. Runs in the head, before paint, and decides nothing that the server has not compiled in. Every byte counts
// here: what can wait until the page stands is banner.js's.
(() => {
  /**
   * @typedef {[id: string, token: string, bits: number, category?: string]} Unit bits: 1, 2 a signal that denies it, 4 asked, 8 always on,
   *   16, 32, 64 on unless said no to, in a mode of that bit
   * @typedef {{names: Record<string, string>, fp: string, units: Unit[], size: number, life: number, quiet: number, reload?: boolean, unknown?: string[],
   *   rules?: [string, string][], modes?: any}} Site rules: units that let through, and the regular expression of what; the first that matches counts
   * @typedef {{said: string, flags: number, count: number, at: number}} Choice said: a digit a unit, 1 granted, 2 refused
   */
  const KEY = Symbol.for("consent");
  const page = /** @type {any} */ (window);
  // Not just `consent`: an element with that id would answer too.
  if (page.consent?.[KEY]) return;
  // A document may have no address of its own; its guard has.
  // Its mode: what is on unless said no to, and which signals an answer outweighs. A page for everyone learns it later.
  const { src, nonce, dataset } = /** @type {any} */ (document.currentScript);
  const home = new URL(src);

  const SITE = /** @type {Site} */ (/** @type {any} */ ("__SITE__"));
  const { units } = SITE;
  const signals = () => (navigator.globalPrivacyControl === true) | (2 * (navigator.doNotTrack === "1"));

  /** Malformed or expired is no choice, never an error. @param {string} cookie @returns {Choice[]} */
  const parse = (cookie) => {
    const part = cookie.split(".");
    const [version, print, state, refusals, time] = part;
    const at = parseInt(time, 16);
    if (version !== SITE.names[home.protocol] || part.length !== 7 || !(Date.now() / 1000 < at + SITE.life)) return [];
    // Changed processing voids grants, never refusals.
    const said = units.map(([id, , , category], i) => (print === SITE.fp && state.length === SITE.size ? parseInt(state[1 + i / 3 | 0], 36) / 3 ** (i % 3) % 3 | 0
      : 2 * units.some(([other, token]) => [id, category].includes(other) && refusals.match(/../g)?.includes(token)))).join("");
    return [{ said, flags: parseInt(state[0], 36), count: said.split(1).length, at }];
  };

  /** @type {Choice} */
  let choice;

  /** @type {any} The guard of the document that made this one: what it knows holds here too. */
  let above;
  try {
    above = page.parent.consent?.[KEY][SITE.fp];
  } catch {}

  /** @param {string} id @returns {boolean} */
  const accepted = (id) => {
    const parts = units.flatMap(([unit, , bits, category], i, _, said = choice.said[i]) => ([unit, category].includes(id)
      ? bits & 8 || ((said > 0 ? said < 2 : bits & dataset.mode & 112) && !(bits & signals() & ~(said * choice.flags & dataset.mode))) : []));
    return !id || (above ? above(id) : !!parts[0] && parts.every(Boolean));
  };

  // Whose a URL, a cookie, a name in storage is

  const rules = SITE.rules?.map(([who, source]) => [who.split(" "), RegExp(`^(?:${source})`)]);
  /** Whose the first of these texts is that is somebody's: hosts with paths, "=" and a cookie, "#" and a name in storage. @param {any[]} texts */
  const find = (...texts) => texts.map((text) => rules?.find(([, rule]) => rule.test(text))?.[0]).find(Boolean);

  /** @param {string[]} [found] @returns {any} the units of which one must be granted, if none is */
  const held = (found) => { if (found && !found.some(accepted)) return found; };

  /** @param {any} value @returns {any} */
  const waits = (value) => {
    try {
      const { host, hostname, pathname } = new URL(value, document.baseURI);
      return held(find(host === home.host && pathname, hostname.replace(/\.$/, "") + pathname));
    } catch {}
  };

  /** With and without its prefix, and as a piece of a name that was split. @param {string} name */
  const owners = (name) => find(...[name, name.replace(/^__(secure|host)-/i, "")]
    .flatMap((form) => [form, form.replace(/([-.]\d{1,3}|C\d\d?)$/, "")]).map((form) => "=" + form));

  /** @param {string} name */
  const blocked = (name) => held(owners(name) || SITE.unknown);
  /** @param {any} name */
  const stored = (name) => held(find("#" + String(name)));

  // Elements

  // A string for SVG is read as HTML, where <image> is <img>.
  const URLS = /^((link|script|ima?ge?|use|feimage) (xlink:)?href|\S+ ((image)?src(set)?|data|poster|background))$/i;
  /** @type {Set<any>} Held where no look at the document finds them: not in it yet, or in a shadow root. */
  const loose = new Set();

  /** Keeps a URL for later, or forgets one that was kept. @param {any} el @param {string} name @param {any} value */
  const keep = (el, name, value) => {
    const { dataset: data, localName, rel } = el;
    if (!data || el[KEY] || !URLS.test(`${localName} ${name}`) || (rel && !/style|pre[flrc]|icon|mani/.test(rel))) return;
    name = name.toLowerCase();
    const found = /set$/.test(name) ? String(value).split(/[\s,]+/).map(waits).find(Boolean) : waits(value);
    const script = localName === "script";
    if (found) {
      el.removeAttribute(name);
      data[name] = value;
      data.service = found.join(" ");
      if (script && el.type !== "text/plain") {
        data.type = el.type;
        el.type = "text/plain";
      }
      if (el.getRootNode() !== document && loose.size < 200) loose.add(el);
    } else if (name in data) {
      if (script) el.type = data.type || "";
      delete data[name];
    }
    return found;
  };

  /** @param {any} root @returns {number} how much in it is held */
  const sweep = (root) => [root, ...root.querySelectorAll?.("*") || []]
    .flatMap((el) => [...el.attributes || []].filter(({ name, value }) => keep(el, name, value))).length;

  // HTML

  const inert = document.cloneNode();
  /** @type {any} */
  let policy;
  const types = { createHTML: String, createScript: String, createScriptURL: String };
  /** Made when needed: a strict site may not know its name. @returns {any} */
  const trust = () => policy ??= page.trustedTypes?.createPolicy("consent", types) ?? types;

  /** HTML with what it holds back; what holds nothing back is the very same. @param {any} html @param {string} [head] what goes in front */
  const written = (html, head = "") => {
    let text = html;
    if (/(href|src(set)?|data|poster|background)\s*=/i.test(html)) {
      const box = inert.createElement("template");
      box.innerHTML = html;
      if (sweep(box.content)) text = trust().createHTML(box.innerHTML);
    }
    return head ? trust().createHTML(head + text) : text;
  };

  const answered = () => units.every(([, , bits], i) => !(bits & 4) || choice.said[i] > 0);

  /** Reads the cookie and says on <html> whether to ask. @param {boolean} [told] the server has just taken an answer */
  const read = (told) => {
    choice = /** @type {any} */ ({ said: "" });
    try {
      // Of duplicates the most restrictive counts, of equals the newest.
      choice = document.cookie.split("; ").flatMap(parse).sort((a, b) => a.count - b.count || b.at - a.at)[0] || choice;
    } catch {}
    document.documentElement.dataset.consentState = page.top !== page ? "framed"
      : told || answered() || SITE.quiet & signals() || dataset.mode & 16 ? "decided" : "ask";
  };

  // Interception. What no script can stop (import(), CSS url() and @import, FontFace, what workers load) is left to the page's policy.

  /** @typedef {(args: any[], self: any, go: () => any, name: string) => any} Test what it returns takes the place of the call */

  /** The storage behind its stand-in. */
  const real = new WeakMap();
  const known = new WeakSet();

  /** Guards another realm, if it is ours. @param {any} win */
  const enter = (win) => {
    try {
      win = win.defaultView || win;
      if (!known.has(win)) install(win);
    } catch {}
  };

  /** Asks nobody, so that it fails as without a network. @type {Test} */
  const elsewhere = (args, self, go, name) => {
    const at = +(name === "open");
    if (waits(args[at]?.url ?? args[at])) args[at] = "data:";
  };

  /** @param {any} win */
  const install = (win) => {
    known.add(win);
    if (win[KEY]) return;
    win[KEY] = 1;

    /**
     * Puts a test in front of methods, constructors, getters or setters, where there are any.
     * @param {string} types whose; the window's own where empty
     * @param {string} members a setter rather than its getter @param {Test} test
     */
    const on = (types, members, test) => {
      for (const type of types.split(" ")) for (const name of members.split(" ")) {
        const owner = type ? win[type]?.prototype : win;
        const found = owner && Reflect.getOwnPropertyDescriptor(owner, name);
        const kind = ["value", "set", "get"].find((one) => found?.[one]);
        const native = found?.[kind];
        if (native) {
          /** @param {any} _ @param {any} self @param {any[]} args @param {any} [target] */
          const apply = (_, self, args, target) => {
            const go = () => (target ? Reflect.construct(native, args, target) : Reflect.apply(native, real.get(self) ?? self, args));
            const result = test(args, self, go, name) ?? go();
            Array.from(win, enter);
            return result;
          };
          found[kind] = new Proxy(native, { apply, construct: (_, args, target) => apply(_, target, args, target) });
          Reflect.defineProperty(owner, name, found);
        }
      }
    };

    on("Document", "cookie", ([value]) => {
      const attribute = (name) => RegExp(`;\\s*${name}\\s*=\\s*([^;]*)`, "i").exec(value)?.[1];
      const age = attribute("max-age");
      const gone = age ? +age <= 0 : Date.parse(attribute("expires")) < Date.now();
      return gone ? undefined : blocked(/[^=;\s][^=;]*|$/.exec(value)[0].trim());
    });
    on("CookieStore", "set", ([one]) => (one.expires <= Date.now() ? undefined : blocked(one.name ?? one) && Promise.resolve()));

    // A name can be set without a method: so a stand-in, which every method takes for the real one.
    on("Storage", "setItem", ([name]) => stored(name));
    on("Storage", "getItem removeItem clear key", () => {});
    /** @type {Record<string, any>} */
    const boxes = {};
    on("", "localStorage sessionStorage", (args, self, go, name) => {
      const store = go();
      real.set(boxes[name] ??= new Proxy(store, {
        get: (_, key) => store[key],
        defineProperty: (_, key, how) => stored(key) || Reflect.defineProperty(store, key, how),
      }), store);
      return boxes[name];
    });
    // No database has the version 0, so that it fails.
    on("IDBFactory", "open", (args) => {
      if (stored(args[0])) args[1] = 0;
    });

    // Only what may load something: the browser builds every kind that is looked at, and there are some 140.
    const types = Object.getOwnPropertyNames(win).filter((name) => /^(HTML|SVG)(Li|Sc|I|FEI|Fr|Em|Ob|M|V|So|Tr|Bo|U)/.test(name)).join(" ");
    on(types + " Element Attr Node SVGAnimatedString", "src srcset data poster background imageSrcset value nodeValue textContent baseVal attributes href",
      (args, self, go, name) => {
        // A map of attributes and an animated string do not say whose they are.
        if (!args.length) {
          const found = go();
          found[KEY] = self;
          return found;
        }
        const el = self[KEY] || self.ownerElement;
        return keep(el || self, el ? self.name || "href" : name, args[0]);
      });
    on(types + " ", "contentWindow contentDocument open", (args, self, go) => {
      const found = go();
      enter(found);
      return found;
    });

    on("Element NamedNodeMap", "setAttributeNode setAttributeNS setAttributeNodeNS setNamedItem setNamedItemNS setAttribute", (args, self, go, name) => {
      const [node] = args;
      if (node?.ownerDocument) return keep(self[KEY] || self, node.name, node.value);
      const at = 1 + /S$/.test(name);
      if (/^srcdoc$/i.test(args[at - 1]) && "srcdoc" in self) return self.srcdoc = args[at];
      return keep(self, args[at - 1], args[at]);
    });
    on("Element ShadowRoot Document HTMLIFrameElement Range",
      "innerHTML outerHTML insertAdjacentHTML createContextualFragment write setHTMLUnsafe writeln srcdoc", (args, self, go, name) => {
        if (self.ownerDocument === inert) return;
        const at = +(name[0] === "i" && args.length > 1);
        if (name[0] === "w" && args.length > 1) args.splice(0, args.length, args.join(""));
        args[at] = written(args[at], name === "srcdoc" ? `<script src="${src}" nonce="${nonce}"><\/script>` : "");
      });
    on("Element Node CharacterData Document DocumentFragment Range",
      "appendChild insertBefore replaceChild insertNode append replaceChildren before after prepend replaceWith insertAdjacentElement importNode adoptNode",
      (args, self) => {
        for (const node of args) if (node?.ownerDocument && node.ownerDocument !== (self.ownerDocument || self)) sweep(node);
      });

    on("", "EventSource Worker WebSocket SharedWorker WebTransport fetch", elsewhere);
    on("XMLHttpRequest", "open", elsewhere);
    on("", "Audio", ([url], self, go) => {
      const audio = go();
      keep(audio, "src", url);
      return audio;
    });
    on("Navigator", "sendBeacon", ([url]) => waits(url) && false);
  };

  page.consent = {
    acceptedCategory: accepted,
    acceptedService: accepted,
    validConsent: answered,
    [KEY]: { [SITE.fp]: accepted, site: SITE, src, waits, read, trust, loose, owners, find },
  };
  read();
  if (rules) install(page);
})();
