"""What is counted where vendors do not report: how the text of each target is, and the tokens of a request.

A tokenizer is an extra, loaded once at the start (`tokenizers/`) and never on the path of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from aisa.config.schema import Config, Model, Vendor
from aisa.providers.measure import Answer, Learned, Measure
from aisa.providers.own_input import OwnInput
from aisa.providers.shape import Target
from aisa.wire.cache_lifetimes import cache_lifetime
from aisa.wire.chat import ChatRequest
from aisa.wire.content import INPUT_TOKENS_MAX, Content
from aisa.wire.door import Request
from aisa.wire.request_content import beginning, content_of
from aisa.wire.token_meter import PIECES, SIZE
from aisa.wire.tokenized_text import Tokenizer
from aisa.wire.usage_report import LIFETIMES

#: Returns a tokenizer by the name that the configuration gives. Raises NoTokenizer.
LoadTokenizer = Callable[[str], Tokenizer]
NO_TOKENIZERS: Mapping[str, Tokenizer] = MappingProxyType({})
NO_ANSWERS: Mapping[str, list[Answer]] = MappingProxyType({})
MEASURES_MAX = 1_000  # targets whose answers are learned from; callers can make names up, and the oldest goes
BOUND_MIN = 16  # of a bound on the output at the Responses API, to which a smaller one is raised: as much may be used
OUTPUT_TOKENS_MAX = 1_000_000  # of a choice, where neither request nor model says it: beyond what any model writes


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

    def renewed(self, tokenizers: Mapping[str, Tokenizer]) -> Counting:
        """Return the same for another configuration's tokenizers, with all that was learned until now. Any thread may ask."""
        learned = {target: list(measure.answers) for (target, _), measure in list(self._measures.items()) if measure.answers}
        return Counting(tokenizers, self._known | learned, self._learned)

    def take(self, target: str, answers: list[Answer]) -> None:
        """Let what another process has learned of a target count here too."""
        self._known[target] = answers
        for (name, _), measure in self._measures.items():
            if name == target:
                measure.take(answers)


class AskedOf(OwnInput):
    """What the bill of a call to a target needs to know of its request; implements `wire.shown.Asked`."""

    __slots__ = ("_request", "_times", "input_tokens_max", "output_tokens_max", "unseen_max")

    def __init__(self, request: Request, target: Target) -> None:
        self._known = None
        self._target = target
        self._request = request
        self._times = 1
        self.input_tokens_max = target.context_window or INPUT_TOKENS_MAX
        bound = request.max_tokens or 0
        bound = max(bound, BOUND_MIN) if bound and target.dialect == "responses" else bound
        most = max(bound, target.output_tokens_max or 0) or OUTPUT_TOKENS_MAX
        self.output_tokens_max = most * request.choices
        self.unseen_max = 0  # a conversation gives all that it makes

    def again(self) -> None:
        """The same is asked once more for one answer: so much more may be used."""
        self._times += 1
        self.input_tokens_max += self.input_tokens_max // (self._times - 1)
        self.output_tokens_max += self.output_tokens_max // (self._times - 1)

    def lifetime(self) -> str:
        """Return how long cache writes were asked to last."""
        return cache_lifetime(self._chat().fields, LIFETIMES)

    def content(self) -> Content:
        """Return what the request holds."""
        return content_of(self._chat())

    def text(self, characters_max: int) -> str:
        """Return the beginning of its text."""
        return beginning(self._chat(), characters_max)

    def _chat(self) -> ChatRequest:
        return self._request.chat or self._request.as_chat()


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
