"""Azure's two forms of address: OpenAI's own paths under `/openai/v1`, and deployments in the path under a dated version."""

from __future__ import annotations

import json

import msgspec
import pytest

from aisa.config.schema import Config, Vendor
from aisa.providers import embeddings_openai, openai, responses
from aisa.providers.shape import Target
from aisa.vendor_targets import vendor_target
from aisa.wire.chat import parse_chat
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR

HOST = "https://name.openai.azure.com"
CHAT = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode())


def target_of(base_url: str, **query: str) -> Target:
    """The deployment `gpt/4 x` of a vendor at this address."""
    config = Config(vendors={"azure": Vendor(base_url=base_url, query={name.replace("_", "-"): value for name, value in query.items()})})
    return msgspec.structs.replace(vendor_target("azure", config), model="gpt/4 x")


@pytest.mark.parametrize(
    ("base_url", "query", "before"),
    [
        (f"{HOST}/openai", {"api_version": "2026-01-01"}, "/deployments/gpt%2F4%20x"),
        (f"{HOST}/openai/", {"api_version": "2026-01-01"}, "/deployments/gpt%2F4%20x"),
        (f"{HOST}/openai/v1", {}, ""),
        (f"{HOST}/openai/v1", {"api_version": "preview"}, ""),
        (f"{HOST}/openai/deployments/mine", {"api_version": "2026-01-01"}, ""),
        ("https://h.example/openai", {}, ""),
    ],
)
def test_the_deployment_is_in_the_path_of_a_dated_version_alone(base_url: str, query: dict[str, str], before: str) -> None:
    """For chat and embeddings, as one segment; never for Responses, and never together with v1."""
    target = target_of(base_url, **query)
    vectors = EMBEDDINGS_DOOR.read(b'{"model":"m","input":"x"}')
    assert openai.to_upstream(CHAT, target).path == f"{before}/chat/completions"
    assert embeddings_openai.to_upstream(vectors, target).path == f"{before}/embeddings"
    assert responses.to_upstream(CHAT, target).path == "/responses"
