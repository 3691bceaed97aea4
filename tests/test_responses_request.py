"""A Responses request and the chat completion that it comes to: every kind of item and tool, and what is refused with the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.schema import Model
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.model_limits import check_limits
from aisa.providers import anthropic, openai, responses
from aisa.providers.shape import Target
from aisa.wire.responses import ResponsesRequest, parse_responses
from aisa.wire.responses_tools import NAME_CHARACTERS_MAX, Called

Json = dict[str, Any]
LOOK = {"type": "function", "name": "look", "description": "Look it up.", "strict": True, "parameters": {"type": "object"}}
CREW = {"type": "namespace", "name": "crew", "description": "Others.", "tools": [{"type": "function", "name": "call", "parameters": {}}]}
SEARCH = {"type": "web_search", "external_web_access": True}
DATA = "data:image/png;base64,iVBORw0KGgo="


def read(**fields: object) -> ResponsesRequest:
    """A request."""
    return parse_responses(json.dumps({"model": "m", "input": "Hi.", **fields}).encode())


def chat(**fields: object) -> Json:
    """What the vendor's chat completions are asked, without the model."""
    fields_of = read(**fields).as_chat().fields
    return {name: json.loads(bytes(value)) for name, value in fields_of.items() if name != "model"}


def messages(*items: object, **fields: object) -> list[Json]:
    """The messages that items come to."""
    found: list[Json] = chat(input=list(items), **fields)["messages"]
    return found


def refusal(**fields: object) -> ApiError:
    """Why a request is refused."""
    with pytest.raises((ApiError, UpstreamFailed)) as refused:
        read(**fields).as_chat()
    return refused.value.error if isinstance(refused.value, UpstreamFailed) else refused.value


def user(content: object) -> Json:
    """A message of the user's."""
    return {"role": "user", "content": content}


def call(number: int, **more: object) -> Json:
    """A call that the model made."""
    return {"type": "function_call", "call_id": f"call_{number}", "name": "look", "arguments": "{}", **more}


def output(number: int, given: object = "sunny") -> Json:
    """Its result."""
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": given}


def test_a_text_is_a_message_of_the_user() -> None:
    """And instructions are the system's, before it."""
    assert chat(instructions="Be brief.") == {"messages": [{"role": "system", "content": "Be brief."}, user("Hi.")]}


def test_items_with_and_without_type_and_id_are_the_same() -> None:
    """As some clients keep what they were sent and others drop it."""
    parts = [{"type": "input_text", "text": "Hi."}]
    said = {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Yes.", "annotations": []}],
    }
    bare = messages(user("Hi."), {"role": "assistant", "content": "Yes."}, call(1), output(1))
    full = messages(
        user(parts) | {"type": "message", "id": "msg_1"},
        said | {"id": "msg_2"},
        call(1, id="fc_3", status="completed"),
        output(1) | {"id": "fco_4"},
    )
    assert bare == full
    assert bare[1]["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    assert bare[2] == {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


def test_what_the_system_says_at_the_beginning_is_one_message() -> None:
    """Many models take no second; later ones stay where they are, as nothing before them may change."""
    parts = [{"type": "input_text", "text": "Two."}, {"type": "input_text", "text": "Three."}]
    developer, later = {"role": "developer", "content": parts}, {"role": "developer", "content": "Four."}
    assert messages(developer, user("Hi."), later, instructions="One.") == [
        {"role": "system", "content": "One.\n\nTwo.\n\nThree."},
        user("Hi."),
        {"role": "system", "content": "Four."},
    ]


def test_a_turn_of_the_model_is_one_message() -> None:
    """What it said, and its calls; also where it said something behind them."""
    said = {"role": "assistant", "content": "One moment."}
    whole = messages(user("Hi."), said, call(1), call(2), output(1), output(2))
    assert [message["role"] for message in whole] == ["user", "assistant", "tool", "tool"]
    assert [whole[1]["content"], len(whole[1]["tool_calls"])] == ["One moment.", 2]
    behind = messages(user("Hi."), call(1), said, {"role": "assistant", "content": "Soon."}, output(1))
    assert [message["role"] for message in behind] == ["user", "assistant", "tool"]
    assert [part["text"] for part in behind[1]["content"]] == ["One moment.", "Soon."]
    apart = messages(user("Hi."), said, user("Go on."), call(1), output(1), call(2), output(2))
    assert [message["role"] for message in apart] == ["user", "assistant", "user", "assistant", "tool", "assistant", "tool"]


def test_a_message_without_parts_says_nothing_and_is_no_fault() -> None:
    """An answer that was cut before its first word comes back so, in the next turn."""
    cut = {"type": "message", "id": "msg_1", "role": "assistant", "status": "incomplete", "content": []}
    assert messages({"role": "user", "content": []}, cut, {"role": "user", "content": "Go on."}) == [
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Go on."},
    ]


def test_custom_calls_and_their_results_are_carried() -> None:
    """Their input is a text in any form."""
    custom = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "***"}
    given = messages(
        user("Hi."), custom, {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "ok"}]}
    )
    assert given[1]["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": "***"}}]
    assert given[2]["content"] == "ok"


