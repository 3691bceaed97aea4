"""Shells and patches, which clients of the Responses API run themselves and which are no functions, at vendors that know functions alone.

OpenAI's types and its reader of streams judge what its client gets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types.responses import (
    ResponseApplyPatchToolCall,
    ResponseFunctionShellToolCall,
)
from openai.types.responses.response_output_item import LocalShellCall

from aisa.answer import Arguments, Finish, FunctionCall, Part, Text, ToolCall
from polyglot import TEXT, TONGUES, Polyglot, configuration
from polyglot_words import INPUT, OUTPUT
from responses_reading import codex_turn, events_in, faults_in, streamed
from rig import DONE, OPENING, MemoryClient, Script, Stall, chunk, usage
from server import serving
from test_responses_calls import FOR_EVER, IN, OUT, billed, made
from test_responses_door import document_of, kinds, stream_of
from test_responses_request import LOOK, chat, messages, refusal, user

Json = dict[str, Any]
SHELL, LOCAL_SHELL, PATCH = {"type": "shell", "environment": {"type": "local"}}, {"type": "local_shell"}, {"type": "apply_patch"}
TOOLS = [SHELL, LOCAL_SHELL, PATCH]
UPDATE = {"type": "update_file", "path": "a.py", "diff": "@@\n-a\n+b\n"}
GIVEN: Json = {
    "shell": {"action": {"commands": ["ls"]}},
    "local_shell": {"action": {"command": ["ls"]}},
    "apply_patch": {"operation": UPDATE},
}
LISTED = [{"stdout": "a.py\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]


def called(name: str, *inputs: str, index: int = 0) -> list[Part]:
    """A call of the model's, a token in each piece of it."""
    return [ToolCall(0, index, f"call_{index}", name, 1), *[Arguments(0, index, text, 1) for text in inputs]]


def turn(kind: str, call_id: str = "c1", *, output: object = None, **given: object) -> list[Json]:
    """A call that the model made of one of these tools, and what came of it."""
    asked = {"type": f"{kind}_call", "id": "i1", "call_id": call_id, "status": "completed", **given}
    return [asked, {"type": f"{kind}_call_output", "call_id": call_id, "status": "completed", "output": output}]


def test_each_is_offered_as_a_function_with_a_schema_behind_all_functions() -> None:
    """Whose members are all described; a shell is the client's where nothing is said of its environment."""
    offered = chat(tools=[*TOOLS, LOOK])["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["look", "shell", "local_shell", "apply_patch"]
    for tool in offered[1:]:
        schema = tool["function"]["parameters"]
        assert (tool["type"], schema["type"], schema["additionalProperties"]) == ("function", "object", False)
        assert set(schema["required"]) <= schema["properties"].keys()
        assert all(member["description"] for member in schema["properties"].values())
        assert tool["function"]["description"]
    assert chat(tools=[{"type": "shell"}])["tools"] == chat(tools=[SHELL])["tools"] == offered[1:2]
    skill = {"name": "pdf", "description": "Reads PDF.", "path": "/skills/pdf"}
    [skilled] = chat(tools=[{"type": "shell", "environment": {"type": "local", "skills": [skill]}}])["tools"]
    assert skilled["function"]["description"].endswith("\n- pdf (/skills/pdf): Reads PDF.")


def test_a_function_of_the_same_name_keeps_it() -> None:
    """The shell is called by another then, in the history too, and by `tool_choice`; twice is once too often."""
    tools = [SHELL, {**LOOK, "name": "shell"}]
    asked = chat(
        tools=tools, tool_choice={"type": "shell"}, input=[user("Hi."), *turn("shell", action={"commands": ["ls"]}, output=LISTED)]
    )
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["shell", "shell_2"]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "shell_2"}}
    assert asked["messages"][1]["tool_calls"][0]["function"]["name"] == "shell_2"
    assert refusal(tools=[SHELL, {"type": "shell"}]).param == "tools[1].type"
    late = {"type": "additional_tools", "role": "developer", "tools": [SHELL, PATCH]}
    assert [tool["function"]["name"] for tool in chat(tools=[SHELL], input=[user("Hi."), late])["tools"]] == ["shell", "apply_patch"]


