"""Gates on who may import whom. Imports point down; the table here is the architecture, and ARCHITECTURE.md explains it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from repository.source import AISA, TESTS, Import, Module, aisa_imports, faults_of, lines, snippet

#: Which layer a module is in: the first pattern that fits. Every module must fit one.
LAYERS: list[tuple[str, str]] = [
    ("aisa", "words"),
    ("aisa.errors", "words"),
    ("aisa.money", "words"),
    ("aisa.usage", "words"),
    ("aisa.ids", "words"),
    ("aisa.clock", "words"),
    ("aisa.names", "words"),
    ("aisa.redaction", "words"),
    ("aisa.callbacks", "words"),
    ("aisa.endless", "words"),
    ("aisa.ignored_signals", "words"),
    ("aisa.outages", "words"),
    ("aisa.timers", "words"),
    ("aisa.trace", "words"),
    ("aisa.durations", "words"),
    ("aisa.time_zones", "words"),
    ("aisa.facts", "words"),
    ("aisa.answer", "words"),
    ("aisa.vendors*", "words"),  # facts about vendors, which everything may read
    ("aisa.model_catalogue*", "words"),  # the same about models
    ("aisa.config.schema", "rules"),
    ("aisa.config.section", "rules"),
    ("aisa.config.limits", "rules"),
    ("aisa.config.ledger_settings", "rules"),
    ("aisa.config.route", "rules"),
    ("aisa.config.server_words", "rules"),
    ("aisa.config.name_words", "rules"),
    ("aisa.config.admin_settings", "rules"),
    ("aisa.config.vendor_words", "rules"),
    ("aisa.config.model_words", "rules"),
    ("aisa.config.price_words", "rules"),  # of the schema, which documents itself
    ("aisa.providers.port", "rules"),  # its types are what a dialect writes and a reply is written to: the rules stand on both
    ("aisa.wire.port", "rules"),
    ("aisa.*.port", "ports"),
    ("aisa.*.rules", "rules"),
    ("aisa.wire", "rules"),
    ("aisa.wire.*", "rules"),
    ("aisa.providers", "rules"),
    ("aisa.providers.*", "rules"),
    ("aisa.call", "rules"),
    ("aisa.routing", "rules"),
    ("aisa.known_models", "rules"),
    ("aisa.vendor_targets", "rules"),
    ("aisa.shutdowns", "relay"),
    ("aisa.litellm*", "rules"),  # translates another gateway's data
    ("aisa.model_lists", "root"),
    ("aisa.model_limits", "rules"),
    ("aisa.health", "rules"),
    ("aisa.resets", "rules"),
    ("aisa.offer", "rules"),
    ("aisa.fitness", "rules"),
    ("aisa.other_models", "rules"),
    ("aisa.priced_offers", "rules"),
    ("aisa.beside", "rules"),
    ("aisa.ranking", "rules"),
    ("aisa.traffic", "rules"),
    ("aisa.tries", "rules"),
    ("aisa.pricing", "rules"),
    ("aisa.prices.lacking", "rules"),
    ("aisa.prices.dear_input", "rules"),
    ("aisa.prices.geographies", "rules"),
    ("aisa.ledger.row", "rules"),
    ("aisa.ledger.refusal", "rules"),
    ("aisa.ledger.pieces", "rules"),
    ("aisa.ledger.port_*", "ports"),
    ("aisa.config.responses", "rules"),
    ("aisa.config.stores", "rules"),
    ("aisa.config.identity", "rules"),
    ("aisa.config.telemetry", "rules"),
    ("aisa.timeouts", "relay"),
    ("aisa.permit", "relay"),
    ("aisa.delivery", "relay"),
    ("aisa.background_reads", "relay"),
    ("aisa.long_counts", "relay"),
    ("aisa.notices", "relay"),
    ("aisa.document", "relay"),
    ("aisa.large_events", "relay"),
    ("aisa.context", "relay"),
    ("aisa.continuing", "relay"),
    ("aisa.endings", "relay"),
    ("aisa.falling_back", "relay"),
    ("aisa.relay", "relay"),
    ("aisa.storage", "storage"),
    ("aisa.storage.*", "storage"),
    ("aisa.http", "http"),
    ("aisa.http.*", "http"),
    ("aisa.edge", "edge"),
    ("aisa.edge.*", "edge"),
    ("aisa.console*", "console"),
    ("aisa.testing", "testing"),
    ("aisa.testing.*", "testing"),
    ("aisa.checks*", "checks"),
    ("aisa.serve", "root"),
    ("aisa.bodies", "root"),
    ("aisa.composition", "root"),
    ("aisa.accounting", "root"),
    ("aisa.shared_uses", "root"),
    ("aisa.administration", "root"),
    ("aisa.operators", "root"),
    ("aisa.states", "root"),
    ("aisa.standing", "root"),
    ("aisa.overruns", "root"),
    ("aisa.reload", "root"),
    ("aisa.stopping", "root"),
    ("aisa.folder_watch", "root"),
    ("aisa.process", "root"),
    ("aisa.workers*", "root"),
    ("aisa.vendor_pool", "root"),
    ("aisa.cli", "root"),
    ("aisa.cli.*", "root"),
    ("aisa.__main__", "root"),
    ("aisa.tokenizers.on_demand", "root"),  # imports late, as a setting asks
    ("aisa.observe.on_demand", "root"),  # the same
    # what is left of these folders is a backend: it may use its own folder and what is below, never another capability
    ("aisa.admission*", "backend"),
    ("aisa.config*", "backend"),
    ("aisa.credentials*", "backend"),
    ("aisa.embedded*", "backend"),
    ("aisa.keys.terms", "rules"),
    ("aisa.keys*", "backend"),
    ("aisa.identity*", "backend"),
    ("aisa.ledger*", "backend"),
    ("aisa.observe*", "backend"),
    ("aisa.prices*", "backend"),
    ("aisa.tokenizers*", "backend"),
]

#: layer -> the layers it may import, besides modules of its own folder.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "words": frozenset({"words"}),
    "rules": frozenset({"words", "rules"}),
    "ports": frozenset({"words", "rules"}),
    "relay": frozenset({"words", "rules", "ports", "relay"}),
    "storage": frozenset({"words", "storage"}),
    "http": frozenset({"words", "rules", "ports", "http"}),
    "backend": frozenset({"words", "rules", "ports", "storage"}),
    "edge": frozenset({"words", "rules", "ports", "relay", "http", "edge"}),
    "console": frozenset({"words", "rules", "ports", "http", "edge", "console"}),
    "testing": frozenset({"words", "rules", "ports", "http", "testing"}),
    "checks": frozenset({"words", "testing", "checks"}),
    "root": frozenset({"words", "rules", "ports", "relay", "storage", "http", "backend", "edge", "console", "testing", "checks", "root"}),
}

#: (importer, imported) -> why this one edge goes where the table does not.
EDGES_ALLOWED: dict[tuple[str, str], str] = {}

#: Modules that nothing imports because something else starts or loads them.
ENTRY_POINTS: dict[str, str] = {
    "aisa": "the package; holds the version",
    "aisa.__main__": "python -m aisa",
    "aisa.workers.worker": "what a server starts for each of its workers",
    "aisa.storage.migrations.env": "Alembic loads it by path",
}

#: What pure code may not touch: waiting, the outside world, the clock, chance, and talking about itself.
IMPURE = frozenset(
    "aiohttp alembic asyncio http.client http.server httptools io logging multiprocessing os pathlib random secrets select selectors "
    "shutil signal socket socketserver sqlalchemy sqlite3 ssl subprocess sys tempfile threading time urllib.request uuid uvloop".split()
)
#: Only these read the clock or chance; all others are handed them.
CLOCKS_ALLOWED: dict[str, str] = {"aisa.clock": "it is what hands them out"}
CLOCKS = frozenset({"time", "random", "secrets", "uuid"})


#: What talks to the system below Python's own objects, and what opens connections. `http/` alone sends what clients and vendors get.
SYSTEM = frozenset({"ctypes", "cffi", "socket", "ssl"})
#: layer or module -> what of that it may use, and why.
SYSTEM_ALLOWED: dict[str, str] = {
    "http": "it is the only way to clients and vendors",
    "root": "it is handed listening sockets, and passes connections between its processes",
    "checks": "a client that breaks rules needs a bare socket",
    "testing": "its scripted vendor is a server",
    "aisa.storage.valkey": "the way to a store is none to clients and vendors",
}


def layer_of(name: str) -> str | None:
    """Return the layer of a module, or None when the table has forgotten it."""
    return next((layer for pattern, layer in LAYERS if fnmatchcase(name, pattern)), None)


def edge_faults(edges: list[Import]) -> list[str]:
    """Return the imports that the table forbids."""
    faults = []
    for edge in edges:
        source, target = layer_of(edge.importer), layer_of(edge.imported)
        same_folder = source == target and edge.importer.split(".")[1:2] == edge.imported.split(".")[1:2]
        allowed = same_folder or (source is not None and target in MAY_IMPORT[source])
        if not allowed and (edge.importer, edge.imported) not in EDGES_ALLOWED:
            faults.append(f"{edge.importer}:{edge.line} ({source}) imports {edge.imported} ({target})")
    return faults


def cycles(edges: list[Import]) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle."""
    after: dict[str, set[str]] = {}
    for edge in edges:
        after.setdefault(edge.importer, set()).add(edge.imported)
    reach = {name: reachable(name, after) for name in after}
    circles = {frozenset(other for other in reach[name] if name in reach.get(other, ())) for name in reach if name in reach[name]}
    return sorted(sorted(circle) for circle in circles)