def test_pictures_files_and_sound_are_carried() -> None:
    """In the form of chat completions."""
    picture = {"type": "input_image", "image_url": DATA, "detail": "low"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
    sound = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    [message] = messages(user([{"type": "input_text", "text": "See."}, picture, file, sound]))
    assert message["content"] == [
        {"type": "text", "text": "See."},
        {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        sound,
    ]


def test_a_picture_that_a_tool_gave_back_is_shown_behind_all_results() -> None:
    """Vendors take pictures from users only, and results stand right behind their calls."""
    shown = [{"type": "input_image", "image_url": DATA}]
    given = messages(user("Hi."), call(1), call(2), output(1, shown), output(2), user("Well?"))
    assert [message["role"] for message in given] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert "next message" in given[2]["content"]
    assert given[4]["content"] == [{"type": "image_url", "image_url": {"url": DATA}}]
    assert messages(user("Hi."), call(1), output(1, [{"type": "input_text", "text": "a"}, *shown]))[2]["content"] == "a"


def test_a_picture_that_a_model_made_is_seen_again() -> None:
    """By whoever is asked next: what is to be changed in it is nothing without it. One that never came is nothing."""
    drawn = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA", "output_format": "webp"}
    said = {"role": "assistant", "content": "Here:"}
    none = {"type": "image_generation_call", "id": "ig_2", "status": "failed", "result": None}
    _, before, picture, behind = messages(user("Draw."), said, drawn, none, user("Bluer."))
    assert (before["content"], behind["content"]) == ("Here:", "Bluer.")
    assert picture == {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}}]}
    made = messages(user("Draw."), said, drawn, call(1), output(1), user("Bluer."))
    assert [each["role"] for each in made] == ["user", "assistant", "tool", "user", "user"]


def test_marks_for_a_cache_stay_on_their_parts() -> None:
    """Behind instructions, a text, a picture and what a tool gave back; without one all are the texts that they were."""
    mark = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
    said = [{"type": "input_text", "text": text} for text in ("Be", "brief.")]
    shown = {"type": "input_image", "image_url": DATA}
    made = [call(1), output(1, [said[0], {**said[1], **mark}])]
    marked = [
        {"role": "developer", "content": [said[0], {**said[1], **mark}]},
        user([{**said[0], **mark}]),
        *made,
        user([{**shown, **mark}]),
    ]
    system, asked, _, given, picture = messages(*marked, instructions="Always.")
    texts = [{"type": "text", "text": text} for text in ("Always.", "\n\nBe", "\n\nbrief.")]
    assert system["content"] == [*texts[:2], {**texts[2], **mark}]
    assert asked["content"] == [{"type": "text", "text": "Be", **mark}]
    assert given["content"] == [{"type": "text", "text": "Be"}, {"type": "text", "text": "\nbrief.", **mark}]
    assert picture["content"] == [{"type": "image_url", "image_url": {"url": DATA}, **mark}]
    plain = [{"role": "developer", "content": said}, user([said[0]]), call(1), output(1, said)]
    assert [each["content"] for each in messages(*plain, instructions="Always.")] == ["Always.\n\nBe\n\nbrief.", "Be", None, "Be\nbrief."]
    body = anthropic.to_upstream(read(input=marked), Target("a", "claude-opus-5-5", "anthropic")).body
    assert body.count(b'"cache_control":{"type":"ephemeral","ttl":"1h"}') == 4


