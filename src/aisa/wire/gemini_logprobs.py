"""Log-probabilities of chat completions in the words of Gemini's API, and their mean. Reads no vendor's."""

from __future__ import annotations

from aisa.wire.lenient_json import LOGPROB_MIN
from aisa.wire.trees import Tree, as_tree, trees_in

RESULT, CHOSEN, TOP = "logprobsResult", "chosenCandidates", "topCandidates"


class Likelihoods:
    """How likely the tokens of one choice were, all together: a mean needs none of them."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def take(self, logprobs: object) -> Tree | None:
        """Return what a chat completion says of some tokens as Gemini would; None if it says nothing."""
        told = as_tree(logprobs)
        entries = [*trees_in(told.get("content")), *trees_in(told.get("refusal"))]
        if not entries:
            return None
        chosen = [likely(entry) for entry in entries]
        rivals = [[likely(rival) for rival in trees_in(entry.get("top_logprobs"))] for entry in entries]
        self._sum += sum(map(chance_of, entries))
        self._count += len(chosen)
        return {CHOSEN: chosen, **({TOP: [{"candidates": each} for each in rivals]} if any(rivals) else {})}

    def mean(self) -> Tree:
        """Return the member of a candidate that has it; nothing where no token was told of."""
        return {"avgLogprobs": self._sum / self._count} if self._count else {}


def likely(entry: Tree) -> Tree:
    """Return one token and how likely it was. Its number in a vocabulary chat completions do not tell."""
    return {"token": str(entry.get("token") or ""), "logProbability": chance_of(entry)}


def chance_of(entry: Tree) -> float:
    """Return the log-probability of a token: the least that there is for one without."""
    value = entry.get("logprob")
    return value if isinstance(value, int | float) else LOGPROB_MIN


def joined(results: list[Tree]) -> Tree:
    """Return results of parts of a choice as one; a part without rivals has none for each of its tokens."""
    chosen = [token for result in results for token in trees_in(result[CHOSEN])]
    if not any(TOP in result for result in results):
        return {CHOSEN: chosen}
    none: Tree = {"candidates": list[object]()}
    return {CHOSEN: chosen, TOP: [top for result in results for top in trees_in(result.get(TOP)) or [none] * len(trees_in(result[CHOSEN]))]}
