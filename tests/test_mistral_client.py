"""Mistral's own client for Python in front of a running server, set up by address and key alone."""

from __future__ import annotations

from mistralai.client import Mistral

from server import Server


def test_mistrals_own_client_reads_embeddings_and_the_list_of_models(server: Server) -> None:
    """It demands an id of the one, and a type and capabilities of each of the other, which OpenAI's API does not have."""
    client = Mistral(api_key=server.key, server_url=server.url)
    answer = client.embeddings.create(model="mistral-embed", inputs=["Reset my password", "Rain in Oslo"])
    assert answer.id
    assert [vector.index for vector in answer.data] == [0, 1]
    listed = client.models.list().data or []
    [model] = [model for model in listed if model.type == "base"]
    assert (model.id, model.capabilities.completion_chat, model.capabilities.function_calling) == ("embedded/tiny", True, True)
