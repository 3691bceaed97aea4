"""What the README shows: each command run on made-up calls, and put between its markers by `make shown`. Judges nothing."""

from __future__ import annotations

import contextlib
import http.client
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from console_rig import CONFIGURATION, Consoled, consoled
from server import PROCESS_SECONDS_MAX, Server, environment
from test_reload import asked
from vendor import ScriptedVendor

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- captured:)([a-z-]+)(:begin -->\n```text\n)(.*?)(?=```\n<!-- captured:)", re.DOTALL)
CALLS, DAYS = 900, 7
WALLET_CALLS = 4  # that a wallet pays
COLUMNS = "80"  # of the terminal that the commands write for
TABLE_COLUMNS = "90"  # ... where figures vary by a digit: no name is cut for that
SHOWN_LINES_MAX = 20  # of a bill; the rest is what is known of the call besides
EVENTS_SHOWN = 3  # of a stream, and its last two
#: What of a chunk says little to who looks for the first time.
DULL = re.compile(r'"created":\d+,"model":"[^"]*","system_fingerprint":"[^"]*"|"logprobs":null,"finish_reason":null')
#: Secrets, ids and addresses are those of one run.
SECRETS = (
    (re.compile(r"(sk-aisa-\w{4})\w+"), r"\1…"),
    (re.compile(r"(chatcmpl-\w{4})\w+"), r"\1…"),
    (re.compile(r"(link=\w{4})[\w-]+"), r"\1…"),
)
UNPRICED = "models:\n  llama3.2: [local/hello]\n"


def all_shown() -> dict[str, str]:
    """Return what each block shows, by its name."""
    return {**of_a_first_start(), **of_a_server_in_use()}


def of_a_first_start() -> dict[str, str]:
    """Start a server at a terminal, in an empty folder and without a vendor, and paste what it prints."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "aisa"
        folder.mkdir()
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--log-format", "off"]
        variables = environment() | {"COLUMNS": COLUMNS, "NO_COLOR": "1", "TERM": "dumb"}
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=theirs, stderr=theirs, stdin=theirs)
        os.close(theirs)
        try:
            said = until("Stop with Ctrl-C", ours)
            [pasted] = re.findall(r"^curl .*?^  \}'$", said, re.DOTALL | re.MULTILINE)
            pasting = subprocess.run(["sh", "-c", f"{pasted} -s"], capture_output=True, text=True, check=True, timeout=PROCESS_SECONDS_MAX)
            events = [event for event in pasting.stdout.split("\n\n") if event]
        finally:
            process.terminate()
            process.wait(PROCESS_SECONDS_MAX)
            os.close(ours)
    said = said.replace(str(folder.resolve()), "~/aisa").replace(f"{sys.executable} -m aisa", ".venv/bin/aisa")
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", said)
    few = [DULL.sub("…", event) for event in [*events[:EVENTS_SHOWN], *events[-2:]]]
    haiku = "\n\n".join(few[:EVENTS_SHOWN]) + "\n…\n" + "\n\n".join(few[EVENTS_SHOWN:])
    return {"first-start": said.strip("\n") + "\n", "haiku": haiku + "\n"}


def until(end: str, terminal: int) -> str:
    """Read from a terminal to the end of the line that has a text."""
    said, last = b"", time.monotonic() + PROCESS_SECONDS_MAX
    while end.encode() not in said or not said.endswith(b"\n"):
        assert time.monotonic() < last, said
        said += os.read(terminal, 65_536)
    return said.replace(b"\r\n", b"\n").decode()


def of_a_server_in_use() -> dict[str, str]:
    """Ask a server that has made-up calls of a week, and two that run."""
    with tempfile.TemporaryDirectory() as place, ScriptedVendor(("hello", "endless")) as vendor:
        configuration = CONFIGURATION.format(vendor=vendor.url).replace("models:\n", UNPRICED)
        with consoled(Path(place), configuration, calls=CALLS, days=DAYS, label="first") as at:
            return ask(at)


def ask(at: Consoled) -> dict[str, str]:
    """Run the commands."""
    server = at.server
    server.key = server.aisa("keys", "create", "laptop", "--account", "acme", "--spend-cap", "1/day", "--quiet").strip()
    for _ in range(WALLET_CALLS):
        asked(server, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Write a haiku about APIs."}]})
    shown = {
        "explain": shortened(typed(server, "explain", "latest")),
        "usage": typed(server, "usage", "--by", "model", columns=TABLE_COLUMNS),
        "caps": typed(server, "usage", "--by", "key", "--since", "30d"),  # of a month there may be a minute: other keys, in another order
        "wallet": typed(server, "wallet", "show", "acme"),
    }
    asked(server, "/v1/chat/completions", {"model": "broken", "messages": [{"role": "user", "content": "Hi."}]})
    for _ in range(2):
        threading.Thread(target=forever, args=(at,), daemon=True).start()
    last = time.monotonic() + PROCESS_SECONDS_MAX
    while (board := server.aisa("board", "--json").replace(" ", "")).count('"state":"answering"') < 2:
        assert time.monotonic() < last, board
    return shown | {"board": typed(server, "board", "--once"), "status": typed(server, "status")}


def forever(at: Consoled) -> None:
    """Make a call that ends with the server."""
    body = {"model": "endless", "stream": True, "messages": [{"role": "user", "content": "Go on."}]}
    with contextlib.suppress(http.client.HTTPException, OSError):
        asked(at.server, "/v1/chat/completions", body)


def typed(server: Server, *words: str, columns: str = COLUMNS) -> str:
    """Run a command and return what stands on the terminal."""
    said = (
        server.aisa(*words, variables={"COLUMNS": columns})
        .replace(str((server.folder / "data").resolve()), "~/aisa/aisa-data")
        .replace(f"{sys.executable} -m aisa", "aisa")
    )
    said = said.replace(server.url, "http://127.0.0.1:8000")
    return f"$ aisa {' '.join(words).removesuffix(' --once')}\n" + said.strip("\n") + "\n"


def shortened(text: str) -> str:
    """Leave the end of a long text off."""
    lines = text.splitlines()
    return "\n".join(lines[:SHOWN_LINES_MAX] + ["…"] * (len(lines) > SHOWN_LINES_MAX)) + "\n"


def without_secrets(text: str) -> str:
    """Cut what is of one run alone."""
    for pattern, short in SECRETS:
        text = pattern.sub(short, text)
    return text


def page(text: str, shown: dict[str, str]) -> str:
    """Return a page with every block as it is shown now."""
    return BLOCK.sub(lambda found: found[1] + found[2] + without_secrets(shown[found[1]]), text)


def main() -> None:
    """Put it into the README."""
    README.write_text(page(README.read_text(encoding="utf-8"), all_shown()), encoding="utf-8")


if __name__ == "__main__":
    main()
