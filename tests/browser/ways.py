"""Every way we know by which a page reaches a tracker, and the page that tries them all.

In a way's code ``$URL`` stands for ``//host/hit/id``, to which it adds the scheme and an ending that tells the
tracker what to answer; so a hit names its way. ``$NAME`` is a cookie or storage name that a held service declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DECLARED",
    "HOSTS",
    "HOUSE",
    "OWN_PATH",
    "SILENT",
    "WAYS",
    "WITHOUT_SCRIPTS",
    "Kind",
    "Way",
    "link_header",
    "page",
    "script",
]

# In no browser's list of hosts that are only asked over TLS.
ANALYTICS, MARKETING = "analytics.google.com", "static.ads-twitter.com"
HOUSE, UNDECLARED, UNKNOWN = "stats.tracker.test", "securepubads.g.doubleclick.net", "pixel.nobody.test"
HOSTS = (ANALYTICS, MARKETING, HOUSE, UNDECLARED, UNKNOWN)
DECLARED = (ANALYTICS, MARKETING, HOUSE, "")
"""Hosts whose services the site declares; the empty one is its own."""
SITE = ""
OWN_PATH = "/stats/"
"""A path of the site's own that a declared service claims."""


class Kind(StrEnum):
    """How a way comes about."""

    STATIC = "in the HTML"
    WRITTEN = "written by a script"
    LATER = "made by a script"
    API = "asked by a script"
    REALM = "from another realm"
    STORAGE = "cookies and storage"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach a tracker, or to leave something in the browser.

    Attributes:
        id: Names it, in its URL too.
        kind: How it comes about.
        code: Markup where static, else a script.
        layers: Which layers stop it, each alone: T the rewriting of tags, G the guard, C the policy.
        host: Whose server it reaches.
        head: Whether it stands in the head.
        ordered: Whether it is a script that runs where it stands.
    """

    id: str
    kind: Kind
    code: str
    layers: str
    host: str
    head: bool = False
    ordered: bool = False

    @property
    def text(self) -> str:
        """Its code, with its addresses and names."""
        names = {"URL": f"//{self.host}/hit/{self.id}", "HOST": self.host, "ID": self.id, "NAME": self.name}
        return Template(self.code).substitute(names)

    @property
    def name(self) -> str:
        """What it stores under: names of the analytics service, or of the house's."""
        return f"{'_ga_' if '_ga_' in self.code else 'hs_'}{self.id}"


HEAD = {
    "link-stylesheet": '<link rel="stylesheet" href="http:$URL.css">',
    "link-preload": '<link rel="preload" as="script" href="http:$URL.js">',
    "link-preload-image": '<link rel="preload" as="image" href="http:$URL.gif">',
    "link-preload-srcset": '<link rel="preload" as="image" imagesrcset="http:$URL.gif 1x">',
    "link-prefetch": '<link rel="prefetch" href="http:$URL.js">',
    "link-modulepreload": '<link rel="modulepreload" href="http:$URL.js">',
    "link-icon": '<link rel="icon" href="http:$URL.gif">',
    "link-manifest": '<link rel="manifest" href="http:$URL.json">',
    "link-preconnect": '<link rel="preconnect" href="http:$URL.js">',
    "link-dns-prefetch": '<link rel="dns-prefetch" href="http:$URL.js">',
    "script-head": '<script src="http:$URL.js"></script>',
}

