"""A chat request as Gemini's: instructions, tools and contents first and append-only, then how to answer. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions, nothing_to_answer
from aisa.providers.fetched import Fetches
from aisa.providers.foreign import refuse_foreign
from aisa.providers.gemini_contents import ContentsWriter
from aisa.providers.gemini_media import Media
from aisa.providers.gemini_schema import gemini_schema
from aisa.providers.gemini_thinking import FIRST_WITH_ADDRESSES, generation, samples_by_itself, thinking_of
from aisa.providers.legacy_calls import refuse_choice_of_nothing
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.shape import Target
from aisa.providers.wishes import PARALLEL, is_wished
from aisa.wire.chat import ChatRequest, Known
from aisa.wire.trees import Tree, is_list, is_tree, trees_in
from aisa.wire.vendor_tier import OPEN, USUAL

#: Tools that Google runs itself: their types in a chat request, and their members in Gemini's.
SERVER_TOOLS = {
    "google_search": "googleSearch",
    "url_context": "urlContext",
    "code_execution": "codeExecution",
    "google_maps": "googleMaps",
    "file_search": "fileSearch",
}
TIERS = frozenset({"flex", "priority"})
#: Numbers that are the same on both sides.
SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "n": "candidateCount",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
}
SAMPLING = ("temperature", "top_p", "top_k")
#: What Gemini has no word for, and when it is asked for.
LACKING = ("logit_bias", "prediction", "verbosity")
MODALITIES = {"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"}


class Written(msgspec.Struct, frozen=True):
    """A request in Gemini's words, and whether signatures of the caller's history are in it."""

    body: Tree
    signed: bool


def request_of(chat: ChatRequest, target: Target, *, concessions: Concessions, fetches: Fetches) -> Written:
    """Write a request. Raises UpstreamFailed for what cannot be expressed."""
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions)
    known = chat.known
    for name in LACKING:
        if is_wished(chat, name):
            concessions.drop(name, "it has none")
    if is_wished(chat, PARALLEL):
        concessions.do_without(PARALLEL, "it has none")
    writer = ContentsWriter(target, Media(concessions, fetches, addresses=generation(target.model) >= FIRST_WITH_ADDRESSES))
    system, contents, signed = writer.write(trees_in(msgspec.json.decode(chat.fields["messages"])))
    if not contents:
        raise nothing_to_answer()
    google = extension(chat)
    body: Tree = {"systemInstruction": {"parts": system}} if system else {}
    tools = tools_of(chat, concessions)
    if tools:
        body["tools"] = tools
    body["contents"] = contents
    if mode := calling(chat, concessions):
        body["toolConfig"] = {"functionCallingConfig": mode}
    config = dict(generation_config(chat, target, concessions))
    if is_tree(google.get("thinking_config")):
        config["thinkingConfig"] = google["thinking_config"]
    if config:
        body["generationConfig"] = config
    for name, ours in (("safety_settings", "safetySettings"), ("cached_content", "cachedContent")):
        if google.get(name) is not None:
            body[ours] = google[name]
    if tier := tier_of(known.service_tier, concessions):
        body["serviceTier"] = tier
    return Written(body, signed)


def extension(chat: ChatRequest) -> Tree:
    """Return what the request says to Google alone, in the places where Google's own OpenAI-compatible API looks for it."""
    found: Tree = {}
    for name in ("extra_body", "google"):
        given: object = msgspec.json.decode(chat.fields[name]) if name in chat.fields else None
        inner = given.get("google") if name == "extra_body" and is_tree(given) else given
        found |= inner if is_tree(inner) else {}
    if "safety_settings" in chat.fields:
        found["safety_settings"] = msgspec.json.decode(chat.fields["safety_settings"])
    return found


def tools_of(chat: ChatRequest, concessions: Concessions) -> list[Tree]:
    """Return the tools: functions in the order in which they were given, then those that Google runs. Raises UpstreamFailed."""
    known = chat.known
    declared = [declaration(each.name, each.description, each.parameters) for each in known.functions or ()]
    served: list[Tree] = [{"googleSearch": {}}] if known.web_search_options is not None else []
    given = trees_in(msgspec.json.decode(chat.fields["tools"])) if known.tools else []
    for place, tool in enumerate(given):
        function, member = tool.get("function"), SERVER_TOOLS.get(str(tool.get("type")))
        if is_tree(function) and tool.get("type") == "function":
            declared.append(declaration(function.get("name"), function.get("description"), function.get("parameters")))
        elif member is not None:
            settings = tool.get(str(tool["type"]))
            served.append({member: settings if is_tree(settings) else {}})
        else:
            concessions.drop(f"tools[{place}]", f"it has no tools of the type {str(tool.get('type'))[:40]!r}")
    functions: list[Tree] = [{"functionDeclarations": declared}] if declared else []
    return functions + served