@pytest.mark.parametrize("own", TOOLS, ids=lambda own: str(own["type"]))
@pytest.mark.parametrize("custom", [False, True], ids=["function", "custom"])
def test_a_tool_that_is_offered_later_gets_its_own_name_back(own: Json, *, custom: bool) -> None:
    """[fault P2] One that a search found, or the client added, with the name of a shell: models know it by another, in all turns."""
    kind = str(own["type"])
    found = {"type": "custom", "name": kind} if custom else {**LOOK, "name": kind}
    search = {"type": "tool_search", "execution": "client"}
    asked = {"type": "tool_search_call", "call_id": "t1", "execution": "client", "arguments": {}}
    told = {"type": "tool_search_output", "call_id": "t1", "execution": "client", "tools": [found, {**LOOK, "name": f"{kind}_2"}]}
    added = {"type": "additional_tools", "role": "developer", "tools": [found]}
    said = {"type": "custom_tool_call", "input": "a"} if custom else {"type": "function_call", "arguments": "{}"}
    history = [{**said, "call_id": "c2", "name": kind}, *turn(kind, "c3", **GIVEN[kind], output=LISTED if kind == "shell" else "Done.")]
    for beginning in ([user("Hi."), added], [user("Hi."), asked, told], [user("Hi."), asked, told, added]):
        request = {
            "tools": [own, search],
            "input": [*beginning, *history],
            "tool_choice": {"type": said["type"].removesuffix("_tool_call").removesuffix("_call"), "name": kind},
        }
        written = chat(**request)
        names = [tool[tool["type"]]["name"] for tool in written["tools"]]
        assert names[:3] == [kind, "tool_search", f"{kind}_2"]
        assert len(set(names)) == len(names)
        calls = [call for message in written["messages"] for call in message.get("tool_calls", [])]
        assert [call[call["type"]]["name"] for call in calls][-2:] == [f"{kind}_2", kind]
        assert written["tool_choice"][written["tool_choice"]["type"]] == {"name": f"{kind}_2"}
        if told in beginning:
            assert f"can be called now: {kind}_2, {kind}_2_2." in str(written["messages"])
        whole = document_of(*called(f"{kind}_2", '{"input":"a"}' if custom else "{}"), Finish(0, "tool_calls"), **request)
        assert [(item["type"], item["name"]) for item in json.loads(whole)["output"]] == [(said["type"], kind)]


@pytest.mark.parametrize("kind", ["shell", "apply_patch", "local_shell"])
def test_each_can_be_asked_for(kind: str) -> None:
    """By its type, alone or among those that are allowed; one that is not offered is no tool of the client's."""
    mine = {"type": "function", "function": {"name": kind}}
    assert chat(tools=TOOLS, tool_choice={"type": kind})["tool_choice"] == mine
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": kind}]}
    assert chat(tools=TOOLS, tool_choice=allowed)["tool_choice"]["allowed_tools"] == {"mode": "required", "tools": [mine]}
    assert refusal(tools=[LOOK], tool_choice={"type": kind}).param == "tool_choice"


@pytest.mark.parametrize("environment", [{"type": "container_auto"}, {"type": "container_reference", "container_id": "c"}])
def test_a_shell_in_a_container_of_the_vendors_is_refused_with_the_way_out(environment: Json) -> None:
    """And what was done in one in earlier turns is left out, as what other tools of vendors did."""
    error = refusal(tools=[{"type": "shell", "environment": environment}])
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", "tools[0].type")
    assert '"local"' in error.message
    done = turn("shell", action={"commands": ["ls"]}, environment={"type": "container_reference", "container_id": "c"}, output=LISTED)
    assert messages(user("Hi."), *done) == [user("Hi.")]


