#!/usr/bin/env bash
# Where each chunk of a stream has the usage so far, as `stream_options.continuous_usage_stats` of vLLM has it and as some vendors do unasked, LangChain for
# Python (langchain-openai 1.7.4), pydantic-ai (2.68.0), agno (3.1.10) and smolagents (1.26.0) add all the reports up. openai-agents (0.24.0), Strands
# (1.62.0), Haystack (3.4.1) and AutoGen (autogen-ext 0.7.5) take the last.
#
# Seen, for a prompt of 10 tokens and an answer of 3, reported as 10 + 0, 10 + 1, 10 + 2, 10 + 3 and, behind the finish, 10 + 3 again:
#   LangChain, pydantic-ai, agno, smolagents        50 + 9
#   openai-agents, Strands, Haystack, AutoGen       10 + 3
# In a document the same four say 10 + 3. Of an answer of a thousand tokens they would tell a thousand prompts and half a million tokens, which limits of
# theirs (pydantic-ai's `UsageLimits`) and bills that are made of them take as true.
set -euo pipefail
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
cat >server.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STREAM = [({"role": "assistant", "content": ""}, None, 0), ({"content": "Hello"}, None, 1), ({"content": " world."}, None, 2), ({}, "stop", 3)]


def usage(tokens):
    return {"usage": {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked.get("stream"), asked
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": why}], **usage(tokens)} for delta, why, tokens in STREAM]
        for chunk in [*chunks, {"choices": [], **usage(3)}]:
            self.wfile.write(f"data: {json.dumps(head | chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
Path("made").write_text(f"http://127.0.0.1:{server.server_port}/v1")
Path("made").rename("address")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
cat >langchain.py <<'PYTHON'
from langchain_openai import ChatOpenAI

answer = None
for chunk in ChatOpenAI(model="m", base_url=URL, api_key="any", stream_usage=True).stream("x"):
    answer = chunk if answer is None else answer + chunk
told(answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"])
PYTHON
cat >pydantic-ai.py <<'PYTHON'
import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main():
    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(base_url=URL, api_key="any")))
    async with agent.run_stream("x") as answer:
        await answer.get_output()
        usage = answer.usage() if callable(answer.usage) else answer.usage
        told(usage.input_tokens, usage.output_tokens)


asyncio.run(main())
PYTHON
cat >agno.py <<'PYTHON'
from agno.agent import Agent
from agno.models.openai.like import OpenAILike

agent = Agent(model=OpenAILike(id="m", base_url=URL, api_key="any"), telemetry=False)
*_, last = agent.run("x", stream=True, yield_run_output=True)
told(last.metrics.input_tokens, last.metrics.output_tokens)
PYTHON
cat >smolagents.py <<'PYTHON'
from smolagents import OpenAIServerModel, ToolCallingAgent

agent = ToolCallingAgent([], OpenAIServerModel("m", api_base=URL, api_key="any"), stream_outputs=True, max_steps=1)
agent.run("x")
[first, *_] = [step.token_usage for step in agent.memory.steps if getattr(step, "token_usage", None)]
told(first.input_tokens, first.output_tokens)
PYTHON
cat >openai-agents.py <<'PYTHON'
import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI


async def main():
    set_tracing_disabled(True)
    run = Runner.run_streamed(Agent(name="a", model=OpenAIChatCompletionsModel("m", AsyncOpenAI(base_url=URL, api_key="any"))), "x")
    async for _ in run.stream_events():
        pass
    told(run.context_wrapper.usage.input_tokens, run.context_wrapper.usage.output_tokens)


asyncio.run(main())
PYTHON
cat >strands.py <<'PYTHON'
from strands import Agent
from strands.models.openai import OpenAIModel

answer = Agent(model=OpenAIModel(client_args={"base_url": URL, "api_key": "any"}, model_id="m"), callback_handler=None)("x")
told(answer.metrics.accumulated_usage["inputTokens"], answer.metrics.accumulated_usage["outputTokens"])
PYTHON
cat >haystack.py <<'PYTHON'
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

more = {"streaming_callback": lambda chunk: None, "generation_kwargs": {"stream_options": {"include_usage": True}}}
generator = OpenAIChatGenerator(model="m", api_base_url=URL, api_key=Secret.from_token("any"), **more)
[answer] = generator.run([ChatMessage.from_user("x")])["replies"]
told(answer.meta["usage"]["prompt_tokens"], answer.meta["usage"]["completion_tokens"])
PYTHON
cat >autogen.py <<'PYTHON'
import asyncio

from autogen_core.models import ModelInfo, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient


async def main():
    info = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)
    client = OpenAIChatCompletionClient(model="m", base_url=URL, api_key="any", model_info=info)
    *_, last = [piece async for piece in client.create_stream([UserMessage(content="x", source="u")], include_usage=True)]
    told(last.usage.prompt_tokens, last.usage.completion_tokens)


asyncio.run(main())
PYTHON
while read -r name expected packages; do
    python3 -m venv "$folder/venv-$name"
    # shellcheck disable=SC2086
    "$folder/venv-$name/bin/pip" install --quiet --disable-pip-version-check $packages
    mkdir "$name"
    { echo "from pathlib import Path"
      echo "URL = Path('address').read_text()"
      echo "told = lambda *counts: Path('$name/seen').write_text('+'.join(map(str, counts)))"
      cat "$name.py"
    } >"$name/client.py"
    rm "$name.py"
    "venv-$name/bin/python" "$name/client.py" >words 2>&1 </dev/null || { cat words; exit 1; }
    echo "$name: $(cat "$name/seen")"
    [ "$(cat "$name/seen")" = "$expected" ] || { echo "this has changed"; exit 1; }
done <<'TABLE'
langchain 50+9 langchain-openai==1.7.4 langchain-core==1.8.3 openai==3.57.0
pydantic-ai 50+9 pydantic-ai-slim[openai]==2.68.0 openai==3.57.0
agno 50+9 agno==3.1.10 openai==3.57.0
smolagents 50+9 smolagents[openai]==1.26.0 openai==3.57.0
openai-agents 10+3 openai-agents==0.24.0 openai==3.57.0
strands 10+3 strands-agents[openai]==1.62.0 openai==2.54.0
haystack 10+3 haystack-ai==3.4.1 openai==3.57.0
autogen 10+3 autogen-ext[openai]==0.7.5 autogen-core==0.7.5 openai==3.57.0
TABLE
