"""Counts a whole answer in the OpenAI dialect of which its vendor has not said, or not believably, how many tokens it has."""

from __future__ import annotations

from aisa.providers.measure import Measure
from aisa.providers.shape import Target
from aisa.wire.generated import carries_token, listed, text_bytes, text_in
from aisa.wire.shown import Shown
from aisa.wire.token_meter import BY_LOGPROBS, BY_TOKEN_IDS, TokenMeter, weakest
from aisa.wire.trees import Tree, is_tree, text_or_none, trees_in


class AnswerCount:
    """The tokens of a whole answer, counted as a stream of it would be: what its choices say, not the JSON around it."""

    def __init__(self, answer: Tree, target: Target) -> None:
        self._answers: list[TokenMeter] = []
        self._thinking: list[TokenMeter] = []
        self._measured = True
        for choice in trees_in(answer.get("choices")):
            message = choice.get("message")
            self._add(message if is_tree(message) else {}, choice, target.measure)
        self.meters = self._answers + self._thinking

    def shown(self, *, exact: bool = True) -> Shown:
        """Return what it shows, always as it is counted by now."""
        tokens, reasoning = (sum([meter.exact() for meter in meters]) for meters in (self._answers, self._thinking))
        size = sum([meter.total[1] for meter in self._answers]) if self._measured else None
        return Shown(tokens, min(reasoning, tokens), weakest([meter.way for meter in self._answers]), size)

    def _add(self, message: Tree, choice: Tree, measure: Measure) -> None:
        text, meter = text_in(message), measure.text_meter()
        token_ids, entries = listed(choice, "token_ids"), listed(choice.get("logprobs"), "content")
        if 0 < (token_ids or entries) <= Shown(0, 0, text_bytes=text_bytes(text)).most_shown():
            meter.tell(token_ids or entries, BY_TOKEN_IDS if token_ids else BY_LOGPROBS, [text_bytes(text)])
        else:
            meter.add_text(text)
        self._answers.append(meter)
        if thinking := text_or_none(message.get("reasoning_content")):
            of_thinking = measure.text_meter()
            of_thinking.add_text(thinking)
            self._thinking.append(of_thinking)
        self._measured = self._measured and (bool(text) or not carries_token(message))