def test_marks_for_a_cache_are_left_out_where_they_would_be_refused() -> None:
    """Who is compatible with OpenAI knows none of them, and DeepSeek, say, no text in parts: to them goes what would without any mark."""
    said = [{"type": "input_text", "text": text} for text in ("Be", "brief.")]
    shown = {"type": "input_image", "image_url": DATA}

    def asked(host: str, **mark: object) -> Json:
        marked = [said[0], {**said[1], **mark}]
        items = [{"role": "developer", "content": marked}, user(marked[1:]), call(1), output(1, marked), user([shown, *marked])]
        items += [{"role": "developer", "content": marked}, user("Well?")]
        request = read(input=items, instructions="Always.")
        body: Json = json.loads(openai.to_upstream(request, Target("a", "m", "openai", host=host)).body)
        return body

    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    assert asked("api.deepseek.com", **mark) == asked("api.deepseek.com")
    assert json.dumps(asked("api.openai.com", **mark)).count("prompt_cache_breakpoint") == 5


def test_thinking_and_what_vendors_tools_did_are_left_out() -> None:
    """Nobody but that vendor can read them; one without content, as Codex sends it, is no fault."""
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "sealed"}
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
    assert messages(user("Hi."), thought, searched, call(1), output(1)) == messages(user("Hi."), call(1), output(1))


def test_seals_of_ours_come_back_with_the_turn_that_they_belong_to() -> None:
    """In the place where chat completions have them: what was thought before a call stands in the message of that call."""
    thought = [{"type": "reasoning", "summary": [], "encrypted_content": f"aisa1.{letter}"} for letter in "abc"]
    given = messages(
        user("Hi."), thought[0], thought[1], call(1), output(1), thought[2], {"role": "assistant", "content": "Yes."}, user("Go on.")
    )
    assert [[entry["data"] for entry in message.get("reasoning_details", [])] for message in given] == [
        [],
        ["aisa1.a", "aisa1.b"],
        [],
        ["aisa1.c"],
        [],
    ]
    assert [entry["index"] for entry in given[1]["reasoning_details"]] == [0, 1]
    assert (
        b"aisa1" not in openai.to_upstream(read(input=[user("Hi."), thought[0], call(1), output(1)]), Target("acme", "m-1", "openai")).body
    )


