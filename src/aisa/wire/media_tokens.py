"""For how many tokens sound and pictures are taken that a model made and nobody reported: fixed figures. Reads no report of usage."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.wire.trees import Tree, as_tree, trees_in

PICTURE_TOKENS = 1_290  # of one that was made and that nobody reported: what Gemini makes
NUMBER = {"index"}  # of a picture, which ones with nothing in them are given as well
SOUND_BYTES = 2_400  # a token: 16-bit samples at 24,000 a second, in which OpenAI's models speak in streams, and 20 tokens a second


def unseen_in(deltas: Sequence[Tree], silent: int) -> int:
    """Return the tokens of output whose text tells nothing: sound and pictures by fixed figures, else one if some deltas are `silent`."""
    pictures = sum([bool(picture.keys() - NUMBER) for delta in deltas for picture in trees_in(delta.get("images"))])
    sounds = [data for delta in deltas if isinstance(data := as_tree(delta.get("audio")).get("data"), str)]
    heard = sum(map(len, sounds)) * 3 // 4
    return pictures * PICTURE_TOKENS + -(-heard // SOUND_BYTES) or int(silent > 0)