# They run where they stand, in this order.
SCRIPTS = {
    "script-src": '<script src="http:$URL.js"></script>',
    "script-upper-case": '<SCRIPT SRC="HTTP:$URL.js"></SCRIPT>',
    "script-slash": '<script/src="http:$URL.js"></script>',
    "script-unquoted": "<script src=http:$URL.js></script>",
    "script-single-quoted": "<script\nsrc = 'http:$URL.js'\n></script >",
    "script-protocol-relative": '<script src="$URL.js"></script>',
    "script-entity": '<script src="http&colon;&#47;&#x2f;&#x61;n&#97;lytics.google.com/hit/$ID.js"></script>',
    "script-backslashes": '<script src="http:\\\\$HOST\\hit\\$ID.js"></script>',
    "script-line-break": '<script src=" ht\ntp:$URL.js"></script>',
    "script-host-dot": '<script src="http://$HOST./hit/$ID.js"></script>',
    "script-host-encoded": '<script src="http://%61nalytics.google.com/hit/$ID.js"></script>',
    "script-two-sources": '<script src="http:$URL.js" src="/own.js"></script>',
    "script-old-type": '<script type="application/javascript" src="http:$URL.js"></script>',
    "script-language": '<script type="" language="javascript" src="http:$URL.js"></script>',
    "script-after-comment": '<!-- <script> --!><script src="http:$URL.js"></script>',
    "script-after-escape": '<script>"<!--<script></scr" + "ipt>-->"</script><script src="http:$URL.js"></script>',
    "script-after-textarea": '<textarea hidden><script></textarea><script src="http:$URL.js"></script>',
    "script-after-attribute": '<p title="<script>" hidden></p><script src="http:$URL.js"></script>',
    "script-after-cdata": '<svg width="1" height="1"><![CDATA[ <!-- ]]></svg><script src="http:$URL.js"></script>',
    "script-svg-href": '<svg width="1" height="1"><script href="http:$URL.js"></script></svg>',
    "script-svg-xlink": '<svg width="1" height="1"><script xlink:href="http:$URL.js" /></svg>',
    "script-unclosed-tag": '<p hidden <script src="http:$URL.gif"></p><script src="http:$URL.js"></script>',
}

STATIC = {
    "script-async": '<script async src="http:$URL.js"></script>',
    "script-defer": '<script defer src="http:$URL.js"></script>',
    "script-module": '<script type="module" src="http:$URL.js"></script>',
    "script-inline-declared": '<script>houseStats("http:" + "//stats." + "tracker.test/hit/$ID.gif")</script>',
    "link-in-body": '<link rel="stylesheet" href="http:$URL.css">',
    "iframe": '<iframe src="http:$URL.html"></iframe>',
    "iframe-srcdoc": '<iframe srcdoc="<img src=&quot;http:$URL.gif&quot;>"></iframe>',
    "iframe-srcdoc-script": "<iframe srcdoc='<script src=\"http:$URL.js\"></script>'></iframe>",
    "iframe-srcdoc-base": "<iframe srcdoc='<base href=\"http://$HOST/hit/\"><img src=$ID.gif>'></iframe>",
    "iframe-own-document": '<iframe src="/frame.html?way=$ID&amp;host=$HOST"></iframe>',
    "img-src": '<img alt="" src="http:$URL.gif">',
    "img-srcset": '<img alt="" srcset="http:$URL.gif 1x, http:$URL.gif 2x">',
    "img-lazy": '<img alt="" loading="lazy" style="position: fixed; top: 0" src="http:$URL.gif">',
    "image": '<image alt="" src="http:$URL.gif">',
    "picture-source": '<picture><source srcset="http:$URL.gif"><img alt=""></picture>',
    "video-src": '<video preload="auto" src="http:$URL.mp4"></video>',
    "video-poster": '<video poster="http:$URL.gif"></video>',
    "video-source": '<video preload="auto"><source src="http:$URL.mp4"></video>',
    "video-track": (
        '<video crossorigin><source src="/own.wav" type="audio/wav">'
        '<track default kind="metadata" src="http:$URL.vtt"></video>'
    ),
    "audio-src": '<audio preload="auto" src="http:$URL.wav"></audio>',
    "embed": '<embed src="http:$URL.html" width="9" height="9">',
    "object-data": '<object data="http:$URL.html" width="9" height="9"></object>',
    "object-image": '<object type="image/gif" data="http:$URL.gif" width="9" height="9"></object>',
    "input-image": '<input type="image" alt="" src="http:$URL.gif">',
    "svg-image-href": '<svg width="9" height="9"><image width="9" height="9" href="http:$URL.gif" /></svg>',
    "svg-image-xlink": '<svg width="9" height="9"><image width="9" height="9" xlink:href="http:$URL.gif" /></svg>',
    "svg-feimage": (
        '<svg width="9" height="9"><filter id="f"><feImage href="http:$URL.gif" /></filter>'
        '<rect width="9" height="9" filter="url(#f)" /></svg>'
    ),
    "svg-use": '<svg width="9" height="9"><use href="http:$URL.svg#a" /></svg>',
    "noscript-img": '<noscript><img alt="" src="http:$URL.gif"></noscript>',
    "noscript-iframe": '<noscript><iframe src="http:$URL.html"></iframe></noscript>',
    "table-background": '<table background="http:$URL.gif"><tr><td>a</td></tr></table>',
    "body-background": '<body background="http:$URL.gif">',
    "cell-background": '<table><tr><td background="http:$URL.gif">a</td></tr></table>',
    "shadow-template": '<div><template shadowrootmode="open"><img alt="" src="http:$URL.gif"></template></div>',
}
OWN_STATIC = {"own-path-script": f'<script src="{OWN_PATH}$ID.js"></script>'}

