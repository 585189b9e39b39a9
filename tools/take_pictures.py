"""Take the pictures of docs/images/ (`make pictures`).

The demo runs in this process, and Chromium looks at it: at the shop, and at what the gallery shows. Fonts are those of
the machine, so the bytes differ from one to the next; what they show does not.
"""

from __future__ import annotations

import base64
import shutil
import struct
import tempfile
import tomllib
import zlib
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from consent_middleware import load_config
from examples.shop.gallery import Frame
from examples.shop.ports import HOST, listen
from examples.shop.site import CONFIG, Shop
from examples.shop.tracker import Tracker
from examples.shop.wsgi_app import create_app, with_gallery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS, MOST_BYTES, MOST_TOGETHER = 256, 60_000, 400_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Looks alone: name, look, width and height.
ALONE = (
    ("banner-dark", Frame(colours="dark"), 880, 480),
    ("banner-narrow", Frame(language="de"), 320, 568),
    ("banner-rtl", Frame(language="ar"), 880, 480),
    ("placeholder", Frame(look="placeholder"), 640, 240),
    ("after-choice", Frame(look="chosen"), 640, 320),
    ("receipt", Frame(look="receipt"), 720, 610),
)
# Looks side by side: name, section of the gallery, what the frames' titles hold.
SHEETS = (
    (
        "themes",
        "themes",
        ("auto, light", "paper, light", "ocean, light", "forest, light", "berry, dark", "contrast, dark"),
    ),
    ("positions", "positions", ("bottom", "top", "center", "corner")),
)
_SHEET = "body:has(.looks) > * { max-width: 920px } .looks { gap: 16px 20px } .look { --scale: .45 }"
_KEEP = """(section, words) => {
    document.getElementById("consent-link").remove();
    for (const card of section.querySelectorAll(".look")) {
        if (!words.some((word) => card.querySelector("iframe").title.endsWith(`: ${word}`))) card.remove();
    }
}"""
# The colours seen most, and each pixel as the nearest of them: a quarter of the bytes, and no eye tells.
_FEW_COLOURS = """async ([data, most]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const { width, height } = image;
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.drawImage(image, 0, 0);
    const seen = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
    const counts = new Map();
    for (const colour of seen) counts.set(colour, (counts.get(colour) ?? 0) + 1);
    const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, most).map(([colour]) => colour);
    const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
    const rgb = palette.map(parts);
    const places = new Map(palette.map((colour, place) => [colour, place]));
    const nearest = (colour) => {
        const wanted = parts(colour);
        const far = rgb.map((other) => other.reduce((sum, value, i) => sum + (value - wanted[i]) ** 2, 0));
        return far.indexOf(Math.min(...far));
    };
    for (const colour of counts.keys()) if (!places.has(colour)) places.set(colour, nearest(colour));
    let pixels = "";
    for (const colour of seen) pixels += String.fromCharCode(places.get(colour));
    return [width, height, rgb.flat(), btoa(pixels)];
}"""


class _Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """Serve the demo, with its records in a folder; give its address."""
    tracker = Tracker(listen(0))
    tracker.start()
    config = load_config(tomllib.loads(CONFIG.read_text("utf-8"))).at(folder)
    app = create_app(Shop(tracker.port), "signs the choices of nobody but this program", config)
    server = make_server(HOST, 0, with_gallery(app), threaded=True, request_handler=_Quiet)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()
    tracker.stop()


def take(browser: Browser, url: str) -> None:
    """Write every picture."""
    page = opened(browser, url, 1000, 640)
    save(page, "banner")
    page = opened(browser, url, 880, 720)
    page.get_by_role("button", name="Choose", exact=True).click()
    page.locator("#consent-dialog[open] .consent-card").first.wait_for()
    save(page, "dialog")
    for name, frame, width, height in ALONE:
        save(opened(browser, url + frame.url, width, height), name)
    for name, section, words in SHEETS:
        page = opened(browser, f"{url}/gallery", 960, 1400)
        page.get_by_role("button", name="Reject all", exact=True).click()
        cards = page.locator(f"#{section} .looks")
        page.add_style_tag(content=f"{_SHEET} main > :not(#{section}) {{ display: none }}")
        cards.evaluate(_KEEP, list(words))
        for frame_element in cards.locator("iframe").all():
            frame_element.content_frame.locator("#consent-banner").wait_for()
        write(page, name, cards.screenshot(style="h3 a { text-decoration: none !important }"))


def opened(browser: Browser, url: str, width: int, height: int) -> Page:
    """Return a page of a new visitor with a screen of this size."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(url)
    return page


def save(page: Page, name: str) -> None:
    """Write what a page shows."""
    write(page, name, page.screenshot())


def write(page: Page, name: str, picture: bytes) -> None:
    """Write a picture in few colours, and close its page."""
    page.goto("about:blank")
    data = base64.b64encode(picture).decode()
    width, height, palette, places = page.evaluate(_FEW_COLOURS, [data, COLOURS])
    pixels = base64.b64decode(places)
    page.context.close()
    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),  # 8 bits that point into a palette
        (b"PLTE", bytes(palette)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    (IMAGES / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def check() -> None:
    """Say what the pictures weigh.

    Raises:
        SystemExit: They weigh too much.
    """
    sizes = {path.name: path.stat().st_size for path in sorted(IMAGES.glob("*.png"))}
    for name, size in sizes.items():
        print(f"{name}: {size} bytes")
    if max(sizes.values()) > MOST_BYTES or sum(sizes.values()) > MOST_TOGETHER:
        raise SystemExit(f"Too heavy: {MOST_BYTES} bytes each and {MOST_TOGETHER} together are the most.")


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as url, sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = own if Path(own).exists() else next(filter(None, map(shutil.which, BROWSERS)), None)
        arguments = [
            "--no-sandbox",
            "--disable-background-networking",
            "--no-first-run",
            "--disable-lcd-text",
        ]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        take(browser, url)
        browser.close()
    check()


if __name__ == "__main__":
    main()
