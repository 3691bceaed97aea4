"""A non-streamed answer, made to keep OpenAI's rules whatever a vendor sent. Also turns one into chunks when a stream was asked."""

from __future__ import annotations

from operator import itemgetter

from aisa.wire.choice import flatten, pictures_in, with_both_names
from aisa.wire.finish import CUT, FAILURE, STOP, UNKNOWN, later_of, spoken, verdict_on
from aisa.wire.halves import whole
from aisa.wire.keyed_lists import choices_of
from aisa.wire.logprobs import chat_logprobs
from aisa.wire.model_name import shown_name
from aisa.wire.said import calls_of, function_of, said_as, said_beside, says
from aisa.wire.thoughts import listed_thought, thought_in
from aisa.wire.tool_calls import HANDLED, arguments_text
from aisa.wire.tool_terms import ToolTerms
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import Unintelligible, VendorError, error_in

OBJECT = "chat.completion"
OUTPUT = ("content", "refusal", "reasoning_content", "tool_calls", "function_call", "audio", "images")


class Document:
    """Makes one answer conformant. `unknown` are the finish reasons in nobody's table that it took for `stop`."""

    def __init__(self, fallback: tuple[str, int, str], *, terms: ToolTerms, n: int, public: str = "") -> None:
        self.unknown: list[str] = []
        self.answered = ""  # the model that the vendor names, whatever the client is told
        self._fallback = fallback
        self._public = public
        self._terms = terms
        self._n = n

    def completed(self, tree: Tree) -> Tree:
        """Return a conformant `chat.completion`.

        Raises VendorError when the vendor reports a failure in it, or it has no choices.
        """
        choices = choices_of(tree)
        report = error_in(tree if choices else {name: value for name, value in tree.items() if name != "choices"})
        if report is not None:
            raise VendorError(report)
        if not choices:
            raise Unintelligible("an answer without choices")
        self.answered = text_or_none(tree.get("model")) or ""
        fallback_id, created, model = self._fallback
        given_created = tree.get("created")
        answer: Tree = {
            **tree,
            "id": text_or_none(tree.get("id")) or fallback_id,
            "object": OBJECT,
            "created": given_created if type(given_created) is int else created,
            "model": self._public or shown_name(tree.get("model"), model),
            "choices": [self._choice(choice, position) for position, choice in enumerate(self._told_apart(choices))],
        }
        answer.pop("error", None)
        return answer

    def _told_apart(self, choices: list[Tree]) -> list[Tree]:
        """Return the choices in order; the parts of one as that where one was asked for: some vendors part text and calls."""
        indexes = [index for choice in choices if (index := count_of(choice.get("index"))) is not None]
        if self._n == 1 and are_parts(choices):
            return [merged(choices)]
        if len(indexes) < len(choices):
            return choices
        if len(set(indexes)) == len(choices):
            return [choice for _, choice in sorted(zip(indexes, choices, strict=True), key=itemgetter(0))]
        return choices if self._n > 1 else [merged(choices)]

    def _choice(self, choice: Tree, position: int) -> Tree:
        """Return a conformant choice: index, message, logprobs and a finish reason of the five."""
        fallback_id = self._fallback[0].removeprefix("chatcmpl-")
        cut = verdict_on(spoken(choice.get("finish_reason"))) in CUT
        said = said_in(choice)
        if self._terms.is_older and as_tree(said.get("function_call")).get("name"):
            said = {**said, "tool_calls": None}
        message = message_of(said, f"call_{fallback_id}_{position}", cut=cut)
        fixed = {
            "index": position,
            "message": message,
            "logprobs": chat_logprobs(choice.get("logprobs"), ""),
            "finish_reason": self._reason(choice.get("finish_reason"), message),
        }
        return {**{name: value for name, value in choice.items() if name != "delta"}, **fixed}

    def _reason(self, given: object, message: Tree) -> str:
        word = spoken(given)
        verdict = verdict_on(word) if word else UNKNOWN
        if verdict == FAILURE:
            raise VendorError(f"finish_reason is {word}")
        if verdict == UNKNOWN:
            if not any(message.get(name) for name in OUTPUT):
                raise Unintelligible(f"an answer of nothing but the finish reason {word!r}")
            self.unknown += [word] if word else []
            verdict = STOP
        return self._terms.reason(verdict, called="tool_calls" in message, called_legacy="function_call" in message)


def said_in(choice: Tree) -> Tree:
    """Return the message of a choice, which some vendors give as a stream's chunks or as text completions have it."""
    for name in ("message", "delta"):
        if says(said := said_as(choice.get(name))):
            return said
    return said_beside(choice) or as_tree(choice.get("message"))


def are_parts(choices: list[Tree]) -> bool:
    """Tell whether choices are one that was parted: its text is in one of them at most, its calls in others, whatever their indexes."""
    said = [said_in(choice) for choice in choices]
    texts, called = [bool(each.get("content")) for each in said], [bool(each.get("tool_calls")) for each in said]
    return len(choices) > 1 and sum(texts) <= 1 and any(called)


