"""Parts of an answer as Gemini's candidates, and failures as Google's errors. Frames nothing."""

from __future__ import annotations

from base64 import b64encode

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Report, Text, ToolCall
from aisa.errors import ApiError
from aisa.wire.finish import CUT
from aisa.wire.gemini_logprobs import RESULT, Likelihoods, joined
from aisa.wire.held_calls import HeldCall, HeldCalls
from aisa.wire.reasoning_details import BETWEEN_SEALS
from aisa.wire.said import value_in
from aisa.wire.tool_calls import GIVES_NOTHING
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

CALL_BYTES_MAX = 8 << 20  # of the arguments of calls that are held until they are whole: beyond what a model writes in one answer
PAGES_MAX = 1_000  # that a choice is known to cite: beyond what a model reads for one answer
FINISHES = {"stop": "STOP", "tool_calls": "STOP", "function_call": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
MALFORMED = "MALFORMED_FUNCTION_CALL"  # Gemini's word for a call that cannot be made
STATUS_NAMES = {
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
DETAIL = "type.googleapis.com/google.rpc."


class Candidates:
    """The candidates of one answer while it comes. Calls are whole or nothing here, so their arguments are gathered in `calls`."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._seed = identity.id  # of ours: makes ids for calls in the older form, which have none
        self.calls = HeldCalls()
        self.untold = 0  # tokens of calls that no client is told of: they are nobody's, and ride on nothing else
        self._seals: dict[int, list[str]] = {}  # by choice, that go with its next call
        self._cited: dict[int, dict[str, Tree]] = {}  # pages, by choice and address
        self._broken: set[int] = set()  # choices with a call whose arguments are no whole object
        self._likelihoods: dict[int, Likelihoods] = {}
        self.finishes: dict[int, str] = {}

    def take(self, part: Part) -> list[Tree]:
        """Return what a part comes to: parts of Gemini's, each with the choice that it is of. Raises ApiError."""
        match part:
            case Identity():
                self._identity = part
                return []
            case Text(choice, text) | Refusal(choice, text):
                return [*self._called(self.calls.whole(choice)), self.event(choice, [{"text": text}])] if text else []
            case Reasoning(choice, text, _, signature):
                if signature:
                    self._seals.setdefault(choice, []).append(signature)
                return [*self._called(self.calls.whole(choice)), self.event(choice, [{"text": text, "thought": True}])] if text else []
            case ToolCall():
                return self._called(self.calls.begin(part))
            case Arguments():
                return self._given(part)
            case FunctionCall(choice, name, text, tokens):  # some vendors answer so, though calls in the newer form were asked for
                begun = self._called(self.calls.begin(ToolCall(choice, 0, f"call_{self._seed}_{choice}", name))) if name else []
                return begun + self._given(Arguments(choice, 0, text, tokens))
            case Extra(choice, "annotations", value):
                pages = self._cited.setdefault(choice, {})
                pages |= pages_in(value) if len(pages) < PAGES_MAX else {}
                return []
            case Extra(choice, "logprobs", value, _, True):
                weighed = self._likelihoods.setdefault(choice, Likelihoods()).take(value)
                return [] if weighed is None else [self.event(choice, [{"text": ""}], **{RESULT: weighed})]
            case Extra(choice, name, value, _, beside):
                given = [] if beside else media_in(name, value)
                return [*self._called(self.calls.whole(choice)), self.event(choice, given)] if given else []
            case Finish(choice, reason):
                called, told = self._called(self._uncut(choice, reason)), FINISHES.get(reason, "STOP")
                self.finishes[choice] = MALFORMED if told == "STOP" and choice in self._broken else told
                return called
            case _:
                return []

    def _given(self, part: Arguments) -> list[Tree]:
        """Take what a call is given, and tell nothing."""
        if not self.calls.add(part):
            self.untold += part.tokens
        elif self.calls.characters > CALL_BYTES_MAX:
            raise ApiError("gateway_error", "The model's call of a tool is too long to be sent whole, as this API wants it.")
        return []

    def _uncut(self, choice: int, reason: str) -> list[HeldCall]:
        """Return the calls that are held of a choice which ended, but for one that was cut before it was given anything."""
        calls = self.calls.rest(choice)
        if calls and reason in CUT and not calls[-1].texts:
            self.untold += calls.pop().tokens
        return calls

    def _called(self, calls: list[HeldCall]) -> list[Tree]:
        """Return the events of calls; none of one that was cut, or was given what is no object."""
        return [self.event(held.call.choice, [part]) for held in calls if (part := self._call(held)) is not None]

    def _call(self, held: HeldCall) -> Tree | None:
        given, choice = "".join(held.texts), held.call.choice
        args: object = {} if given.strip() in GIVES_NOTHING else value_in(given)
        if not is_tree(args):  # clients would make the call with whatever stood in their place
            self._broken.add(choice)
            self.untold += held.tokens
            return None
        return {"functionCall": {"id": held.call.id, "name": held.call.name, "args": args}, **self._signature(choice)}

    def _signature(self, choice: int) -> Tree:
        """Return what a vendor wants back as a part's signature: Google's clients bring it back with the part."""
        seals = self._seals.pop(choice, None)
        return {} if seals is None else {"thoughtSignature": b64encode(BETWEEN_SEALS.join(seals).encode()).decode()}

    def event(self, choice: int, parts: list[Tree], **beside: Tree) -> Tree:
        """Return an event of one candidate; `beside` stands beside its content."""
        return self._with_head({"candidates": [{"content": {"role": "model", "parts": parts}, "index": choice, **beside}]})

    def last(
        self, report: Report | None, content: dict[int, list[Tree]] | None = None, logprobs: dict[int, list[Tree]] | None = None
    ) -> Tree:
        """Return the event that ends the answer, or the whole of it with its `content` and `logprobs`, by choice."""
        candidates: list[Tree] = []
        for choice, reason in sorted((self.finishes or {0: "STOP"}).items()):
            said, signature = (content or {}).get(choice, []), self._signature(choice)
            parts: list[Tree] = [*said, {"text": "", **signature}] if signature or not said else said
            pages = list(self._cited.get(choice, {}).values())
            cited: Tree = {"groundingMetadata": {"groundingChunks": [{"web": page} for page in pages]}} if pages else {}
            weighed: Tree = {RESULT: joined(told)} if (told := (logprobs or {}).get(choice)) else {}
            weighed |= self._likelihoods[choice].mean() if choice in self._likelihoods else {}
            candidates.append({"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": choice, **cited, **weighed})
        usage: Tree = {} if report is None else {"usageMetadata": metadata_of(report)}
        return self._with_head({"candidates": candidates, **usage})

    def _with_head(self, event: Tree) -> Tree:
        return {**event, "modelVersion": self._identity.model, "responseId": self._identity.id}


def media_in(name: str, value: object) -> list[Tree]:
    """Return pictures and sound as parts; none of what else is carried along."""
    found: list[Tree] = []
    for picture in trees_in(value) if name == "images" else ():
        image = picture.get("image_url")
        kind, comma, data = str(image.get("url") if is_tree(image) else "").removeprefix("data:").partition(";base64,")
        if comma:
            found.append({"inlineData": {"mimeType": kind, "data": data}})
    if name == "audio" and is_tree(value) and isinstance(value.get("data"), str):
        found.append({"inlineData": {"mimeType": "audio/l16;rate=24000", "data": value["data"]}})
    return found


def pages_in(notes: object) -> dict[str, Tree]:
    """Return the pages that notes on a text cite, by address. Where in the text is left out: Google counts in bytes of all of it."""
    found: dict[str, Tree] = {}
    for note in trees_in(notes):
        cited = as_tree(note.get("url_citation")) or note
        address = cited.get("url")
        if note.get("type") == "url_citation" and isinstance(address, str):
            found[address] = {"uri": address, "title": str(cited.get("title") or "")}
    return found


def metadata_of(report: Report) -> Tree:
    """Write a report as Gemini does: thinking beside what was said."""
    usage = report.usage
    metadata: Tree = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    for name, count in (("thoughtsTokenCount", usage.reasoning_tokens), ("cachedContentTokenCount", usage.cached_tokens)):
        metadata |= {name: count} if count else {}
    return metadata


def error_tree(error: ApiError, request_id: str) -> Tree:
    """Write a failure as Google's APIs do. It must be the only member of its event, and its code a number."""
    param = {} if error.param is None else {"param": error.param}
    details: list[Tree] = [
        {"@type": f"{DETAIL}ErrorInfo", "reason": error.code.upper(), "domain": "aisa", "metadata": {"request_id": request_id, **param}}
    ]
    if error.retry_after is not None:
        details.append({"@type": f"{DETAIL}RetryInfo", "retryDelay": f"{error.retry_after}s"})
    status = STATUS_NAMES.get(error.status, "UNAVAILABLE" if error.status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": error.status, "message": error.message, "status": status, "details": details}}
