"""What Anthropic's clients show, offer and choose comes to a vendor of chat completions whole, or is refused by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Model
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.model_limits import check_limits
from aisa.providers import anthropic, bedrock, openai
from aisa.providers.shape import Target
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_chat import offered_in
from aisa.wire.messages_door import MESSAGES_DOOR

Json = dict[str, Any]
OTHER, OWN = Target("acme", "m-1", "openai"), Target("anthropic", "m-1", "anthropic")
LOOK = {"name": "look", "input_schema": {"type": "object"}}
FORM = {"type": "json_schema", "schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FOUND = {"type": "search_result", "source": "https://a.example", "title": "A page", "content": [{"type": "text", "text": "what it says"}]}


def request(content: object = "Hi.", **members: object) -> MessagesRequest:
    """A request with one turn of the user's."""
    turns: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    return MessagesRequest(json.dumps(turns | members).encode())


def sent(asked: MessagesRequest) -> Json:
    """What a vendor of chat completions gets."""
    body: Json = json.loads(openai.to_upstream(asked, OTHER).body)
    return body


def shown(*blocks: Json) -> list[Any]:
    """The parts of the user's message that these blocks come to."""
    [message] = sent(request(list(blocks)))["messages"]
    parts: list[Any] = message["content"]
    return parts


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "x", "citations": None}, {"type": "text", "text": "x"}),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AA=="}},
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA=="}},
        ),
        (
            {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        ),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}, {"type": "text", "text": "x"}),
        ({"type": "document", "source": {"type": "content", "content": "x"}}, {"type": "text", "text": "x"}),
        ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}}, {"type": "text", "text": "x"}),
        ({"type": "compaction", "content": "what was said before"}, {"type": "text", "text": "what was said before"}),
    ],
)
def test_what_a_user_shows_is_a_part_of_a_message(block: Json, part: Json) -> None:
    """In every form that these clients have for it."""
    assert shown(block, {"type": "text", "text": "?"}) == [part, {"type": "text", "text": "?"}]


def test_what_was_found_is_told_with_where_it_was_found() -> None:
    """By the user, and by a tool, whose result it is; a tool that was found is told by its name."""
    assert [part["text"] for part in shown(FOUND)] == ["A page\nhttps://a.example", "what it says"]
    results = [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [FOUND, {"type": "tool_reference", "tool_name": "look"}],
            "is_error": False,
        },
        {"type": "tool_result", "tool_use_id": "t2"},
    ]
    told = sent(request(results))["messages"]
    assert [(message["role"], message["content"]) for message in told] == [
        ("tool", "A page\nhttps://a.example\nwhat it says\nlook"),
        ("tool", ""),
    ]


def test_a_document_is_told_with_its_title_and_context() -> None:
    """What it is called and where it is from, before what it says."""
    for source in ({"type": "text", "media_type": "text/plain", "data": "it says"}, {"type": "content", "content": "it says"}):
        block = {"type": "document", "title": "A page", "context": "from 2025", "citations": {"enabled": True}, "source": source}
        assert [part["text"] for part in shown(block)] == ["A page\nfrom 2025", "it says"]
    data = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}
    told, file = shown({"type": "document", "title": "A page", "context": "from 2025", "source": data})
    assert (told["text"], file["file"]["filename"]) == ("from 2025", "A page.pdf")


def test_a_summary_stands_for_all_that_was_said_before_it() -> None:
    """Anthropic's API reads nothing before it; a vendor that was sent everything would see a conversation that was too long already."""
    said = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [{"type": "compaction", "content": "they greeted"}, {"type": "text", "text": "Go on."}]},
        {"role": "user", "content": "second"},
    ]
    told = sent(MessagesRequest(json.dumps({"model": "m", "max_tokens": 9, "messages": said}).encode()))["messages"]
    assert [message["role"] for message in told] == ["assistant", "user"]
    assert "they greeted" in told[0]["content"]
    assert "Go on." in told[0]["content"]


def test_that_a_tool_failed_reaches_models_whose_dialect_says_so() -> None:
    """Bedrock's; chat completions get no member that they do not know, a client's own chat the members that it has."""
    turn = [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True}]
    said = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": turn}, {"role": "user", "content": result}]
    asked = MessagesRequest(json.dumps({"model": "m", "max_tokens": 9, "messages": said, "tools": [LOOK]}).encode())
    written = json.loads(bedrock.to_upstream(asked, Target("aws", "m-1", "bedrock")).body)
    assert written["messages"][-1]["content"][0]["toolResult"]["status"] == "error"
    assert sent(asked)["messages"][-1] == {"role": "tool", "tool_call_id": "t1", "content": "no such file"}