def merged(choices: list[Tree]) -> Tree:
    """Return one choice of several that are parts of it: texts one behind the other, all calls, the finish reason that counts."""
    one: Tree = {}
    message: Tree = {}
    calls: list[Tree] = []
    reason, verdict = None, ""
    for choice in choices:
        said = said_in(choice)
        calls += calls_of(said.get("tool_calls"))
        message = with_part(message, said)
        word = spoken(choice.get("finish_reason"))
        if word and (later := later_of(verdict, verdict_on(word))) != verdict:
            reason, verdict = word, later
        one |= {name: value for name, value in choice.items() if value is not None or name not in one}
    return {**one, "message": {**message, "tool_calls": calls}, "finish_reason": reason}


def with_part(message: Tree, part: Tree) -> Tree:
    """Add another part of a message to it."""
    grown = dict(message)
    for name, value in part.items():
        known = grown.get(name)
        if name == "content" and known and value:
            text, more = flatten(known), flatten(value)
            grown[name] = text[0] + more[0]
        elif known is None or known in ("", []):
            grown[name] = value
    return grown


def message_of(message: Tree, call_seed: str, *, cut: bool) -> Tree:
    """Return a conformant message: role, content and refusal always there, `tool_calls` only when there are some."""
    text, thinking = flatten(message.get("content"))
    fixed: Tree = {"role": "assistant", "content": whole(text) if message.get("content") is not None else None, "refusal": None}
    reasoning = thought_in(message) or thinking or listed_thought(message)
    if pictures := pictures_in(message.get("content")):
        fixed["images"] = [{**as_tree(picture), "index": place} for place, picture in enumerate(pictures)]
    fixed |= {name: value for name, value in message.items() if name not in ("role", "content", "reasoning", "reasoning_content")}
    if reasoning:
        fixed = with_both_names({**fixed, "reasoning_content": whole(reasoning)})
    elif "reasoning_content" in message:
        fixed["reasoning_content"] = message["reasoning_content"]
    if not isinstance(fixed["refusal"], str):
        fixed["refusal"] = None
    calls = [call for call in calls_of(message.get("tool_calls")) if not says_nothing(call)]
    fixed.pop("tool_calls", None)
    if calls:
        fixed["tool_calls"] = with_ids([tool_call_of(call, cut=cut and call is calls[-1]) for call in calls], call_seed)
    legacy = function_of(fixed.pop("function_call", None))
    if not (calls or says_nothing(legacy)):  # with calls it is the same call again, in the older words
        fixed["function_call"] = {
            **legacy,
            "name": str(legacy.get("name") or ""),
            "arguments": arguments_text(legacy.get("arguments")) or "{}",
        }
    return fixed


def says_nothing(call: Tree) -> bool:
    """Tell whether a call has neither a name nor arguments, as some vendors fill up a list of them: in a stream too it is none."""
    function = as_tree(call.get("custom") or call.get("function") or call)
    return not any(function.get(name) for name in ("name", "arguments", "input"))


def tool_call_of(call: Tree, *, cut: bool) -> Tree:
    """Return a tool call with its type, and arguments as a string: of one that was `cut` before it had any, none.

    Raises Unintelligible for one without a name.
    """
    custom = call.get("custom")
    given = text_or_none(call.get("id")) or ""
    rest = {name: value for name, value in call.items() if name not in HANDLED}
    function = custom if is_tree(custom) else call.get("function")
    function = function if is_tree(function) else {"name": call.get("name"), "arguments": call.get("arguments")}  # without a wrapping
    name = text_or_none(function.get("name"))
    if name is None:
        raise Unintelligible("a tool call without a name")
    if is_tree(custom):
        return {"id": given, "type": "custom", "custom": {**custom, "name": name, "input": arguments_text(custom.get("input"))}, **rest}
    fixed = {"name": name, "arguments": arguments_text(function.get("arguments")) or ("" if cut else "{}")}
    return {"id": given, "type": "function", "function": {**function, **fixed}, **rest}


def with_ids(calls: list[Tree], seed: str) -> list[Tree]:
    """Give each call an id of its own, where the vendor gave none or one that another call has."""
    used: set[object] = set()
    for position, call in enumerate(calls):
        if not call["id"] or call["id"] in used:
            call["id"] = f"{seed}_{position}"
        used.add(call["id"])
    return calls


def as_chunk(answer: Tree) -> Tree:
    """Return a whole answer as one chunk, for a vendor that did not stream although it was asked to."""
    choices: list[object] = []
    for choice in trees_in(answer.get("choices")):
        rest = {name: value for name, value in choice.items() if name != "message"}
        choices.append({**rest, "delta": choice.get("message")})
    return {**answer, "choices": choices}
