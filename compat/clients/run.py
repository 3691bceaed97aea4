"""`make clients`: real clients, each by its own package at its newest version, against a running server with its embedded model.

Installs each in a folder of its own outside of the project, tries what its script tries with an address and a key, prints a row, and
writes `docs/clients.md`. `python compat/clients/run.py NAME...` runs some of them again;
the results of the others are those in `seen.json`. Judges by what the scripts say; a client that does not install or fails is a
row that says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

from install import Failed, command_of, install  # noqa: E402 - the line above says where it is
from page import SEEN, page, row_of  # noqa: E402 - as above

from rows import CLIENTS, Client  # noqa: E402 - as above
from server import Server, environment, serving  # noqa: E402 - as above

#: Each is a process or two, and the machine has other work.
AT_ONCE = 2
RUN_SECONDS_MAX = 900.0
#: An environment that is larger is removed after its run.
KEPT_MEGABYTES_MAX = 300
FAILED_CHARACTERS_MAX = 1500
ENVIRONMENTS = Path(os.environ.get("AISA_CLIENTS", str(Path(tempfile.gettempdir()) / "aisa-clients")))
Result = dict[str, Any]


def slug(client: Client) -> str:
    """Return a client's name as that of a folder and of a key."""
    return re.sub(r"[^a-z0-9]+", "-", client.name.lower()).strip("-")


def tried(client: Client, server: Server) -> Result:
    """Install a client, let it try what its script tries, and return what was seen."""
    folder = ENVIRONMENTS / slug(client)
    result: Result = {"day": datetime.now(UTC).date().isoformat(), "version": "", "tries": [], "failed": ""}
    try:
        result["version"] = install(client, folder)
        result["tries"], result["failed"] = ran(client, folder, server)
    except Failed as error:
        result["failed"] = f"It does not install. {error}"
    except subprocess.SubprocessError as error:
        result["failed"] = f"It was not run. {error}"
    if sum([file.lstat().st_size for file in folder.rglob("*")]) > KEPT_MEGABYTES_MAX * 2**20:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def ran(client: Client, folder: Path, server: Server) -> tuple[list[Result], str]:
    """Run a client's script with a key of its own, and return what it told, and its last words if it told nothing."""
    label = slug(client)
    key = server.aisa("keys", "create", label, "--quiet").strip()
    programs = [str(folder / "bin"), str(folder / "node_modules" / ".bin"), os.environ["PATH"]]
    with tempfile.TemporaryDirectory(prefix="aisa-client-", ignore_cleanup_errors=True) as home:
        work = Path(home) / "work"
        work.mkdir()
        variables = {name: value for name, value in environment().items() if not name.startswith(("XDG_", "PYTHON", "VIRTUAL_ENV"))} | {
            "AISA_BASE_URL": server.url,
            "AISA_API_KEY": key,
            "PATH": os.pathsep.join(programs),
            "HOME": home,
            "CI": "1",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with (Path(home) / "out").open("wb") as out, (Path(home) / "err").open("wb") as err:
            process = subprocess.Popen(
                command_of(client, folder),
                cwd=work,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                process.wait(RUN_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        end_all_of(home)
        told = (Path(home) / "out").read_text(encoding="utf-8", errors="replace").splitlines()
        words = (Path(home) / "err").read_text(encoding="utf-8", errors="replace")[-FAILED_CHARACTERS_MAX:]
    tries = [json.loads(line.removeprefix("::")) for line in told if line.startswith("::{")]
    return tries, "" if tries else f"It told nothing. {words}"


def end_all_of(home: str) -> None:
    """End what a client left running: some start a process of their own that outlives them. All of it has the home that was made for it."""
    for found in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if f"HOME={home}".encode() in found.read_bytes().split(b"\0"):
                os.kill(int(found.parent.name), signal.SIGKILL)


def main(names: list[str]) -> int:
    """Run all clients, or those of these names; 1 if one of them failed."""
    unknown = set(names) - {slug(client) for client in CLIENTS}
    if unknown:
        print(f"No such clients: {', '.join(sorted(unknown))}. There are {', '.join(map(slug, CLIENTS))}.")
        return 2
    chosen = [client for client in CLIENTS if not names or slug(client) in names]
    known: dict[str, Result] = json.loads(SEEN.read_bytes())
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        for client, result in zip(chosen, pool.map(lambda client: tried(client, server), chosen), strict=True):
            known[client.name] = result
            print(row_of(client, result), flush=True)
            for failure in [result["failed"], *[f"{each['does']}: {each['failed']}" for each in result["tries"] if each["failed"]]]:
                if failure:
                    print(f"    {failure}", flush=True)
            lines = [f" {json.dumps(each.name)}: {json.dumps(known[each.name])}" for each in CLIENTS if each.name in known]
            SEEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    (ROOT / "docs" / "clients.md").write_text(page(known), encoding="utf-8")
    failed = [client for client in chosen if known[client.name]["failed"] or any(each["failed"] for each in known[client.name]["tries"])]
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
