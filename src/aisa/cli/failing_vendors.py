"""Which vendors fail with all of their models, as the server says that runs. Asks no vendor."""

from __future__ import annotations

from aisa.cli.control import ask_server
from aisa.edge.admin_views import VendorList


def failing_at(data_dir: str) -> dict[str, str]:
    """Return the vendors that fail as a whole at the server of a data folder, if one runs, and how. Raises Stop if it does not answer."""
    found = ask_server(data_dir, "/vendors", expect=VendorList)
    shown = [] if found is None else found.data
    return {vendor.name: trouble.said for vendor in shown for trouble in vendor.troubles if trouble.said}
