#!/usr/bin/env bash
# OpenLLMetry (opentelemetry-instrumentation-openai 0.62.4) writes a stream that failed in its middle down as OK, and Langfuse's client (langfuse 5.0.4) as
# any other, each around OpenAI's client 3.57.0; OpenInference (0.1.66) writes an error.
#
# Seen, for a stream of two words and then {"error": {"message": "The engine is overloaded."}}, for which OpenAI's client raises APIError:
#   OpenLLMetry     status OK
#   Langfuse        status UNSET, level not set, the two words as the output
#   OpenInference   status ERROR
# and for a stream that ends after two words, with no finish and no [DONE], for which OpenAI's client raises nothing:
#   all of them     what they write of a whole answer
#
# Who counts failures by such spans sees none in streams, and takes half answers for whole ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0 opentelemetry-instrumentation-openai==0.62.4 langfuse==5.0.4 \
    openinference-instrumentation-openai==0.1.66
cat >"$folder/watch.py" <<'PYTHON'
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(delta, finish=None):
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


words = [chunk({"role": "assistant", "content": ""}), chunk({"content": "two "}), chunk({"content": "words"})]
streams = {"whole": [*words, chunk({}, "stop")], "failed": [*words, {"error": {"message": "The engine is overloaded."}}], "cut": words}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        if self.path.endswith("/chat/completions"):  # all else is telemetry's
            name = json.loads(asked)["model"]
            for event in streams[name]:
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            self.wfile.write(b"data: [DONE]\n\n" * (name == "whole"))


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
spans, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
watcher, Client = sys.argv[1], openai.OpenAI
if watcher == "OpenLLMetry":
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
elif watcher == "OpenInference":
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
else:
    os.environ.update(LANGFUSE_PUBLIC_KEY="pk", LANGFUSE_SECRET_KEY="sk", LANGFUSE_HOST=address, LANGFUSE_BASE_URL=address)
    from langfuse import Langfuse

    Langfuse(tracer_provider=provider)
    from langfuse.openai import OpenAI as Client
expected = {
    "OpenLLMetry": {"whole": ("OK", None), "failed": ("OK", "APIError"), "cut": ("OK", None)},
    "Langfuse": {"whole": ("UNSET", None), "failed": ("UNSET", "APIError"), "cut": ("UNSET", None)},
    "OpenInference": {"whole": ("OK", None), "failed": ("ERROR", "APIError"), "cut": ("OK", None)},
}[watcher]
client = Client(api_key="any", base_url=f"{address}/v1", max_retries=0)
for name in streams:
    spans.clear()
    raised = None
    try:
        for _ in client.chat.completions.create(model=name, stream=True, messages=[{"role": "user", "content": "x"}]):
            pass
    except openai.APIError as problem:
        raised = type(problem).__name__
    until = time.monotonic() + 10
    while not (written := spans.get_finished_spans()) and time.monotonic() < until:
        time.sleep(0.05)
    [span] = written
    level = dict(span.attributes).get("langfuse.observation.level")
    print(f"{watcher:14} {name:7} the client raises {raised}, the span is {span.status.status_code.name}, level {level}")
    assert (span.status.status_code.name, raised) == expected[name] and level is None, "this has changed"
os._exit(0)
PYTHON
for watcher in OpenLLMetry Langfuse OpenInference; do
    "$folder/venv/bin/python" "$folder/watch.py" "$watcher" 2>"$folder/words" || { cat "$folder/words"; exit 1; }
done
