"""A server of several processes, as its clients and its operator see it: real processes, some of which are killed."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aisa.admission.rules import MICROS
from aisa.ids import short_id
from aisa.storage.shared_memory import LOCK_NAME
from repeats import repeats
from server import PROCESS_SECONDS_MAX, Front, Server, environment, serving
from vendor import ScriptedVendor
from window_log import Use, least_at_a_refusal, most_in_a_window

CONFIGURATION = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret, connections_max: 1000}}
limits:
  window_seconds: {window}
  tiers: {{few: {{rpm: 60}}, two: {{concurrency: 2}}}}
models:
  priced: {{to: [local/hello], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 20}}
  endless: {{to: [local/endless], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 10}}
  plain: {{to: [local/hello], prices: {{input: 1.0, output: 1.0}}}}
"""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server of three workers in front of the scripted vendor."""
    with (
        ScriptedVendor() as vendor,
        serving(tmp_path_factory.mktemp("crew"), CONFIGURATION.format(vendor=vendor.url, window=60), workers=3) as running,
    ):
        yield Front(running, vendor)


def connection(server: Server) -> http.client.HTTPConnection:
    """A connection of its own, which one worker serves."""
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    return http.client.HTTPConnection(host, int(port), timeout=PROCESS_SECONDS_MAX)


class ControlConnection(http.client.HTTPConnection):
    """A connection to the control socket of a server: what the command line uses, without the start of an interpreter."""

    def __init__(self, server: Server) -> None:
        super().__init__("control", timeout=PROCESS_SECONDS_MAX)
        self._path = str(server.folder / "data" / "control.sock")

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def control(server: Server, path: str, **body: object) -> Any:
    """Have an administrator do something."""
    with closing(ControlConnection(server)) as client:
        client.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = client.getresponse()
        answer = json.loads(response.read())
        assert response.status < 300, answer
        return answer


def ask(client: http.client.HTTPConnection, key: str, model: str = "plain", *, path: str = "/v1/chat/completions", **fields: Any) -> Any:
    """Make a call or, with `path`, look at something; return status, headers and document."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"} | fields.pop("headers", {})
    if path == "/v1/chat/completions":
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi."}], **fields})
        client.request("POST", path, body, headers)
    else:
        client.request("GET", path, headers=headers)
    response = client.getresponse()
    return response.status, response.headers, json.loads(response.read())


def streaming(server: Server, key: str, model: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Begin a stream and read its first event."""
    client = connection(server)
    return client, begun(client, key, model)


def begun(client: http.client.HTTPConnection, key: str, model: str) -> http.client.HTTPResponse:
    """Begin a stream on a connection and read its first event."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi."}]})
    client.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"})
    response = client.getresponse()
    assert response.status == 200
    response.readline()
    return response


def workers_of(server: Server) -> list[int]:
    """The process ids of the workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"aisa.workers.worker" in command_of(pid)]


def command_of(pid: str) -> bytes:
    """The command of a process, nothing of one that is gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return count


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + PROCESS_SECONDS_MAX
    while not true():
        assert time.monotonic() < give_up, what
        threading.Event().wait(0.01)  # it asks another process, which tells nobody


def rows_of(server: Server, where: str = "1") -> list[tuple[Any, ...]]:
    """What the database has of calls: outcome, cost, tokens billed."""
    with closing(sqlite3.connect(f"file:{server.folder}/data/aisa.db?mode=ro", uri=True)) as database:
        return database.execute(f"select id, outcome, cost, billed_output_tokens from calls where {where}").fetchall()


def audited(server: Server) -> None:
    """The ledger adds up."""
    assert control(server, "/ledger/audit")["counts"] == {}


def test_connections_are_spread_evenly(crew: Front) -> None:
    """[issue 13] Nine that come at once are three for each worker, however quickly they come."""
    server = crew.server
    before = {pid: sockets_of(pid) for pid in workers_of(server)}
    clients = [connection(server) for _ in range(9)]
    for client in clients:
        client.connect()
    until(lambda: sum(sockets_of(pid) - count for pid, count in before.items()) == 9, "they did not arrive")
    assert [sockets_of(pid) - count for pid, count in before.items()] == [3, 3, 3]
    for client in clients:
        assert ask(client, server.key)[0] == 200
        client.close()


