"""A Gemini request as the chat completion that it comes to: contents as messages, declarations as tools. Knows no model and no vendor.

What only Google's servers do (search, safety settings) is left out. What others cannot be shown is a loss, never left out. Gemini itself
is sent the client's own bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator

import msgspec

from aisa.errors import ApiError
from aisa.wire.addresses import is_web_address
from aisa.wire.gemini_config import answer_as, json_schema
from aisa.wire.gemini_names import list_at, member, tree_in, trees_at, with_underscores
from aisa.wire.gemini_types import PART, check_types
from aisa.wire.losses import Loss, Losses
from aisa.wire.reasoning_details import BETWEEN_SEALS, MEMBER, SEALED_PREFIX, detail
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, text_or_none
from aisa.wire.vendor_tier import tier_named

SOUND, FILM = "audio/", "video/"  # how their types begin
FORMS = {"mpeg": "mp3", "wave": "wav", "l16": "pcm16", "pcm": "pcm16"}  # of sound, that chat completions call otherwise
DOCUMENTS = ("application/", "text/")  # how their types begin
FAILED = "error"
RESULT = ("output", "result", "content", FAILED)  # the one member of a result that is a text
#: What Google keeps and a request only points at.
KEPT = {"continuationToken": "the rest of an answer", "cachedContent": "a beginning of the conversation in a cache"}
#: Parts of Google's own tools, and what a part of the model's may have that nobody else needs, however it is written.
OF_SERVERS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
SILENT = frozenset({"text", "thought", "thoughtSignature", "thought_signature", "partMetadata", "part_metadata"}) | {
    *OF_SERVERS,
    *map(with_underscores, OF_SERVERS),
}
#: What only Google reads: its own storage and uploads, and films on YouTube.
OF_GOOGLE = re.compile(r"gs://|https://generativelanguage\.googleapis\.com/[^?]*/files/|https://(?:www\.)?youtube\.com/|https://youtu\.be/")
#: Whose contents are a user's or a tool's; nobody's are a user's.
ASKING = (None, "user", "function", "tool")
#: Tools of Google's whose calls a client runs, or without which a model does not see what it is to answer by.
NEEDED = ("computerUse", "fileSearch", "retrieval")
#: What a function of another API has where a tool is to be. Tools of Google's have none of these, and are left out, newer ones too.
MISPLACED = ("function", "name", "parameters", "parametersJsonSchema", "input_schema", "type")
DECLARED = 'A function goes into `functionDeclarations`: {"functionDeclarations": [{"name": "...", "parameters": {"type": "object"}}]}.'
MODES = ("", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
MODE = "toolConfig.functionCallingConfig.mode"


def messages_of(tree: Tree, losses: Losses) -> list[Tree]:
    """Return the messages of a request. Raises ApiError missing_parameter, invalid_parameter_type."""
    contents = member(tree, "contents")
    if contents == []:
        raise ApiError("missing_parameter", "'contents' is empty: send at least one content.", param="contents")
    if contents is None:
        raise ApiError("missing_parameter", "Missing required parameter: 'contents'.", param="contents")
    if isinstance(contents, str):
        contents = [{"role": "user", "parts": [{"text": contents}]}]
    if not (is_list(contents) or is_tree(contents)):
        raise ApiError("invalid_parameter_type", "Invalid type for 'contents': expected an array of contents.", param="contents")
    messages = losses.came(list(instructions(member(tree, "systemInstruction"), losses)), "systemInstruction")
    pending: list[tuple[str, str]] = []  # calls that have no result yet, as id and name
    shows = False
    for place, content in enumerate(contents if is_list(contents) else [contents]):
        if not is_tree(content):
            raise ApiError(
                "invalid_parameter_type", f"Invalid type for 'contents[{place}]': expected an object.", param=f"contents[{place}]"
            )
        role, parts = member(content, "role"), parts_in(content, f"contents[{place}].parts")
        shows = shows or bool(parts)
        if member(content, "parts") is None and len(content) > ("role" in content):
            what = f"contents[{place}] has no 'parts', which are what a model is shown."
            losses.append(Loss(f"contents[{place}].parts", f"{what} Send {{'role': 'user', 'parts': [{{'text': ...}}]}}."))
        if role == "model":
            message = said(parts, place, pending, losses=losses)
            messages += losses.came([message] if message else [], f"contents[{place}]")
        elif role in ASKING:
            messages += losses.came(asked(parts, place, pending, losses=losses), f"contents[{place}]")
        else:
            remedy = "It must be 'user' or 'model'; what the system says goes into 'systemInstruction'."
            raise ApiError("invalid_request", f"'contents[{place}].role' is no role. {remedy}", param=f"contents[{place}].role")
    if not (messages or shows):
        losses.append(Loss("contents", "'contents' has no parts that a model can answer to."))
    return messages or [{"role": "user", "content": ""}]


def parts_in(content: Tree, param: str) -> list[Tree]:
    """Return the parts of a content. Raises ApiError invalid_parameter_type if one is none."""
    given = member(content, "parts")
    parts = given if is_list(given) else [] if given is None else [given]
    if not all(is_tree(part) for part in parts):
        raise ApiError("invalid_parameter_type", f"Invalid type for '{param}': each part is an object, as {{'text': ...}}.", param=param)
    found = [part for part in parts if is_tree(part)]
    for place, part in enumerate(found):
        check_types(part, PART, f"{param}[{place}].")
    return found


def instructions(given: object, losses: Losses) -> Iterator[Tree]:
    """Yield the system's message, if there is one; what is no text in it is added to `losses`. Raises ApiError invalid_parameter_type."""
    if not (given is None or isinstance(given, str) or (is_tree(given) and "parts" in given)):
        message = "Invalid type for 'systemInstruction': expected a content, an object with 'parts'."
        raise ApiError("invalid_parameter_type", message, param="systemInstruction")
    parts: list[Tree] = [{"text": given}] if isinstance(given, str) else parts_in(as_tree(given), "systemInstruction.parts")
    for place, part in enumerate(parts):
        if part.get("text") is None:
            param = f"systemInstruction.parts[{place}]"
            losses.append(Loss(param, f"The part at {param} has no text, and only Gemini may know what it says."))
    text = "\n".join([text for part in parts if (text := text_or_none(part.get("text")))])
    if text:
        yield {"role": "system", "content": text}


