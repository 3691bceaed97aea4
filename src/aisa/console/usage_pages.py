"""Pages on what was used: the overview, and sums by day and model, key, account or vendor as plots and tables. Adds up what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from aisa.console.page import Page
from aisa.console.visit import Visit, with_query
from aisa.edge.admin_calls import CallsShown
from aisa.edge.admin_usage import SeriesShown, UsageShown, told_apart
from aisa.edge.board_view import BoardShown
from aisa.ledger.port_usage import ACCOUNT, DAY, DAY_MS, GROUPINGS, KEY, MODEL, Used
from aisa.money import NANOS_PER_DOLLAR

DRAWN_MAX = 7  # groups with a line of their own; an eye does not tell more apart, and the others are one
OTHERS = "all others"
LISTED_MAX = 200  # groups in a table
DAYS = {"7": "7 days", "30": "30 days", "90": "90 days"}
RECENT = 8  # calls on the overview
MANY = (KEY, ACCOUNT)  # of which there may be thousands
NO_QUERY: Mapping[str, str] = MappingProxyType({})
BY = {"model": "Model", "key": "Key", "account": "Account", "vendor": "Vendor", "day": "Day"}


#: What a group is called, and what it used on each day.
Group = tuple[str, list[Used]]


class Plot(NamedTuple):
    """A plot as its script reads it: what it is called, in which unit, and of each group its name and a value a day, None for none."""

    title: str
    unit: str
    names: list[str]
    values: list[list[float | None]]

    @property
    def data(self) -> str:
        """The same as JSON."""
        return msgspec.json.encode({"unit": self.unit, "names": self.names, "values": self.values}).decode()


async def overview(visit: Visit) -> Page:
    """Show how things are; what is summed up comes behind it."""
    board = await visit.typed("/board", BoardShown)
    recent = await visit.typed(with_query("/calls", {"limit": RECENT}), CallsShown)
    vendors = (await visit.get("/vendors"))["data"]
    return visit.page("overview.html", board=board, calls=recent.data, vendors=vendors)


async def sums(visit: Visit) -> Page:
    """Show the sums of the last week and of today, for the overview."""
    shown = await asked_series(visit, DAY, 7)
    week = [total(each[place] for each in shown.groups.values()) for place in range(len(shown.days))]
    plots = [
        Plot("Spend", "$", ["spend"], [[used.cost / NANOS_PER_DOLLAR for used in week]]),
        Plot("Calls", "", ["calls"], [[used.requests for used in week]]),
    ]
    return visit.page("sums.html", today=week[-1], week=total(week), days=shown.days, plots=plots)


async def usage(visit: Visit) -> Page:
    """Show the frame of the plots."""
    by, days = choices(visit)
    return visit.page("usage.html", by=by, days=days, all_days=DAYS, all_by=BY, part=with_query("/console/usage/plots", visit.query))


async def plots(visit: Visit) -> Page:
    """Show plots and the table."""
    by, days = choices(visit)
    summed = await visit.typed(asked_of("/usage", visit, by=by, days=int(days)), UsageShown)
    whole = {group: used for group, used in summed.groups.items() if used.requests}
    names = told_apart({group: summed.labels.get(group, group) or "–" for group in whole})
    ranked = sorted(whole, key=lambda group: (-whole[group].cost, -tokens_of(whole[group]), -whole[group].requests, names[group]))
    asked = [group for group in ranked if by != KEY or group in summed.labels]  # of a key that was never kept nobody can ask
    if by in MANY:
        shown, groups = await few_of(visit, by, int(days), ranked=asked, rest=len(ranked) - len(asked))
    else:
        shown, groups = await all_of(visit, by, int(days), ranked=ranked)
    if by == DAY:
        drawn = [("all", by_day(groups))]
        ranked = sorted(whole, reverse=True)
    else:
        drawn = drawn_of([(names.get(group, group), each) for group, each in zip((*asked, OTHERS), groups, strict=False)])
    rows = [(group, names[group], whole[group]) for group in ranked[:LISTED_MAX]]
    return visit.page(
        "plots.html",
        by=by,
        head=BY[by],
        days=shown,
        plots=drawn_plots(drawn),
        rows=rows,
        hidden=len(ranked) - len(rows),
        total=total(whole.values()),
        is_key=by == KEY,
    )


async def all_of(visit: Visit, by: str, days: int, *, ranked: Sequence[str]) -> tuple[list[str], list[list[Used]]]:
    """Return the days, and what each group used on each."""
    shown = await asked_series(visit, by, days)
    return shown.days, [shown.groups[group] for group in ranked if group in shown.groups]


async def few_of(visit: Visit, by: str, days: int, *, ranked: Sequence[str], rest: int) -> tuple[list[str], list[list[Used]]]:
    """Return the same of those groups alone that are drawn, and of all others as one: of thousands, each day of each is too much to ask.

    `rest` is how many groups there are that are not ranked.
    """
    drawn = [await asked_series(visit, DAY, days, of={by: group}) for group in ranked[:DRAWN_MAX]]
    every = await asked_series(visit, DAY, days)  # behind them, so that what ends meanwhile is among the others
    each = [by_day([*shown.groups.values()]) or [Used()] * len(shown.days) for shown in (*drawn, every)]
    groups, in_all = each[:-1], each[-1]
    if len(ranked) + rest > len(groups):
        groups.append([less(of_day, theirs) for of_day, *theirs in zip(in_all, *groups, strict=True)])
    return every.days, groups


def tokens_of(used: Used) -> int:
    """Return the tokens of both sides."""
    return used.input_tokens + used.output_tokens


def less(whole: Used, parts: Iterable[Used]) -> Used:
    """Return what is left of a sum without some of its parts."""
    taken = total(parts)
    return Used(*[getattr(whole, field) - getattr(taken, field) for field in Used.__struct_fields__])


def drawn_of(ranked: Sequence[Group]) -> list[Group]:
    """Return the groups that have a line of their own, and all others as one; whatever somebody calls his, none takes another's place."""
    rest = [each for _, each in ranked[DRAWN_MAX:]]
    return [*ranked[:DRAWN_MAX], *([(OTHERS, by_day(rest))] if rest else [])]