def test_tools_are_offered_under_one_name_each() -> None:
    """A namespace becomes the beginning of the name; what the model can do without is left out."""
    custom = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
    assert chat(tools=[LOOK, CREW, custom, SEARCH], tool_choice="auto", parallel_tool_calls=True) == {
        "messages": [user("Hi.")],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Look it up.", "parameters": {"type": "object"}, "strict": True},
            },
            {"type": "function", "function": {"name": "crew__call", "parameters": {}}},
            {
                "type": "custom",
                "custom": {"name": "patch", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
            },
        ],
        "tool_choice": "auto",
    }
    assert chat(tools=[LOOK], parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert chat(tools=[], tool_choice="auto") == chat(tools=[SEARCH], tool_choice="auto") == {"messages": [user("Hi.")]}
    assert messages(user("Hi."), call(1, namespace="crew", name="call"))[1]["tool_calls"][0]["function"]["name"] == "crew__call"


def test_tools_that_a_conversation_offers_on_its_way_are_offered_too() -> None:
    """Those of the developer and those that a search found, each once; of the vendor's own, only what nobody can do without is refused."""
    found = {
        "type": "tool_search_output",
        "call_id": "t1",
        "execution": "client",
        "tools": [LOOK, CREW, {"type": "mcp", "server_label": "l"}],
    }
    more = {"type": "additional_tools", "role": "developer", "tools": [CREW, SEARCH, {**LOOK, "name": "later"}]}
    asked = chat(tools=[LOOK], input=[user("Hi."), found, more], tool_choice="required")
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["look", "crew__call", "later"]
    assert (asked["messages"], asked["tool_choice"]) == ([user("Hi.")], "required")
    assert read(input=[user("Hi."), more]).names.called("crew__call") == Called("call", "crew")
    again = {"type": "additional_tools", "role": "developer", "tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}
    assert refusal(input=[user("Hi."), again]).param == "input[1].tools[0].type"
    for wrong in (None, [{"name": "look"}], "look"):
        error = refusal(input=[user("Hi."), {"type": "additional_tools", "tools": wrong}])
        assert (error.status, error.param) == (400, "input[1].tools")
    with pytest.raises(ApiError):
        check_limits(read(input=[user("Hi."), more]), "m", Model(to=("a/b",), max_tools=1))


FIND = {"type": "tool_search", "execution": "client", "description": "Find.", "parameters": {"type": "object", "properties": {}}}
LATER = {**LOOK, "name": "later", "defer_loading": True}
CREW_LATER = {**CREW, "tools": [{"type": "function", "name": "call", "parameters": {}, "defer_loading": True}]}


def search_turn(*tools: Json, call_id: object = "t1", execution: str = "client") -> list[Json]:
    """A search for tools, and what it found."""
    asked = {"type": "tool_search_call", "call_id": call_id, "execution": execution, "arguments": {"query": "crew"}, "status": "completed"}
    return [asked, {"type": "tool_search_output", "call_id": call_id, "execution": execution, "status": "completed", "tools": list(tools)}]


def offered(**fields: object) -> list[str]:
    """The names of the functions that are offered."""
    return [tool["function"]["name"] for tool in chat(**fields).get("tools", ())]


def test_a_search_for_tools_that_the_client_runs_is_a_function() -> None:
    """As Codex has it: what is deferred is not offered before it is found, and then under the same name as ever."""
    assert offered(tools=[LOOK, LATER, CREW_LATER, FIND]) == ["look", "tool_search"]
    function = {"name": "tool_search", "description": "Find.", "parameters": FIND["parameters"]}
    assert chat(tools=[FIND])["tools"] == [{"type": "function", "function": function}]
    [bare] = chat(tools=[{"type": "tool_search", "execution": "client", "description": None, "parameters": None}])["tools"]
    assert bare["function"]["parameters"]["required"] == ["query"]
    found = chat(tools=[LOOK, LATER, CREW_LATER, FIND], input=[user("Hi."), *search_turn(CREW_LATER, LATER)])
    assert [tool["function"]["name"] for tool in found["tools"]] == ["look", "tool_search", "crew__call", "later"]
    _, asked, told = found["messages"]
    assert asked["tool_calls"] == [{"id": "t1", "type": "function", "function": {"name": "tool_search", "arguments": '{"query":"crew"}'}}]
    assert told == {"role": "tool", "tool_call_id": "t1", "content": "These tools can be called now: crew__call, later."}
    assert messages(user("Hi."), *search_turn(), tools=[FIND])[-1]["content"] == "No tool was found."


def test_a_search_for_tools_that_the_vendor_runs_is_left_out_and_all_tools_are_offered() -> None:
    """Nobody searches there: what was deferred for it would never be found."""
    hosted = [LOOK, LATER, CREW_LATER, {"type": "tool_search"}]
    assert (
        offered(tools=hosted)
        == offered(tools=[*hosted[:3], {"type": "tool_search", "execution": "server"}])
        == ["look", "later", "crew__call"]
    )
    assert messages(user("Hi."), *search_turn(LATER, call_id=None, execution="server"), tools=hosted) == [user("Hi.")]


def test_a_tool_that_must_be_called_is_offered_though_it_is_deferred() -> None:
    """And the search itself can be asked for, under a name that no function has."""
    tools = [LATER, FIND, {**LOOK, "name": "tool_search"}]
    asked = chat(tools=tools, tool_choice={"type": "function", "name": "later"})
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["later", "tool_search", "tool_search_2"]
    mine = {"type": "function", "function": {"name": "tool_search_2"}}
    assert chat(tools=tools, tool_choice={"type": "tool_search"})["tool_choice"] == mine
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "tool_search"}, {"type": "web_search"}]}
    assert chat(tools=tools, tool_choice=allowed)["tool_choice"]["allowed_tools"]["tools"] == [mine]
    assert messages(user("Hi."), *search_turn(), tools=tools)[1]["tool_calls"][0]["function"]["name"] == "tool_search_2"


