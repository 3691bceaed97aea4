"""What is known of one model: how much fits it, what it takes and gives, until when it is there. Facts, with their source."""

from __future__ import annotations

from datetime import date

import msgspec


class ModelRow(msgspec.Struct, frozen=True):
    """One model. Sizes are tokens; `context_window` is input and output together. `aliases` are further names that its vendor has for it.

    `takes` and `gives` are kinds of content, such as text, image, audio. After `shutdown` the vendor does not serve it any more, and
    recommends `successor`. `source` is the page that says so.
    """

    name: str
    aliases: tuple[str, ...] = ()
    context_window: int | None = None
    output_tokens_max: int | None = None
    takes: tuple[str, ...] = ("text",)
    gives: tuple[str, ...] = ("text",)
    shutdown: date | None = None
    successor: str = ""
    source: str = ""


#: Letters for kinds of content, as the tables have them.
KINDS = {"t": "text", "i": "image", "a": "audio", "v": "video", "f": "file"}


def rows_of(table: str, source: str) -> tuple[ModelRow, ...]:
    """Read a table: one model a line, `names | context | output | takes>gives | shutdown | successor`, the last three if there are any."""
    rows: list[ModelRow] = []
    for line in table.strip().splitlines():
        names, context, output, kinds, *end = [cell.strip() for cell in line.split("|")]
        takes, _, gives = kinds.partition(">")
        name, *aliases = names.split()
        rows.append(
            ModelRow(
                name,
                tuple(aliases),
                int(context),
                int(output),
                tuple([KINDS[letter] for letter in takes]),
                tuple([KINDS[letter] for letter in gives or "t"]),
                date.fromisoformat(end[0]) if end and end[0] else None,
                end[1] if len(end) > 1 else "",
                source,
            )
        )
    return tuple(rows)
