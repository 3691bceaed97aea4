"""The console's pages as Jinja2 templates: every value is escaped, and an unknown name is an error. Looks nothing up."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from aisa import __version__
from aisa.console.figures import FILTERS, near, share

#: What every page knows.
KNOWN: Mapping[str, object] = {"version": __version__, "near": near, "share": share}


class Templates:
    """Renders templates by name. Each is compiled when it is first asked for."""

    def __init__(self) -> None:
        loader = PackageLoader("aisa.console")
        self._environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self._environment.filters.update(FILTERS)

    def __call__(self, name: str, values: Mapping[str, object]) -> str:
        """Return a page."""
        return self._environment.get_template(name).render({**KNOWN, **values})
