"""APIs that clients look for here and this version does not have: what to set in the client instead. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_CHAT = "POST /v1/chat/completions"
_NOT_HERE = "This version has no"
_BASE = "the base URL of this server and /v1"
_OPENAI = f"Set your client to an OpenAI-compatible vendor, with {_BASE}: it has {_CHAT}."
_COHERE = f"{_NOT_HERE} Cohere API but POST /v2/rerank. Set an OpenAI-compatible vendor in your client, with {_BASE}, for"
_BATCHES = f"{_NOT_HERE} batches. Turn batches off in your client, and send each call to {_CHAT}."
_SCANS = f"{_NOT_HERE} reading of scans. Send pages as pictures or files in the messages of {_CHAT}."
_STORED = f"{_NOT_HERE} chat completions that are stored. Leave `store` out in your client, or set it to false, and keep the answers there."
_SPEECH = f"{_NOT_HERE} audio API. Set another server for speech in your client, to text and from text; chat is {_CHAT}."


class Lack(NamedTuple):
    """What stands behind the `/v1` of paths, with blanks between, and what to do."""

    names: str
    remedy: str


_VERTEX = (
    f"{_NOT_HERE} Vertex API. Set your client to Gemini's own API (google-genai: vertexai=False), with this server as base URL and the key "
    "as API key."
)
_GEMINI = "models/MODEL:generateContent"
#: Of Gemini's clients, behind `/v1beta`, and behind `/v1` where no other API has the name.
_OF_GEMINI = (
    Lack(
        "cachedContents",
        f"{_NOT_HERE} caches of Gemini's. Leave `cachedContent` out in your client and send all contents to {_GEMINI}.",
    ),
    Lack(
        "interactions agents",
        f"{_NOT_HERE} Interactions API of Gemini's. Set your client to {_GEMINI} (google-genai: client.models or client.chats).",
    ),
    Lack(
        "files fileSearchStores generatedFiles",
        f"{_NOT_HERE} store at a vendor. Send the bytes of a file as `inlineData` in the contents of {_GEMINI}.",
    ),
    Lack("tunedModels tuningJobs", f"{_NOT_HERE} tuning. Set that part of your client to Google's own address and key."),
    Lack("batches batchPredictionJobs operations", f"{_NOT_HERE} batches. Send each call to {_GEMINI}, or stream it."),
    Lack("auth_tokens", f"{_NOT_HERE} Live API, and no WebSockets. Turn live off in your client, so that it streams {_GEMINI}."),
)
_GEMINI_NAMES = {name: lack.remedy for lack in _OF_GEMINI for name in lack.names.split()}
#: What Gemini's clients ask of a model, behind its name, and cannot here.
GEMINI_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "batchGenerateContent": _GEMINI_NAMES["batches"],
        "asyncBatchEmbedContent": f"{_NOT_HERE} batches that are fetched later. Send the texts to models/MODEL:batchEmbedContents.",
        **dict.fromkeys(
            ("predict", "predictLongRunning", "fetchPredictOperation"),
            f"{_NOT_HERE} Imagen and no Veo. Ask a model that draws by {_GEMINI} with `responseModalities`, or set another server for "
            "pictures and films in your client.",
        ),
        "bidiGenerateContent": _GEMINI_NAMES["auth_tokens"],
        "computeTokens": f"{_NOT_HERE} ids of tokens. Count them in your client by models/MODEL:countTokens.",
        "createCachedContent": _GEMINI_NAMES["cachedContents"],
        **dict.fromkeys(
            "generateText generateMessage generateAnswer countTextTokens countMessageTokens embedText batchEmbedText".split(),
            f"{_NOT_HERE} PaLM API. Set your client to {_GEMINI}, models/MODEL:countTokens and models/MODEL:embedContent.",
        ),
    }
)

#: Of the clients of OpenAI, Anthropic, Cohere and Mistral.
_BEHIND_V1 = (
    Lack("chat/completions/", _STORED),
    Lack(
        "responses/compact responses/",
        f"{_NOT_HERE} responses that are made in the background, and none that are shortened here. Send the whole conversation in `input` "
        "of POST /v1/responses and wait for its answer, or stream it.",
    ),
    Lack("messages/", f"{_NOT_HERE} batches of messages. Turn batches off in your client, and send each call to POST /v1/messages."),
    Lack("complete", f"{_NOT_HERE} prompts in Anthropic's older form. Set your client to messages, POST /v1/messages."),
    Lack(
        "moderations classify classifications chat/moderations chat/classifications content_provenance_checks",
        f"{_NOT_HERE} moderations. Set another server for them in your client, or turn them off.",
    ),
    Lack("images videos", f"{_NOT_HERE} images API. Set another server for pictures and films in your client; chat is {_CHAT}."),
    Lack("audio voices", _SPEECH),
    Lack("ocr parse", _SCANS),
    Lack(
        "realtime live",
        f"{_NOT_HERE} Realtime API, and no WebSockets. Turn voice or realtime off in your client, so that it streams {_CHAT}.",
    ),
    Lack(
        "files uploads containers vector_stores libraries memory_stores datasets vaults skills connectors",
        f"{_NOT_HERE} store at a vendor. Turn the tools off that need one; put what the model is to read into the messages of your calls.",
    ),
    Lack("batches batch embed-jobs", _BATCHES),
    Lack(
        "fine_tuning finetuning evals decisions",
        f"{_NOT_HERE} fine-tuning and no evaluations. Set that part of your client to the vendor's own address and key.",
    ),
    Lack(
        "assistants threads",
        f"{_NOT_HERE} Assistants API. Set your client to Chat Completions, {_CHAT}, or to Responses, POST /v1/responses.",
    ),
    Lack(
        "conversations",
        f"{_NOT_HERE} Conversations API. Set `store` to false in your client and send the whole conversation to POST /v1/responses.",
    ),
    Lack(
        "agents chatkit sessions environments deployments deployment_runs dreams tunnels workflows client context rag triggers",
        f"{_NOT_HERE} agents that a vendor runs and keeps. Run the agent in your client, and set its model's API to {_CHAT}, or messages.",
    ),
    Lack(
        "organization organizations projects safety compliance webhook_endpoints webhook_event_types webhooks user_profiles users whoami "
        "service-accounts observability",
        f"{_NOT_HERE} administration of a vendor's account. Set that part of your client to the vendor's own address and key; of this "
        "server's keys its operator has `aisa keys` and `aisa usage`.",
    ),
    Lack("engines edits answers search", f"{_NOT_HERE} API that OpenAI has retired. {_OPENAI}"),
    Lack("fim", f"{_NOT_HERE} address of Mistral's to fill in between. Send `prompt` and `suffix` to POST /v1/completions."),
    Lack("tokenize detokenize", f"{_NOT_HERE} tokenizer to ask. Count in your client, or by POST /v1/messages/count_tokens."),
    Lack("embed", f"{_COHERE} embeddings: POST /v1/embeddings."),
    Lack("generate summarize", f"{_COHERE} chat: {_CHAT}."),
    Lack(
        "model/info model_group/info key/ team/ spend/",
        f"{_NOT_HERE} API of LiteLLM's proxy for administrators. GET /v1/models has models with their prices; of keys and what they "
        "spent the operator has `aisa keys` and `aisa usage`.",
    ),
    Lack("check-api-key", f"{_NOT_HERE} address to try keys. GET /v1/models answers 401 to a bad one."),
    Lack("score pooling", f"{_NOT_HERE} scores and pooled vectors. Set your client to POST /v1/rerank or POST /v1/embeddings."),
)
#: What Ollama's clients ask for behind `/api/`.
OLLAMA = frozenset("chat generate tags embed embeddings show ps pull push create copy delete blobs version web_search web_fetch".split())

#: The beginning of a path, which also counts without its `/v1`, or a method and a whole path -> what to do. The first that fits is told.
ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        **{f"/api/{name}": f"{_NOT_HERE} Ollama API. {_OPENAI}" for name in sorted(OLLAMA)},
        "GET /v1/chat/completions": _STORED,
        **dict.fromkeys(("/v1/projects/", "/v1/publishers", "/v1beta1"), _VERTEX),
        **{f"{version}/{name}": remedy for name, remedy in _GEMINI_NAMES.items() for version in ("/v1beta", "/v1")},
        **{f"/v1/{name}": lack.remedy for lack in _BEHIND_V1 for name in lack.names.split()},
        "/v2/chat": f"{_COHERE} chat: {_CHAT}.",
        "/v2/embed": f"{_COHERE} embeddings: POST /v1/embeddings.",
        "/v2/batches": _BATCHES,
        "/v2/audio": _SPEECH,
        "/v2/parse": _SCANS,
        "/upload": _GEMINI_NAMES["files"],
        "/ws": _GEMINI_NAMES["auth_tokens"],
        "/v1alpha": "Set your client to Gemini's `/v1beta` (google-genai: http_options with api_version), which is here.",
        "/v1beta": "Of Gemini's API there are models/MODEL:generateContent, streamGenerateContent, countTokens, embedContent and "
        "batchEmbedContents, and the list of models.",
        "/model": f"{_NOT_HERE} Bedrock API. {_OPENAI}",
        "/generate_stream": f"{_NOT_HERE} API of text-generation-inference. {_OPENAI}",
        "/metrics": "Its operator has not turned metrics on: they need an admin key (`aisa admin-keys create LABEL --scope read`) or the "
        "setting `metrics.listen`. GET /health/ready says whether the server wants calls.",
        "/admin": "Its operator has not turned administration over HTTP on: it begins with a key made at the server's machine, "
        "`aisa admin-keys create LABEL --scope write`.",
    }
)