def test_calls_and_their_outputs_are_a_functions_in_the_history() -> None:
    """What the model reads is what its client says: all that was written, how it ended, whether a patch was applied."""
    action = {"commands": ["ls", "cat b"], "timeout_ms": 5, "max_output_length": None}
    late = {"stdout": "", "stderr": "no b\n", "outcome": {"type": "timeout"}}
    _, asked, told = messages(user("Hi."), *turn("shell", action=action, output=[*LISTED, late]))
    function = {"name": "shell", "arguments": '{"commands":["ls","cat b"],"timeout_ms":5}'}
    assert asked["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert told == {"role": "tool", "tool_call_id": "c1", "content": "a.py\nExit code: 0\n\nstderr:\nno b\nIt ran out of time."}
    _, asked, told = messages(user("Hi."), *turn("apply_patch", operation=UPDATE, output="Done."))
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == UPDATE
    assert told["content"] == "The patch was applied.\nDone."
    failed = {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed"}
    assert messages(user("Hi."), turn("apply_patch", operation=UPDATE)[0], failed)[2]["content"] == "The patch failed."
    ran = {"type": "exec", "command": ["ls"], "env": {}, "user": None}
    _, asked, told = messages(user("Hi."), *turn("local_shell", action=ran, output='{"out":"a"}'))
    assert (asked["tool_calls"][0]["function"]["arguments"], told["content"]) == ('{"command":["ls"]}', '{"out":"a"}')


def test_an_older_shells_items_are_matched_by_whatever_id_they_have() -> None:
    """OpenAI's types give its output the call's id as its own, its guide and Codex as `call_id`; a shell's result may be a text."""
    asked, told = turn("local_shell", action={"command": ["ls"]}, output="a")
    of_types = {"type": "local_shell_call_output", "id": "c1", "output": "a"}
    of_codex = {"type": "function_call_output", "call_id": "c1", "output": "a"}
    usual = messages(user("Hi."), asked, told)
    assert messages(user("Hi."), asked, of_types) == messages(user("Hi."), asked, of_codex) == usual
    assert messages(user("Hi."), {**asked, "call_id": None, "id": "c1"}, told) == usual
    assert messages(user("Hi."), *turn("shell", action={"commands": ["ls"]}, output="a"))[2]["content"] == "a"
    assert messages(user("Hi."), *turn("shell", action={"commands": ["ls"]}, output=[]))[2]["content"] == "Nothing came back."


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"type": "shell_call", "call_id": "c"}], "input[1].action"),
        ([{"type": "local_shell_call", "call_id": "c", "action": "ls"}], "input[1].action"),
        ([{"type": "apply_patch_call", "call_id": "c", "status": "completed"}], "input[1].operation"),
        ([{"type": "shell_call", "action": {"commands": ["ls"]}}], "input[1].call_id"),
        (turn("shell", action={"commands": ["ls"]}), "input[2].output"),
        ([{"type": "shell_call", "call_id": "c", "Action": {}}], "input[1].action"),
        ([{"type": "apply_patch_call", "call_id": "c", "operation": {"Path": "a"}}], "input[1].operation.path"),
    ],
)
def test_an_item_that_does_not_say_what_was_asked_is_refused_by_place(items: list[Json], param: str) -> None:
    """Rather than told as a call of nothing (fault S3 for names in another case)."""
    error = refusal(input=[user("Hi."), *items])
    assert (error.status, error.param) == (400, param)


