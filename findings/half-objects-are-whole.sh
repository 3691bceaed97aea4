#!/usr/bin/env bash
# Structured answers that were cut off, by the limit of tokens (`finish_reason: length`) or by a connection that ended, are whole ones to BAML (baml-py
# 0.226.3), DSPy (3.4.1), LlamaIndex (llama-index-core 0.14.25), Genkit for Node (1.42.0), and to streams of LangChain (langchain-openai 1.7.4 in Python,
# @langchain/openai 1.6.0 in Node) and instructor (1.17.0): a number that was cut is another number.
#
# Seen, for an object with one whole number and a model that had written `{"amount": 100`, as of 10000, when the limit or the end came:
#                                                    length                       connection ended
#   BAML, called / streamed                          100 / 100                    (a stream alone) 100
#   DSPy, Predict                                    100                          (it asks for a document)
#   LlamaIndex, structured_predict / streamed        100 / 100                    100
#   Genkit for Node, generate / streamed             100 / 100                    an error
#   LangChain, function_calling, invoked / streamed  None / 100                   100
#   LangChain, json_mode, streamed                   LengthFinishReasonError      100
#   LangChain for Node, functionCalling, streamed    100                          100
#   instructor, create / create_partial              IncompleteOutputException / 100   100
# and for a list of which the second object was cut:
#   instructor, create_iterable                      the first object, and no error, both times
#
# They close the brace themselves. DSPy says in its log that the answer was truncated; Genkit has "length" beside it. pydantic-ai 2.68.0 and Vercel's AI SDK
# (ai 7.0.173) raise each time.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HALF = {"one": ['{"amount"', ": 1", "00"], "list": ['{"tasks": [{"amount": 1}, ', '{"amount": ', "100"]}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        shape, why = asked["model"].split("-")
        pieces = HALF[shape]
        tool = asked["tools"][0]["function"]["name"] if asked.get("tools") else None
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
        self.send_response(200)
        if not asked.get("stream"):
            message = {"role": "assistant", "content": None if tool else "".join(pieces)}
            if tool:
                message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": tool, "arguments": "".join(pieces)}}]
            choice = {"index": 0, "message": message, "finish_reason": "length"}
            answer = json.dumps(head | {"object": "chat.completion", "choices": [choice]} | usage).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        deltas = [({"role": "assistant", "content": None if tool else ""}, None)]
        if tool:
            deltas.append(({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": ""}}]}, None))
            deltas += [({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None) for piece in pieces]
        else:
            deltas += [({"content": piece}, None) for piece in pieces]
        deltas += [({}, "length")] * (why == "length")
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas]
        chunks += [{"choices": []} | usage] * (why == "length")
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(head | chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n" * (why == "length"))


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
cat >seen.py <<'PYTHON'
from pathlib import Path

from pydantic import BaseModel

URL = Path("address").read_text()


class Pay(BaseModel):
    "Pay."

    amount: int


def hold(name, expected, call):
    try:
        seen = call()
    except Exception as error:
        seen = type(error).__name__
    seen = [each.amount for each in seen] if isinstance(seen, list) else getattr(seen, "amount", seen)
    print(f"{name:50} {seen}", flush=True)
    assert seen == expected, "this has changed"
PYTHON
cat >langchain.py <<'PYTHON'
from langchain_openai import ChatOpenAI


def asked(why, method):
    return ChatOpenAI(model=f"one-{why}", base_url=URL, api_key="any", max_retries=0).with_structured_output(Pay, method=method)


def streamed(why, method):
    *_, last = asked(why, method).stream("Pay, as JSON.")
    return last


hold("LangChain, function_calling, invoked, length", None, lambda: asked("length", "function_calling").invoke("Pay."))
hold("LangChain, function_calling, streamed, length", 100, lambda: streamed("length", "function_calling"))
hold("LangChain, function_calling, streamed, ended", 100, lambda: streamed("ended", "function_calling"))
hold("LangChain, json_mode, streamed, length", "LengthFinishReasonError", lambda: streamed("length", "json_mode"))
hold("LangChain, json_mode, streamed, ended", 100, lambda: streamed("ended", "json_mode"))
PYTHON
cat >baml.py <<'PYTHON'
import importlib
import subprocess
import sys

source = """class Pay {
  amount int
}
generator here {
  output_type "python/pydantic"
  output_dir "../"
  version "0.226.3"
  default_client_mode sync
}
"""
for why in ("length", "ended"):
    options = f'base_url "{URL}"\n    api_key "any"\n    model "one-{why}"'
    source += f"client<llm> Client_{why} {{\n  provider openai-generic\n  options {{\n    {options}\n  }}\n}}\n"
    source += f'function Pay_{why}(text: string) -> Pay {{\n  client Client_{why}\n  prompt #"{{{{ text }}}} {{{{ ctx.output_format }}}}"#\n}}\n'
Path("baml_src").mkdir()
Path("baml_src/main.baml").write_text(source)
subprocess.run([Path(sys.executable).parent / "baml-cli", "generate"], check=True, capture_output=True)
sys.path.insert(0, ".")
client = importlib.import_module("baml_client").b
hold("BAML, called, length", 100, lambda: client.Pay_length("Pay."))
hold("BAML, streamed, length", 100, lambda: client.stream.Pay_length("Pay.").get_final_response())
hold("BAML, streamed, ended", 100, lambda: client.stream.Pay_ended("Pay.").get_final_response())
PYTHON
cat >instructor.py <<'PYTHON'
import instructor
import openai

client = instructor.from_openai(openai.OpenAI(base_url=URL, api_key="any", max_retries=0), mode=instructor.Mode.TOOLS)
asked = {"response_model": Pay, "messages": [{"role": "user", "content": "Pay."}]}


def partial(why):
    *_, last = client.chat.completions.create_partial(model=f"one-{why}", **asked)
    return last


whole = lambda: client.chat.completions.create(model="one-length", max_retries=1, **asked)  # noqa: E731
hold("instructor, create, length", "IncompleteOutputException", whole)
for why in ("length", "ended"):
    hold(f"instructor, create_partial, {why}", 100, lambda: partial(why))
    hold(f"instructor, create_iterable, {why}", [1], lambda: list(client.chat.completions.create_iterable(model=f"list-{why}", **asked)))
PYTHON
cat >llama-index.py <<'PYTHON'
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai_like import OpenAILike


def asked(why):
    return OpenAILike(model=f"one-{why}", api_base=URL, api_key="any", is_chat_model=True, is_function_calling_model=True, max_retries=0)


def streamed(why):
    *_, last = asked(why).stream_structured_predict(Pay, PromptTemplate("Pay."))
    return last


hold("LlamaIndex, structured_predict, length", 100, lambda: asked("length").structured_predict(Pay, PromptTemplate("Pay.")))
hold("LlamaIndex, streamed, length", 100, lambda: streamed("length"))
hold("LlamaIndex, streamed, ended", 100, lambda: streamed("ended"))
PYTHON
cat >dspy.py <<'PYTHON'
import dspy


class Question(dspy.Signature):
    "Pay."

    question: str = dspy.InputField()
    amount: int = dspy.OutputField()


dspy.configure(lm=dspy.LM("openai/one-length", api_base=URL, api_key="any", cache=False, num_retries=0))
hold("DSPy, Predict, length", 100, lambda: dspy.Predict(Question)(question="How much?"))
PYTHON
while read -r name packages; do
    python3 -m venv "$folder/venv-$name"
    # shellcheck disable=SC2086
    "$folder/venv-$name/bin/pip" install --quiet --disable-pip-version-check $packages
    mkdir "$name"
    cat seen.py "$name.py" >"$name/client.py"
    rm "$name.py"
    BAML_LOG=off "venv-$name/bin/python" "$name/client.py" 2>words </dev/null || { cat words; exit 1; }
done <<'TABLE'
langchain langchain-openai==1.7.4 langchain-core==1.8.3 openai==3.57.0
baml baml-py==0.226.3 pydantic==2.14.4 typing-extensions==4.16.0
instructor instructor==1.17.0
llama-index llama-index-llms-openai-like==0.8.1 llama-index-core==0.14.25
dspy dspy==3.4.1
TABLE
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund genkit@1.42.0 @genkit-ai/compat-oai@1.42.0 @langchain/openai@1.6.0 @langchain/core@1.4.0 zod@3.25.76 >/dev/null
cat >client.mjs <<'NODE'
import assert from "node:assert";
import fs from "node:fs";
import { openAICompatible } from "@genkit-ai/compat-oai";
import { ChatOpenAI } from "@langchain/openai";
import { genkit, z } from "genkit";

const baseURL = fs.readFileSync("address", "utf8");
const genkitOf = genkit({ plugins: [openAICompatible({ name: "v", baseURL, apiKey: "any", maxRetries: 0 })] });
const schema = z.object({ amount: z.number() });
const asked = (why) => ({ model: `v/one-${why}`, prompt: "Pay.", output: { schema } });
const generated = async () => (await genkitOf.generate(asked("length"))).output;
const genkitStreamed = async (why) => {
  const { stream, response } = genkitOf.generateStream(asked(why));
  for await (const _ of stream);
  return (await response).output;
};
const json = { title: "pay", type: "object", properties: { amount: { type: "number" } }, required: ["amount"] };
const langchainStreamed = async (why) => {
  const model = new ChatOpenAI({ model: `one-${why}`, apiKey: "any", configuration: { baseURL }, maxRetries: 0 });
  let last;
  for await (const piece of await model.withStructuredOutput(json, { method: "functionCalling", name: "pay" }).stream("Pay.")) last = piece;
  return last;
};
for (const [name, expected, call] of [
  ["Genkit for Node, generate, length", 100, generated],
  ["Genkit for Node, streamed, length", 100, () => genkitStreamed("length")],
  ["Genkit for Node, streamed, ended", "missing finish_reason for choice 0", () => genkitStreamed("ended")],
  ["LangChain for Node, streamed, length", 100, () => langchainStreamed("length")],
  ["LangChain for Node, streamed, ended", 100, () => langchainStreamed("ended")],
]) {
  let seen;
  try {
    seen = (await call()).amount;
  } catch (error) {
    seen = error.message;
  }
  console.log(name.padEnd(50), seen);
  assert.equal(seen, expected, "this has changed");
}
process.exit(0);
NODE
node client.mjs 2>words || { cat words; exit 1; }
