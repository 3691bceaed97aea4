"""What is counted where vendors do not report: how the text of each target is, and the tokens of a request.

A tokenizer is an extra, loaded once at the start (`tokenizers/`) and never on the path of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from aisa.config.schema import Config, Model, Vendor
from aisa.providers.measure import Answer, Learned, Measure
from aisa.providers.shape import Target
from aisa.usage import COUNTED, ESTIMATED
from aisa.wire.chat import ChatRequest
from aisa.wire.content import Content, input_tokens
from aisa.wire.door import Request
from aisa.wire.generated import text_bytes
from aisa.wire.request_content import beginning, cache_lifetime, content_of
from aisa.wire.token_meter import PIECES, SIZE
from aisa.wire.tokenized_text import Tokenizer
from aisa.wire.usage_report import LIFETIMES

#: Returns a tokenizer by the name that the configuration gives. Raises NoTokenizer.
LoadTokenizer = Callable[[str], Tokenizer]
NO_TOKENIZERS: Mapping[str, Tokenizer] = MappingProxyType({})
NO_ANSWERS: Mapping[str, list[Answer]] = MappingProxyType({})
MEASURES_MAX = 1_000  # targets whose answers are learned from; callers can make names up, and the oldest goes
OUTPUT_TOKENS_MAX = 1_000_000  # of a choice, where neither request nor model says it: beyond what any model writes
INPUT_TOKENS_MAX = 2_000_000  # where the model's window is not known: no window is larger
TRIED_CHARACTERS_MAX = 16_384  # of a request's text that a tokenizer is given: some 4,000 tokens, a few milliseconds


class NoTokenizer(Exception):
    """A tokenizer cannot be had; the message says why and what to do, fit for the operator. `where` is the setting that names it."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class Counting:
    """How each target is counted: by the tokenizers of a configuration, and by what was learned of the target's answers.

    `known` is what was learned before this process, by target; `learned` is told of what is learned now.
    """

    def __init__(
        self,
        tokenizers: Mapping[str, Tokenizer] = NO_TOKENIZERS,
        known: Mapping[str, list[Answer]] = NO_ANSWERS,
        learned: Learned | None = None,
    ) -> None:
        self._tokenizers = tokenizers
        self._known = dict(known)
        self._learned = learned
        self._measures: dict[tuple[str, str], Measure] = {}

    def measure(self, target: str, vendor: Vendor, model: Model) -> Measure:
        """Return how `vendor/model` is counted as a model of the configuration: the same for every name that has the same tokenizer."""
        name = model.tokenizer or vendor.tokenizer or ""
        measure = self._measures.get((target, name))
        if measure is None:
            if len(self._measures) >= MEASURES_MAX:
                del self._measures[next(iter(self._measures))]
            rule = PIECES if vendor.deltas == "token" else SIZE
            answers, tokenizer = self._known.get(target, ()), self._tokenizers.get(name)
            measure = Measure(rule, tokenizer, name=target, known=answers, learned=self._learned)
            self._measures[target, name] = measure
        return measure

    def take(self, target: str, answers: list[Answer]) -> None:
        """Let what another process has learned of a target count here too."""
        self._known[target] = answers
        for (name, _), measure in self._measures.items():
            if name == target:
                measure.take(answers)


class AskedOf:
    """What the bill of a call to a target needs to know of its request; implements `wire.shown.Asked`."""

    __slots__ = ("_input", "_request", "_target", "_times", "input_tokens_max", "output_tokens_max")

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._input: tuple[int, str] | None = None
        self._times = 1
        self.input_tokens_max = target.context_window or INPUT_TOKENS_MAX
        most = max(request.max_tokens or 0, target.output_tokens_max or 0) or OUTPUT_TOKENS_MAX
        self.output_tokens_max = most * request.choices

    def input(self) -> tuple[int, str]:
        """Return the tokens of the request, counted once, and what the count is worth."""
        if self._input is None:
            self._input = input_of(self._request.chat or self._request.as_chat(), self._target)
        return self._input

    def again(self) -> None:
        """The same is asked once more for one answer: so much more may be used."""
        self._times += 1
        self.input_tokens_max += self.input_tokens_max // (self._times - 1)
        self.output_tokens_max += self.output_tokens_max // (self._times - 1)

    def lifetime(self) -> str:
        """Return how long cache writes were asked to last."""
        return cache_lifetime((self._request.chat or self._request.as_chat()).fields, LIFETIMES)


def input_of(chat: ChatRequest, target: Target) -> tuple[int, str]:
    """Return the tokens of a request that no vendor has counted, and what the count is worth."""
    return counted(content_of(chat), partial(beginning, chat), target)


def counted(content: Content, begin: Callable[[int], str], target: Target) -> tuple[int, str]:
    """Return the tokens of an input that no vendor has counted, and what the count is worth.

    A tokenizer is given the beginning of a long text, and the rest is taken to be like it: it must not keep other calls waiting.
    """
    tokenizer = target.measure.tokenizer
    if tokenizer is None or not content.text_bytes:
        return input_tokens(content, target.model, target.context_window), ESTIMATED
    tried = begin(TRIED_CHARACTERS_MAX)
    size = text_bytes(tried)
    whole = size == content.text_bytes
    text_tokens = tokenizer.count(tried) if whole else -(-tokenizer.count(tried) * content.text_bytes // max(1, size))
    exact = whole and content == Content(size, windows=content.windows)
    return input_tokens(content, target.model, target.context_window, text_tokens=text_tokens), COUNTED if exact else ESTIMATED


def tokenizers_of(config: Config, load: LoadTokenizer) -> Mapping[str, Tokenizer]:
    """Return the tokenizers that a configuration names, each loaded once. Raises NoTokenizer."""
    found: dict[str, Tokenizer] = {}
    for where, name in tokenizer_settings(config):
        if name not in found:
            try:
                found[name] = load(name)
            except NoTokenizer as failure:
                raise NoTokenizer(str(failure), where) from None
    return found


def tokenizer_settings(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each setting that names a tokenizer, and the name."""
    for name, vendor in config.vendors.items():
        if vendor.tokenizer is not None:
            yield f"vendors.{name}.tokenizer", vendor.tokenizer
    for name, model in config.models.items():
        if isinstance(model, Model) and model.tokenizer is not None:
            yield f"models.{name}.tokenizer", model.tokenizer
