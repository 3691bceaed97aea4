"""Asks LiteLLM what answers cost. Reads cases as JSON from standard input and writes a figure for each; runs where LiteLLM is installed.

`litellm_bills.py` starts it in an interpreter of its own: LiteLLM is data to us, and never beside our own packages.
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Read a list of `{model, entry, answer, asked}`, write a list of US dollars or of what was raised."""
    litellm = importlib.import_module("litellm")
    converted = importlib.import_module("litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response")
    found: list[float | str] = []
    for case in json.load(sys.stdin):
        try:
            if case["entry"] is not None:
                litellm.register_model({case["model"]: case["entry"]})
            answer = converted.convert_to_model_response_object(
                response_object=case["answer"], model_response_object=litellm.ModelResponse(), hidden_params={}, response_type="completion"
            )
            cost = litellm.completion_cost(
                completion_response=answer, model=case["model"], custom_llm_provider=case["vendor"], optional_params=case["asked"]
            )
            found.append(cost)
        except Exception as error:  # whatever it says of a case is what there is to show
            found.append(f"{type(error).__name__}: {error}"[:200])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
