"""A vendor that speaks every dialect from the same scripts, on a real loopback socket in a thread of its own. Not a test.

It judges one thing: that thinking comes back where the dialect has a place for it. The model's name is the script's, behind that of one of
Anthropic's where that matters; a script of several turns goes by how many results the history has.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

import polyglot_more as more
import polyglot_words as words
from aisa.testing.clock import THREADS_APART
from polyglot_words import SIGNATURE, Json, Line, Script

TEXT, CITY = "It is cold.", '{"city":"Oslo"}'
SAID = [Line("say", TEXT)]
CALL = Line("call", "call_1", "weather", CITY)
SCRIPTS: dict[str, Script] = {
    "text": [*SAID, Line("end", "stop")],
    "tools": [Line("say", "One moment."), CALL, Line("end", "tool_calls")],
    "parallel": [CALL, Line("call", "call_2", "weather", '{"city":"Bergen"}'), Line("end", "tool_calls")],
    "schema": [Line("say", '{"degrees":-5}'), Line("end", "stop")],
    "thinking": [Line("think", "Oslo is north."), *SAID, Line("end", "stop")],
    "refusal": [Line("refuse", "I will not."), Line("end", "content_filter")],
    "length": [Line("say", "It is"), Line("end", "length")],
    "late": [*SAID, Line("fail")],
    "cut": [*SAID, Line("cut")],
}
#: The turns of the agent that thinks before each of its calls.
AGENT: list[Script] = [
    [Line("think", f"Step {turn}."), Line("call", f"call_{turn}", "weather", CITY), Line("end", "tool_calls")] for turn in (1, 2)
] + [[Line("think", "Done."), *SAID, Line("end", "stop")]]
SHELL, LOCAL_SHELL = '{"commands":["ls","wc -l add.py"],"timeout_ms":1000}', '{"command":["python","add.py"],"working_directory":"/tmp"}'
PATCH = '{"type":"update_file","path":"add.py","diff":"@@\\n-a\\n+b\\n"}'
#: Those of one that calls the tools which its client runs and which are no functions: two at once, then the third.
WORKER: list[Script] = [
    [
        Line("think", "Step 1."),
        Line("call", "call_1", "shell", SHELL),
        Line("call", "call_2", "apply_patch", PATCH),
        Line("end", "tool_calls"),
    ],
    [Line("think", "Step 2."), Line("call", "call_3", "local_shell", LOCAL_SHELL), Line("end", "tool_calls")],
    AGENT[-1],
]
#: Those of one that calls a custom tool, which its dialect may have no word for.
PATCHER: list[Script] = [
    [Line("think", "Step 1."), Line("call", "call_1", "patch", '{"input":"*** Begin\\n+b"}'), Line("end", "tool_calls")],
    AGENT[-1],
]
TURNS = {"agent": AGENT, "worker": WORKER, "patcher": PATCHER}
RESULT = re.compile(rb'"tool_result"|"toolResult"|"functionResponse"|"function_call_output"|"role": ?"tool"')


class Tongue(NamedTuple):
    """How a dialect is spoken."""

    stream: Callable[[Script], list[bytes]]
    document: Callable[[Script], Json]
    kind: str = "text/event-stream"
    keeps: bytes = b""  # what must be in the history once for each turn of the agent: its thinking


TONGUES = {
    "openai": Tongue(words.openai_stream, words.openai_document),
    "mistral": Tongue(words.mistral_stream, words.mistral_document, keeps=SIGNATURE.encode()),
    "anthropic": Tongue(words.anthropic_stream, words.anthropic_document, keeps=SIGNATURE.encode()),
    "bedrock": Tongue(words.bedrock_stream, words.bedrock_document, "application/vnd.amazon.eventstream", SIGNATURE.encode()),
    "gemini": Tongue(more.gemini_stream, more.gemini_document, keeps=SIGNATURE.encode()),
    "cohere": Tongue(more.cohere_stream, more.cohere_document, keeps=b"Step "),
    "responses": Tongue(more.responses_stream, more.responses_document, keeps=SIGNATURE.encode()),
}
ENTRY = '  {name}: {{dialect: {name}, base_url: "{url}/{name}/v1", api_key: k, allow_unpriced: true}}\n'


def configuration(url: str) -> str:
    """A configuration with this vendor for each dialect."""
    return "vendors:\n" + "".join(ENTRY.format(name=name, url=url) for name in TONGUES)


class QuietServer(ThreadingHTTPServer):
    """A server to which a connection that its client resets is nothing to print."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless it is that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Polyglot:
    """The vendor, while it runs. `asked` has the dialect, the script and the body of each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one request after the other."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                vendor.answer(self, body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's names
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        THREADS_APART.add(thread)
        thread.start()
        return self

    def __exit__(self, *left: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def turns_of(self, script: str) -> list[Script]:
        """What is said turn after turn by a script of several; nothing for one that always says the same."""
        return TURNS.get(script, [])

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer in the dialect of the path."""
        path = unquote(handler.path)
        dialect = path.split("/")[1]
        asked: Json = json.loads(body)
        script = (asked.get("model") or re.findall(r"/models?/([\w-]+)", path)[0]).removeprefix("claude-opus-5-5-")
        self.asked.append((dialect, script, body))
        tongue = TONGUES[dialect]
        stream = bool(asked.get("stream")) or "stream" in path.rpartition("/")[2]
        if script == "early":
            send(
                handler,
                503,
                "application/json",
                json.dumps({"error": {"message": "busy", "type": "overloaded_error"}, "message": "busy"}).encode(),
            )
            return
        lines = SCRIPTS.get(script, SCRIPTS["text"])
        turns = self.turns_of(script)
        if turns:
            results = len(RESULT.findall(body))
            turn = next((turn for turn in range(len(turns)) if made_before(turns, turn) == results), len(turns) - 1)
            if body.count(tongue.keeps) < turn and tongue.keeps:
                send(handler, 400, "application/json", b'{"error":{"message":"the thinking is gone"}}')
                return
            lines = turns[turn]
        if not stream:
            send(handler, 200, "application/json", json.dumps(tongue.document(lines)).encode())
            return
        handler.send_response(200)
        handler.send_header("content-type", tongue.kind)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for event in tongue.stream(lines):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")


def made_before(turns: list[Script], turn: int) -> int:
    """How many calls were made before a turn: the history has so many results."""
    return sum(line.kind == "call" for earlier in turns[:turn] for line in earlier)


def send(handler: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