def test_a_key_and_its_revocation_are_known_to_all_workers_at_once(crew: Front) -> None:
    """[contract 4] Within 1 s, on connections that are open already, each with another worker."""
    server = crew.server
    clients = [connection(server) for _ in range(3)]
    for client in clients:
        client.connect()
    key = control(server, "/keys", label="short-lived")["secret"]
    assert [ask(client, key)[0] for client in clients] == [200] * 3
    control(server, "/keys/short-lived/revoke")
    answers = [ask(client, key) for client in clients]
    assert [(status, body["error"]["code"]) for status, _, body in answers] == [(401, "revoked_api_key")] * 3
    for client in clients:
        client.close()


def test_an_idempotency_key_is_used_once_by_all_workers(crew: Front) -> None:
    """[issue 13] The second worker gives the answer of the first again; it is billed once."""
    server = crew.server
    clients = [connection(server) for _ in range(3)]
    for client in clients:
        client.connect()
    answers = []
    for client in clients:

        def answered(client: http.client.HTTPConnection = client) -> bool:
            answers.append(ask(client, server.key, headers={"idempotency-key": "order-1"}))
            return answers[-1][0] == 200

        until(answered, "it is not replayed")
    good = [(headers["x-request-id"], headers["idempotent-replayed"]) for status, headers, _ in answers if status == 200]
    assert {id_ for id_, _ in good} == {good[0][0]}
    assert [replayed for _, replayed in good] == [None, "true", "true"]
    for client in clients:
        client.close()


def test_receipts_board_and_usage_see_the_calls_of_all_workers(crew: Front) -> None:
    """[issue 13] A receipt can be had on any connection at once, whether the call runs or has just ended; the operator sees all of them."""
    server = crew.server
    streams = [streaming(server, server.key, "endless") for _ in range(3)]
    lookers = [connection(server) for _ in range(3)]
    ids = [response.headers["x-request-id"] for _, response in streams]
    for looker in lookers:
        for id_ in ids:
            status, _, receipt = ask(looker, server.key, path=f"/v1/usage/calls/{id_}")
            assert (status, receipt["id"], receipt["final"]) == (200, id_, False)
    assert all(id_ in server.aisa("explain", name) for id_ in ids for name in (id_, short_id(id_)))
    assert f"{ids[0]} was ended." in server.aisa("calls", "end", short_id(ids[0]))
    assert b"Whoever runs this server has ended this call." in streams[0][1].read()
    for client, response in streams:
        response.close()
        client.close()
    for id_ in ids:
        until(partial(is_final, lookers[0], server, id_), "it does not end")
    status, headers, _ = ask(lookers[1], server.key)
    assert ask(lookers[2], server.key, path=f"/v1/usage/calls/{headers['x-request-id']}")[0] == status == 200
    for looker in lookers:
        looker.close()


def test_how_many_connections_fit_is_said_once(crew: Front) -> None:
    """The office and each worker said it, around the banner."""
    assert crew.server.log.count("connections of clients fit the") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_is_used_now_while_a_call_runs_with_it(tmp_path: Path, workers: int) -> None:
    """[fault S6] It was "never" used until the first call had ended, which a stream may do an hour later."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, window=60), workers=workers) as server:
        assert re.search(r"last used +never\n +from +not known", server.aisa("keys", "show", "t"))
        client, response = streaming(server, server.key, "endless")
        assert re.search(r"last used +just now\n +from +127\.0\.0\.0/24", server.aisa("keys", "show", "t"))
        response.close()
        client.close()


def is_final(client: http.client.HTTPConnection, server: Server, call_id: str) -> bool:
    """Say whether a call's bill will not change any more."""
    return bool(ask(client, server.key, path=f"/v1/usage/calls/{call_id}")[2]["final"])


