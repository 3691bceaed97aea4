"""A request for a text completion as the client wrote it: what we act on, checked; all else carried as it came. Knows no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.chat import CHOICES_MAX, FIELDS_DECODER, ChatRequest, StreamOptions, Text, TokenLimit
from aisa.wire.chat_members import VENDORS_FLAGS, VENDORS_OWN
from aisa.wire.content import Content
from aisa.wire.losses import Traced
from aisa.wire.members import Shape
from aisa.wire.model_name import ModelName, check_name
from aisa.wire.origins import Translated
from aisa.wire.own_names import COMPLETIONS
from aisa.wire.strict_json import parse_object
from aisa.wire.texts import INPUT, beginning_of, content_of_texts, largest_of, texts_of
from aisa.wire.trees import Tree
from aisa.wire.wish import Wish

TASK = "completions/"
ANSWERS_MAX = 2_048  # of one request, for all its prompts: each keeps its own state in a stream, and is held for
OUTPUT_MIN = 1  # tokens of a conversation's answer; a completion that only echoes its prompt may have none
SHAPE = Shape(
    "model prompt suffix max_tokens temperature top_p n best_of stream logprobs echo stop presence_penalty frequency_penalty logit_bias "
    f"seed user service_tier {VENDORS_FLAGS}",
    stream_options=Shape("include_usage include_obfuscation"),
    **VENDORS_OWN,
)
#: Members that chat completions have under the same name.
SAME = ("temperature", "top_p", "n", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "user", "stream_options")

Number = float | None


class KnownCompletions(msgspec.Struct):
    """The fields that we act on."""

    model: ModelName
    prompt: Annotated[Any, Meta(extra_json_schema=INPUT)]
    suffix: Text = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit = None
    n: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None = None
    logprobs: bool | int | None = None
    echo: bool | None = None
    stop: str | list[str] | None = None
    temperature: Number = None
    top_p: Number = None
    presence_penalty: Number = None
    frequency_penalty: Number = None
    user: str | int | None = None


class Loss(NamedTuple):
    """A member that a conversation has no word for, and why."""

    name: str
    why: str


class CompletionsRequest(Translated):
    """A valid request; implements `wire.door.Request`. `prompts` are what to go on from, each a text or the ids of its tokens."""

    protocol, own_names = "completions", COMPLETIONS
    task, bound_name, chat = TASK, "max_tokens", None

    def __init__(self, body: bytes) -> None:
        """Raises ApiError json_parse_error, missing_parameter, invalid_parameter_type, invalid_request."""
        tree = parse_object(body, '{"model": ..., "prompt": ...}')
        SHAPE.check(tree)
        try:
            self.known = msgspec.convert(tree, KnownCompletions)
        except msgspec.ValidationError as error:
            raise explain(str(error)) from None
        known = self.known
        check_name(known.model)
        self.prompts = texts_of(known.prompt, "prompt")
        check_together(known, len(self.prompts))
        self.fields: dict[str, Raw] = FIELDS_DECODER.decode(body)
        self.body_bytes = len(body)
        self.model = known.model
        self.stream = bool(known.stream)
        self._tree = tree

    @property
    def bounds_reasoning(self) -> bool:
        """False: it has no thinking."""
        return False

    @property
    def include_usage(self) -> bool:
        """Whether the client wants usage at the end of its stream."""
        options = self.known.stream_options
        return bool(options and options.include_usage)

    @property
    def choices(self) -> int:
        """How many answers are made, those included that `best_of` leaves out."""
        wanted = self.known.n or 1
        return self.answers * max(wanted, self.known.best_of or 1) // wanted

    @property
    def answers(self) -> int:
        """How many answers are wanted: the same number for each prompt."""
        return len(self.prompts) * (self.known.n or 1)

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on the output tokens of each, None if it gave none, or one below 0; of one that wants none, the least."""
        bound = self.known.max_tokens
        return None if bound is None or bound < 0 else max(bound, OUTPUT_MIN)

    def content(self) -> Content:
        """Return what there is to read: each prompt has a context window to itself."""
        return content_of_texts(self.prompts)

    def largest(self) -> Content:
        """Return what there is to read in the largest prompt."""
        return largest_of(self.prompts)

    def beginning(self, characters_max: int) -> str:
        """Return the beginning of the prompts that are given as text."""
        return beginning_of(self.prompts, characters_max)

    def wishes(self) -> Iterator[Wish]:
        """Yield what is asked of the model that its entry may limit."""
        known = self.known
        yield Wish("n", "max_n", known.n)
        yield Wish("logprobs", "max_top_logprobs", known.logprobs if type(known.logprobs) is int else None)
        yield Wish("stop", "max_stop_sequences", len(known.stop) if isinstance(known.stop, list) else None, listed=True)
        yield Wish("temperature", "max_temperature", known.temperature)
        yield Wish("frequency_penalty", "max_penalty", known.frequency_penalty)
        yield Wish("presence_penalty", "max_penalty", known.presence_penalty)

    def tier(self) -> tuple[str, str]:
        """Return the usual one."""
        return "", ""

    @property
    def losses(self) -> list[Loss]:
        """What a conversation cannot say of it."""
        known, losses = self.known, list[Loss]()
        if len(self.prompts) > 1:
            losses.append(Loss("prompt", "it takes one prompt; send each in a request of its own"))
        if not isinstance(self.prompts[0], str):
            losses.append(Loss("prompt", "it takes text and no ids of tokens; have your client send text"))
        if known.suffix:
            losses.append(Loss("suffix", "a conversation has none"))
        if known.echo:
            losses.append(Loss("echo", "the prompt is not part of its answer; put it before the answer yourself"))
        if (known.best_of or 1) > (known.n or 1):
            losses.append(Loss("best_of", "it makes as many answers as it gives; ask for `n`"))
        return losses

    def as_chat(self) -> ChatRequest:
        """Return the conversation that this comes to, with the prompt as its one message, without `losses`."""
        return self._chat

    @cached_property
    def _chat(self) -> ChatRequest:
        return self.chat_from(self._members)

    def traced(self) -> tuple[Tree, Traced]:
        """Return the members of the conversation, of whose one message `own_names` has all that there is to say."""
        return self._members, Traced()

    @property
    def _members(self) -> Tree:
        known = self.known
        text = "\n".join([prompt for prompt in self.prompts if isinstance(prompt, str)])
        tree: Tree = {"model": known.model, "messages": [{"role": "user", "content": text}]}
        tree |= {name: self._tree[name] for name in SAME if self._tree.get(name) is not None}
        if self.stream:
            tree["stream"] = True
        if self.max_tokens is not None:
            tree["max_completion_tokens"] = self.max_tokens
        if known.logprobs is not None and known.logprobs is not False:
            tree["logprobs"] = True
            tree |= {"top_logprobs": known.logprobs} if type(known.logprobs) is int and known.logprobs > 0 else {}
        return tree


def check_together(known: KnownCompletions, prompts: int) -> None:
    """Refuse fields that contradict each other, so that no vendor can mean them both. Raises ApiError invalid_request."""
    if known.stream_options is not None and not known.stream:
        raise ApiError("invalid_request", "'stream_options' is only allowed with \"stream\": true.", param="stream_options")
    if known.best_of is not None and known.best_of < (known.n or 1):
        raise ApiError("invalid_request", f"'best_of' is {known.best_of}, less than 'n', which are chosen of them.", param="best_of")
    made = prompts * max(known.n or 1, known.best_of or 1)
    if made > ANSWERS_MAX:
        raise ApiError("invalid_request", f"{made} answers are asked for; one request may ask for {ANSWERS_MAX}.", param="prompt")
