"""What is known of one vendor: where it is, what it speaks, what proves a request, what it refuses, how it counts. Facts, with sources.

Says nothing of its models, and asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

NOT_STATED: Literal["not stated"] = "not stated"

VARIABLE = re.compile(r"\{([A-Z][A-Z0-9_|]*)\}")  # of the environment, in an address; of `{A|B}` the first that is set
VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*(?:/|$)")


class Sign(NamedTuple):
    """How a server on this machine is told from others at its usual port: what this address answers."""

    port: int
    path: str
    answer: str  # a regular expression that is looked for in the body
    may_be_ours: bool = False  # the port is ours by default, too: who is there is asked without a key whether it is one of us


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor. `name` is what it is called here when it is found; all texts are for people.

    The first of `key_variables` that is set has its key. `base_url` may hold `{VARIABLE}`, or `{ONE|OTHER}`; `base_url_variable` names one
    that replaces all of it, to which `version` is added where it has none, as the vendor's own clients add it. `variants` are further
    addresses, by the value of the first variable in `base_url`, empty where it is unset. `elsewhere` are those of other regions, where
    other keys are good.

    `proved_by` says what proves requests: a `key`, or what is fetched or made with a cloud's credentials. Where `named_only` is true its
    variables are set for other things as well, so that they alone are no wish to send prompts there: the configuration has to name it.

    `refuses` are parameters of a request that are answered with an error whatever the model, `ignores` those without any effect.
    `catalogue` is its name in the price catalogue, where that may be believed of a vendor at a private address. `at` is a pattern of its
    hosts, where it has others than that of `base_url`; a server that runs anywhere is told by a `word` in its name or host.
    """

    name: str
    title: str
    base_url: str
    dialect: str = "openai"
    key_variables: tuple[str, ...] = ()
    base_url_variable: str = ""
    version: str = ""
    variants: Mapping[str, str] = {}
    elsewhere: tuple[str, ...] = ()
    key_as: str = ""  # as `vendors.<name>.api_key_as`; nothing: as usual in its dialect
    proved_by: Literal["key", "google", "azure", "aws"] = "key"
    other_proof: tuple[str, ...] = ()  # variables that together do what a key does
    named_only: bool = False
    sign: Sign | None = None
    at: str = ""
    word: str = ""
    catalogue: str = ""
    refuses: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    developer: bool = False  # it knows the role `developer`, by its documentation; else that is sent as `system`
    thinking_back: bool = False  # it refuses calls in the history that have no `reasoning_content` beside them, if only an empty one
    tools_only: bool = False  # it has no `functions`, by its documentation or types: they are given as tools there, and called as such
    pages_if_asked: bool = False  # that it has searched shows only where its tool `web_search` has `search_result: true`
    running_usage: bool = False  # it says with each chunk how many tokens it has made, when it is asked to
    top: bool = False  # it takes calls at the top of its host, too
    lists: bool = True  # it lists the models that may be called, below its address
    file_addresses: bool = False  # it reads files at their addresses, given as `file_data`, in chat completions
    completions: bool = False  # it goes on from a text as it is, at `/completions`
    counts: str = NOT_STATED  # where its usage report comes
    cancel: Literal["stops", "bills on", "not stated"] = NOT_STATED  # what a stream that is given up costs from then on
    retired: str = ""  # the day on which it was shut down
    sources: tuple[str, ...]
    seen: str = "2026-11-28"  # the day on which the sources were read

    def is_at(self, host: str) -> bool:
        """Tell whether a host, in small letters, is the vendor's own."""
        if self.at:
            return re.fullmatch(self.at, host) is not None
        return self.sign is None and host == self.base_url.partition("://")[2].partition("/")[0]

    def below_top(self, base_url: str) -> str:
        """Return where its API is, for an address of it that ends at the top of its host though nothing is there; else nothing."""
        scheme, _, rest = base_url.partition("://")
        host, _, path = rest.partition("/")
        usual = self.base_url.rpartition("://")[2].partition("/")[2]
        return (
            f"{scheme}://{host}/{usual}" if usual and not (path or self.top or VARIABLE.search(usual)) and self.is_at(host.lower()) else ""
        )

    def key_variable(self, environment: Mapping[str, str]) -> str:
        """Return the variable that has its key, nothing if none is set."""
        return first_set(self.key_variables, environment)

    def address(self, environment: Mapping[str, str]) -> Address:
        """Return where it is, as the environment says."""
        own = environment.get(self.base_url_variable, "").strip() if self.base_url_variable else ""
        if own:
            return Address(versioned(own, self.version), (self.base_url_variable,), ())
        places = list(dict.fromkeys(VARIABLE.findall(self.base_url)))
        given = {place: first_set(place.split("|"), environment) for place in places}
        values = {place: environment.get(name, "").strip().rstrip("/") for place, name in given.items()}
        template = self.variants.get(values[places[0]], self.base_url) if places else self.base_url
        missing = dict.fromkeys(place.replace("|", " or ") for place in VARIABLE.findall(template) if not values[place])
        return Address(VARIABLE.sub(lambda found: values[found[1]], template), tuple(filter(None, given.values())), tuple(missing))


def first_set(names: Iterable[str], environment: Mapping[str, str]) -> str:
    """Return the first of these variables that has a value, nothing if none has."""
    return next((name for name in names if environment.get(name, "").strip()), "")


class Address(NamedTuple):
    """An address, the variables that it was made from, and those that it lacks, each with what would do instead: `A or B`."""

    base_url: str
    given: tuple[str, ...]
    missing: tuple[str, ...]


def versioned(base_url: str, version: str) -> str:
    """Return a base URL that ends in a version, in the one that it has or else in this."""
    bare = base_url.rstrip("/")
    return base_url if not version or VERSION.search(bare) else f"{bare}/{version}"