def test_calls_never_exceed_the_limit_in_any_window(tmp_path: Path) -> None:
    """[issue 13] 4 workers, 64 clients that hammer one key, a window of 5 s: never more begun, and each is full when one is refused."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, window=5), workers=4) as server:
        control(server, "/accounts", name="acme", tier="few")
        key = control(server, "/keys", label="hammered", account="acme")["secret"]
        calls, refused = asyncio.run(hammered(server, key, clients=64, seconds=11.0))
        audited(server)
    assert most_in_a_window(calls, 5 * MICROS) <= 60 < least_at_a_refusal(calls, refused, 5 * MICROS)


#: In the refusal (503) of whoever could not look for 0.1 s: another process was stopped within a step, as a busy machine may do to any.
NOT_LOOKED_UP = "This server cannot look up what is left "


async def hammered(server: Server, key: str, *, clients: int, seconds: float) -> tuple[list[Use], list[Use]]:
    """Let clients make calls for a while, and return between which moments each good one was let in, and each other one refused."""
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    body = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "Hi."}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body
    ends, good, refused = time.monotonic() + seconds, list[Use](), list[Use]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while (begin := time.monotonic()) < ends:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            assert length is not None
            said = await reader.readexactly(int(length[1]))
            between = (int(begin * MICROS), int(time.monotonic() * MICROS) + 1, 1)
            if answer.startswith(b"HTTP/1.1 200"):
                good.append(between)
                continue
            if answer.startswith(b"HTTP/1.1 429"):
                refused.append(between)
            else:
                assert NOT_LOOKED_UP.encode() in said, answer + said
            await asyncio.sleep(0.25)
        writer.close()

    await asyncio.gather(*[client() for _ in range(clients)])
    return good, refused


def test_twenty_keys_on_one_wallet_never_spend_more_than_it_has(tmp_path: Path) -> None:
    """[issue 13] 64 clients on 4 workers, one of which is killed: never below zero, nothing twice, nothing lost, the audit is clean."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, window=60), workers=4) as server:
        keys = [control(server, "/keys", label=f"k{number}", account="acme")["secret"] for number in range(20)]
        control(server, "/accounts/acme/top-up", amount="1")
        threads = [threading.Thread(target=spend, args=(server, keys[number % 20])) for number in range(64)]
        for thread in threads:
            thread.start()
        until(lambda: len(rows_of(server, "prepaid")) > 50, "nobody spends")
        os.kill(workers_of(server)[0], signal.SIGKILL)
        for thread in threads:
            thread.join(PROCESS_SECONDS_MAX)
        until(lambda: len(workers_of(server)) == 4, "no other worker has begun")
        audited(server)
        with closing(sqlite3.connect(f"file:{server.folder}/data/aisa.db?mode=ro", uri=True)) as database:

            def left() -> int:
                return int(database.execute("select balance from accounts where name = 'acme'").fetchone()[0])

            with closing(connection(server)) as client:  # who was refused while others held the rest has given up
                until(lambda: ask(client, keys[0], "priced", max_tokens=20)[0] == 402 and left() < 4_000_000, "it is not spent")
            balance, charged = database.execute("select balance, charged from accounts where name = 'acme'").fetchone()
        rows = rows_of(server, "prepaid")  # nobody spends any more
        assert len({row[0] for row in rows}) == len(rows)
        assert charged == sum(row[2] for row in rows) == 10**9 - balance
        assert balance >= 0


def spend(server: Server, key: str) -> None:
    """Make calls until the wallet has no more, on another connection when one breaks."""
    client = connection(server)
    while True:
        try:
            status, _, body = ask(client, key, "priced", max_tokens=20)
        except (http.client.HTTPException, OSError):
            client.close()
            continue
        if status == 402:
            break
        assert status == 200 or NOT_LOOKED_UP in body["error"]["message"], body
    client.close()


