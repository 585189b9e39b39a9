"""docs/production.md as it stands, in a real nginx before real workers, looked at by `check --url`."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from consent_middleware.cli import main
from served import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

pytestmark = pytest.mark.slow

TEXT = (Path(__file__).parents[1] / "docs" / "production.md").read_text("utf-8")
NGINX = shutil.which(
    "nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
)
SECRET = "a-secret-of-32-characters-length"
PAGE = "<!doctype html><html lang='en'><head><title>Shop</title></head><body>Hello {count}</body></html>"
APP = f"""
from itertools import count

from consent_middleware.wsgi import ConsentMiddleware

asked = count()


def shop(environ, start):
    headers = [("Content-Type", "text/html; charset=utf-8")]
    if environ["PATH_INFO"] == "/public":
        headers.append(("Cache-Control", "public, max-age=60"))
    start("404 Not Found" if environ["PATH_INFO"].startswith("/.well-known/") else "200 OK", headers)
    return ["{PAGE}".replace("{{count}}", str(next(asked))).encode()]


app = ConsentMiddleware(shop)
"""
TOML = """
use = ["google-analytics"]
[site]
name = "Example Shop"
origins = [{origins}]
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
"""
CONF = """
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    types {{ text/css css; text/javascript js; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {cache}
    {servers}
}}
"""


def block(containing: str) -> str:
    """Return the part of the configuration in the docs that holds a text."""
    found: list[str] = re.findall(r"```nginx\n(.*?)```", TEXT, re.DOTALL)
    return next(text for text in found if containing in text)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running(command: list[str], folder: Path, ports: list[int]) -> Iterator[None]:
    """Run a server until the block ends; begins when it listens."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONSENT_")}
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment | {"CONSENT_SECRET_KEY": SECRET}, stdout=log, stderr=log
        )
    try:
        late = time.monotonic() + 60
        for port in ports:
            while True:
                with socket.socket() as knocking:
                    if knocking.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, (folder / "log").read_text("utf-8")
                assert time.monotonic() < late
                time.sleep(0.02)
        yield
    finally:
        server.terminate()
        server.wait(30)


@dataclass
class Deployed:
    """A site behind nginx, at three addresses.

    Attributes:
        sound: As the docs say.
        careless: Without the two locations that the docs add to the last.
        cached: As the docs say, with the cache.
    """

    folder: Path
    sound: str
    careless: str
    cached: str


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Run the documented command and the documented nginx, with ports and files of this machine's."""
    if NGINX is None:
        pytest.skip("no nginx: apt-get install nginx-light")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program to make a certificate with: apt-get install openssl")
    folder = tmp_path_factory.mktemp("shop")
    certificate = make_certificate(folder)
    app, *ports = free_ports(4)
    origins = [f"https://localhost:{port}" for port in ports]
    (folder / "shop.py").write_text(APP, "utf-8")
    (folder / "consent.toml").write_text(TOML.format(origins=", ".join(f'"{o}"' for o in origins)), "utf-8")
    (folder / "nginx.conf").write_text(configuration(folder, certificate, app, ports), "utf-8")
    (workers,) = re.findall(r"(?m)^gunicorn (shop:app .*?) *#", TEXT)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        *workers.replace("127.0.0.1:8000", f"127.0.0.1:{app}").split(),
    ]
    proxy = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
    with running(command, folder, [app]), running(proxy, folder, ports):
        yield Deployed(folder, *origins)


def configuration(folder: Path, certificate: Path, app: int, ports: list[int]) -> str:
    """Return the documented configuration with the places of this machine."""
    sound = block("server {")
    careless = sound.replace("location ^~ /_consent/", "location /_consent/")
    careless = careless.replace("location = /.well-known/gpc.json", "location = /elsewhere")
    (last,) = re.findall(r"    location / \{\n.*?\n    \}\n", sound, re.DOTALL)
    cached = sound.replace(last, block("proxy_cache shop;"))
    servers = [
        text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace("server_name shop.example", "server_name localhost")
        for text, port in zip((sound, careless, cached), ports, strict=True)
    ]  # fmt: skip
    text = CONF.format(
        # Started by root, its workers are somebody else, who cannot read a test's folder.
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        cache=block("proxy_cache_path").replace("/var/cache/nginx/shop", str(folder / "cache")),
        servers="\n".join(servers),
    )
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{app}").replace("/srv/shop", str(folder))
    return re.sub(r"/etc/ssl/shop\.example\.(pem|key)", str(certificate), text)


@pytest.fixture
def client(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Stand in the site's folder, and trust its certificate."""
    monkeypatch.chdir(deployed.folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(deployed.folder / "localhost.pem"))
    return CliRunner(env=dict.fromkeys(["CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL"]))


def look(client: CliRunner, url: str) -> Result:
    """Run the check from outside."""
    return client.invoke(main, ["check", "--url", url])


def test_the_documented_proxy_is_sound(client: CliRunner, deployed: Deployed) -> None:
    """Through nginx as documented nothing is wrong, and the cookie is that of HTTPS."""
    found = look(client, f"{deployed.sound}/")
    assert found.exit_code == 0, found.output
    assert "0 faults, 0 warnings." in found.stdout
    assert "kept in __Host-consent." in found.stdout
    assert "3 static files answer" in found.stdout


def test_without_the_documented_locations_it_is_not(client: CliRunner, deployed: Deployed) -> None:
    """The locations are needed: without them files and gpc.json are looked for on the disk, and that is named."""
    found = look(client, f"{deployed.careless}/")
    assert found.exit_code == 1
    assert "guard.js answers 404, text/html" in found.stdout
    assert "/.well-known/gpc.json does not say" in found.stdout


def test_the_documented_cache_keeps_what_is_public_alone(client: CliRunner, deployed: Deployed) -> None:
    """The second request of a public page is the cache's, banner included; a personal page never is."""
    trusted = ssl.create_default_context(cafile=deployed.folder / "localhost.pem")
    with httpx.Client(base_url=deployed.cached, verify=trusted, timeout=30) as browser:
        public = [browser.get("/public") for _ in range(2)]
        signalled = browser.get("/public", headers={"Sec-GPC": "1", "Cookie": "__Host-consent=v1.x"})
        own = [browser.get("/") for _ in range(3)]
    assert [answer.headers["x-cache"] for answer in (*public, signalled)] == ["MISS", "HIT", "HIT"]
    assert "consent-banner" in public[1].text
    assert public[0].text == public[1].text == signalled.text
    assert "HIT" not in {answer.headers["x-cache"] for answer in own}
    found = look(client, f"{deployed.cached}/public")
    assert found.exit_code == 0, found.output
    assert "the same for everybody" in found.stdout
    assert look(client, f"{deployed.cached}/").exit_code == 0