# What is no tag: text of style sheets and scripts, frames without a server, headers.
UNTAGGED = {
    "script-inline-maker": (
        "<script>(function (d, s) { var el = d.createElement(s); el.src = 'http:$URL.js';"
        " d.head.appendChild(el); })(document, 'script')</script>"
    ),
    "script-inline-import": '<script type="module">import "http:$URL.js"</script>',
    "script-import-map": '<script type="importmap">{"imports": {"stats": "http:$URL.js"}}</script><script type="module">import "stats"</script>',
    "style-import": '<style>@import "http:$URL.css";</style>',
    "style-url": '<style>#$ID { background: url("http:$URL.gif") }</style><div id="$ID">a</div>',
    "style-font": '<style>@font-face { font-family: "$ID"; src: url("http:$URL.woff2") }</style><p style="font-family: $ID">a</p>',
    "style-attribute": '<div style="background: url(http:$URL.gif)">a</div>',
    "style-own-sheet": '<link rel="stylesheet" href="/sheet.css?way=$ID&amp;host=$HOST"><div id="$ID">a</div>',
    "style-svg-fill": '<svg width="9" height="9"><style>#$ID { fill: url("http:$URL.svg#a") }</style><rect id="$ID" width="9" height="9" /></svg>',
    "iframe-data": '<iframe src="data:text/html,<img src=http:$URL.gif>"></iframe>',
    "iframe-javascript": "<iframe src=\"javascript:'<img src=http:$URL.gif>'\"></iframe>",
    "event-handler": '<img alt="" src="/own.gif" onload="new Image().src = \'http:$URL.gif\'">',
    "speculation-rules": '<script type="speculationrules">{"prefetch": [{"urls": ["http:$URL.html"], "eagerness": "immediate"}]}</script>',
}
LINK_HEADER = {"link-header": "<http:$URL.css>; rel=preload; as=style"}
NOBODYS = {"unknown-image": '<img alt="" src="http:$URL.gif">'}

WRITTEN = {
    "write-script": "document.write('<script src=\"http:$URL.js\"></scr' + 'ipt>')",
    "write-parts": "document.write('<scr', 'ipt src=\"htt'); document.write('p:$URL.js\"></scr'); document.write('ipt>')",
    "write-image": 'document.writeln(\'<img alt="" src="http:$URL.gif">\')',
    "write-iframe": "document.write('<iframe src=\"http:$URL.html\"></iframe>')",
    "write-inline": "document.write('<script>new Image().src = \"http:$URL.gif\"</scr' + 'ipt>')",
}

