"""Marks for the prompt cache of Anthropic's models at Bedrock: how many points a request has, where they may stand, how long they last.

Everything else of a request, and other models' points, are `bedrock_request.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from aisa.providers.anthropic_models import Traits, traits_of
from aisa.providers.bedrock_blocks import cache_point
from aisa.providers.counting import AskedOf
from aisa.providers.shape import Target
from aisa.wire.cache_lifetimes import cache_lifetime
from aisa.wire.messages import MessagesRequest
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in
from aisa.wire.usage_report import LIFETIMES

DIALECT = "bedrock"
POINT, POINTS_MAX = "cachePoint", 4
LONG_SINCE = (4, 5)  # the version from which a model's cache may last an hour; before it five minutes alone


def reads_marks(target: Target) -> bool:
    """Tell whether a target gets the marks of a request of the Messages API as points."""
    return target.dialect == DIALECT and traits_of(target.model).known


def keeps_an_hour(target: Target) -> bool:
    """Tell whether it gets those, and for as long as they say."""
    return reads_marks(target) and traits_of(target.model).version >= LONG_SINCE


class AskedOfClaude(AskedOf):
    """What the bill needs to know of a request to one of Anthropic's models: its marks, whichever protocol it came in."""

    __slots__ = ()

    def lifetime(self) -> str:
        """Return how long cache writes were asked to last."""
        if traits_of(self._target.model).version < LONG_SINCE:
            return ""
        request = self._request
        return cache_lifetime(request.fields, LIFETIMES) if isinstance(request, MessagesRequest) else super().lifetime()


def with_points(body: Tree, mark: object, traits: Traits) -> Tree:
    """Return a request whose points Bedrock takes: of too many the last ones, which hold what stands before them.

    `mark` is that of the request as a whole, for the last block that can be kept.
    """
    messages = trees_in(body.get("messages"))
    contents = [trees_in(message["content"]) for message in messages]
    if is_tree(mark):
        mark_last(contents, cache_point({"cache_control": mark}))
    tools, system = trees_in(as_tree(body.get("toolConfig")).get("tools")), trees_in(body.get("system"))
    lists = [placed(blocks) for blocks in (tools, system, *contents)]
    points = [block for blocks in lists for block in blocks if POINT in block]
    left_out = {id(point) for point in points[: max(len(points) - POINTS_MAX, 0)]}
    lists = [lasting([block for block in blocks if id(block) not in left_out], traits) for blocks in lists]
    written = {**body, "messages": [{**message, "content": content} for message, content in zip(messages, lists[2:], strict=True)]}
    if tools:
        written["toolConfig"] = {**as_tree(body["toolConfig"]), "tools": lists[0]}
    return {**written, "system": lists[1]} if system else written


def mark_last(contents: Sequence[list[Tree]], point: list[Tree]) -> None:
    """Put a point behind the last block that can be kept, unless one stands there. Thinking cannot."""
    for blocks in reversed(contents):
        for at in range(len(blocks) - 1, -1, -1):
            if POINT in blocks[at]:
                return
            if "reasoningContent" not in blocks[at]:
                blocks[at + 1 : at + 1] = point
                return


def placed(blocks: list[Tree]) -> list[Tree]:
    """Return blocks whose points stand where Bedrock takes them: one behind documents but PDF is one before these, if anything is."""
    written: list[Tree] = []
    for block in blocks:
        if POINT not in block:
            written.append(block)
            continue
        at = len(written)
        while at and as_tree(written[at - 1].get("document")).get("format", "pdf") != "pdf":
            at -= 1
        if at and POINT not in written[at - 1]:
            written.insert(at, block)
    return written


def lasting(blocks: list[Tree], traits: Traits) -> list[Tree]:
    """Return the blocks of a turn with points that last no longer than the model's cache can, nor than one before: that is refused.

    Results of tools come first in a turn and what they show last, so the order there is not the client's.
    """
    long = traits.version >= LONG_SINCE
    written: list[Tree] = []
    for block in blocks:
        long = long and (POINT not in block or as_tree(block[POINT]).get("ttl") == "1h")
        written.append(block if long or POINT not in block else {POINT: {"type": "default"}})
    return written