def test_a_killed_worker_is_replaced_and_its_calls_are_settled(tmp_path: Path) -> None:
    """[issue 13] Its streams are cut and billed for what had left; others go on; its places in flight are free; another takes its place."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, window=60), workers=2) as server:
        control(server, "/accounts", name="acme", tier="two")
        key = control(server, "/keys", label="k", account="acme")["secret"]
        control(server, "/accounts/acme/top-up", amount="1")
        streams = [streaming(server, key, "endless") for _ in range(2)]
        client = connection(server)
        assert ask(client, key)[0] == 429  # two are in flight
        pids = workers_of(server)
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: ask(client, key)[0] == 200 if alive(client, server) else False, "its place is not free")
        until(lambda: len(rows_of(server, "outcome = 'crashed'")) == 1, "its call is not settled")
        (_, _, cost, tokens) = rows_of(server, "outcome = 'crashed'")[0]
        assert cost >= tokens * 100_000 > 0
        until(lambda: len(workers_of(server)) == 2, "no other worker has begun")
        assert set(pids) & set(workers_of(server)) == {pids[1]}
        still = [response for _, response in streams if response.readline()]
        assert len(still) >= 1
        for stream, _ in streams:
            stream.close()
        client.close()
        audited(server)
        assert not list(server.folder.glob("data/board-1"))


def test_calls_that_a_killed_worker_had_not_told_of_yet_are_in_the_ledger_once(tmp_path: Path) -> None:
    """[issue 13] It sends what is to be written fifty times a second: killed right behind an answer, what waits there is in its journal."""
    with ScriptedVendor() as vendor, serving(tmp_path, CONFIGURATION.format(vendor=vendor.url, window=60), workers=2) as server:
        answered: list[str] = []
        for _ in range(repeats(4)):
            with closing(connection(server)) as client:
                answered += [ask(client, server.key, "priced")[1]["x-request-id"] for _ in range(12)]
                pids = workers_of(server)
                assert alive(client, server)  # a further request on its connection says that the last answer was read
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            until(partial(others_begun, server, pids), "no others have begun")
            with closing(connection(server)) as client:
                until(lambda: alive(client, server), "nobody answers")
        until(lambda: len(rows_of(server)) >= len(answered), "calls are missing")
        rows = rows_of(server)
        assert sorted(row[0] for row in rows) == sorted(answered)
        assert {row[1:] for row in rows} == {("completed", *rows[0][2:])}
        audited(server)


def others_begun(server: Server, pids: list[int]) -> bool:
    """Say whether as many workers are there instead of these."""
    return len(set(workers_of(server)) - set(pids)) == len(pids)


def alive(client: http.client.HTTPConnection, server: Server) -> bool:
    """Say whether a connection still works; one that does not begins anew."""
    try:
        return bool(ask(client, server.key, path="/v1/models")[0])
    except (http.client.HTTPException, OSError):
        client.close()
        return False


def test_a_reload_reaches_all_workers_and_a_bad_file_none(crew: Front) -> None:
    """[issue 13] SIGHUP and the command do the same; whoever is served by any worker sees the new models."""
    server, file = crew.server, crew.server.folder / "aisa.yaml"
    clients = [connection(server) for _ in range(3)]
    for client in clients:
        client.connect()
    written = file.read_text()
    file.write_text(written + "  fresh: {to: [local/hello], prices: {input: 1.0, output: 1.0}}\n")
    assert "models.fresh" in server.aisa("reload")
    assert [ask(client, server.key, "fresh")[0] for client in clients] == [200] * 3
    file.write_text("nonsense: [")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: '"reload_refused"' in server.log, "the bad file was not told of")
    assert [ask(client, server.key, "fresh")[0] for client in clients] == [200] * 3
    file.write_text(written)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: ask(clients[0], server.key, "fresh")[0] == 404, "it was not reloaded")
    for client in clients:
        client.close()


def test_a_server_that_stops_lets_the_calls_of_all_workers_end(tmp_path: Path) -> None:
    """[issue 13] Not ready at once, then no new connections; what has not ended in time ends with an error event, and the status is 0."""
    configuration = CONFIGURATION.replace("limits:", "server: {{drain_seconds: 0.5}}\nlimits:")
    with ScriptedVendor() as vendor, serving(tmp_path, configuration.format(vendor=vendor.url, window=60), workers=2) as server:
        streams = [streaming(server, server.key, "endless") for _ in range(2)]
        server.process.terminate()
        texts = [response.read() for _, response in streams]
        assert all(b'"overloaded"' in text and b"[DONE]" not in text for text in texts)
        assert server.process.wait(PROCESS_SECONDS_MAX) == 0
        for client, _ in streams:
            client.close()
        assert not list(server.folder.glob("data/board-*"))
        assert {row[1] for row in rows_of(server)} == {"shut_down"}


def test_workers_go_with_an_office_that_is_killed_and_the_next_settles_their_calls(tmp_path: Path) -> None:
    """[issue 13] Nobody is left who writes in the folder, and nothing is lost: the next start has every call."""
    configuration = CONFIGURATION.format
    with ScriptedVendor() as vendor:
        with serving(tmp_path, configuration(vendor=vendor.url, window=60), workers=2, status=-signal.SIGKILL) as server:
            streams = [streaming(server, server.key, "endless") for _ in range(2)]
            pids = workers_of(server)
            server.process.kill()
            until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "a worker is left")
            for stream, _ in streams:
                stream.close()
        with serving(tmp_path, configuration(vendor=vendor.url, window=60), workers=1, label="again") as server:
            audited(server)
            crashed = rows_of(server, "outcome = 'crashed'")
            assert len(crashed) == 2
            assert all(tokens > 0 for *_, tokens in crashed)


def test_the_admin_api_is_the_same_whichever_worker_is_asked(crew: Front) -> None:
    """[issue 13] Off until an admin key is made, and there at once; then each worker hands it to the office, and refusals read the same.

    Workers saw half a second late that there was a key: who had made it, and asked, was told 404.
    """
    server = crew.server
    clients = [connection(server) for _ in range(3)]
    for client in clients:
        client.connect()
    assert ask(clients[0], server.key, path="/admin/v1/keys")[0] == 404
    admin_key = control(server, "/admin-keys", label="boss", scope="read")["secret"]
    for client in clients:
        status, headers, listed = ask(client, admin_key, path="/admin/v1/vendors")
        assert (status, [vendor["name"] for vendor in listed["data"]]) == (200, ["local"])
        assert headers["x-request-id"]
        assert ask(client, "sk-aisa-admin-wrong", path="/admin/v1/keys")[0] == 401
        client.request("POST", "/admin/v1/keys", b'{"label": "x"}', {"authorization": f"Bearer {admin_key}"})
        refused = client.getresponse()
        assert (refused.status, json.loads(refused.read())["error"]["code"]) == (403, "insufficient_permissions")
        client.close()


def test_metrics_are_those_of_all_workers_and_keep_what_a_dead_one_counted(tmp_path: Path) -> None:
    """[issue 13] By an admin key at whichever worker, and at their own address; a dead worker's gauges are gone, its counters are not."""
    configuration = "metrics: {{listen: '127.0.0.1:0'}}\n" + CONFIGURATION
    with ScriptedVendor() as vendor, serving(tmp_path, configuration.format(vendor=vendor.url, window=60), workers=2) as server:
        clients = [connection(server) for _ in range(2)]
        for client in clients:
            client.connect()
        assert [ask(client, server.key)[0] for client in (*clients, *clients)] == [200] * 4
        until(lambda: sample(server, CALLS_SAMPLE) == 4, "the calls of both are not counted")
        admin_key = control(server, "/admin-keys", label="prometheus", scope="read")["secret"]
        for client in clients:
            assert metrics_of(client, admin_key)[0] == 200
            assert metrics_of(client, "sk-aisa-admin-wrong")[0] == metrics_of(client, server.key)[0] == 401
        streams = [begun(client, server.key, "endless") for client in clients]  # one with each worker, as these are
        assert sample(server, 'aisa_calls_in_flight{kind="stream"}') == sample(server, "aisa_workers") == 2
        os.kill(workers_of(server)[0], signal.SIGKILL)
        until(lambda: len(workers_of(server)) == 2 and sample(server, "aisa_workers") == 2, "no other worker has begun")
        assert sample(server, CALLS_SAMPLE) == 4
        assert sample(server, 'aisa_calls_in_flight{kind="stream"}') == 1
        for response, client in zip(streams, clients, strict=True):
            response.close()
            client.close()