LATER = {
    "script-property": "add(make('script', { src: 'http:$URL.js' }))",
    "script-set-attribute": "const el = make('script'); el.setAttribute('src', 'http:$URL.js'); add(el)",
    "script-upper-attribute": "const el = make('SCRIPT'); el.setAttribute('SRC', 'http:$URL.js'); add(el)",
    "script-attribute-ns": "const el = make('script'); el.setAttributeNS(null, 'src', 'http:$URL.js'); add(el)",
    "script-attribute-node": "const el = make('script'), a = document.createAttribute('src'); a.value = 'http:$URL.js'; el.setAttributeNode(a); add(el)",
    "script-named-item": "const el = make('script'), a = document.createAttribute('src'); a.value = 'http:$URL.js'; el.attributes.setNamedItem(a); add(el)",
    "script-node-value": "const el = make('script'); el.setAttribute('src', ''); el.attributes[0].nodeValue = 'http:$URL.js'; add(el)",
    "script-append-first": "const el = add(make('script')); el.src = 'http:$URL.js'",
    "script-insert-before": "document.body.insertBefore(make('script', { src: 'http:$URL.js' }), document.body.firstChild)",
    "script-replace": "add(make('i')).replaceWith(make('script', { src: 'http:$URL.js' }))",
    "script-before": "add(make('i')).before(make('script', { src: 'http:$URL.js' }))",
    "script-adjacent": "add(make('i')).insertAdjacentElement('afterend', make('script', { src: 'http:$URL.js' }))",
    "script-in-fragment": "const f = new DocumentFragment(); f.append(make('script', { src: 'http:$URL.js' })); add(f)",
    "script-range": "const r = new Range(); r.setStart(document.body, 0); r.insertNode(make('script', { src: 'http:$URL.js' }))",
    "script-module-made": "add(make('script', { type: 'module', src: 'http:$URL.js' }))",
    "script-text": "add(make('script', { text: 'new Image().src = \"http:$URL.gif\"' }))",
    "script-text-node": "const el = make('script'); el.append('new Image().src = \"http:$URL.gif\"'); add(el)",
    "script-clone": "const el = make('script', { src: 'http:$URL.js' }); add(el.cloneNode(true))",
    "script-svg": "const el = document.createElementNS(SVG, 'script'); el.setAttribute('href', 'http:$URL.js'); add(el)",
    "script-created-ns": "const el = document.createElementNS('http://www.w3.org/1999/xhtml', 'script'); el.src = 'http:$URL.js'; add(el)",
    "script-in-shadow": "add(make('div')).attachShadow({ mode: 'closed' }).append(make('script', { src: 'http:$URL.js' }))",
    "script-reflect": "const el = make('script'); Reflect.set(el, 'src', 'http:$URL.js'); Node.prototype.appendChild.call(document.head, el)",
    "img-property": "make('img').src = 'http:$URL.gif'",
    "img-set-attribute": "make('img').setAttribute('src', 'http:$URL.gif')",
    "img-srcset-property": "make('img').srcset = 'http:$URL.gif 1x'",
    "img-toggled": "const el = make('img'); el.toggleAttribute('src'); el.attributes.src.value = 'http:$URL.gif'",
    "picture-made": "const p = make('picture'); p.append(make('source', { srcset: 'http:$URL.gif' }), make('img')); add(p)",
    "iframe-property": "add(make('iframe', { src: 'http:$URL.html' }))",
    "iframe-changed": "const el = add(make('iframe')); el.setAttribute('src', 'http:$URL.html')",
    "iframe-srcdoc-property": "add(make('iframe', { srcdoc: '<img src=\"http:$URL.gif\">' }))",
    "link-property": "add(make('link', { rel: 'stylesheet', href: 'http:$URL.css' }))",
    "link-rel-last": "const el = add(make('link', { href: 'http:$URL.css' })); el.rel = 'stylesheet'",
    "link-rel-list": "const el = add(make('link', { href: 'http:$URL.css' })); el.relList.add('stylesheet')",
    "link-prefetch-made": "add(make('link', { rel: 'prefetch', href: 'http:$URL.js' }))",
    "link-preload-made": "add(make('link', { rel: 'preload', as: 'image', href: 'http:$URL.gif' }))",
    "link-modulepreload-made": "add(make('link', { rel: 'modulepreload', href: 'http:$URL.js' }))",
    "video-property": "make('video', { preload: 'auto' }).src = 'http:$URL.mp4'",
    "video-poster-property": "add(make('video')).poster = 'http:$URL.gif'",
    "audio-property": "make('audio', { preload: 'auto' }).src = 'http:$URL.wav'",
    "source-made": "const v = add(make('video', { preload: 'auto' })); v.append(make('source', { src: 'http:$URL.mp4' }))",
    "track-made": "const v = add(make('video', { crossOrigin: '', src: '/own.wav' })); v.append(make('track', { default: true, kind: 'metadata', src: 'http:$URL.vtt' }))",
    "embed-made": "add(make('embed', { width: 9, height: 9, src: 'http:$URL.html' }))",
    "object-made": "add(make('object', { width: 9, height: 9, data: 'http:$URL.html' }))",
    "input-made": "add(make('input', { type: 'image', src: 'http:$URL.gif' }))",
    "background-made": "add(make('table')).setAttribute('background', 'http:$URL.gif')",
    "svg-image-made": "const s = add(document.createElementNS(SVG, 'svg')), i = s.appendChild(document.createElementNS(SVG, 'image')); i.setAttribute('href', 'http:$URL.gif')",
    "svg-image-base-value": "const s = add(document.createElementNS(SVG, 'svg')), i = s.appendChild(document.createElementNS(SVG, 'image')); i.href.baseVal = 'http:$URL.gif'",
    "svg-image-xlink-made": "const s = add(document.createElementNS(SVG, 'svg')), i = s.appendChild(document.createElementNS(SVG, 'image')); i.setAttributeNS('http://www.w3.org/1999/xlink', 'xlink:href', 'http:$URL.gif')",
    "inner-html": "add(make('div')).innerHTML = '<img alt=\"\" src=\"http:$URL.gif\">'",
    "inner-html-detached": "make('div').innerHTML = '<img alt=\"\" src=\"http:$URL.gif\">'",
    "inner-html-iframe": "add(make('div')).innerHTML = '<iframe src=\"http:$URL.html\"></iframe>'",
    "inner-html-handler": "add(make('div')).innerHTML = '<img alt=\"\" src=\"/own.gif\" onload=\"new Image().src = \\'http:$URL.gif\\'\">'",
    "inner-html-shadow": "add(make('div')).attachShadow({ mode: 'open' }).innerHTML = '<img alt=\"\" src=\"http:$URL.gif\">'",
    "insert-adjacent-html": "document.body.insertAdjacentHTML('beforeend', '<img alt=\"\" src=\"http:$URL.gif\">')",
    "outer-html": "add(make('i')).outerHTML = '<img alt=\"\" src=\"http:$URL.gif\">'",
    "set-html-unsafe": "add(make('div')).setHTMLUnsafe('<img alt=\"\" src=\"http:$URL.gif\">')",
    "template-clone": "const t = make('template'); t.innerHTML = '<video poster=\"http:$URL.gif\"></video>'; add(t.content.cloneNode(true))",
    "template-import": "const t = make('template'); t.innerHTML = '<img alt=\"\" src=\"http:$URL.gif\">'; add(document.importNode(t.content, true))",
    "parser-adopt": "const d = new DOMParser().parseFromString('<img alt=\"\" src=\"http:$URL.gif\">', 'text/html'); add(document.adoptNode(d.body.firstChild))",
    "parser-append": "const d = new DOMParser().parseFromString('<iframe src=\"http:$URL.html\"></iframe>', 'text/html'); add(d.body.firstChild)",
    "contextual-fragment": "add(document.createRange().createContextualFragment('<script src=\"http:$URL.js\"></scr' + 'ipt>'))",
    "own-path-image": f"make('img').src = '{OWN_PATH}$ID.gif'",
}
# Style sheets, and where a frame that is there already is sent.
LATER_UNTAGGED = {
    "style-property": "add(make('div', { textContent: 'a' })).style.backgroundImage = 'url(http:$URL.gif)'",
    "style-text": "add(make('div', { textContent: 'a' })).style.cssText = 'background: url(http:$URL.gif)'",
    "style-set-attribute": "add(make('div', { textContent: 'a' })).setAttribute('style', 'background: url(http:$URL.gif)')",
    "style-element": "add(make('style', { textContent: '@import \"http:$URL.css\"' }))",
    "style-rule": "add(make('i', { id: '$ID', textContent: 'a' })); add(make('style')).sheet.insertRule('#$ID { background: url(http:$URL.gif) }')",
    "style-adopted": "add(make('i', { id: '$ID', textContent: 'a' })); const s = new CSSStyleSheet(); s.replaceSync('#$ID { background: url(http:$URL.gif) }'); document.adoptedStyleSheets.push(s)",
    "style-blob-sheet": "add(make('link', { rel: 'stylesheet', href: blob('@import \"http:$URL.css\"', 'text/css') }))",
    "frame-location": "const w = await frame(); w.location = 'http:$URL.html'",
    "frame-link": "await frame({ name: '$ID' }); add(make('a', { href: 'http:$URL.html', target: '$ID' })).click()",
    "frame-form": "await frame({ name: '$ID' }); add(make('form', { action: 'http:$URL.html', target: '$ID', method: 'post' })).submit()",
    "frame-data": "add(make('iframe', { src: 'data:text/html,<img src=http:$URL.gif>' }))",
    "speculation-rules-made": 'add(make(\'script\', { type: \'speculationrules\', text: \'{"prefetch": [{"urls": ["http:$URL.html"], "eagerness": "immediate"}]}\' }))',
    "unknown-script": "add(make('script', { src: 'http:$URL.js' }))",
}

