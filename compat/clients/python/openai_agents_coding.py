"""openai-agents (Python) at a coding task with its shells, its patches and a custom tool. Run by `make agents`: task, and how it asks."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from agents import (
    Agent,
    ApplyPatchTool,
    CustomTool,
    LocalShellTool,
    ModelSettings,
    Runner,
    ShellTool,
    apply_diff,
    set_default_openai_client,
    set_tracing_disabled,
)
from agents.tool import ShellCallOutcome, ShellCommandOutput, ShellResult
from openai import AsyncOpenAI

TURNS_MAX = 20


def ran(command):
    return subprocess.run(command, shell=isinstance(command, str), capture_output=True, text=True)


def shell(request):
    done = [ran(command) for command in request.data.action.commands]
    return ShellResult([ShellCommandOutput(each.stdout, each.stderr, ShellCallOutcome("exit", each.returncode)) for each in done])


def local_shell(request):
    done = ran(request.data.action.command)
    return done.stdout + done.stderr


class Editor:
    def create_file(self, operation):
        Path(operation.path).write_text(apply_diff("", operation.diff, mode="create"))

    def update_file(self, operation):
        file = Path(operation.path)
        file.write_text(apply_diff(file.read_text(), operation.diff))

    def delete_file(self, operation):
        Path(operation.path).unlink()


def keep(_context, text):
    Path("result.txt").write_text(text)
    return "It is kept."


async def main(task, how):
    set_tracing_disabled(True)
    set_default_openai_client(AsyncOpenAI(base_url=f"{os.environ['AISA_BASE_URL']}/v1", api_key=os.environ["AISA_API_KEY"]))
    tools = [ShellTool(shell), LocalShellTool(local_shell), ApplyPatchTool(Editor()), CustomTool("keep", "Keeps a result.", keep)]
    settings = ModelSettings(response_include=["reasoning.encrypted_content"], store=False)
    agent = Agent("coder", model=os.environ["AISA_MODEL"], tools=tools, model_settings=settings)
    if how == "stream":
        answer = Runner.run_streamed(agent, task, max_turns=TURNS_MAX)
        async for _ in answer.stream_events():
            pass
    else:
        answer = await Runner.run(agent, task, max_turns=TURNS_MAX)
    print(answer.final_output)


asyncio.run(main(*sys.argv[1:]))
