"""Groups of commands whose help says of each what it does in a whole sentence, which click cuts where its line ends. Knows no command."""

from __future__ import annotations

import click

SENTENCE_CHARACTERS_MAX = 1_000  # of a command's first sentence; longer than any


class CommandGroup(click.Group):
    """A group whose list of commands goes on in a second line where one is too short. Groups in it are such groups, too."""

    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list, if there are commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(SENTENCE_CHARACTERS_MAX)) for name, one in found if one is not None and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