@pytest.mark.parametrize("members", [{"output_config": {"format": FORM}}, {"output_format": FORM}])
def test_a_schema_is_asked_for_by_either_name(members: Json) -> None:
    """Older clients call it `output_format`."""
    asked = sent(request(**members))
    assert asked["response_format"]["json_schema"]["schema"] == FORM["schema"]


def test_what_a_tool_shows_stands_behind_all_results() -> None:
    """A document as well as a picture."""
    data = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}
    results = [
        {"type": "text", "text": "here"},
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "document", "source": data}]},
        {"type": "tool_result", "tool_use_id": "t2", "content": "two"},
    ]
    told = sent(request(results))["messages"]
    assert [message["role"] for message in told] == ["tool", "tool", "user"]
    assert [message["content"] for message in told[:2]] == ["What it returned is in the next message.", "two"]
    assert [part["type"] for part in told[2]["content"]] == ["text", "file"]


@pytest.mark.parametrize(
    ("content", "members", "param"),
    [
        ([{"type": "image", "source": {"type": "file", "file_id": "file_1"}}], {}, "messages[0].content[0].source"),
        ([{"type": "text", "text": "x"}, {"type": "image"}], {}, "messages[0].content[1].source"),
        ([{"type": "document", "source": {"type": "url", "url": "ftp://a.example/b.pdf"}}], {}, "messages[0].content[0].source"),
        ([{"type": "document", "source": {"type": "file", "file_id": "f"}}], {}, "messages[0].content[0].source"),
        (
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}],
            {},
            "messages[0].content[0].content[0].source",
        ),
        ([{"text": "of which type?"}], {}, "messages[0].content[0].type"),
        ([{"type": "text", "text": "x"}, {"type": "hologram", "data": "x"}], {}, "messages[0].content[1].type"),
        ([{"type": "container_upload", "file_id": "f"}], {}, "messages[0].content[0].type"),
        ([{"type": "text", "text": "x"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}], {}, "messages[0].content[1].type"),
        (
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "browser_state", "tabs": []}]}],
            {},
            "messages[0].content[0].content[0].type",
        ),
        ("Hi.", {"max_tokens": 0}, "max_tokens"),
        ("Hi.", {"tools": [{"type": "browser_toolset_20260801"}]}, "tools[0].type"),
        ("Hi.", {"tools": [LOOK, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type"),
        ("Hi.", {"tools": [{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]}, "tools[0].type"),
        ("Hi.", {"tools": [SEARCH, LOOK], "tool_choice": {"type": "tool", "name": "web_search"}}, "tool_choice"),
        ("Hi.", {"tools": [SEARCH], "tool_choice": {"type": "any"}}, "tool_choice"),
    ],
)
def test_what_only_anthropic_can_be_asked_is_refused_to_others_and_never_left_out(content: object, members: Json, param: str) -> None:
    """A model that does not see a picture answers all the same, and a client whose tool is gone waits. Anthropic gets it as it is."""
    asked = request(content, **members)
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(asked, OTHER)
    error = failed.value.error
    assert (error.status, error.param, failed.value.blame, failed.value.may_fall_back) == (422, param, CALLER, True)
    passed = json.loads(anthropic.to_upstream(asked, OWN).body)
    assert passed["messages"] == [{"role": "user", "content": content}]
    assert MESSAGES_DOOR.content(asked).text_bytes >= 0


UNREAD_TOOLS: list[tuple[Json, str]] = [
    ({}, "input_schema"),
    ({"name": "look"}, "input_schema"),
    ({"name": "look", "type": "custom", "input_schema": None}, "input_schema"),
    ({"name": "look", "input_schema": "object"}, "input_schema"),
    ({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}, "input_schema"),
    ({"type": "function", "name": "look", "parameters": {"type": "object"}}, "input_schema"),
    ({"functionDeclarations": [{"name": "look"}]}, "input_schema"),
    ({"type": "gadget", "name": "look"}, "type"),
    ({"type": 3, "name": "look"}, "type"),
    ({**LOOK, "description": ["Looks."]}, "description"),
    ({**LOOK, "strict": "yes"}, "strict"),
]


@pytest.mark.parametrize(("tool", "member"), UNREAD_TOOLS)
@pytest.mark.parametrize("beside", [[], [{**LOOK, "name": "see"}], [SEARCH]])
def test_a_clients_own_tool_that_cannot_be_read_is_refused_and_never_left_out(tool: Json, member: str, beside: list[Json]) -> None:
    """[fault S21] It was dropped without a word, and the client waited for calls. Anthropic gets it as it is, and judges."""
    asked = request(tools=[*beside, tool])
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(asked, OTHER)
    error = failed.value.error
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", f"tools[{len(beside)}].{member}")
    assert member not in ("input_schema", "type") or "wants `name` and `input_schema`" in error.message
    assert json.loads(anthropic.to_upstream(asked, OWN).body)["tools"] == [*beside, tool]


def test_a_tool_written_for_another_api_is_told_whose_form_it_is() -> None:
    """[fault S21] Who has moved here from chat completions sees what to change."""
    for tool, words in ((UNREAD_TOOLS[4][0], "chat completions"), (UNREAD_TOOLS[5][0], "Responses"), (UNREAD_TOOLS[6][0], "Gemini")):
        with pytest.raises(UpstreamFailed, match=words):
            openai.to_upstream(request(tools=[tool]), OTHER)


@pytest.mark.parametrize("kind", ["web_search_20250305", "web_fetch_20250910", "tool_search_tool_bm25", "mcp_toolset", "advisor_20260301"])
def test_whatever_version_of_a_tool_anthropic_runs_is_left_out(kind: str) -> None:
    """Those that are not known here yet, too."""
    assert "tools" not in sent(request(tools=[{"type": kind, "name": "x"}]))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tool_choice": "x"}, "tool_choice"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": ["any"]}, "tool_choice"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": ["any"]}}, "tool_choice.type"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": "yes"}}, "tool_choice.disable_parallel_tool_use"),
        ({"thinking": "x"}, "thinking"),
        ({"thinking": True}, "thinking"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"thinking": {"budget_tokens": 2_000}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 3}}, "output_config.effort"),
        ({"output_config": {"format": "json"}}, "output_config.format"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
        ({"output_format": {"type": "json_schema", "schema": "x"}}, "output_format"),
        ({"system": [{}]}, "system[0].text"),
        ({"system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": 3}]}, "system[1].text"),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}]}, "system[0].type"),
        ({"messages": [{"role": "system", "content": [{}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "assistant", "content": [{"type": "text", "text": None}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
    ],
)
def test_what_says_how_to_answer_and_cannot_be_read_is_refused_by_its_place(members: Json, param: str) -> None:
    """[fault S21] It was ignored, and the answer was another than was asked for. Anthropic gets it as it is."""
    asked = request(**{"tools": [LOOK], **members})
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(asked, OTHER)
    assert (failed.value.error.status, failed.value.error.param) == (422, param)
    passed = json.loads(anthropic.to_upstream(asked, OWN).body)
    assert {name: passed[name] for name in members} == members


@pytest.mark.parametrize(
    "block",
    [
        {"type": "hologram", "data": "AAAA"},
        {"type": 3},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "tool_result", "tool_use_id": "t", "content": "18"},
        {"type": "browser_state", "tabs": []},
    ],
)
@pytest.mark.parametrize("role", ["assistant", "system"])
def test_what_only_a_user_can_show_or_nobody_knows_is_refused_wherever_it_stands(block: Json, role: str) -> None:
    """[fault S21] In a turn of the model's, or of the system's, it vanished. Anthropic gets it as it is. Text is text by any name."""
    asked = request(messages=[{"role": "user", "content": "Hi."}, {"role": role, "content": [{"type": "text", "text": "Hm."}, block]}])
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(asked, OTHER)
    assert (failed.value.error.status, failed.value.error.param) == (422, "messages[1].content[1].type")
    assert json.loads(anthropic.to_upstream(asked, OWN).body)["messages"][1]["content"][1] == block
    with_text = request(messages=[{"role": role, "content": [{"type": "output_text", "text": "Hm."}]}])
    assert sent(with_text)["messages"][0]["content"] == "Hm."


@pytest.mark.parametrize(("kind", "meant"), [("txt", "text"), ("Image", "image"), ("image_url", "image"), ("tool_results", "tool_result")])
def test_a_type_that_is_like_a_known_one_is_told_with_that(kind: str, meant: str) -> None:
    """[a newcomer's] `txt` was said to be known to Anthropic's models. As the first loss alone is told, no other is compared."""
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(request([{"type": kind}, *[{"type": f"{kind}{n}"} for n in range(2)]]), OTHER)
    assert failed.value.error.message.count(f"Did you mean '{meant}'?") == 1, failed.value.error.message
    assert f"'{kind}' at 'messages[0].content[0]' has no type that is known here" in failed.value.error.message
    with pytest.raises(UpstreamFailed, match="known to Anthropic's models alone"):
        openai.to_upstream(request([{"type": "hologram"}]), OTHER)


def test_what_anthropic_made_or_tells_anyway_is_no_loss_in_a_turn_of_the_models() -> None:
    """What its own tools did, a file that they made, and what stands for the turns before."""
    own: list[Json] = [
        {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {}},
        {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {}},
        {"type": "container_upload", "file_id": "f"},
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "fallback"},
    ]
    said = {"role": "assistant", "content": [*own, {"type": "text", "text": "Done."}]}
    assert sent(request(messages=[{"role": "user", "content": "Hi."}, said]))["messages"][-1]["content"] == "Done."


def test_what_was_found_has_text_or_is_refused_by_its_place() -> None:
    """[fault S21] A picture in it vanished."""
    found = {
        "type": "search_result",
        "title": "t",
        "source": "s",
        "content": [{"type": "text", "text": "x"}, {"type": "image", "source": {}}],
    }
    with pytest.raises(UpstreamFailed) as failed:
        openai.to_upstream(request(messages=[{"role": "user", "content": [found]}]), OTHER)
    assert failed.value.error.param == "messages[0].content[0].content[1].type"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "hologram_tool_result", "tool_use_id": "s", "content": {}},
    ],
)
def test_what_anthropics_own_tools_did_is_left_out(block: Json) -> None:
    """Nothing of it is anybody else's to read, and nobody is refused for it."""
    assert shown(block, {"type": "text", "text": "?"}) == [{"type": "text", "text": "?"}]