def said(parts: list[Tree], place: int, pending: list[tuple[str, str]], *, losses: Losses) -> Tree | None:
    """Return what a model has said; None if that is nothing."""
    texts: list[str] = []
    calls: list[Tree] = []
    details: list[Tree] = []
    for order, part in enumerate(parts):
        for seal in seals_in(member(part, "thoughtSignature")):
            details.append(detail(seal, len(details)))
        call = member(part, "functionCall")
        if is_tree(call):
            name, call_id = str(member(call, "name") or ""), text_or_none(member(call, "id")) or f"call_{place}_{order}"
            pending.append((call_id, name))
            arguments = msgspec.json.encode(member(call, "args") or {}).decode()
            called: Tree = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            calls += losses.came([called], f"contents[{place}].parts[{order}].functionCall")
        elif (text := part.get("text")) is not None or part.get("thought") is True:
            texts += [] if part.get("thought") is True else [str(text)]
        elif not SILENT.issuperset(part):
            at = f"contents[{place}].parts[{order}]"
            what = f"The part at {at} is of a turn of the model's, and only Gemini can be shown what it holds."
            losses.append(Loss(at, f"{what} Show a picture or a file in a content with the role 'user'."))
    if not (any(texts) or calls or details):
        return None
    message: Tree = {"role": "assistant", "content": "".join(texts) or None}
    return message | ({"tool_calls": calls} if calls else {}) | ({MEMBER: details} if details else {})


def seals_in(signature: object) -> list[str]:
    """Return the seals that we have put into a signature, which clients want as base64; nothing of Google's own."""
    try:
        text = b64decode(signature).decode() if isinstance(signature, str) else ""
    except (NotBase64, ValueError):
        return []
    return [seal for seal in text.split(BETWEEN_SEALS) if seal.startswith(SEALED_PREFIX)]


def asked(given: list[Tree], place: int, pending: list[tuple[str, str]], *, losses: Losses) -> list[Tree]:
    """Return a user's message, behind the results of tools that stand in it."""
    results: list[Tree] = []
    parts: list[Tree] = []
    for order, part in enumerate(given):
        response, at = member(part, "functionResponse"), f"contents[{place}].parts[{order}]"
        if is_tree(response):
            results += losses.came([result(response, pending)], at)
            shown = trees_at(response, "parts")  # what a tool shows stands behind all results
        else:
            shown = [part]
        parts += losses.came([each for one in shown for each in written(one, at, losses)], at)
    if len(parts) == 1 and parts[0]["type"] == "text":
        return [*results, {"role": "user", "content": parts[0]["text"]}]
    return [*results, {"role": "user", "content": parts}] if parts else results


def result(response: Tree, pending: list[tuple[str, str]]) -> Tree:
    """Return a result as a tool's message: of the call with its id, else of the first of its name that has none yet."""
    call_id, name = text_or_none(member(response, "id")) or "", str(member(response, "name") or "")
    found = next((call for call in pending if call[0] == call_id), None) or next((call for call in pending if call[1] == name), None)
    if found is not None:
        pending.remove(found)
    value = member(response, "response")
    kind, only = next(iter(value.items())) if is_tree(value) and len(value) == 1 else ("", None)
    text = only if kind in RESULT and isinstance(only, str) else msgspec.json.encode(value).decode()
    failed = {"is_error": True} if kind == FAILED else {}
    return {"role": "tool", "tool_call_id": found[0] if found else call_id or name, "content": text, **failed}