def test_a_call_of_a_shell_is_its_item_with_the_events_of_its_commands() -> None:
    """With the same ids from its beginning to its end, and the text before it an item of its own."""
    data = stream_of(Text(0, "So:", 1), *called("shell", '{"commands":["ls",', '"pwd"]}'), Finish(0, "tool_calls"), tools=TOOLS)
    assert faults_in(data) == []
    command = [f"shell_call_command.{kind}" for kind in ("added", "delta", "done")]
    assert kinds(data)[-9:] == ["output_item.added", *command, *command, "output_item.done", "completed"]
    [begun] = [event["item"] for event in events_in(data) if event["type"] == "response.output_item.added"][1:]
    assert (begun["status"], begun["action"]["commands"]) == ("in_progress", [])
    _, call = streamed(data).output
    assert isinstance(call, ResponseFunctionShellToolCall)
    assert (call.id, call.call_id, call.status, call.action.commands) == (begun["id"], "call_0", "completed", ["ls", "pwd"])
    assert call.model_dump()["environment"] == {"type": "local"}


@pytest.mark.parametrize("operation", [UPDATE, {"type": "create_file", "path": "b", "diff": ""}, {"type": "delete_file", "path": "b"}])
def test_a_call_of_a_patch_is_its_item(operation: Json) -> None:
    """A file that goes has none, whatever the model writes for it."""
    written = json.dumps({"diff": None, **operation})
    data = stream_of(*called("apply_patch", written), Finish(0, "stop"), tools=TOOLS)
    assert (faults_in(data), kinds(data)[2:]) == ([], ["output_item.added", "output_item.done", "completed"])
    begun = events_in(data)[2]["item"]
    assert (begun["status"], begun["operation"]) == ("in_progress", {**operation, "diff": ""} if "diff" in operation else operation)
    [call] = streamed(data).output
    assert isinstance(call, ResponseApplyPatchToolCall)
    assert (call.call_id, call.status, call.operation.model_dump()) == ("call_0", "completed", operation)


def test_a_call_of_the_older_shell_is_its_item() -> None:
    """With an environment, which its clients take for granted."""
    data = stream_of(*called("local_shell", '{"command":["ls"],"timeout_ms":5.0}'), Finish(0, "stop"), tools=TOOLS)
    assert (faults_in(data), kinds(data)[2:]) == ([], ["output_item.added", "output_item.done", "completed"])
    [call] = streamed(data).output
    assert isinstance(call, LocalShellCall)
    assert (call.action.command, call.action.env, call.action.timeout_ms, call.action.type) == (["ls"], {}, 5, "exec")
    assert None not in events_in(data)[-1]["response"]["output"][0]["action"].values()  # which the AI SDK does not read


UNFIT = [
    ("shell", "{"),
    ("shell", "ls"),
    ("shell", ""),
    ("shell", '{"commands":[]}'),
    ("shell", '{"commands":["ls"],"workdir":"/"}'),
    ("shell", '{"commands":[1]}'),
    ("shell", '["ls"]'),
    ("local_shell", '{"command":"ls"}'),
    ("apply_patch", '{"type":"update_file","path":"a"}'),
    ("apply_patch", '{"type":"move_file","path":"a","diff":""}'),
    ("apply_patch", '{"type":"delete_file","path":"a","diff":"-x"}'),
    ("apply_patch", '{"type":"create_file","path":"","diff":"+x"}'),
]


@pytest.mark.parametrize(("name", "text"), UNFIT)
def test_what_does_not_fit_is_told_as_the_function_call_that_it_was(name: str, text: str) -> None:
    """Nothing of it is run as something else, and nothing lost: the client has the name and every character."""
    for data in (
        stream_of(*called(name, text), Finish(0, "stop"), tools=TOOLS),
        document_of(*called(name, text), Finish(0, "stop"), tools=TOOLS),
    ):
        response = streamed(data).model_dump() if data.startswith(b"event") else json.loads(data)
        [item] = response["output"]
        assert (item["type"], item["name"], item["call_id"], item["arguments"]) == ("function_call", name, "call_0", text)
    back = messages(user("Hi."), item, {"type": "function_call_output", "call_id": "call_0", "output": "What?"}, tools=TOOLS)
    assert back[1]["tool_calls"][0]["function"] == {"name": name, "arguments": text}


