"""Finds members whose names differ from known ones in case alone: parsers that ignore case would act on them. Knows no API's names.

Go's parser, for one, takes `Model` for `model`, and the last one wins: a key's allow-list would be held against one model and the vendor
would serve another. So they are refused as duplicate keys are, wherever a name means something. Each API has a table of its names, a Shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import GenericAlias
from typing import NamedTuple

import msgspec

from aisa.errors import ApiError
from aisa.wire.trees import Tree, is_list, is_tree


class Variant(NamedTuple):
    """A member whose name is a known one in another case. `path` leads to the object that it is in, with a dot behind; or is empty."""

    name: str
    known: str
    path: str = ""


class Shape:
    """The names that objects of one kind can have, and the shapes of what stands under some of them: an object or an array of such.

    What is not in it is free: its names mean nothing to us.
    """

    def __init__(self, names: str = "", **inner: Shape) -> None:
        """`names` has those under which nothing is looked at, with blanks between."""
        self._shapes: dict[str, Shape | None] = {**dict.fromkeys(names.split()), **inner}
        self._folded = {name.casefold(): name for name in self._shapes}
        fields = [(name, object if shape is None else shape.anything, None) for name, shape in self._shapes.items()]
        #: A type that takes exactly objects in which every name is known. It is checked ten times as fast as names can be looked up here.
        self._only_known = msgspec.defstruct("OnlyKnown", fields, forbid_unknown_fields=True)

    @property
    def shapes(self) -> Mapping[str, Shape | None]:
        """Every name, and the shape of what stands under it, None if that is free."""
        return self._shapes

    @property
    def anything(self) -> object:
        """The type of any value, in which objects and those in an array have this shape."""
        return GenericAlias(list, (self._only_known,)) | self._only_known | str | int | float | bool | None

    def check(self, tree: Tree) -> None:
        """Do nothing if every name that looks like a known one is it, here and in inner shapes. Raises ApiError json_parse_error."""
        try:
            msgspec.convert(tree, self._only_known)
        except msgspec.ValidationError:
            pass  # a name that is not known, or an array of something else: what is odd is looked at closer
        else:
            return
        found = self.find(tree)
        if found is not None:
            message = f"The member '{found.path}{found.name}' differs from '{found.known}' in case only. Write it exactly so."
            raise ApiError("json_parse_error", message, param=found.path + found.known)

    def find(self, tree: Tree) -> Variant | None:
        """Return a name that is a known one in another case."""
        for name, value in tree.items():
            shape = self._shapes.get(name)
            if shape is None:
                known = None if name in self._shapes else self._folded.get(name.casefold())  # of all Unicode: a Kelvin sign is a k
                found = None if known is None else Variant(name, known)
            else:
                found = shape.find_below(value, name)
            if found is not None:
                return found
        return None

    def find_below(self, value: object, name: str) -> Variant | None:
        """Return such a name in an object of this shape, or in those of an array; `value` stands under `name`."""
        if is_tree(value):
            found = self.find(value)
            return None if found is None else found._replace(path=f"{name}.{found.path}")
        if is_list(value):
            for position, item in enumerate(value):
                if is_tree(item) and (found := self.find(item)) is not None:
                    return found._replace(path=f"{name}[{position}].{found.path}")
        return None