CALLS_SAMPLE = 'aisa_calls_total{model="plain",vendor="local",outcome="completed",stream="false"}'


def metrics_of(client: http.client.HTTPConnection, key: str = "") -> tuple[int, str]:
    """Ask for the metrics."""
    client.request("GET", "/metrics", headers={"authorization": f"Bearer {key}"} if key else {})
    response = client.getresponse()
    return response.status, response.read().decode()


def sample(server: Server, name: str) -> float:
    """The value of a metric, at the address where they need no key; -1 if it is not there."""
    host, port = re.findall(r"metrics is at ([\d.]+):(\d+)", server.log)[0]
    with closing(http.client.HTTPConnection(host, int(port), timeout=PROCESS_SECONDS_MAX)) as client:
        found = re.findall(rf"^{re.escape(name)} (\S+)$", metrics_of(client)[1], re.MULTILINE)
    return float(found[0]) if found else -1


LONG = json.dumps({"model": "mirror", "messages": [{"role": "user", "content": "x" * 600_000}]})
REPLAYED = "retries: replay\n" + CONFIGURATION + "  mirror: {{to: [local/echo], prices: {{input: 1.0, output: 1.0}}}}\n"


def lose_a_document(server: Server, client: http.client.HTTPConnection) -> None:
    """Ask for a document and break its connection off inside of it. `client` connects before, so that another worker has it."""
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    with socket.socket() as lost:
        lost.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lost.connect((host, int(port)))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {server.key}\r\ncontent-type: application/json\r\n"
        lost.sendall(f"{head}x-stainless-retry-count: 0\r\ncontent-length: {len(LONG)}\r\n\r\n{LONG}".encode())
        assert lost.recv(1)
        client.connect()
        lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: bool(rows_of(server, "outcome = 'client_gone'")), "it is not known to be lost")