def test_a_single_command_may_stand_for_a_list() -> None:
    """As many models write it; it can mean nothing else."""
    [call] = streamed(stream_of(*called("shell", '{"commands":"ls"}'), Finish(0, "stop"), tools=TOOLS)).output
    assert isinstance(call, ResponseFunctionShellToolCall)
    assert call.action.commands == ["ls"]


def test_calls_stay_in_their_order_and_come_as_soon_as_they_are_whole() -> None:
    """A function behind a shell's call waits for it; one whose arguments come between the shell's is told behind it."""
    data = stream_of(
        *called("look", '{"a":1}'),
        *called("shell", '{"commands":["ls"]}', index=1),
        *called("look", '{"b":2}', index=2),
        *called("apply_patch", '{"type":"delete_file",', index=3),
        *called("look", "{}", index=4),
        Arguments(0, 3, '"path":"a"}', 1),
        Text(0, "Now."),
        Finish(0, "tool_calls"),
        tools=[LOOK, *TOOLS],
    )
    assert faults_in(data) == []
    items = [item.type for item in streamed(data).output]
    assert items == ["function_call", "shell_call", "function_call", "apply_patch_call", "function_call", "message"]
    placed = [(event["output_index"], event["type"].split(".")[-1]) for event in events_in(data) if "output_item" in event["type"]]
    assert [index for index, kind in placed if kind == "added"] == [0, 1, 2, 3, 4, 5]
    assert placed.index((1, "done")) < placed.index((2, "added"))


def test_a_call_in_the_older_form_is_an_item_of_its_own_too() -> None:
    """As some vendors answer whatever they were asked; in one piece or in several."""
    for pieces in (['{"commands":["ls"]}'], ['{"commands":', '["ls"]}']):
        data = stream_of(
            FunctionCall(0, "shell", ""), *[FunctionCall(0, "", text) for text in pieces], Finish(0, "function_call"), tools=TOOLS
        )
        [call] = streamed(data).output
        assert isinstance(call, ResponseFunctionShellToolCall)
        assert (faults_in(data), call.action.commands) == ([], ["ls"])


def test_a_call_that_was_cut_short_is_incomplete() -> None:
    """It is told as far as it came, as a function's; a whole one before it as it is."""
    first = called("shell", '{"commands":["ls"]}')
    data = stream_of(*first, *called("shell", '{"commands":["rm', index=1), Finish(0, "length"), tools=TOOLS)
    assert faults_in(data) == []
    [whole, cut], end = codex_turn(data)
    assert (whole["type"], whole["status"], end["type"]) == ("shell_call", "completed", "response.incomplete")
    assert (cut["type"], cut["status"], cut["arguments"]) == ("function_call", "incomplete", '{"commands":["rm')


@pytest.mark.parametrize("text", ['{"commands":["ls"]}', '{"commands":[7]}'], ids=["fits", "does not fit"])
def test_a_call_costs_what_the_vendor_reported_and_the_client_hears_of_it_while_it_is_made(text: str) -> None:
    """Whatever its model wrote; comments fill the time in which nothing can be told."""
    begun = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "shell", "arguments": text[:7]}}]}
    more = {"tool_calls": [{"index": 0, "function": {"arguments": text[7:]}}]}
    steps = [chunk(OPENING), chunk(begun), chunk(more), chunk({}, "tool_calls"), usage(9, 3), DONE]
    client, row, _ = made(Script(steps), tools=TOOLS)
    assert (faults_in(client.body), billed(row)) == ([], ("completed", 3, 9 * IN + 3 * OUT))
    assert client.body.count(b": keep-alive\n\n") >= 1


