"""What the settings mean by which vendors are found and known, in words: lines of `schema.FIELDS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VENDORS_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "vendors.<name>.idle_timeout_seconds": "How long a stream of a model that is not under `models` may go without a token, the first "
        "one included: a model on this machine that is loaded first needs more. Those under `models` have their own.",
        "discovery.environment": "Whether vendors are used because their key is in the environment, as `docs/vendors.md` lists them.",
        "discovery.loopback": "Whether servers of models are looked for on this machine, at their usual ports: `auto` does where the "
        "file has no entry under `vendors`. Asked are the addresses in `docs/vendors.md`, for half a second at most.",
        "vendors.<name>.preset": "Which of the vendors in `docs/vendors.md` this is, such as `vllm`. An entry without `base_url` has from "
        "there what it does not say itself: address, dialect, where the key goes, and the key from the environment. If absent, that of "
        "the entry's own name. With `base_url` it only says what the vendor is like, where its host does not tell.",
        "vendors.<name>.base_url": "Where the vendor's API is, up to and without the path of the route that is asked, such as "
        "`/chat/completions`; with the dialect `anthropic` without `/v1` too, if you like. A query in it counts as `query`. May be left "
        "out of a vendor that `docs/vendors.md` lists.",
        "vendors.<name>.dialect": "The API that the vendor speaks. Of OpenAI itself, what `openai` would refuse is asked as `responses`.",
        "vendors.<name>.api_key": "Credential sent to the vendor as `api_key_as` says; best written as `${VARIABLE}`. None if absent.",
        "vendors.<name>.api_key_file": "File with the credential in place of `api_key`, read at the start and at each reload without "
        "the end of its line: so another key counts without a restart, which another variable of the environment does not.",
        "vendors.<name>.api_key_as": "Where the vendor looks for the key: `bearer`, or a name as in `header:x-api-key`, `query:key`; "
        "else as usual in its dialect. What `headers` says of the same header counts instead.",
        "vendors.<name>.headers": "Further request headers for the vendor, name to value.",
        "vendors.<name>.query": "Parameters for the query of every request, name to value in quotes, such as `api-version` for Azure.",
        "vendors.<name>.fetch_pictures": "Whether this server reads pictures that requests give by https address, for a vendor that takes "
        "bytes only: Gemini, Bedrock, Ollama. From public addresses alone, within the limits in `docs/reaching-vendors.md`; otherwise such "
        "requests are refused, or go to a target that takes addresses.",
        "vendors.<name>.api_keys": "Further keys, sent as `api_key` is. All are used in turn; one that the vendor refuses (401, 402, 429) "
        "rests for a while, and the request goes out again with the next.",
        "vendors.<name>.api_key_files": "Files with further keys, beside `api_keys`; each is read as `api_key_file` is.",
        "vendors.<name>.google_credentials": "Google's credentials in place of a key, used in turn: each a file of a service account or of "
        "a user, `metadata` for the account of this machine at Google, or `default` for what Google's own clients would take.",
        "vendors.<name>.aws_credentials": "AWS's credentials in place of a key, with which requests are signed: each a profile's name, or "
        "`default` for what AWS's own clients would take. Keys in the environment need nothing else, everything else the `aws` extra.",
        "vendors.<name>.azure_credentials": "Applications of Entra ID in place of a key, used in turn.",
        "vendors.<name>.azure_credentials[].tenant_id": "The directory in which the application is registered.",
        "vendors.<name>.azure_credentials[].client_id": "The application's own id.",
        "vendors.<name>.azure_credentials[].client_secret": "The application's secret; best written as `${VARIABLE}`.",
        "vendors.<name>.azure_credentials[].client_secret_file": "File with the secret in place of `client_secret`; "
        "read as `api_key_file` is.",
        "vendors.<name>.completions": "Whether the vendor has `/completions`, to go on from a text as it is; else a text completion is "
        "asked for as a conversation of one message. If absent, for servers of models that are known to (`docs/completions.md`), others on "
        "this machine, and OpenAI's own models that have nothing else.",
        "vendors.<name>.omit": "Members that this server adds to requests and that the vendor refuses: `stream_options`, which asks "
        "for a stream's usage; that is counted then. Otherwise each model is asked with it until it has refused it once.",
        "vendors.<name>.assemble": "Ask for a stream where the client wants a document, and assemble that: a vendor that notices only on "
        "streams that nobody reads stops its work when the client leaves, and a failure is noticed early. Not for answers in audio.",
        "vendors.<name>.cut_stop_sequences": "Whether texts are cut before the first of the request's `stop` sequences, for a vendor that "
        "ends there but leaves it in, such as transformers; its log probabilities stay. The bill is for what the vendor made.",
        "vendors.<name>.connect_timeout_seconds": "How long a connection to the vendor may take to open, TLS included.",
        "vendors.<name>.answer_bytes_max": "Largest answer, or event of a stream; a larger one is a failure of the vendor.",
        "vendors.<name>.receive_buffer_bytes": "What the kernel may hold of an answer that nobody reads, on each connection: the vendor "
        "bills it, and a client who has stopped reading never gets it. About this much arrives in one round trip at most.",
        "vendors.<name>.connections_max": "Connections open to the vendor at the same time.",
        "vendors.<name>.verify_tls": "Whether the vendor's certificate is checked; leave it on outside a laboratory.",
        "vendors.<name>.ca_file": "File with further certificate authorities to trust for this vendor (PEM).",
        "vendors.<name>.proxy": "HTTP proxy on the way to the vendor, `http://[user:password@]host:port`; "
        "without it `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.",
        "vendors.<name>.on_disconnect": "What becomes of an answer whose client has left: `cancel` it, or `drain` it where the vendor "
        "bills on regardless, so that the ledger knows what it will charge.",
        "vendors.<name>.deltas": "What one streamed delta is: `token`, as OpenAI and most servers of open models send them, while its size "
        "can be one's; or `text` of any length, whose tokens are estimated from its size. Counts only where the vendor does not report.",
        "vendors.<name>.tokenizer": "As `models.<name>.tokenizer`, for those of its models that have none of their own.",
        "vendors.<name>.running_usage": "Whether streams are asked to say with each chunk how many tokens were made so far "
        "(`continuous_usage_stats`), so that one that is cut is billed exactly; if absent, only where the vendor's name or host says vLLM.",
    }
)
