"""What is known of the vendors' models, asked for once for all workers: the office follows their lists and tells what they say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from aisa.clock import wall_clock
from aisa.config.schema import Config
from aisa.edge.admin_views import NOT_REACHED, VendorShown
from aisa.facts import Fact
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.known_models import Known
from aisa.model_lists import ModelLists
from aisa.routing import Routes
from aisa.timers import Timers
from aisa.vendor_pool import open_pool
from aisa.workers.crew import Crew
from aisa.workers.messages import ModelsKnown


class Listing:
    """The vendors' lists for all workers, and the routes as they know them."""

    def __init__(self, config: Config, crew: Crew, report: Callable[[Fact], None], *, routes_of: Callable[..., Routes]) -> None:
        """Begin with what the data folder has. `routes_of` makes a configuration's routes; it raises ConfigErrors."""
        self._crew = crew
        self._open = partial(open_pool, names=Names(), timers=Timers(), report=report, environment=os.environ)
        self._pools: dict[str, HttpUpstream] = {}
        self._routes_of = routes_of
        self.lists = ModelLists(Path(config.server.data_dir), wall_clock, report)
        self.routes = self.made_of(config)
        self._tell(self.lists.known(config))

    def made_of(self, config: Config) -> Routes:
        """Return a configuration's routes. Raises ConfigErrors."""
        return self._routes_of(config, known=self.lists.known(config))

    async def follow(self, config: Config, routes: Routes) -> None:
        """Ask this configuration's vendors from now on."""
        self.lists.stop()
        gone, self._pools = self._pools, {name: self._open(name, vendor) for name, vendor in config.vendors.items()}
        self.routes = routes
        self.lists.follow(config, self._pools, self._learned)
        for pool in gone.values():
            await pool.close()

    def heard(self, shown: VendorShown) -> VendorShown:
        """Return how a vendor is: one of which no worker has heard may have been asked for its list."""
        pool = self._pools.get(shown.name)
        if not shown.unheard or pool is None:
            return shown
        return replace(shown, unheard="" if pool.was_reached else NOT_REACHED if self.lists.went_unheard(shown.name) else shown.unheard)

    async def stop(self) -> None:
        """Ask nobody any more."""
        self.lists.stop()
        for pool in self._pools.values():
            await pool.close()

    async def _learned(self, known: Known) -> None:
        self._tell(known)
        self.routes = await asyncio.to_thread(self.routes.knowing, known)

    def _tell(self, known: Known) -> None:
        self._crew.models = ModelsKnown(dict(known.lists), sorted(known.awaited))
        self._crew.send(self._crew.models)