def test_the_last_update_in_a_conversation_says_how_to_answer() -> None:
    """Each of what it says, and a limit of the model's holds for it; before any, the request does."""
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    first = {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": schema}}
    last = {"type": "configuration_update", "reasoning": {"effort": "max"}}
    plain = {"type": "configuration_update", "text": {"format": {"type": "text"}}}
    asked = chat(input=[user("Hi."), first, last], reasoning={"effort": "high"}, text={"verbosity": "low"})
    assert (asked["reasoning_effort"], asked["verbosity"], asked["messages"]) == ("max", "low", [user("Hi.")])
    assert asked["response_format"]["json_schema"]["schema"] == schema["schema"]
    assert "response_format" not in chat(input=[user("Hi."), first, plain])
    with pytest.raises(ApiError) as refused:
        check_limits(read(input=[user("Hi."), last]), "m", Model(to=("a/b",), reasoning_efforts=("low",)))
    assert refused.value.param == "reasoning.effort"


def test_a_long_name_in_a_namespace_is_short_for_models_and_the_same_in_every_turn() -> None:
    """And two that begin alike are told apart."""
    long = {**CREW, "tools": [{"type": "function", "name": "c" * 60 + end, "parameters": {}} for end in "ab"]}
    request = read(tools=[long], input=[user("Hi."), call(1, namespace="crew", name="c" * 60 + "a")])
    asked = request.as_chat()
    names = [tool.function.name for tool in asked.known.tools or [] if tool.function is not None]
    assert len(set(names)) == 2
    assert all(len(name) <= NAME_CHARACTERS_MAX for name in names)
    assert json.loads(bytes(asked.fields["messages"]))[1]["tool_calls"][0]["function"]["name"] == names[0]
    assert request.names.called(names[1]) == Called("c" * 60 + "b", "crew")


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        ("required", "required"),
        ("none", "none"),
        ({"type": "function", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "function", "function": {"name": "look"}}),
        ({"type": "function", "name": "call", "namespace": "crew"}, {"type": "function", "function": {"name": "crew__call"}}),
        ({"type": "custom", "name": "patch"}, {"type": "custom", "custom": {"name": "patch"}}),
        ({"type": "auto"}, "auto"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, "none"),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]}},
        ),
    ],
)
def test_every_form_of_tool_choice_is_carried(choice: object, asked: object) -> None:
    """In that of chat completions."""
    assert chat(tools=[LOOK, CREW], tool_choice=choice)["tool_choice"] == asked


def test_the_form_of_the_text_and_how_to_think_are_carried() -> None:
    """What means the same has the same name; what is the client's own business is not told to vendors."""
    schema = {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}
    asked = chat(
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
        max_output_tokens=50,
        temperature=0.5,
        prompt_cache_key="k",
        service_tier="flex",
        metadata={"a": "b"},
        client_metadata={"a": "b"},
        store=True,
        truncation="auto",
        stream_options={"include_obfuscation": False},
        stream=True,
    )
    assert asked == {
        "messages": [user("Hi.")],
        "stream": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}},
        "verbosity": "low",
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "prompt_cache_key": "k",
        "service_tier": "flex",
    }
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert chat(text={"format": {"type": "text"}}, max_output_tokens=0, temperature=None) == {"messages": [user("Hi.")]}


@pytest.mark.parametrize("kind", [{"a": 1}, ["auto"], 5])
def test_a_type_of_a_choice_that_is_no_text_is_refused_by_its_place(kind: object) -> None:
    """[fault S13] It is looked up in a table of words."""
    with pytest.raises(ApiError) as refused:
        _ = read(tools=[LOOK], tool_choice={"type": kind}).chat
    assert (refused.value.code, refused.value.param) == ("invalid_parameter_type", "tool_choice.type")


