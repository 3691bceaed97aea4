#!/usr/bin/env bash
# Haystack's agent (haystack-ai 3.4.1) asks a model that refuses again, a hundred times in one run, each time with one more empty answer in the
# conversation; smolagents' (1.26.0) asks twenty-one times, each time with the advice to take care of its JSON.
#
# Seen, for a model that answers with OpenAI's `refusal`, `content: null` and `finish_reason: stop`, each agent with a tool and all its defaults:
#   Haystack      100 requests, then an answer whose text is None; in the logs "Agent reached maximum agent steps of 100, stopping."
#   smolagents    21 requests, then None: each refusal is "Message contains no content and no tool calls" to it
# and the same counts for a model that thought and said nothing (`content: ""`, `finish_reason: stop`).
#
# The words of the refusal, "I can't help.", reach nobody. Every request is paid for.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import itertools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

numbers = itertools.count(1)


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        count = next(numbers)
        Path("count").write_text(str(count))
        said = {"content": None, "refusal": "I can't help."} if asked["model"] == "refusing" else {"content": "", "refusal": None}
        choice = {"index": 0, "message": {"role": "assistant", **said}, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        head = {"id": f"chatcmpl-{count}", "object": "chat.completion", "created": 1, "model": asked["model"]}
        body = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("count").write_text("0")
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
install() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
}
install haystack haystack-ai==3.4.1 openai==3.57.0
install smol "smolagents[openai]==1.26.0" openai==3.57.0
export HAYSTACK_TELEMETRY_ENABLED=False
cat >with_haystack.py <<'PYTHON'
from pathlib import Path

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool
from haystack.utils import Secret


@tool
def pay(amount: int) -> str:
    "Pay."
    return "paid"


for model in "refusing", "silent":
    before = int(Path("count").read_text())
    generator = OpenAIChatGenerator(model=model, api_base_url=Path("address").read_text(), api_key=Secret.from_token("any"))
    answer = Agent(chat_generator=generator, tools=[pay]).run(messages=[ChatMessage.from_user("x")])["messages"][-1]
    requests = int(Path("count").read_text()) - before
    print("seen: Haystack  ", model, requests, "requests,", answer.text)
    assert requests == 100 and not answer.text, "this has changed"
PYTHON
cat >with_smolagents.py <<'PYTHON'
from pathlib import Path

from smolagents import OpenAIServerModel, ToolCallingAgent, tool


@tool
def pay(amount: int) -> str:
    """Pay.

    Args:
        amount: how much
    """
    return "paid"


for model in "refusing", "silent":
    before = int(Path("count").read_text())
    answer = ToolCallingAgent([pay], OpenAIServerModel(model, api_base=Path("address").read_text(), api_key="any")).run("x")
    requests = int(Path("count").read_text()) - before
    print("seen: smolagents", model, requests, "requests,", answer)
    assert requests == 21 and not answer, "this has changed"
PYTHON
haystack/bin/python with_haystack.py >words 2>&1 || { cat words; exit 1; }
grep seen: words
smol/bin/python with_smolagents.py >words 2>&1 || { cat words; exit 1; }
grep seen: words