def test_tools_that_a_conversation_adds_and_withdraws_are_offered_as_they_stand_at_its_end() -> None:
    """A tool runner does so in messages of the system; a definition takes the place of one of its name."""

    def changes(*blocks: Json) -> Json:
        said = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hm."}, {"role": "system", "content": list(blocks)}]
        return sent(request(tools=[LOOK], messages=[*said, {"role": "user", "content": "Go."}]))

    def added(name: str, **members: object) -> Json:
        definition = {"name": name, "input_schema": {"type": "object"}, **members}
        return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}

    again = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "look"}}
    gone = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "look"}}
    for blocks, names in (
        ((added("go"),), ["look", "go"]),
        ((gone, added("go")), ["go"]),
        ((gone, again), ["look"]),
        ((added("go"), gone), ["go"]),
    ):
        asked = changes(*blocks)
        assert [tool["function"]["name"] for tool in asked["tools"]] == names
        assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]
    assert "tools" not in changes(gone)
    [anew] = changes(added("look", description="Again."))["tools"]
    assert anew["function"]["description"] == "Again."
    with pytest.raises(UpstreamFailed) as failed:
        changes({"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"type": "bash_20250124", "name": "bash"}}})
    assert failed.value.error.param == "messages[2].content[0].tool.definition.type"


def change(kind: str, name: str) -> Json:
    """A block that adds a tool, or withdraws one."""
    tool = {"definition": {"name": name, "input_schema": {}}} if kind == "tool_addition" else {"name": name}
    return {"type": kind, "tool": tool}


class Read(dict[str, Any]):
    """A tool that counts how often its members are asked for."""

    times = 0

    def get(self, name: str, default: object = None) -> Any:
        """Count, and return the member."""
        Read.times += 1
        return super().get(name, default)


def test_what_a_conversation_changes_of_its_tools_is_read_in_steps_that_grow_with_it() -> None:
    """Twice the changes, twice the work: each used to go through all tools there were."""

    def steps(changes: int) -> int:
        blocks = [change("tool_addition", f"t{at}") for at in range(changes)]
        blocks += [change("tool_removal", f"t{at}") for at in range(0, changes, 2)]
        tools = [Read(LOOK, name=f"own{at}") for at in range(changes)]
        for block in blocks:
            if "definition" in block["tool"]:
                block["tool"]["definition"] = Read(block["tool"]["definition"])
        Read.times = 0
        assert len(offered_in({"tools": tools, "messages": [{"role": "system", "content": blocks}]})) == changes * 3 // 2
        return Read.times

    assert steps(400) == 2 * steps(200)


def test_tools_of_one_name_in_the_list_itself_are_all_offered() -> None:
    """Their vendor says that it takes no two; only what a conversation adds takes another's place."""
    two = [LOOK, {**LOOK, "description": "Again."}]
    assert len(sent(request(tools=two))["tools"]) == 2
    assert len(sent(request(tools=two, messages=[{"role": "user", "content": [change("tool_addition", "go")]}]))["tools"]) == 3
    assert len(sent(request(tools=two, messages=[{"role": "user", "content": [change("tool_addition", "look")]}]))["tools"]) == 1


@pytest.mark.parametrize("name", [{}, ["x"], 5])
def test_a_tools_name_that_is_no_text_is_refused_by_its_place(name: object) -> None:
    """[fault S13] Wherever a request names one: it is a key of a table."""
    here = "messages[0].content[0].tool"
    definition = {"type": "tool_addition", "tool": {"definition": {"name": name, "input_schema": {}}}}
    removal = {"type": "tool_removal", "tool": {"name": name}}
    for asked, param in (
        (request(tools=[{**LOOK, "name": name}]), "tools[0].name"),
        (request([definition], tools=[LOOK]), f"{here}.definition.name"),
        (request([removal], tools=[LOOK]), f"{here}.name"),
    ):
        with pytest.raises(ApiError) as failed:
            MESSAGES_DOOR.content(asked)
        assert (failed.value.code, failed.value.param) == ("invalid_parameter_type", param)


@pytest.mark.parametrize("changes", [["tool_addition"], ["tool_addition", "tool_removal"]])
def test_tools_that_a_conversation_adds_count_against_the_models_limit(changes: list[str]) -> None:
    """Two of the list and one of the conversation are three; what is withdrawn again is none of them."""
    blocks = [change(kind, "go") for kind in changes]
    asked = request(blocks, tools=[LOOK, {**LOOK, "name": "see"}])
    check_limits(asked, "m", Model(to=("a/b",), max_tools=4 - len(changes)))
    with pytest.raises(ApiError) as refused:
        check_limits(asked, "m", Model(to=("a/b",), max_tools=3 - len(changes)))
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "tools")


def test_tools_that_anthropic_runs_and_members_that_it_alone_has_are_left_out() -> None:
    """Marks of caches stand everywhere; the request is what it would be without them."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    much = request(
        [{"type": "text", "text": "Hi.", **mark}],
        system=[{"type": "text", "text": "Be brief.", **mark}],
        tools=[SEARCH, {**LOOK, **mark, "defer_loading": True, "eager_input_streaming": True, "input_examples": [{}]}],
        tool_choice={"type": "auto"},
        metadata={"user_id": "u"},
        context_management={"edits": []},
        container="c",
        mcp_servers=[],
        inference_geo="us",
        **mark,
    )
    little = request([{"type": "text", "text": "Hi."}], system="Be brief.", tools=[LOOK], tool_choice={"type": "auto"})
    assert sent(much) == sent(little)


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_request", "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "invalid_parameter_type", "messages[0].content"),
        ({"top_p": "high"}, "invalid_parameter_type", "top_p"),
        ({"top_k": 1.5}, "invalid_parameter_type", "top_k"),
        ({"stop_sequences": "a"}, "invalid_parameter_type", "stop_sequences"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "Text": "x"}]}]}, "json_parse_error", "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"Type": "url"}}]}]}, "json_parse_error", None),
        ({"thinking": {"type": "enabled", "Budget_tokens": 5}}, "json_parse_error", "thinking.budget_tokens"),
        ({"tools": [{**LOOK, "Defer_loading": True}]}, "json_parse_error", "tools[0].defer_loading"),
    ],
)
def test_what_nobody_can_mean_is_refused_before_anybody_is_asked(members: Json, code: str, param: str | None) -> None:
    """By its place (fault S3 for names in another case, in blocks too)."""
    with pytest.raises(ApiError) as refused:
        request(**members)
    assert refused.value.code == code
    assert param is None or refused.value.param == param


def test_names_below_what_a_tool_is_given_are_the_callers() -> None:
    """Inputs, schemas and metadata may have any."""
    turn = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"Type": 1, "TEXT": 2}}]}
    schema = {"type": "object", "properties": {"Type": {"Type": "string"}}}
    request(
        messages=[{"role": "user", "content": "x"}, turn, {"role": "user", "content": "y"}],
        tools=[{**LOOK, "input_schema": schema}],
        metadata={"User_ID": "u"},
    )
