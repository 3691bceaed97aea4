#!/usr/bin/env bash
# SGLang's router 0.3.2 and vLLM's router 0.1.17, which stand in front of many copies of a model server and speak OpenAI's API on both sides, write the
# requests that they pass anew.
#
# Seen, for a chat request with `stream_options: {include_usage, continuous_usage_stats}`, `return_token_ids`, an assistant's `reasoning_content` and
# `reasoning`, and a function that is `strict`:
#   both leave `continuous_usage_stats` out, of the server's own API: a stream that is cut has no count of the tokens made
#   SGLang's leaves out every member that it does not know, `return_token_ids` and `user` among them, and `reasoning`
#   vLLM's keeps members that it does not know, and leaves out `reasoning_content` and `strict`
#   both write members that were not sent, as `no_stop_trim` and `ignore_eos`
# and for a server that answers 429 with `Retry-After: 7`:
#   both ask it five times before the client gets the 429
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sglang-router==0.3.2 vllm-router==0.1.17
cd "$folder"
cat >server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        models = {"object": "list", "data": [{"id": "m", "object": "model"}]}
        self.answer(models if self.path == "/v1/models" else {"model_path": "m", "served_model_name": "m"})

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        with Path("asked").open("a") as kept:
            kept.write(asked + "\n")
        if "busy" in asked:
            self.answer({"error": {"message": "Too many requests.", "type": "requests", "code": "rate_limit_exceeded"}}, 429)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        self.answer({"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage})


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
Path("server-port").write_text(str(server.server_port))
server.serve_forever()
PYTHON
venv/bin/python server.py &
pids+=($!)
until [ -s server-port ]; do sleep 0.1; done
free() { venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
sglang=$(free) vllm=$(free)
given=(--worker-urls "http://127.0.0.1:$(cat server-port)" --host 127.0.0.1 --policy round_robin)
venv/bin/python -m sglang_router.launch_router "${given[@]}" --port "$sglang" --prometheus-port "$(free)" >sglang-log 2>&1 &
pids+=($!)
venv/bin/vllm-router "${given[@]}" --port "$vllm" --prometheus-port "$(free)" >vllm-log 2>&1 &
pids+=($!)
cat >long.json <<'JSON'
{"model": "m", "stream": true, "stream_options": {"include_usage": true, "continuous_usage_stats": true}, "return_token_ids": true, "user": "u",
 "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi", "reasoning_content": "r", "reasoning": "q"}, {"role": "user", "content": "Go on"}],
 "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}]}
JSON
echo '{"model": "m", "messages": [{"role": "user", "content": "busy"}]}' >busy.json
ask() { curl -s -m 30 -o "$3" -w '%{http_code}' "http://127.0.0.1:$1/v1/chat/completions" -H 'content-type: application/json' -d "@$2" || true; }
for port in "$sglang" "$vllm"; do
    for _ in $(seq 300); do [ "$(ask "$port" long.json answer)" = 200 ] && break || sleep 0.2; done
done
for name in sglang vllm; do
    : >asked
    ask "${!name}" long.json answer >/dev/null
    cp asked "$name-long"
    : >asked
    echo "$name told: $(ask "${!name}" busy.json answer)"
    cp asked "$name-busy"
done
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

sent = json.loads(Path("long.json").read_text())
for name, lost, kept in (("sglang", ("return_token_ids", "user"), "reasoning_content"), ("vllm", (), "reasoning")):
    [asked] = [json.loads(line) for line in Path(f"{name}-long").read_text().splitlines()]
    said = asked["messages"][1]
    tries = [line for line in Path(f"{name}-busy").read_text().splitlines()]
    print(f"{name}: stream_options {asked['stream_options']}, lost {sorted(set(sent) - set(asked))}, added {sorted(set(asked) - set(sent))},")
    print(f"    the assistant's message has {sorted(said)}, the function {sorted(asked['tools'][0]['function'])}; asked {len(tries)} times of a 429")
    assert asked["stream_options"] == {"include_usage": True}
    assert sorted(set(sent) - set(asked)) == sorted(lost)
    assert kept in said and not {"reasoning", "reasoning_content"} - {kept} & set(said)
    assert {"no_stop_trim", "ignore_eos"} <= set(asked)
    assert len(tries) == 5
    assert ("strict" in asked["tools"][0]["function"]) == (name == "sglang")
PYTHON