API = {
    "fetch": "await fetch('http:$URL.json')",
    "fetch-no-cors": "await fetch('http:$URL.json', { mode: 'no-cors', method: 'POST', body: 'a' })",
    "fetch-request": "await fetch(new Request('http:$URL.json'))",
    "fetch-url": "await fetch(new URL('http:$URL.json'))",
    "fetch-keepalive": "await fetch('http:$URL.json', { keepalive: true })",
    "fetch-global": "await globalThis.fetch.call(null, 'http:$URL.json')",
    "xhr": "const x = new XMLHttpRequest(); x.open('GET', 'http:$URL.json'); x.send()",
    "xhr-sync": "const x = new XMLHttpRequest(); x.open('GET', 'http:$URL.json', false); x.send()",
    "xhr-prototype": "const x = new XMLHttpRequest(); XMLHttpRequest.prototype.open.call(x, 'POST', new URL('http:$URL.json')); x.send('a')",
    "beacon": "navigator.sendBeacon('http:$URL.json', 'a')",
    "beacon-prototype": "Navigator.prototype.sendBeacon.call(navigator, 'http:$URL.json')",
    "websocket": "new WebSocket('ws:$URL.ws')",
    "eventsource": "const e = new EventSource('http:$URL.es'); e.onmessage = e.onerror = () => e.close()",
    "image-new": "new Image().src = 'http:$URL.gif'",
    "audio-new": "new Audio('http:$URL.wav').load()",
    "font-face": "await new FontFace('$ID', 'url(http:$URL.woff2)').load()",
    "import-dynamic": "await import('http:$URL.js')",
    "ping": "add(make('a', { href: '#', ping: 'http:$URL.json' })).click()",
    "worker-own-path": f"new Worker('{OWN_PATH}$ID.js')",
    "worker-own-file": "new Worker('/worker.js?import=http:$URL.js')",
    "worker-blob": "new Worker(blob('importScripts(\"http:$URL.js\")'))",
    "worker-blob-fetch": "new Worker(blob('fetch(\"http:$URL.json\")'))",
    "worker-blob-module": "new Worker(blob('import \"http:$URL.js\"'), { type: 'module' })",
    "worker-data": "new Worker('data:text/javascript,fetch(\"http:$URL.json\")')",
    "worker-nested": "new Worker(blob('new Worker(URL.createObjectURL(new Blob([\"fetch(`http:$URL.json`)\"])))'))",
    "shared-worker": "new SharedWorker(blob('importScripts(\"http:$URL.js\")'))",
    "shared-worker-own-file": "new SharedWorker('/worker.js?import=http:$URL.js')",
    "service-worker": "await navigator.serviceWorker.register('/worker.js?import=http:$URL.js', { scope: '/none/' })",
    "worklet": "await new OfflineAudioContext(1, 1, 8000).audioWorklet.addModule('http:$URL.js')",
    "eval": "(0, eval)('new Image().src = \"http:$URL.gif\"')",
    "timer": "setTimeout('new Image().src = \"http:$URL.gif\"')",
    "own-path-fetch": f"await fetch('{OWN_PATH}$ID.json')",
}