def ask_again(server: Server, client: http.client.HTTPConnection) -> tuple[int, bool, int]:
    """Ask as a client that tries again; return the status, whether it is what was kept, and the bytes of it."""
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json", "x-stainless-retry-count": "1"}
    client.request("POST", "/v1/chat/completions", LONG, headers)
    response = client.getresponse()
    return response.status, "idempotent-replayed" in response.headers, len(response.read())


def test_a_clients_retry_gets_its_document_at_whichever_worker(tmp_path: Path) -> None:
    """[issue 13] `retries: replay`: a document that did not arrive from one worker is given by another, and the vendor is asked once."""
    with ScriptedVendor() as vendor, serving(tmp_path, REPLAYED.format(vendor=vendor.url, window=60), workers=2) as server:
        with closing(connection(server)) as client:
            lose_a_document(server, client)
            status, kept, size = ask_again(server, client)
        assert (status, kept, size > 600_000) == (200, True, True)
        assert len(vendor.asked("echo")) == 1
        until(lambda: len(rows_of(server)) == 2, "the retry is not written")
        assert sorted((outcome, cost > 0) for _, outcome, cost, _ in rows_of(server)) == [("client_gone", False), ("completed", True)]


def test_what_was_kept_for_retries_is_gone_with_a_server_that_dies(tmp_path: Path) -> None:
    """[issue 12] After `kill -9` a retry is a call of its own; the first still costs nothing."""
    with ScriptedVendor() as vendor:
        configuration = REPLAYED.format(vendor=vendor.url, window=60)
        with serving(tmp_path, configuration, workers=2, status=-signal.SIGKILL) as server, closing(connection(server)) as client:
            lose_a_document(server, client)
            key = server.key
            server.process.kill()
        with serving(tmp_path, configuration, workers=2, label="another") as server, closing(connection(server)) as client:
            server.key = key
            status, kept, size = ask_again(server, client)
            assert (status, kept, size > 600_000) == (200, False, True)
            assert len(vendor.asked("echo")) == 2
            until(lambda: len(rows_of(server)) == 2, "the retry is not written")
            assert sorted((outcome, cost > 0) for _, outcome, cost, _ in rows_of(server)) == [("client_gone", False), ("completed", True)]