def declaration(name: object, description: object, parameters: object) -> Tree:
    """Declare a function."""
    declared: Tree = {"name": name}
    if description:
        declared["description"] = description
    if parameters:
        declared["parametersJsonSchema"] = gemini_schema(parameters)
    return declared


def calling(chat: ChatRequest, concessions: Concessions) -> Tree | None:
    """Return how functions are to be called; None where Gemini may decide, as it does by itself. Raises UpstreamFailed."""
    known = chat.known
    if not (known.tools or known.functions):
        refuse_choice_of_nothing(chat, concessions)
        return None
    choice: object = known.tool_choice if known.tool_choice is not None else known.function_call
    if choice is None or choice == "auto":
        return {"mode": "VALIDATED"} if is_strict(known) else None
    if choice in ("none", "required", "any"):
        return {"mode": "NONE" if choice == "none" else "ANY"}
    tree = choice if is_tree(choice) else {}
    allowed = tree.get("allowed_tools")
    if tree.get("type") == "allowed_tools" and is_tree(allowed):
        names = [function.get("name") for tool in trees_in(allowed.get("tools")) if is_tree(function := tool.get("function"))]
        return {"mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED", "allowedFunctionNames": names}
    function = tree.get("function")
    name = function.get("name") if is_tree(function) else tree.get("name")
    if isinstance(name, str) and name:
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    concessions.drop("tool_choice", "it is none of the forms that it has")
    return None


def is_strict(known: Known) -> bool:
    """Tell whether a function's arguments must fit its schema."""
    return any(tool.function is not None and tool.function.strict for tool in known.tools or ())


def generation_config(chat: ChatRequest, target: Target, concessions: Concessions) -> Iterator[tuple[str, object]]:
    """Yield how the answer is to be made. Raises UpstreamFailed."""
    known = chat.known
    if chat.max_tokens is not None:
        yield "maxOutputTokens", chat.max_tokens
    tell_no_bound(chat, concessions)
    for name, ours in SAME.items():
        if (value := getattr(known, name)) is not None:
            yield ours, value
    if "top_k" in chat.fields:
        yield "topK", chat.fields["top_k"]
    for name in SAMPLING if samples_by_itself(target.model) else ():
        if name in chat.fields and chat.fields[name] != Raw(b"null"):
            concessions.advise_against(name, bytes(chat.fields[name]).decode())
    if known.stop:
        yield "stopSequences", known.stop if is_list(known.stop) else [known.stop]
    if known.logprobs:
        yield "responseLogprobs", True
        if known.top_logprobs:
            yield "logprobs", known.top_logprobs
    yield from form_of(known, concessions)
    yield from spoken(known, concessions)
    thinking = thinking_of(known.reasoning_effort, target.model, concessions)
    if thinking is not None:
        yield "thinkingConfig", thinking


def form_of(known: Known, concessions: Concessions) -> Iterator[tuple[str, object]]:
    """Yield the form that the answer is to have."""
    wanted = known.response_format or {}
    kind = wanted.get("type")
    if kind in ("json_object", "json_schema"):
        yield "responseMimeType", "application/json"
        inner: object = wanted.get("json_schema")
        schema = inner.get("schema") if is_tree(inner) else None
        if schema is not None:
            yield "responseJsonSchema", gemini_schema(schema)
    elif wanted and kind != "text":
        concessions.drop("response_format", "it has no `type`" if kind is None else f"there is none of the type {str(kind)[:40]!r}")


def spoken(known: Known, concessions: Concessions) -> Iterator[tuple[str, object]]:
    """Yield what the answer is made of, where that is more than text."""
    wanted = [MODALITIES.get(each, "") for each in known.modalities or ()]
    if "" in wanted:
        concessions.drop("modalities", f"it gives {', '.join(MODALITIES)}")
        return
    if wanted in ([], ["TEXT"]):
        return
    yield "responseModalities", ["AUDIO"] if "AUDIO" in wanted else wanted  # it speaks, or writes, but not both
    audio = known.audio or {}
    if "AUDIO" in wanted:
        if audio.get("format") not in (None, "pcm16"):
            concessions.drop("audio.format", "it speaks in 'pcm16' only")
        if isinstance(voice := audio.get("voice"), str):
            yield "speechConfig", {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}


def tier_of(asked: str | None, concessions: Concessions) -> str:
    """Return the service tier to ask for; nothing for the usual one. Raises UpstreamFailed."""
    tier = (asked or "").lower()
    if tier in TIERS or tier in USUAL | OPEN:
        return tier if tier in TIERS else ""
    concessions.move("service_tier", "default", f"it has {', '.join(sorted(TIERS))} and the usual one")
    return ""
