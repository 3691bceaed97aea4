"""Messages of a chat as Cohere's. The same history is always written as the same bytes, and a longer one goes on from it."""

from __future__ import annotations

from aisa.providers.cohere_plans import Plan, plan_of
from aisa.providers.concessions import Concessions
from aisa.providers.malformed import malformed
from aisa.providers.vendor_state import VendorState
from aisa.wire.trees import Tree, is_tree, text_or_none, trees_in

SYSTEM_ROLES = frozenset({"system", "developer"})
TEXTS = frozenset({"text", "input_text", "output_text"})


class MessagesWriter:
    """Writes the messages of one request. Raises UpstreamFailed for content that Cohere has no words for: none is left out."""

    def __init__(self, state: VendorState | None, concessions: Concessions) -> None:
        self._state = state
        self._concessions = concessions
        self._legacy = 0  # calls in the older form so far, which have no ids

    def write(self, messages: list[Tree]) -> list[Tree]:
        """Return them in Cohere's form."""
        return [self._message(message, place) for place, message in enumerate(messages)]

    def _message(self, message: Tree, place: int) -> Tree:
        role, where = message.get("role"), f"messages[{place}].content"
        if role == "assistant":
            return self._said(message, where)
        content = self._content(message.get("content"), where)
        if role in SYSTEM_ROLES:
            return {"role": "system", "content": content}
        if role == "tool":
            return {"role": "tool", "tool_call_id": str(message.get("tool_call_id") or ""), "content": content}
        if role == "function":
            return {"role": "tool", "tool_call_id": legacy_id(self._legacy - 1), "content": content}
        return {"role": "user", "content": content}

    def _said(self, message: Tree, where: str) -> Tree:
        """Return what the model said: what it thought and planned, its text, its calls."""
        plan = plan_of(message, self._state)
        content = self._content(message.get("content"), where)
        if refusal := text_or_none(message.get("refusal")):
            said: list[Tree] = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = [*said, {"type": "text", "text": refusal}] if content else refusal
        calls = [call_of(call, str(call.get("id") or ""), where) for call in trees_in(message.get("tool_calls"))]
        legacy = message.get("function_call")
        if is_tree(legacy):
            calls.append(call_of({"function": legacy}, legacy_id(self._legacy), where))
            self._legacy += 1
        written: Tree = {"role": "assistant"}
        if plan.thinking:
            texts: list[Tree] = [{"type": "text", "text": content}] if isinstance(content, str) and content else trees_in(content)
            written["content"] = [{"type": "thinking", "thinking": plan.thinking}, *texts]
        elif content or not calls:
            written["content"] = content
        return written | self._called(calls, plan)

    def _called(self, calls: list[Tree], plan: Plan) -> Tree:
        if not calls:
            return {}
        return {**({"tool_plan": plan.tool_plan} if plan.tool_plan else {}), "tool_calls": calls}

    def _content(self, content: object, where: str) -> str | list[Tree]:
        """Return a message's content: a text as it is, parts as parts."""
        if isinstance(content, str):
            return content
        parts: list[Tree] = []
        for place, part in enumerate(trees_in(content)):
            written = self._part(part, f"{where}[{place}]")
            if written is not None:
                parts.append(written)
        return parts or ""

    def _part(self, part: Tree, where: str) -> Tree | None:
        kind = part.get("type")
        if kind in TEXTS or kind == "refusal":
            text = part.get("refusal" if kind == "refusal" else "text")
            return {"type": "text", "text": text} if isinstance(text, str) and text else None
        if kind == "thinking":
            return None  # another vendor's
        if kind == "image_url":
            return {"type": "image_url", "image_url": picture(part.get("image_url"), where)}
        if kind == "document" and is_tree(part.get("document")):
            return {"type": "document", "document": part["document"]}
        why = "it takes texts and pictures" if kind != "file" else "it takes no files; send their text, or as 'documents'"
        raise self._concessions.refusal(where, f"{why}, not a part of the type '{str(kind)[:40]}'" if kind != "file" else why)


def picture(given: object, where: str) -> Tree:
    """Return a picture: Cohere reads data URLs, and addresses itself. Raises UpstreamFailed for one without either."""
    tree = given if is_tree(given) else {"url": given}
    url = tree.get("url")
    if not isinstance(url, str) or not url:
        raise malformed(where, f"The picture at {where} has no URL.")
    detail = tree.get("detail")
    return {"url": url, "detail": detail} if detail in ("auto", "low", "high") else {"url": url}


def call_of(call: Tree, call_id: str, where: str) -> Tree:
    """Return a call of a tool, with its arguments in the very text in which the model wrote them. Raises UpstreamFailed."""
    function = call.get("function")
    if not is_tree(function):
        raise malformed(where.removesuffix(".content") + ".tool_calls", "Only functions are called here: each call needs a 'function'.")
    arguments = function.get("arguments")
    given = arguments if isinstance(arguments, str) and arguments.strip() else "{}"
    return {"id": call_id, "type": "function", "function": {"name": str(function.get("name") or ""), "arguments": given}}


def legacy_id(number: int) -> str:
    """Return the id of a call in the older form, which has none: the how-manieth of the conversation it is."""
    return f"function_call_{max(0, number)}"
