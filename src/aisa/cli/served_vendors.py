"""How the vendors of a running server are, as it says, and which of them this shell's environment does not show. Asks no vendor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from aisa.cli.control import ask_server
from aisa.cli.problems import Problem, Stop
from aisa.config.detect import lacking
from aisa.edge.admin_views import VendorList
from aisa.vendors.table import ROWS


def served_at(data_dir: str) -> dict[str, str]:
    """Return the vendors of the server of a data folder, if one runs, and how one fails as a whole. Raises Stop if it does not answer."""
    found = ask_server(data_dir, "/vendors", expect=VendorList)
    shown = [] if found is None else found.data
    return {vendor.name: next((trouble.said for trouble in vendor.troubles if trouble.said), "") for vendor in shown}


def unseen(served: Collection[str], here: Collection[str], environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the vendors known by name that a running server has and that were not found here: its environment is not this shell's."""
    for name in served:
        if name in ROWS and name not in here:
            missing = " and ".join(lacking(ROWS[name], environment, named=False))
            why = f": it was started with {missing}, which this shell has not" if missing else ""
            remedy = f"Set {missing} here as it is there" if missing else "Have it answer"
            yield (
                f"vendors.{name}",
                f"The server that runs has it{why}. So it is not shown here, and cannot be asked.",
                f"{remedy}, or ask the server how it is: aisa status.",
            )


def unseen_at(data_dir: str, here: Collection[str], environment: Mapping[str, str]) -> list[Problem]:
    """Return those of the server of a data folder; none where none runs, or it does not answer."""
    try:
        return list(unseen(served_at(data_dir), here, environment))
    except Stop:
        return []