def reachable(start: str, after: dict[str, set[str]]) -> set[str]:
    """Return every module that can be reached from one by one import or more."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in after.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def late_imports(module: Module) -> list[str]:
    """Return the imports inside functions, which only the root may have: there they keep the start fast."""
    if layer_of(module.name) == "root":
        return []
    return [f"{module.at(edge.line)} imports {edge.imported} inside a function" for edge in module.imports if edge.inside]


def star_imports(module: Module) -> list[str]:
    """Return the imports of everything."""
    return [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if edge.imported.endswith(".*")]


def impurities(module: Module) -> list[str]:
    """Return what makes a module of layer one depend on more than its arguments."""
    if layer_of(module.name) != "rules" or module.name.endswith(".port"):  # a port says `async` because who implements it waits
        return []
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    faults = [f"{module.at(node)} waits" for node in module.nodes(*waits)]
    faults += [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if is_one_of(edge.imported, IMPURE)]
    return faults + [f"{module.at(call)} opens a file" for name, call in module.calls if name == "open"]


def clock_readers(module: Module) -> list[str]:
    """Return where a module reads the clock or chance instead of being handed them."""
    if module.name in CLOCKS_ALLOWED:
        return []
    faults = [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if is_one_of(edge.imported, CLOCKS)]
    names = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today"}
    return faults + [f"{module.at(call)} calls {name}" for name, call in module.calls if name in names]


def system_callers(module: Module) -> list[str]:
    """Return where a module goes past the one folder that has sockets."""
    if module.name in SYSTEM_ALLOWED:
        return []
    known = SYSTEM - {"ctypes", "cffi"} if layer_of(module.name) in SYSTEM_ALLOWED else frozenset[str]()
    return [f"{module.at(edge.line)} imports {edge.imported}" for edge in module.imports if is_one_of(edge.imported, SYSTEM - known)]


def is_one_of(imported: str, names: frozenset[str]) -> bool:
    """Say whether a dotted import is of one of these modules or of something inside it."""
    return any(imported == name or imported.startswith(f"{name}.") for name in names)


def dead_modules(modules: list[Module], edges: list[Import]) -> list[str]:
    """Return the modules that no other module needs. A package lives as long as something inside it does."""
    needed = {edge.imported for edge in edges if edge.imported != edge.importer}
    needed |= {name.rpartition(".")[0] for name in needed | set(ENTRY_POINTS)}
    return [module.path for module in modules if module.name not in needed and module.name not in ENTRY_POINTS]


EDGES = aisa_imports(AISA)


def test_every_module_has_a_layer() -> None:
    """A new module is put into the table before it is imported."""
    assert [module.name for module in AISA if layer_of(module.name) is None] == []


def test_imports_point_down() -> None:
    """What is below can be read, tested and replaced without what is above."""
    faults = edge_faults(EDGES)
    assert not faults, lines(faults)


def test_no_two_modules_import_each_other_in_any_way() -> None:
    """Modules can be put in one order and read in it; imports for typing only and inside functions count too."""
    assert cycles(EDGES) == []


def test_imports_stand_at_the_top_except_in_the_root() -> None:
    """What a module needs is seen in its first lines."""
    faults = faults_of(late_imports, AISA)
    assert not faults, lines(faults)


def test_nothing_is_imported_by_a_star() -> None:
    """Every name in a module can be traced to where it comes from."""
    faults = faults_of(star_imports, AISA + TESTS)
    assert not faults, lines(faults)


def test_rules_depend_on_nothing_but_their_arguments() -> None:
    """[fault A5] The protocol, the dialects and the rules give the same answer on any day, in any loop, on any machine, as they say."""
    faults = faults_of(impurities, AISA)
    assert not faults, lines(faults)


def test_only_the_clock_module_reads_the_clock_or_chance() -> None:
    """Every other module is handed both, so a test can choose them."""
    faults = faults_of(clock_readers, AISA)
    assert not faults, lines(faults)


def test_only_the_http_folder_has_sockets_and_nothing_calls_the_system_past_python() -> None:
    """[fault A3] The bytes of an answer leave in one place, and the ledger writes down what that place says."""
    faults = faults_of(system_callers, AISA)
    assert not faults, lines(faults)


def test_every_module_is_needed_by_another() -> None:
    """A file that nothing imports is deleted, unless something outside starts it; what we ship for tests is used by ours."""
    faults = dead_modules(AISA, EDGES + imports_of_tests())
    assert not faults, lines(faults)


def imports_of_tests() -> list[Import]:
    """Return what our tests import of what we ship for testing; that a test alone imports other code does not keep that alive."""
    edges = [edge for module in TESTS for edge in module.imports if edge.imported.startswith("aisa.testing")]
    return edges + [edge._replace(imported=edge.imported.rpartition(".")[0]) for edge in edges]


def test_every_exception_to_the_import_rules_is_still_needed() -> None:
    """An exception ends with the code that it was made for."""
    assert set(EDGES_ALLOWED) <= {(edge.importer, edge.imported) for edge in EDGES}
    assert set(CLOCKS_ALLOWED) <= {module.name for module in AISA}


def test_the_table_of_layers_has_no_circle() -> None:
    """Layers that may import each other would be one layer."""
    assert cycles([Import(layer, lower, 0, inside=False) for layer, below in MAY_IMPORT.items() for lower in below if lower != layer]) == []


def edge(importer: str, imported: str) -> list[Import]:
    """Make one import for a counter-example."""
    return [Import(importer, imported, 1, inside=False)]


@pytest.mark.parametrize(
    "edges",
    [
        edge("aisa.errors", "aisa.wire.sse"),
        edge("aisa.wire.sse", "aisa.relay"),
        edge("aisa.keys.port", "aisa.keys.store"),
        edge("aisa.relay", "aisa.http.server"),
        edge("aisa.keys.store", "aisa.observe.log"),
        edge("aisa.http.server", "aisa.edge.chat"),
        edge("aisa.edge.chat", "aisa.serve"),
    ],
)
def test_the_gate_on_direction_sees_an_import_that_points_up_or_aside(edges: list[Import]) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert edge_faults(edges) != []


def test_the_gate_on_cycles_sees_a_long_one() -> None:
    """Three modules in a circle are found, and one that only leads into it is not blamed."""
    ring = edge("a", "b") + edge("b", "c") + edge("c", "a") + edge("d", "a")
    assert cycles(ring) == [["a", "b", "c"]]


def test_the_gate_on_dead_modules_sees_one_that_only_imports() -> None:
    """A module that imports others but is imported by none is dead."""
    assert dead_modules([snippet("import aisa.errors", "aisa.alone")], edge("aisa.alone", "aisa.errors")) == ["src/aisa/alone.py"]


BAD = [
    (late_imports, snippet("def f():\n    import json\n", "aisa.relay")),
    (star_imports, snippet("from aisa.errors import *")),
    (impurities, snippet("async def f(): ...", "aisa.wire.sse")),
    (impurities, snippet("import asyncio.streams", "aisa.providers.openai")),
    (impurities, snippet("from time import time", "aisa.keys.rules")),
    (impurities, snippet("def f():\n    return open('x')\n", "aisa.routing")),
    (clock_readers, snippet("from datetime import datetime\nx = datetime.now()\n", "aisa.edge.chat")),
    (clock_readers, snippet("from random import random\n", "aisa.http.server")),
    (system_callers, snippet("import ctypes\n", "aisa.http.reply")),
    (system_callers, snippet("from socket import socket\n", "aisa.ledger.charge")),
]


@pytest.mark.parametrize(("check", "module"), BAD)
def test_each_gate_on_imports_sees_what_it_forbids(check: Callable[[Module], list[str]], module: Module) -> None:
    """A gate that lets its own counter-example pass guards nothing."""
    assert check(module) != []