def test_limits_of_a_model_are_told_in_this_protocols_names() -> None:
    """The bound on the output, the tools that the client runs, the effort."""
    for limits, fields, param in (
        (Model(to=("a/b",), max_output_tokens=10), {"max_output_tokens": 11}, "max_output_tokens"),
        (Model(to=("a/b",), max_tools=1), {"tools": [LOOK, CREW]}, "tools"),
        (Model(to=("a/b",), reasoning_efforts=("low",)), {"reasoning": {"effort": "max"}}, "reasoning.effort"),
        (Model(to=("a/b",), allowed_tiers=()), {"service_tier": "priority"}, "service_tier"),
    ):
        with pytest.raises(ApiError) as refused:
            check_limits(read(**fields), "m", limits)
        assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "param", "way_out"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "whole conversation"),
        ({"conversation": "conv_1"}, "conversation", "whole conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "whole conversation"),
        ({"background": True}, "background", "stream"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]", "whole conversation"),
        ({"input": [{"id": "msg_1"}]}, "input[0]", "whole conversation"),
    ],
)
def test_what_needs_kept_responses_is_refused_with_the_way_out(fields: Json, param: str, way_out: str) -> None:
    """Rather than answered as if nothing had been said before."""
    error = refusal(**fields)
    assert (error.status, error.code, error.param) == (400, "invalid_request", param)
    assert way_out in error.message
    assert way_out == "stream" or "when `store` is false" in error.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [LOOK, {"type": "file_search", "vector_store_ids": ["v"]}]}, "tools[1].type"),
        ({"tools": [{"type": "computer"}]}, "tools[0].type"),
        ({"tools": [SEARCH], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [SEARCH], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [LOOK], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}}, "tool_choice"),
        ({"input": [user("Hi."), {"type": "function_call_output", "name": "look", "output": "x"}]}, "input[1].call_id"),
        ({"input": [user([{"type": "input_image", "file_id": "file_1"}])]}, "input[0].content[0]"),
        ({"input": [user([{"type": "input_file", "file_url": "ftp://a.example/b.pdf"}])]}, "input[0].content[0].file_url"),
        ({"input": [user("Hi."), {"type": "compaction", "encrypted_content": "x"}]}, "input[1].type"),
        ({"input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "screenshot"}}]}, "input[0].type"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"prompt": {"id": "pmpt_1"}, "input": ""}, "prompt"),
        ({"prompt": {"id": "pmpt_1"}, "input": []}, "prompt"),
        ({"input": [user([{"type": "input_text", "text": "x"}, {"type": "hologram", "data": "y"}])]}, "input[0].content[1].type"),
        ({"input": [user([{"type": "input_text"}])]}, "input[0].content[0].text"),
        ({"input": [user("x"), {"role": "assistant", "content": [{"type": "output_text", "text": None}]}]}, "input[1].content[0].text"),
    ],
)
def test_what_chat_completions_cannot_say_is_refused_by_name_and_only_for_them(fields: Json, param: str) -> None:
    """A vendor that speaks this protocol is asked all the same."""
    error = refusal(**fields)
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", param)
    with pytest.raises(UpstreamFailed) as failed:
        read(**fields).as_chat()
    assert (failed.value.blame, failed.value.may_fall_back) == (CALLER, True)
    assert bytes(read(**fields).fields()["model"]) == b'"m"'


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": None}, "invalid_parameter_type", "input"),
        ({"input": []}, "invalid_request", "input"),
        ({"input": ""}, "invalid_request", "input"),
        ({"input": [{"role": "user"}]}, "missing_parameter", "input[0].content"),
        ({"input": [{"type": "message", "content": "x"}]}, "missing_parameter", "input[0].role"),
        ({"input": [user("x"), {"type": "function_call", "name": "f"}]}, "missing_parameter", "input[1].call_id"),
        ({"input": [user("x"), {"type": "function_call", "call_id": "c"}]}, "missing_parameter", "input[1].name"),
        ({"input": [user("x"), output(1, None)]}, "missing_parameter", "input[1].output"),
        ({"input": [user("x"), {"role": "user", "content": 7}]}, "invalid_parameter_type", "input[1].content"),
        ({"input": [user("x"), {"role": "tool", "tool_call_id": "c", "content": "y"}]}, "invalid_request", "input[1].role"),
        ({"tools": [{"type": "function"}]}, "missing_parameter", "tools[0].name"),
        ({"tools": [LOOK, LOOK]}, "invalid_request", "tools[1].name"),
        ({"tools": [CREW, {"type": "function", "name": "crew__call"}]}, "invalid_request", "tools[1].name"),
        ({"tools": [LOOK], "tool_choice": {"type": "function"}}, "missing_parameter", "tool_choice.name"),
        ({"temperature": "hot"}, "invalid_parameter_type", "temperature"),
        ({"Input": "x"}, "json_parse_error", "input"),
        ({"tools": [{"type": "function", "name": "f", "Parameters": {}}]}, "json_parse_error", "tools[0].parameters"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "Text": "x"}]}]}, "json_parse_error", "input[0].content[0].text"),
        ({"text": {"format": {"Type": "text"}}}, "json_parse_error", "text.format.type"),
    ],
)
def test_a_body_that_no_vendor_can_mean_is_refused_by_place(fields: Json, code: str, param: str) -> None:
    """With the item and the member (fault S3 for names in another case)."""
    error = refusal(**fields)
    assert (error.code, error.param) == (code, param)


