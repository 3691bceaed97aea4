"""Variables of the environment that stand in an entry of LiteLLM's where a configuration here can have no reference: they are read once."""

from __future__ import annotations

from collections.abc import Mapping

from aisa.litellm.priced import PRICES
from aisa.litellm.providers import VARIABLE, Tree

#: Members of an entry that say what its place is, and how it is asked. None of them is a secret.
READ = frozenset(("model", "custom_llm_provider", "weight", "rpm", "tpm", "order", "timeout", "stream_timeout", *PRICES))


def with_variables(params: Tree, environment: Mapping[str, str]) -> tuple[Tree, dict[str, str]]:
    """Return an entry's members with such variables read, without those that are not set, and by member what is to be said of each."""
    told: dict[str, str] = {}
    found = dict(params)
    for name in READ & params.keys():
        variable = VARIABLE.fullmatch(str(params[name]).strip())
        if variable is None:
            continue
        value = environment.get(variable[1], "")
        if value:
            found[name] = value
            told[name] = f"`{variable[1]}` of the environment was read and is written as `{value}`: import once more when it changes."
        else:
            del found[name]
            told[name] = f"It is in the variable `{variable[1]}` of the environment, which is not set here: set it, and import once more."
    return found, told
