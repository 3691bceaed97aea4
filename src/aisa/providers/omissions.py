"""What vendors refused of the members that we add to requests, remembered while the process lives. Does not read refusals."""

from __future__ import annotations

import msgspec

from aisa.providers.shape import Target

#: Members that are refused for what one conversation holds, which says nothing of the next: not remembered.
OF_A_CALL = frozenset({"thought_signature"})
TARGETS_KEPT_MAX = 1_000  # callers can name models, so the memory has a bound; a target pushed out costs one more refused request


class Omissions:
    """Members that the targets refused, by vendor and model: the latest TARGETS_KEPT_MAX of them."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], tuple[str, ...]] = {}
        self._made: dict[tuple[int, tuple[str, ...]], tuple[Target, Target]] = {}  # what is asked, beside what it was made of

    def applied(self, target: Target, without: tuple[str, ...] = ()) -> Target:
        """Return a target as it is to be asked now, and without these members too: the same one for all calls, as long as it is kept."""
        omit = self._refused.get((target.vendor, target.model), ()) + without
        if not omit:
            return target
        made = self._made.get((id(target), omit))
        if made is None:
            if len(self._made) >= TARGETS_KEPT_MAX:
                self._made.clear()
            made = self._made[id(target), omit] = target, msgspec.structs.replace(target, omit=tuple(dict.fromkeys(target.omit + omit)))
        return made[1]

    def learn(self, target: Target, without: tuple[str, ...]) -> None:
        """Remember that a target answered once it was asked without these members.

        Not before: a refusal alone may name a member because its caller wrote the name, and the bill would be counted from then on.
        """
        without = tuple([name for name in without if name not in OF_A_CALL])
        if not without:
            return
        self._refused.pop((target.vendor, target.model), None)
        if len(self._refused) >= TARGETS_KEPT_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[target.vendor, target.model] = tuple([name for name in target.omit if name not in OF_A_CALL])