def test_a_prompt_that_its_vendor_keeps_needs_no_input() -> None:
    """A vendor that speaks this protocol gets it as it is; without either there is nothing to ask, and any other is told by its name."""
    body = b'{"model":"m","prompt":{"id":"pmpt_1","variables":{"city":"Oslo"}}}'
    written = json.loads(responses.to_upstream(parse_responses(body), Target("a", "some-model", "responses")).body)
    assert (written["prompt"], "input" in written) == ({"id": "pmpt_1", "variables": {"city": "Oslo"}}, False)
    with pytest.raises(UpstreamFailed, match="prompt"):
        openai.to_upstream(parse_responses(body), Target("a", "some-model", "openai"))
    with pytest.raises(ApiError) as refused:
        parse_responses(b'{"model":"m","instructions":"Hi."}')
    assert (refused.value.code, refused.value.param) == ("missing_parameter", "input")


def test_names_of_the_callers_own_may_be_anything() -> None:
    """Below `metadata`, schemas and arguments, nothing is compared with names of the protocol."""
    read(metadata={"Model": "x"}, tools=[{**LOOK, "parameters": {"Type": "x"}}], client_metadata={"STREAM": "y"})


def test_hints_that_a_vendor_refuses_are_left_out_at_the_next_try() -> None:
    """Codex cannot be told not to send one; a chat client's own stay what they are."""
    target = Target("acme", "m-1", "openai")
    request = read(prompt_cache_key="k", stream=True)
    first = openai.to_upstream(request, target)
    assert json.loads(first.body)["prompt_cache_key"] == "k"
    assert "prompt_cache_key" in first.added
    second = openai.to_upstream(request, Target("acme", "m-1", "openai", omit=("prompt_cache_key",)))
    assert "prompt_cache_key" not in json.loads(second.body)
    assert "prompt_cache_key" not in openai.to_upstream(request.as_chat(), target).added


def test_a_bound_goes_under_its_older_name_to_a_vendor_that_refuses_the_newer() -> None:
    """It is never lost: who set it does not pay for more."""
    request = read(max_output_tokens=50)
    first = openai.to_upstream(request, Target("acme", "m-1", "openai"))
    assert (json.loads(first.body)["max_completion_tokens"], "max_completion_tokens" in first.added) == (50, True)
    second = openai.to_upstream(request, Target("acme", "m-1", "openai", omit=("max_completion_tokens",)))
    assert "max_completion_tokens" not in openai.to_upstream(request, Target("openai", "gpt-4.1", "openai", host="api.openai.com")).added
    assert (json.loads(second.body)["max_tokens"], "max_completion_tokens" in json.loads(second.body)) == (50, False)


ITEMS = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=4)),
        st.builds(lambda text: {"role": "assistant", "content": text}, st.text(max_size=4)),
        st.builds(lambda text: {"role": "developer", "content": text}, st.text(max_size=4)),
        st.tuples(st.integers(0, 9), st.booleans()).map(lambda pair: call(pair[0])),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(ITEMS, ITEMS)
def test_what_comes_later_changes_nothing_before_it(earlier: list[Json], later: list[Json]) -> None:
    """A turn's messages are the beginning of the next one's, byte for byte: caches and seals on thinking depend on it."""
    before = [user("Hi."), *earlier, user("Go on.")]
    first = bytes(read(input=before).as_chat().fields["messages"])
    second = bytes(read(input=[*before, *later]).as_chat().fields["messages"])
    assert second.startswith(first.removesuffix(b"]"))
