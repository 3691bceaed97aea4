"""What is wrong with settings on which names may be called, and on where administration, metrics and stores are. Changes none."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from aisa.config.admin_settings import listening
from aisa.config.checks import SHOWN_CHARACTERS_MAX, Flaw
from aisa.config.schema import Config
from aisa.config.stores import address_of


def check_names(config: Config, vendor_names: Collection[str]) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with which names callers may use. `vendor_names` also holds vendors whose entry is broken."""
    if config.models_only and not config.models:
        yield ("models_only",), Flaw("Nothing could be called: there is no model under `models`.", "List the models, or remove it.")
    for position, name in enumerate(config.models_prefer):
        if name not in vendor_names:
            near = difflib.get_close_matches(name, vendor_names, 1)
            remedy = f"Did you mean `{near[0]}`?" if near else f"Known vendors: {', '.join(sorted(vendor_names)) or 'none'}."
            yield ("models_prefer", str(position)), Flaw(f"There is no vendor `{name[:SHOWN_CHARACTERS_MAX]}`.", remedy)


def check_listen(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the addresses of administration and metrics."""
    for section, text in (("admin", config.admin.listen), ("metrics", config.metrics.listen)):
        try:
            if text is not None:
                listening(text)
        except ValueError as error:
            yield (section, "listen"), Flaw(f"It cannot be listened on: {error}.", "Write for example 127.0.0.1:9000, or [::1]:9000.")
    if config.admin.listen is not None and config.admin.listen == config.metrics.listen:
        yield ("metrics", "listen"), Flaw("The admin API is at that address.", "Choose another port.")


def check_stores(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the addresses of stores."""
    try:
        if config.stores.limits is not None:
            address_of(config.stores.limits)
    except ValueError as error:
        yield ("stores", "limits"), Flaw(f"It is no address of a store: {error}.", "Write for example redis://127.0.0.1:6379/0.")