def by_day(groups: Sequence[list[Used]]) -> list[Used]:
    """Return what groups came to together, day by day."""
    return [total(of_day) for of_day in zip(*groups, strict=True)]


def drawn_plots(drawn: Sequence[Group]) -> list[Plot]:
    """Return what is plotted of each group."""
    names, groups = [name for name, _ in drawn], [each for _, each in drawn]

    def lines(value: Callable[[Used], float | None]) -> list[list[float | None]]:
        return [[value(used) for used in each] for each in groups]

    return [
        Plot("Spend", "$", names, lines(lambda used: used.cost / NANOS_PER_DOLLAR)),
        Plot("Tokens", "tokens", names, lines(tokens_of)),
        Plot("Time to first token, mean", "ms", names, lines(first_token)),
        Plot("Failed", "%", names, lines(lambda used: 100 * used.in_vain / used.requests if used.requests else None)),
    ]


def first_token(used: Used) -> float | None:
    """Return the mean time to the first token in milliseconds, None of none."""
    return used.first_token_ms / used.first_tokens if used.first_tokens else None


def total(each: Iterable[Used]) -> Used:
    """Add sums up."""
    whole = Used()
    for used in each:
        whole.merge(used)
    return whole


def choices(visit: Visit) -> tuple[str, str]:
    """Return by what is summed up, and over how many days."""
    by, days = visit.query.get("by", MODEL), visit.query.get("days", "7")
    return (by if by in GROUPINGS else MODEL), (days if days in DAYS else "7")


async def asked_series(visit: Visit, by: str, days: int, *, of: Mapping[str, str] = NO_QUERY) -> SeriesShown:
    """Return the sums of the last days, today among them: of all, or of one key or account."""
    return await visit.typed(asked_of("/usage/series", visit, by=by, days=days, of=of), SeriesShown)


def asked_of(path: str, visit: Visit, *, by: str, days: int, of: Mapping[str, str] = NO_QUERY) -> str:
    """Return what is asked of the admin API for sums over the last days."""
    today = int(visit.with_.now() * 1000) // DAY_MS * DAY_MS
    chosen = {name: visit.query.get(name) for name in ("key", "account")}
    return with_query(path, {"by": by, "start_ms": today - (days - 1) * DAY_MS, "end_ms": today + DAY_MS, **chosen, **of})