REALMS = {
    "blank-fetch": "await (await frame()).fetch('http:$URL.json')",
    "blank-fetch-at-once": "const f = add(make('iframe')); await f.contentWindow.fetch('http:$URL.json')",
    "blank-image": "new (await frame()).Image().src = 'http:$URL.gif'",
    "blank-xhr": "const x = new (await frame()).XMLHttpRequest(); x.open('GET', 'http:$URL.json'); x.send()",
    "blank-beacon": "const w = await frame(); w.navigator.sendBeacon('http:$URL.json')",
    "blank-beacon-borrowed": "const w = await frame(); w.Navigator.prototype.sendBeacon.call(navigator, 'http:$URL.json')",
    "blank-websocket": "new (await frame()).WebSocket('ws:$URL.ws')",
    "blank-element": "const w = await frame(); w.document.createElement('img').src = 'http:$URL.gif'",
    "blank-script": "const w = await frame(); const el = w.document.createElement('script'); el.src = 'http:$URL.js'; w.document.body.append(el)",
    "blank-setter": "const w = await frame(); Object.getOwnPropertyDescriptor(w.HTMLImageElement.prototype, 'src').set.call(make('img'), 'http:$URL.gif')",
    "blank-inner-html": "const w = await frame(); w.document.body.innerHTML = '<img src=\"http:$URL.gif\">'",
    "blank-write": "const w = await frame(); w.document.write('<img src=\"http:$URL.gif\">'); w.document.close()",
    "blank-eval": "(await frame()).eval('fetch(\"http:$URL.json\")')",
    "blank-worker": "new (await frame()).Worker(blob('fetch(\"http:$URL.json\")'))",
    "blank-by-html": "const d = add(make('div')); d.innerHTML = '<iframe></iframe>'; await d.firstChild.contentWindow.fetch('http:$URL.json')",
    "blank-by-index": "const n = window.length; add(make('iframe')); await window[n].fetch('http:$URL.json')",
    "blank-nested": "const w = await frame(); const f = w.document.createElement('iframe'); w.document.body.append(f); await f.contentWindow.fetch('http:$URL.json')",
    "srcdoc-fetch": "await (await frame({ srcdoc: '<p>a</p>' })).fetch('http:$URL.json')",
    "srcdoc-image": "new (await frame({ srcdoc: '<p>a</p>' })).Image().src = 'http:$URL.gif'",
    "srcdoc-script": "await frame({ srcdoc: '<script>fetch(\"http:$URL.json\")</scr' + 'ipt>' })",
    "same-origin-fetch": "await (await frame({ src: '/empty.html' })).fetch('http:$URL.json')",
    "same-origin-image": "new (await frame({ src: '/empty.html' })).Image().src = 'http:$URL.gif'",
    "same-origin-script": "const w = await frame({ src: '/empty.html' }); const el = w.document.createElement('script'); el.src = 'http:$URL.js'; w.document.body.append(el)",
    "blob-frame": "await frame({ src: blob('<script>fetch(\"http:$URL.json\")</scr' + 'ipt>', 'text/html') })",
}

