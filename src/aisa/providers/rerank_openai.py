"""Rankings as Jina makes them, and servers of open models after it; some have `data` in place of `results`.

Sans-IO, and knows no vendor by name. The ranking is brought to one form: the best first, each document once, scores that are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from operator import attrgetter

import msgspec
from msgspec import Raw

from aisa.answer import Part, Piece
from aisa.providers.embeddings_openai import post
from aisa.providers.openai import read_failure
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target
from aisa.providers.whole_document import WholeDocument
from aisa.usage import Breakdown, Usage
from aisa.wire.door import Request
from aisa.wire.lenient_json import encode
from aisa.wire.model_name import shown_name
from aisa.wire.rerank import RerankRequest
from aisa.wire.texts import no_conversation
from aisa.wire.trees import Tree, is_tree, text_or_none
from aisa.wire.usage_report import count_of, possible, with_cost
from aisa.wire.vendor_error import Unintelligible

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "rerank/openai"
WRITTEN = "completion_tokens"  # of which there are none


class Result(msgspec.Struct):
    """A document's place among those of the request, and how well it fits."""

    index: int
    relevance_score: float | None = None
    score: float | None = None
    document: object = None

    @property
    def fit(self) -> float:
        """The score, whatever the vendor calls it. Raises Unintelligible for what is no number."""
        score = self.score if self.relevance_score is None else self.relevance_score
        if score is None or not isfinite(score):
            raise Unintelligible("a result without a score")
        return score


RESULTS = msgspec.json.Decoder(list[Result], strict=False)  # numbers may be written as text


def asked(request: Request) -> RerankRequest:
    """Return a request for a ranking. Raises UpstreamFailed for any other."""
    if not isinstance(request, RerankRequest):
        raise no_conversation("This call")
    return request


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name."""
    return post("/rerank", {**asked(request).fields, "model": target.model}, target)


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer."""
    del created, protocol  # nothing in it has a time, and there is one door
    return Ranking(asked(request), target, call_id)


class Ranking(WholeDocument):
    """Reads the document, and brings it to the form that all clients read."""

    content_name = "results"  # or `data`

    def __init__(self, request: RerankRequest, target: Target, call_id: str) -> None:
        super().__init__(request, target)
        self._request = request
        self._call_id = call_id
        self._results: list[Result] = []
        self._carried: Tree = {}
        self._searches = 0
        self._by_search = False  # the vendor charges by the search and not by the token

    def usage(self) -> Usage:
        """Return the tokens, and the searches that the vendor charges for; if for these alone, its tokens cost nothing."""
        usage = self._usage
        if not self._searches:
            return usage
        free = usage.input_tokens if self._by_search else 0
        return msgspec.structs.replace(usage, breakdown=Breakdown(searches=self._searches, uncharged_input_tokens=free))

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the ranking."""
        request = self._request
        results: list[Tree] = []
        for result in self._results:
            written: Tree = {"index": result.index, "relevance_score": result.fit}
            if result.document is not None:
                written["document"] = result.document
            elif request.known.return_documents:
                written["document"] = {"text": request.texts[result.index]}
            results.append(written)
        usage = {name: count for name, count in self._report.document(self._usage).items() if name != WRITTEN}
        answer: Tree = {"object": "list", **self._carried, "results": results, "usage": with_cost(usage, cost_usd)}
        return [Piece(encode(answer), 0)]

    def _take(self, members: dict[str, Raw]) -> None:
        self._results = ranked(RESULTS.decode(members["results"]), self._request)
        self._carried = {name: msgspec.json.decode(value) for name, value in members.items() if name not in ("results", "usage", "data")}
        model: object = self._carried.get("model")
        self.answered = text_or_none(model) or ""
        self._carried["id"] = text_or_none(self._carried.get("id")) or self._call_id
        self._carried["model"] = self._target.public or shown_name(model, self._request.model)
        self._report.take(msgspec.json.decode(members.get("usage", members.get("tokens", b"null"))))  # SiliconFlow's word
        self._take_meta(self._carried.get("meta"))

    def _take_meta(self, meta: object) -> None:
        """Take what stands in `meta`: the units that are charged for, and the tokens that were read."""
        units = meta.get("billed_units") if is_tree(meta) else None
        tokens = meta.get("tokens") if is_tree(meta) else None
        charged = units if is_tree(units) else {}
        self._searches = possible(count_of(charged.get("search_units")) or 0)
        self._by_search = not count_of(charged.get("input_tokens"))
        self._report.take(charged if count_of(charged.get("input_tokens")) else tokens)


def ranked(results: list[Result], request: RerankRequest) -> list[Result]:
    """Return results with the best first. Raises Unintelligible where they are not some of the request's documents, each once."""
    places = [result.index for result in results]
    count = len(request.texts)
    if not results or len(set(places)) != len(places) or not all(0 <= place < count for place in places):
        raise Unintelligible(f"a ranking of {len(places)} that are not the {count} documents")
    return sorted(results, key=attrgetter("fit"), reverse=True)[: request.known.most or count]