def test_a_copy_is_made_while_workers_serve_and_put_back_it_has_every_call_of_before(tmp_path: Path) -> None:
    """[issue 13] `aisa backup` beside a server of two workers, in the middle of calls; what it has adds up, and revocations stay."""
    text = CONFIGURATION.format
    with ScriptedVendor() as vendor:
        with serving(tmp_path, text(vendor=vendor.url, window=60), workers=2) as server:
            key = control(server, "/keys", label="k", account="acme")["secret"]
            control(server, "/accounts/acme/top-up", amount="1")
            threads = [threading.Thread(target=spend, args=(server, key)) for _ in range(8)]
            for thread in threads:
                thread.start()
            until(lambda: len(rows_of(server, "prepaid")) > 20, "nobody spends")
            before = {row[0] for row in rows_of(server)}
            server.aisa("backup", str(tmp_path / "copy.db"))
            for thread in threads:
                thread.join(PROCESS_SECONDS_MAX)
            control(server, "/keys/k/revoke")
            audited(server)
        again = subprocess.run(
            [sys.executable, "-m", "aisa", "restore", str(tmp_path / "copy.db"), "--data-dir", str(tmp_path / "data")],
            env=environment(),
            check=False,
            capture_output=True,
            text=True,
        )
        assert "1 revoked" in again.stdout, again.stderr
        with serving(tmp_path, text(vendor=vendor.url, window=60), workers=2, label="again") as server:
            audited(server)
            assert before <= {row[0] for row in rows_of(server)}


def slots_taken(server: Server) -> int:
    """How many calls are in the journals."""
    with closing(ControlConnection(server)) as client:
        client.request("GET", "/board")
        return int(json.loads(client.getresponse().read())["slots_taken"])


def test_a_holder_of_the_lock_that_is_stopped_keeps_no_call_and_no_key_for_ever(crew: Front) -> None:
    """[issue 13] What the database has charged meanwhile is taken when the lock is free; it was not until a restart."""
    server = crew.server
    bounded = control(server, "/keys", label="bounded", spend_cap="5/day")
    key, its = bounded["secret"], f"model = 'endless' and key_id = '{bounded['id']}'"
    with closing(connection(server)) as other:
        assert ask(other, key, "priced", max_tokens=5)[0] == 200  # at once: what it may spend is read, and waited for
    until(lambda: slots_taken(server) == 0, "the call before is not written")
    client, response = streaming(server, key, "endless")
    assert slots_taken(server) == 1
    with (server.folder / "data" / LOCK_NAME).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a worker has it that is stopped within a step
        response.close()
        client.close()
        until(lambda: len(rows_of(server, its)) == 1, "it is not written")
        made = control(server, "/keys", label="meanwhile", account="new-meanwhile", spend_cap="5/day")["secret"]
        with closing(connection(server)) as other:
            assert ask(other, made, path="/v1/models")[0] == 200  # it is known, though not yet what it may spend
            assert ask(other, made, "priced")[0] == 503
    until(lambda: slots_taken(server) == 0, "its slot is not free")
    with closing(connection(server)) as other:
        until(lambda: ask(other, made, "priced", max_tokens=5)[0] == 200, "what it may spend is not known")
    audited(server)


def lose(server: Server, sock: socket.socket) -> None:
    """Begin to read a document that no buffer holds, and go away."""
    body = json.dumps({"model": "echoed", "messages": [{"role": "user", "content": "x" * 1_000_000}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body.encode())
    assert sock.recv(100).startswith(b"HTTP/1.1 200")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def small_reader(server: Server) -> socket.socket:
    """A connection whose client takes little at a time."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    sock.settimeout(PROCESS_SECONDS_MAX)
    sock.connect((host, int(port)))
    return sock


def test_documents_that_a_key_loses_are_counted_by_all_workers(tmp_path: Path) -> None:
    """[fault M3] One at each of two, and no worker sends a third where two an hour are all: each was the first of its own worker's."""
    text = CONFIGURATION.replace("limits:\n", "limits:\n  lost_documents_per_hour: 2\n") + "  echoed: {{to: [local/echo]}}\n"
    with ScriptedVendor() as vendor, serving(tmp_path, text.format(vendor=vendor.url, window=60), workers=2) as server:
        for sock in [small_reader(server) for _ in range(2)]:
            lose(server, sock)
        until(lambda: server.log.count('"document_lost"') == 2, "the losses are not told")
        clients = [connection(server) for _ in range(2)]
        for client in clients:
            client.connect()
        for client in clients:
            with closing(client):
                until(lambda client=client: ask(client, server.key, "plain")[0] == 429, "a worker does not know of the others' losses")
