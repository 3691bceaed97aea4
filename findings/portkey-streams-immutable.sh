#!/usr/bin/env bash
# Portkey's gateway 1.15.2, installed from npm on 2026-11-28 (with @hono/node-server 1.19.19) on Node 20, answers every streamed call of a vendor of
# OpenAI's dialect with 500.
#
# Seen, for one vendor that answers a document or a stream as asked:
#   document   200, the vendor's answer
#   stream     500 {"status":"failure","message":"Something went wrong"}; its log says `TypeError: immutable` in updateHeaders, which appends to the
#              headers of the vendor's own response; the vendor had answered, and was paid
#
# So a gateway that was tested with documents alone is not tested.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" @portkey-ai/gateway@1.15.2 @hono/node-server@1.19.19
cat >"$folder/vendor.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Vendor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        head = {"id": "c1", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            choice = {"index": 0, "delta": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
            chunk = json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]})
            body, kind = f"data: {chunk}\n\ndata: [DONE]\n\n".encode(), "text/event-stream"
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
            body, kind = json.dumps({**head, "object": "chat.completion", "choices": [choice]}).encode(), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
python3 "$folder/vendor.py" >"$folder/port" &
pids+=($!)
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
node "$folder/node_modules/@portkey-ai/gateway/build/start-server.js" --headless --port="$port" >"$folder/log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$port/" && [ -s "$folder/port" ] && break || sleep 0.2; done
ask() {
    curl -s -m 20 -w ' %{http_code}' "http://127.0.0.1:$port/v1/chat/completions" -H 'content-type: application/json' -H 'authorization: Bearer k' \
        -H 'x-portkey-provider: openai' -H "x-portkey-custom-host: http://127.0.0.1:$(cat "$folder/port")/v1" \
        -d "{\"model\": \"m\", \"stream\": $1, \"messages\": [{\"role\": \"user\", \"content\": \"Hi.\"}]}"
}
document=$(ask false) stream=$(ask true)
echo "node $(node --version)"
echo "document: $document"
echo "stream:   $stream"
[[ $document == *'"Hi."'*' 200' && $stream == *'Something went wrong'*' 500' ]] || { echo "this has changed"; exit 1; }
grep -q 'TypeError: immutable' "$folder/log" || { echo "the log has changed"; exit 1; }
