#!/usr/bin/env bash
# Under `Referrer-Policy: no-referrer` Chromium sends a page's own form, to its own origin, with `Origin: null`; a script's POST from the same
# page has the true origin. Whoever compares Origin with Host refuses the forms of every hardened page. Needs Debian's chromium.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check playwright==1.65.2
cat > "$folder/seen.py" <<'PYTHON'
import http.server
import threading

from playwright.sync_api import sync_playwright

PAGE = b'<form method="post" action="/"><button>Send</button></form>'
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
seen = {}


class Site(http.server.BaseHTTPRequestHandler):
    policy = ""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.send_header("referrer-policy", self.policy)
        self.end_headers()
        self.wfile.write(PAGE)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        how = "script" if self.headers.get("x-by") else "form"
        seen[self.policy, how] = (self.headers["origin"], self.headers["sec-fetch-site"])
        self.do_GET()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    print("Chromium", browser.version)
    for Site.policy in ("no-referrer", "same-origin"):
        page = browser.new_page()
        page.goto(here)
        page.evaluate("fetch('/', {method: 'POST', headers: {'x-by': 'script'}}).then((answer) => answer.text())")
        with page.expect_navigation():
            page.click("button")
    browser.close()
for (policy, how), (origin, site) in seen.items():
    print(f"{policy:12} {how:7} Origin: {origin}  Sec-Fetch-Site: {site}")
assert seen["no-referrer", "form"] == ("null", "same-origin"), seen
assert seen["same-origin", "form"] == (here, "same-origin"), seen
PYTHON
"$folder/venv/bin/python" "$folder/seen.py"
