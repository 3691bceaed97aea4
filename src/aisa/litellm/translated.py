"""A configuration of LiteLLM's proxy as one of this server: what has the same meaning here, and a list of what has none. Reads no file.

Nothing is guessed: an entry whose vendor cannot be told, and a setting that means something else here, is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, cast

from aisa.litellm.priced import PRICES, listed_as, number_of, prices_in
from aisa.litellm.providers import ANY_SERVER, FOUNDRY, PRESETS, Deployment, Tree, deployment_of, vendor_of
from aisa.litellm.remedies import GENERAL, INFORMED, NO_CHOICE, PARAMETERS, ROUTING, USAGE
from aisa.litellm.variables import with_variables
from aisa.vendors.table import ROWS
from aisa.wire.trees import as_list, is_list, is_tree, trees_in

#: How LiteLLM chooses among deployments -> how a model's route does.
STRATEGIES = {
    "simple-shuffle": None,
    "least-busy": "load",
    "latency-based-routing": "latency",
    "cost-based-routing": "cost",
    "usage-based-routing": "load",
    "usage-based-routing-v2": "load",
}
CHAT_MODES = (None, "chat", "completion", "responses", "embedding", "rerank")
SECONDS_MAX = 86_400.0
WEIGHT_MAX = 1_000_000
EVERY = "*"  # whose fall-backs are everybody's who has no own
ADDED = ("prices", "price_as", "allow_unpriced")  # to a vendor, by the entries of its models


class Note(NamedTuple):
    """What was not carried over, and what to do about it."""

    where: str
    what: str


class Translation(NamedTuple):
    """The configuration as YAML has it, and what is missing in it."""

    config: dict[str, object]
    notes: list[Note]


def translated(tree: Tree, environment: Mapping[str, str] = MappingProxyType({})) -> Translation:
    """Translate a whole configuration. What it leaves to variables that no configuration here can refer to is read of these."""
    own = {str(name): str(value) for name, value in tree_in(tree, "environment_variables").items()}
    return _Translator(tree, {**environment, **own}).whole()


def tree_in(tree: Tree, name: str) -> Tree:
    """Return a mapping within another, an empty one where there is none."""
    value = tree.get(name)
    return value if is_tree(value) else {}


def list_in(tree: Tree, name: str) -> list[Tree]:
    """Return the mappings of a list within a mapping."""
    return list(trees_in(tree.get(name)))


class _Translator:
    def __init__(self, tree: Tree, environment: Mapping[str, str]) -> None:
        self._tree, self._environment = tree, environment
        self._settings, self._router = tree_in(tree, "litellm_settings"), tree_in(tree, "router_settings")
        self._vendors: dict[str, dict[str, object]] = {}
        self._models: dict[str, dict[str, object]] = {}
        self._own: dict[str, int] = {}  # how many targets a model has besides its fall-backs
        self._notes: list[Note] = []

    def whole(self) -> Translation:
        entries = enumerate(as_list(self._tree.get("model_list")))
        for position, entry in sorted(entries, key=lambda pair: not prefix_of(pair[1])):  # whom callers name has the first choice of names
            where = f"model_list.{position}"
            if not is_tree(entry):
                self._notes.append(Note(where, "It is no mapping, as an entry with a `model_name` and `litellm_params` is."))
                continue
            for one in for_each_organization(entry):
                self._entry(one, where)
        self._choice()
        self._fall_backs()
        self._everywhere()
        self._notes.extend(self._left())
        for name, vendor in self._vendors.items():
            if vendor.get("preset") == name and "base_url" not in vendor:
                del vendor["preset"]  # its name says it
        config: dict[str, object] = {}
        if self._vendors:
            config["vendors"] = self._vendors
        if self._models:
            config["models"] = self._models
        return Translation(config, self._notes)

    def _entry(self, entry: Tree, where: str) -> None:
        params, told = with_variables(self._with_credential(tree_in(entry, "litellm_params"), where), self._environment)
        self._notes += [Note(f"{where}.litellm_params.{member}", said) for member, said in sorted(told.items())]
        if "model" in told and "model" not in params:
            return
        info, name = tree_in(entry, "model_info"), str(entry.get("model_name") or "")
        place = deployment_of(params)
        if info.get("mode") not in CHAT_MODES:
            self._notes.append(Note(where, f"`{name}` is of the mode `{info.get('mode')}`, which is not served here."))
            return
        if not name:
            self._notes.append(Note(where, "It has no `model_name`, by which clients could call it."))
            return
        if not place.model or (place.provider not in PRESETS and place.provider not in ANY_SERVER):
            self._notes.append(
                Note(where, f"The vendor of `{params.get('model')}` is none that is known here. Write a vendor and a target for `{name}`.")
            )
            return
        if place.provider in ANY_SERVER and not (params.get("api_base") or params.get("base_url")):
            self._notes.append(Note(where, f"`{name}` has no `api_base`, and its provider no address of its own."))
            return
        if PRESETS.get(place.provider) == "vertex" and not place.model.startswith(("gemini", "*")):
            said = f"Of Vertex AI's models only Gemini's are asked here, and `{place.model}` of `{name}` is none."
            self._notes.append(Note(where, f"{said} Write a vendor and a target for it."))
            return
        settings, carried = vendor_of(place, params)
        if "*" in name or "*" in place.model:
            self._wildcard(name, place, settings, where=where)
            return
        vendor = self._vendor(place, settings)
        target: dict[str, object] = {"target": f"{vendor}/{place.model}"}
        self._described(vendor, place, target, params=params, info=info)
        model = self._models.setdefault(name, {"to": []})
        cast("list[object]", model["to"]).append(target)
        self._limits(model, params, info)
        known = {
            *carried,
            *PRICES,
            "weight",
            "rpm",
            "tpm",
            "timeout",
            "stream_timeout",
            "drop_params",
            "litellm_credential_name",
            "order",
        }
        for left in sorted(str(key) for key in params if key not in known and params[key] is not None):
            remedy = PARAMETERS.get(left, f"It has no counterpart for a target of `{name}`.")
            self._notes.append(Note(f"{where}.litellm_params.{left}", remedy))
        for left in sorted(str(key) for key in info if key in INFORMED or (str(key) not in PRICES and "cost_per" in str(key))):
            self._notes.append(Note(f"{where}.model_info.{left}", INFORMED.get(left, "There is no such price here: see docs/billing.md.")))
        for limit in ("rpm", "tpm"):
            if params.get(limit) is not None and params.get("weight") is None:
                said = f"Where `{name}` has several targets it is their weight. As a limit of the vendor's, write it under limits.vendors."
                self._notes.append(Note(f"{where}.litellm_params.{limit}", said))
                break

    def _with_credential(self, params: Tree, where: str) -> Tree:
        name = params.get("litellm_credential_name")
        if name is None:
            return params
        for credential in list_in(self._tree, "credential_list"):
            if credential.get("credential_name") == name:
                return {**tree_in(credential, "credential_values"), **params}
        self._notes.append(Note(where, f"The credential `{name}` is not in `credential_list`."))
        return params

    def _vendor(self, place: Deployment, settings: dict[str, object], wanted: str = "") -> str:
        """Return the name of the vendor with these settings, which may be there already: if it has the name that is wanted."""
        for name, known in self._vendors.items():
            if name == (wanted or name) and {key: value for key, value in known.items() if key not in ADDED} == settings:
                return name
        base = wanted or PRESETS.get(place.provider, place.provider.replace("_", "-"))
        name, number = base, 1
        while name in self._vendors:
            number += 1
            name = f"{base}-{number}"
        self._vendors[name] = settings
        return name

    def _wildcard(self, name: str, place: Deployment, settings: dict[str, object], *, where: str) -> None:
        prefix = prefix_of({"model_name": name})
        if place.model != "*" or name not in ("*", f"{prefix}/*"):
            self._notes.append(
                Note(where, f"`{name}` is a pattern; here a vendor's models are called `vendor/model`, or by their bare names.")
            )
            return
        vendor = self._vendor(place, settings, prefix)
        if prefix and vendor != prefix:
            self._notes.append(Note(where, f"Its vendor is `{vendor}` here, as `{prefix}` is another: callers of `{name}` reach that one."))
        if name == "*":
            self._notes.append(
                Note(
                    where,
                    f"All of the vendor's models can be called: as `{vendor}/MODEL`, or by bare names that no other vendor has.",
                )
            )

    def _described(self, vendor: str, place: Deployment, target: dict[str, object], *, params: Tree, info: Tree) -> None:
        prices = prices_in(params, info)
        if prices and not {"input", "output"} <= prices.keys():
            what = f"`{place.model}` has prices of {', '.join(prices)} alone, and they need input and output: set `prices.{place.model}`."
            self._notes.append(Note(f"vendors.{vendor}", what))
        elif prices:
            listed = cast("dict[str, object]", self._vendors[vendor].setdefault("prices", {}))
            if listed.setdefault(place.model, prices) != prices:
                what = f"`{place.model}` has several prices, of which the first is carried over: set `prices` of the models themselves."
                self._notes.append(Note(f"vendors.{vendor}.prices", what))
        base = info.get("base_model")
        if isinstance(base, str) and base and not prices:
            if alias := listed_as(base, place.provider):
                cast("dict[str, object]", self._vendors[vendor].setdefault("price_as", {}))[place.model] = alias
            else:
                what = f"Whose model `{base}` is, by whose price `{place.model}` goes, is not known here: set `price_as.{place.model}`."
                self._notes.append(Note(f"vendors.{vendor}", what))
        elif place.provider in ("azure", FOUNDRY) and not prices:
            what = f"The deployment `{place.model}` has no price: set `price_as.{place.model}` there, such as openai/gpt-4o."
            self._notes.append(Note(f"vendors.{vendor}", what))
        row = ROWS.get(PRESETS.get(place.provider, ""))
        if row is not None and row.sign is not None:
            self._vendors[vendor].setdefault("allow_unpriced", True)  # as there: a server of one's own costs nothing unless it is said
        if (window := number_of(info.get("max_input_tokens"))) is not None and window >= 1:
            target["context_window"] = int(window)
        weight = number_of(params.get("weight", params.get("rpm", params.get("tpm"))))
        if weight is not None and weight >= 1:
            target["weight"] = min(int(weight), WEIGHT_MAX)
        if isinstance(order := params.get("order"), int):
            target["order"] = order  # until all targets of the model are there

    def _limits(self, model: dict[str, object], params: Tree, info: Tree) -> None:
        if (most := number_of(info.get("max_output_tokens"))) is not None and most >= 1:
            model["max_output_tokens"] = max(int(most), cast("int", model.get("max_output_tokens", 0)))
        for theirs, ours in (("stream_timeout", "idle_timeout_seconds"), ("timeout", "answer_timeout_seconds")):
            seconds = number_of(params.get(theirs))
            if seconds is not None and 0 < seconds <= SECONDS_MAX:
                model[ours] = seconds
        if params.get("drop_params") is True:
            model["unsupported"] = "drop"

    def _choice(self) -> None:
        strategy = self._router.get("routing_strategy")
        if strategy is not None and str(strategy) not in STRATEGIES:
            self._notes.append(
                Note("router_settings.routing_strategy", f"`{strategy}` has no counterpart; targets share the calls by weight.")
            )
        by = STRATEGIES.get(str(strategy or "simple-shuffle"))
        retries = self._router.get("num_retries", self._settings.get("num_retries"))
        for name, model in self._models.items():
            targets = cast("list[dict[str, object]]", model["to"])
            self._own[name] = len(targets)
            first = in_their_order(targets)
            route: dict[str, object] = {"by": by} if by and first == len(targets) > 1 else {}
            if isinstance(retries, int) and not isinstance(retries, bool) and 0 < retries <= 10:
                route["retries"] = retries
            if route:
                self._models[name]["route"] = route
        usage, chosen = str(strategy).startswith("usage-based"), any("by" in tree_in(model, "route") for model in self._models.values())
        if by and (usage or not chosen):
            self._notes.append(Note("router_settings.routing_strategy", f"`{strategy}`: {USAGE if chosen else NO_CHOICE}"))

    def _fall_backs(self) -> None:
        for place in (self._settings, self._router):
            where = "litellm_settings" if place is self._settings else "router_settings"
            pairs = [(str(name), others) for pair in list_in(place, "fallbacks") for name, others in pair.items()]
            for name, others in pairs:
                if name != EVERY:
                    self._fall_back(name, others, f"{where}.fallbacks")
            everybodys = [(f"{where}.fallbacks", others) for name, others in pairs if name == EVERY]
            everybodys += [(f"{where}.default_fallbacks", place["default_fallbacks"])] if place.get("default_fallbacks") else []
            for said, others in everybodys:
                own = {name for name, _ in pairs} | {str(other) for other in (others if is_list(others) else [others])}
                for name in [name for name in self._models if name not in own]:
                    self._fall_back(name, others, said)
            for kind in ("context_window_fallbacks", "content_policy_fallbacks"):
                if place.get(kind):
                    what = "A prompt that is too long goes to the next target of the model that holds it: add larger targets to its `to`."
                    refused = "Refused content is never sent to another vendor."
                    self._notes.append(Note(f"{where}.{kind}", what if kind.startswith("context") else refused))
        for alias, group in tree_in(self._router, "model_group_alias").items():
            meant = str(group.get("model")) if is_tree(group) else str(group)
            if meant in self._models and alias not in self._models:
                cast("list[object]", self._models[meant].setdefault("aliases", [])).append(str(alias))
            else:
                self._notes.append(Note(f"router_settings.model_group_alias.{alias}", f"The model `{meant}` is not carried over."))

    def _fall_back(self, name: str, others: object, where: str) -> None:
        if name not in self._models:
            self._notes.append(Note(where, f"The model `{name}` is not carried over, so it has no fall-backs."))
            return
        targets = cast("list[object]", self._models[name]["to"])
        for other in others if is_list(others) else [others]:
            known = self._models.get(str(other))
            if known is None:
                self._notes.append(Note(where, f"`{other}`, a fall-back of `{name}`, is not carried over."))
                continue
            own = cast("list[dict[str, object]]", known["to"])
            there = [target["target"] if is_tree(target) else target for target in targets]
            targets += [each for target in own[: self._own[str(other)]] if (each := str(target["target"])) not in there]
            route = cast("dict[str, object]", self._models[name].get("route", {}))
            if route.pop("by", None) is not None:
                self._notes.append(
                    Note(where, f"`{name}` has fall-backs, so its targets share the calls by weight: they would not come last otherwise.")
                )

    def _everywhere(self) -> None:
        seconds = number_of(self._router.get("timeout", self._settings.get("request_timeout")))
        silence = number_of(self._router.get("stream_timeout"))
        for model in self._models.values():
            if self._settings.get("drop_params") is True:
                model.setdefault("unsupported", "drop")
            if seconds is not None and 0 < seconds <= SECONDS_MAX:
                model.setdefault("answer_timeout_seconds", seconds)
            if silence is not None and 0 < silence <= SECONDS_MAX:
                model.setdefault("idle_timeout_seconds", silence)
            model["to"] = [_short(target) for target in cast("list[object]", model["to"])]
            if model.get("route") == {}:
                del model["route"]

    def _left(self) -> Iterator[Note]:
        """Yield what of the other sections has no counterpart."""
        known = {
            "litellm_settings": {
                "drop_params",
                "num_retries",
                "request_timeout",
                "fallbacks",
                "default_fallbacks",
                "context_window_fallbacks",
            },
            "router_settings": {
                "routing_strategy",
                "num_retries",
                "fallbacks",
                "default_fallbacks",
                "context_window_fallbacks",
                "model_group_alias",
                "timeout",
                "stream_timeout",
            },
        }
        for section, names in known.items():
            names |= {"content_policy_fallbacks"}
            for left in tree_in(self._tree, section):
                if left not in names:
                    yield Note(f"{section}.{left}", ROUTING.get(str(left), "It has no counterpart here."))
        for general in tree_in(self._tree, "general_settings"):
            yield Note(f"general_settings.{general}", GENERAL.get(str(general), "It has no counterpart here."))
        for name in tree_in(self._tree, "environment_variables"):
            yield Note(f"environment_variables.{name}", "The environment is the service's to set: export it where this server is started.")
        for section in self._tree:
            if section not in (
                "model_list",
                "litellm_settings",
                "router_settings",
                "general_settings",
                "environment_variables",
                "credential_list",
            ):
                included = "Other files are not read: import each of them, or put their lists into this one."
                yield Note(str(section), included if section == "include" else "It has no counterpart here.")


def prefix_of(entry: object) -> str:
    """Return the vendor that callers of a pattern name, as of `openai/*`; nothing of another entry."""
    before, slash, name = str(entry.get("model_name") or "").partition("/") if is_tree(entry) else ("", "", "")
    return before if slash and "*" in name and "*" not in before else ""


def for_each_organization(entry: Tree) -> list[Tree]:
    """Return an entry as often as it has organizations, once for each: as LiteLLM has it."""
    params = tree_in(entry, "litellm_params")
    several = params.get("organization")
    if not is_list(several):
        return [entry]
    return [{**entry, "litellm_params": {**params, "organization": one}} for one in several]


def in_their_order(targets: list[dict[str, object]]) -> int:
    """Put targets that have an order into it, and return how many share the calls; those of a later order are stand-bys."""
    last = max([cast("int", target.get("order", 0)) for target in targets], default=0)
    targets.sort(key=lambda target: cast("int", target.get("order", last)))
    orders = [target.pop("order", last) for target in targets]
    first = orders.count(orders[0]) if orders else 0
    for place, target in enumerate(targets):
        if first > 1 and place < first:
            target.setdefault("weight", 1)
        else:
            target.pop("weight", None)
    return first


def _short(target: object) -> object:
    """Write a target that says nothing but its name as that."""
    return target["target"] if is_tree(target) and set(target) == {"target"} else target