STORAGE = {
    "cookie": "document.cookie = '$NAME=1; path=/; max-age=999'",
    "cookie-of-catalogue": "document.cookie = '_ga_$ID=1; path=/; max-age=999'",
    "cookie-domain": "document.cookie = '$NAME=1; path=/; max-age=999; domain=shop.localhost'",
    "cookie-setter": "Object.getOwnPropertyDescriptor(Document.prototype, 'cookie').set.call(document, '$NAME=1; path=/; max-age=999')",
    "cookie-in-blank": "(await frame()).document.cookie = '$NAME=1; path=/; max-age=999'",
    "cookie-in-same-origin": "(await frame({ src: '/empty.html' })).document.cookie = '$NAME=1; path=/; max-age=999'",
    "cookie-store": "await cookieStore.set('$NAME', '1')",
    "cookie-store-options": "await cookieStore.set({ name: '$NAME', value: '1', expires: Date.now() + 999999 })",
    "local-set-item": "localStorage.setItem('$NAME', '1')",
    "local-property": "localStorage['$NAME'] = '1'",
    "local-define": "Object.defineProperty(localStorage, '$NAME', { value: '1' })",
    "local-prototype": "Storage.prototype.setItem.call(localStorage, '$NAME', '1')",
    "local-in-blank": "(await frame()).localStorage.setItem('$NAME', '1')",
    "session-set-item": "sessionStorage.setItem('$NAME', '1')",
    "session-property": "sessionStorage['$NAME'] = '1'",
    "indexed-db": "indexedDB.open('$NAME')",
    "indexed-db-in-blank": "(await frame()).indexedDB.open('$NAME')",
}

SILENT = {
    "link-preconnect": "opens a connection and asks nothing; the tests forbid connections ahead of need",
    "link-dns-prefetch": "looks a name up and asks nothing",
    "link-manifest": "is read where an app is installed, which no test browser does",
    "svg-use": "is never loaded from another origin",
    "speculation-rules": "prefetch from other sites over TLS only",
    "speculation-rules-made": "prefetch from other sites over TLS only",
}
"""Ways that ask no server in the browser of these tests, and why: nothing can be said about them."""

WITHOUT_SCRIPTS = frozenset({"noscript-img", "noscript-iframe"})
"""Ways that only count where scripts are off."""

