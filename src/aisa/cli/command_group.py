"""Groups of commands whose help says of each what it does in a whole sentence, which click cuts where its line ends. Knows no command."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import click

SENTENCE_CHARACTERS_MAX = 1_000  # of a command's first sentence; longer than any


#: What people look for by another name: word -> command.
OTHER_WORDS = MappingProxyType(
    {
        **dict.fromkeys(("credits", "credit", "balance", "billing", "money", "topup", "top-up"), "wallet"),
        **dict.fromkeys(("start", "run", "up", "server"), "serve"),
        **dict.fromkeys(("logs", "log", "requests", "history"), "calls"),
        **dict.fromkeys(("key", "token", "tokens"), "keys"),
        **dict.fromkeys(("users", "customers"), "accounts"),
        **dict.fromkeys(("doctor", "health"), "status"),
        **dict.fromkeys(("receipt", "bill"), "explain"),
        **dict.fromkeys(("restart", "refresh"), "reload"),
        **dict.fromkeys(("kill", "cancel", "abort"), "calls end"),
    }
)


class CommandGroup(click.Group):
    """A group whose list of commands goes on in a second line where one is too short. Groups in it are such groups, too.

    For a command that it does not have it names those that may be meant, be they in another group.
    """

    group_class = type

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named. Raises click.UsageError."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            root = ctx.find_root()
            assert isinstance(root.command, click.Group), "commands are in one"
            ways = [way for way in ways_in(root.command) if way[-1] == args[0]]
            if not ways and self is root.command and (other := OTHER_WORDS.get(args[0].lower())) is not None:
                ways = [(other,)]
            if not ways:
                raise
            meant = " or ".join(" ".join((root.info_name or "", *way)) for way in ways)
            raise click.UsageError(f"No such command '{args[0]}'. There is: {meant}", ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that is named. Raises click.UsageError, which says how to write an argument that begins as options do."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            asked = error.ctx
            if asked is None or error.possibilities or not any(isinstance(each, click.Argument) for each in asked.command.params):
                raise
            how = f"What is no option and begins as one comes behind `--`: {asked.command_path} -- {error.option_name}"
            raise click.UsageError(f"{error.format_message()} {how}", asked) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list, if there are commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(SENTENCE_CHARACTERS_MAX)) for name, one in found if one is not None and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def ways_in(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command within a group that is shown, groups included."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield (*before, name)
            if isinstance(command, click.Group):
                yield from ways_in(command, (*before, name))