def written(part: Tree, param: str, losses: Losses) -> list[Tree]:
    """Return a part of a user's as content parts; what they cannot say is added to `losses`."""
    text, data, file = part.get("text"), member(part, "inlineData"), member(part, "fileData")
    if isinstance(text, str):
        return [{"type": "text", "text": text}] if text else []
    if is_tree(data):
        kind, content = str(member(data, "mimeType") or ""), str(member(data, "data") or "")
        content = content.replace("-", "+").replace("_", "/")
        if kind.startswith("image/"):
            return [{"type": "image_url", "image_url": {"url": f"data:{kind};base64,{content}"}}]
        if kind.startswith(SOUND):
            return [{"type": "input_audio", "input_audio": {"data": content, "format": form_of(kind)}}]
        if kind.startswith(FILM):
            return [{"type": "video_url", "video_url": {"url": f"data:{kind};base64,{content}"}}]
        name = str(member(data, "displayName") or "file")
        return [{"type": "file", "file": {"filename": name, "file_data": f"data:{kind};base64,{content}"}}]
    if is_tree(file):
        uri, kind = str(member(file, "fileUri") or ""), str(member(file, "mimeType") or "image/")
        if kind.startswith("image/") and not OF_GOOGLE.match(uri):
            return [{"type": "image_url", "image_url": {"url": uri}}]
        if kind.startswith(DOCUMENTS) and is_web_address(uri) and not OF_GOOGLE.match(uri):
            return [{"type": "file", "file": {"file_data": uri}}]
        losses.append(Loss(param, f"The file at {param} stands at an address that only Gemini reads. Send its bytes as `inlineData`."))
        return []
    if any(member(part, name) is not None for name in OF_SERVERS):
        return []  # of Google's own tools
    losses.append(Loss(param, f"The part at {param} has no text, data, file or result of a function, and only Gemini may know what it is."))
    return []


def form_of(kind: str) -> str:
    """Return the format of sound of this type."""
    name = kind.removeprefix(SOUND).partition(";")[0].strip().lower().removeprefix("x-")
    return FORMS.get(name, name)


def tools_of(tree: Tree, losses: Losses) -> list[Tree]:
    """Return the functions that a request declares; what Google's servers run is left out, or is a loss where nothing stands for it."""
    tools: list[Tree] = []
    for place, tool in enumerate(trees_at(tree, "tools")):
        needed = [name for name in NEEDED if member(tool, name) is not None]
        losses += [Loss(f"tools[{place}].{name}", f"The tool '{name}' is Gemini's alone. Leave it out, or ask Gemini.") for name in needed]
        if member(tool, "functionDeclarations") is None and any(name in tool for name in MISPLACED):
            losses.append(Loss(f"tools[{place}]", f"'tools[{place}]' is a function in another form than Gemini's. {DECLARED}"))
        for order, declared in enumerate(trees_at(tool, "functionDeclarations")):
            schema = member(declared, "parametersJsonSchema")
            if schema is None and member(declared, "parameters") is not None:
                schema = json_schema(member(declared, "parameters"))
            function: Tree = {"name": member(declared, "name")}
            for name, value in (("description", member(declared, "description")), ("parameters", schema)):
                function |= {} if value is None else {name: value}
            tools += losses.came([{"type": "function", "function": function}], f"tools[{place}].functionDeclarations[{order}]")
    return tools


def calling(tree: Tree) -> Tree:
    """Return what a request says of how functions are to be called."""
    return tree_in(tree_in(tree, "toolConfig"), "functionCallingConfig")


def mode_of(tree: Tree) -> str:
    """Return the word for that, nothing if there is none."""
    return str(member(calling(tree), "mode") or "").upper()


def choice_of(tree: Tree) -> object:
    """Return how functions are to be called; None if nothing is said."""
    config, mode = calling(tree), mode_of(tree)
    names = [name for name in list_at(config, "allowedFunctionNames") if isinstance(name, str)]
    if mode == "NONE":
        return "none"
    if mode == "ANY" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}
    if mode in ("ANY", "VALIDATED") and names:
        allowed = [{"type": "function", "function": {"name": name}} for name in names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": "required" if mode == "ANY" else "auto", "tools": allowed}}
    return "required" if mode == "ANY" else "auto" if mode else None


def chat_tree(tree: Tree, model: str, losses: Losses, *, stream: bool) -> Tree:
    """Return the chat completion that a request comes to; what it cannot say is added to `losses`. Raises ApiError."""
    for name, what in KEPT.items():
        if member(tree, name):
            losses.append(Loss(name, f"'{name}' stands for {what} of Google's, which is not whom this is sent to."))
    chat: Tree = {"model": model, "messages": messages_of(tree, losses), "stream": stream}
    tools = tools_of(tree, losses)
    mode = mode_of(tree)
    if mode not in MODES:
        losses.append(Loss(MODE, f"'{MODE}' is none that is known here. It is AUTO, ANY, NONE or VALIDATED."))
    elif mode == "ANY" and not tools:
        losses.append(Loss(MODE, f"'{MODE}' asks for a call, and there is no function in `tools`."))
    if tools:
        chat["tools"] = tools
        if (choice := choice_of(tree)) is not None:
            chat["tool_choice"] = choice
    chat |= answer_as(tree_in(tree, "generationConfig"), losses)
    if (tier := tier_named(member(tree, "serviceTier"))) and tier != "unspecified":
        chat["service_tier"] = tier
    return chat