def test_who_leaves_before_a_call_is_whole_has_not_got_it() -> None:
    """So that it pays nothing for it: what was held never left."""
    begun = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "shell", "arguments": '{"commands":'}}]}
    client, row, _ = made(Script([chunk(OPENING), chunk(begun), FOR_EVER]), during=MemoryClient.leave, tools=TOOLS)
    assert (b"shell" in client.body, billed(row)) == (False, ("client_gone", 0, 0))


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OpenAI, Polyglot]]:
    """OpenAI's client at a server in front of a vendor that speaks every dialect."""
    with Polyglot() as vendor, serving(tmp_path_factory.mktemp("tools"), configuration(vendor.url)) as server:
        yield OpenAI(base_url=server.api, api_key=server.key, max_retries=0), vendor


def outputs(output: list[Any]) -> list[Json]:
    """What a client gives back for the calls in an answer, as OpenAI's guides say it."""
    given: list[Json] = []
    for item in output:
        if isinstance(item, ResponseFunctionShellToolCall):
            assert (item.action.commands, item.action.timeout_ms) == (["ls", "wc -l add.py"], 1000)
            given.append({"type": "shell_call_output", "call_id": item.call_id, "output": LISTED})
        elif isinstance(item, ResponseApplyPatchToolCall):
            assert item.operation.model_dump() == {"type": "update_file", "path": "add.py", "diff": "@@\n-a\n+b\n"}
            given.append({"type": "apply_patch_call_output", "call_id": item.call_id, "status": "completed", "output": "It is b now."})
        elif isinstance(item, LocalShellCall):
            assert (item.action.command, item.action.working_directory) == (["python", "add.py"], "/tmp")
            given.append({"type": "local_shell_call_output", "call_id": item.call_id, "output": "42"})
    return given


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", [name for name in TONGUES if name != "responses"])
def test_a_worker_does_its_work_whatever_the_dialect(everywhere: tuple[OpenAI, Polyglot], dialect: str, stream: bool) -> None:
    """Three turns with thinking, two calls at once in the first: each comes as its own item, and its output reaches the model."""
    client, vendor = everywhere
    model = f"{dialect}/claude-opus-5-5-worker" if dialect in ("anthropic", "bedrock") else f"{dialect}/worker"
    conversation: list[Any] = [user("Correct add.py.")]
    counts = []
    for _ in range(3):
        asked: Any = {"model": model, "input": conversation, "tools": TOOLS, "reasoning": {"effort": "high"}, "max_output_tokens": 20_000}
        if stream:
            with client.responses.stream(**asked) as events:
                answer: Any = events.get_final_response()
        else:
            answer = client.responses.create(**asked)
        given = outputs(answer.output)
        counts.append((len(given), answer.usage.input_tokens, answer.usage.output_tokens))
        conversation += [*answer.output, *given]
    assert (counts, answer.output_text) == ([(2, INPUT, OUTPUT), (1, INPUT, OUTPUT), (0, INPUT, OUTPUT)], TEXT)
    last = vendor.asked[-1][2].decode()
    assert all(told in last for told in ("Exit code: 0", "The patch was applied.", "It is b now.", "42"))


@pytest.mark.parametrize("tool", [SHELL, {"type": "tool_search", "execution": "client"}], ids=["shell", "tool_search"])
def test_a_call_that_takes_long_is_no_silence(tool: Json) -> None:
    """While its arguments come, its model is at work, though the client is shown nothing of them."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool["type"], "arguments": '{"commands":["'}}
    piece = {"tool_calls": [{"index": 0, "function": {"arguments": "l"}}]}
    slowly = [step for _ in range(30) for step in (Stall(50), chunk(piece))]
    last = {"tool_calls": [{"index": 0, "function": {"arguments": '"]}'}}]}
    steps = [chunk(OPENING), chunk({"tool_calls": [call]}), *slowly, chunk(last), chunk({}, "tool_calls"), usage(9, 3), DONE]
    client, row, _ = made(Script(steps), tools=[tool])
    assert (faults_in(client.body), billed(row)[0]) == ([], "completed")