_HOST_OF = {
    "script-entity": ANALYTICS,
    "script-host-encoded": ANALYTICS,
    "script-inline-declared": HOUSE,
    "unknown-image": UNKNOWN,
    "unknown-script": UNKNOWN,
    **dict.fromkeys(("own-path-script", "own-path-image", "own-path-fetch", "worker-own-path"), SITE),
}
_LAYERS_OF = {
    # The policy allows whatever the site serves itself.
    **dict.fromkeys(("own-path-image", "own-path-fetch", "worker-own-path"), "G"),
    # Syntax no script can replace, and what runs out of the page's reach.
    **dict.fromkeys(("import-dynamic", "worker-blob-module", "blob-frame"), "C"),
    **dict.fromkeys(("worker-own-file", "shared-worker-own-file", "service-worker"), "C"),
    # Nor fonts, nor into workers made of a text, nor put together what is written piece by piece.
    **dict.fromkeys(("font-face", "worklet", "worker-blob", "worker-blob-fetch", "worker-data"), "C"),
    **dict.fromkeys(("worker-nested", "shared-worker", "blank-worker", "write-parts"), "C"),
}
_PRELUDE = """\
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const add = (el) => { document.body.append(el); return el; };
const blob = (text, type = "text/javascript") => URL.createObjectURL(new Blob([text], { type }));
const frame = async (properties = {}) => {
  const el = make("iframe", properties);
  const loaded = new Promise((done) => { el.onload = done; });
  add(el);
  if (Object.keys(properties).length) await Promise.race([loaded, pause(8000)]);
  return el.contentWindow;
};
const ways = {
"""
_RUN = """\
};
window.failed = {};
window.tryAll = async () => {
  const one = async ([id, way]) => {
    try { await Promise.race([way(), pause(10000)]); } catch (error) { window.failed[id] = String(error); }
  };
  await Promise.all(Object.entries(ways).map(one));
  await fetch("/tried");
};
addEventListener("load", () => setTimeout(window.tryAll));
"""


def _ways() -> Iterator[Way]:
    """Yield every way; the hosts take turns."""
    hosts = cycle((ANALYTICS, MARKETING, HOUSE, UNDECLARED))
    groups = (
        (Kind.STATIC, "TC", HEAD),
        (Kind.STATIC, "C", LINK_HEADER),
        (Kind.STATIC, "TC", SCRIPTS),
        (Kind.STATIC, "TC", STATIC),
        (Kind.STATIC, "T", OWN_STATIC),
        (Kind.STATIC, "C", UNTAGGED),
        (Kind.STATIC, "C", NOBODYS),
        (Kind.WRITTEN, "GC", WRITTEN),
        (Kind.LATER, "GC", LATER),
        (Kind.LATER, "C", LATER_UNTAGGED),
        (Kind.API, "GC", API),
        (Kind.REALM, "GC", REALMS),
        (Kind.STORAGE, "G", STORAGE),
    )
    for kind, layers, group in groups:
        for id_, code in group.items():
            yield Way(
                id_,
                kind,
                code,
                layers=_LAYERS_OF.get(id_, layers),
                host=_HOST_OF.get(id_) or ("" if id_ in _HOST_OF else next(hosts)),
                head=group is HEAD,
                ordered=group is SCRIPTS,
            )


WAYS = tuple(_ways())


def _markup(*, head: bool) -> str:
    tags = []
    for way in WAYS:
        if way.head is not head:
            continue
        if way.kind is Kind.STATIC and way.id not in LINK_HEADER:
            tags.append(way.text)
        elif way.kind is Kind.WRITTEN:
            tags.append(f"<script>{way.text}</script>")
    return "\n".join(tags)


def page() -> str:
    """Return the document that holds every static way; what its scripts try is in `script`."""
    return f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Every way</title>
<script src="/own.js"></script>
{_markup(head=True)}
<script src="/ways.js" defer></script>
</head><body><h1>Every way</h1>
{_markup(head=False)}
</body></html>
"""


def script() -> str:
    """Return the site's own script: every way that needs one, tried once the page has loaded.

    Afterwards the site is told that all have been; ``tryAll()`` tries them again.
    """
    kinds = (Kind.LATER, Kind.API, Kind.REALM, Kind.STORAGE)
    tried = (f'"{way.id}": async () => {{ {way.text}; }},\n' for way in WAYS if way.kind in kinds)
    return f"{_PRELUDE}{''.join(tried)}{_RUN}"


def link_header() -> str:
    """Return the page's ``Link`` header."""
    return next(way.text for way in WAYS if way.id in LINK_HEADER)
