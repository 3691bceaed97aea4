"""What type a file has by its name or its address. Takes no address apart: what a caller writes there need be none."""

from __future__ import annotations

from mimetypes import guess_type


def type_by_name(name: str) -> str | None:
    """Return the media type that the ending behind the last slash stands for, None if it stands for none.

    A library that is given more of it looks for a host, and raises for some texts, from Python 3.13 on for any name with `//[`.
    """
    return guess_type(name.rpartition("/")[2])[0]
