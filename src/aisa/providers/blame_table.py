"""The table that decides whose fault a vendor's refusal is: rows of codes, words and statuses, and the verdict that each stands for.

The first row that fits decides, so the order is the rule: our key, our credit, our model; then content, context, feature, rate, capacity;
and only then the status, because vendors choose those freely. Holds data and no decision; `blame.py` reads it.
"""

from __future__ import annotations

from typing import NamedTuple

from aisa.errors import CALLER, OPERATOR, VENDOR
from aisa.providers.blame_words import (
    ACCESS_WORDS,
    ADDRESS_WORDS,
    CAPACITY_WORDS,
    CONTENT_WORDS,
    CREDIT_WORDS,
    FEATURE_WORDS,
    FILE_WORDS,
    KEY_WORDS,
    LACKING_WORDS,
    MADE_BADLY_WORDS,
    MODEL_WORDS,
    NO_CONTENT_WORDS,
    NO_CREDIT_WORDS,
    NO_KEY_WORDS,
    QUOTA_WORDS,
    RATE_WORDS,
    VERSION_WORDS,
    Says,
    words,
)
from aisa.providers.overflow import is_overflow


class Verdict(NamedTuple):
    """What a class of refusals means: the code for the caller, whose fault it is, which targets are asked next, and our own words.

    `others` is ANY, LARGER (those whose known context window holds the request) or NONE. The caller sees the vendor's words where the fault
    is his, else ours, with the vendor's name filled in.
    """

    name: str
    code: str
    blame: str
    others: str
    ours: str


ANY, LARGER, NONE = "any", "larger", "none"

OUR_KEY = Verdict(
    "our key",
    "upstream_unavailable",
    OPERATOR,
    ANY,
    "The vendor '{}' refused this server's access to the model. The operator has been told.",
)
OUR_CREDIT = Verdict(
    "our credit", "upstream_unavailable", OPERATOR, ANY, "The vendor '{}' has no credit left for this server. The operator has been told."
)
OUR_MODEL = Verdict(
    "our model", "upstream_unavailable", OPERATOR, ANY, "The vendor '{}' does not serve this model any more. The operator has been told."
)
OUR_ADDRESS = Verdict(
    "our address", "upstream_unavailable", OPERATOR, ANY, "The vendor '{}' is asked in a way it does not serve. The operator has been told."
)
UNKNOWN_NAME = Verdict("the caller's name for a model", "unknown_model", CALLER, NONE, "The vendor '{}' has no such model.")
CONTENT = Verdict("content", "content_policy_violation", CALLER, NONE, "The vendor's content policy refused the prompt.")
CONTEXT = Verdict("context", "context_length_exceeded", CALLER, LARGER, "The prompt exceeds the model's context window.")
FEATURE = Verdict("feature", "unsupported_parameter", CALLER, ANY, "The model does not support a parameter of the request.")
TOO_LARGE = Verdict("size", "request_too_large", CALLER, NONE, "The request is too large for the vendor.")
INVALID = Verdict("request", "invalid_request", CALLER, NONE, "The vendor refused the request as invalid.")
RATE = Verdict("rate", "upstream_rate_limit", VENDOR, ANY, "The vendor '{}' is limiting requests. Wait and try again.")
CAPACITY = Verdict("capacity", "overloaded", VENDOR, ANY, "The vendor '{}' is overloaded. Wait and try again.")
MADE_BADLY = Verdict(
    "the model", "upstream_unavailable", VENDOR, ANY, "The model at the vendor '{}' produced a call or an answer that could not be read."
)
TOO_SLOW = Verdict("time", "upstream_timeout", VENDOR, ANY, "The vendor '{}' ran out of time.")
FAILED = Verdict("failure", "upstream_unavailable", VENDOR, ANY, "The vendor '{}' failed to answer.")


class Row(NamedTuple):
    """A way to recognise a verdict: by one of the codes, or by words, or, if it has neither, by its statuses alone.

    `named` are codes as vendors write them, compared without case and separators, whole or, with `prefixes`, beginnings. `words` count
    only under one of `statuses` (None: any; 0 is an error inside an answer that has none), and not if `unless` finds something. `vendor`
    finds part of a vendor's name, host or dialect; without it the row holds for all. `source` says whose practice it is.
    """

    verdict: Verdict
    source: str
    named: tuple[str, ...] = ()
    prefixes: bool = False
    words: Says | None = None
    unless: Says | None = None
    statuses: frozenset[int] | None = None
    vendor: Says | None = None

    @property
    def codes(self) -> frozenset[str]:
        """The codes, squeezed."""
        return SQUEEZED[self.named]


def squeezed(code: str) -> str:
    """Write a code without case and separators, in which vendors differ."""
    return "".join(character for character in code.casefold() if character.isalnum())


def codes(text: str) -> tuple[str, ...]:
    """Return the codes in a text."""
    return tuple(text.split())


def statuses(*numbers: int) -> frozenset[int]:
    """Return statuses as a set."""
    return frozenset(numbers)


#: Zhipu's codes are bare numbers, which mean other things elsewhere.
ZHIPU = words(r"zhipu|bigmodel|z\.ai\b|\bzai\b")
COHERE = words(r"cohere")
BEDROCK = words(r"bedrock")
REFUSAL = statuses(0, 400, 403, 404, 409, 410, 422)
OPERATORS = statuses(0, *range(400, 600))


ROWS: tuple[Row, ...] = (
    Row(
        MADE_BADLY,
        "Groq; an exact code, so it may stand first: its words quote what the model made",
        codes(
            "failed_generation tool_use_failed output_parse_failed json_validate_failed invalid_model_output model_output_error "
            "MALFORMED_FUNCTION_CALL ModelErrorException"
        ),
    ),
    Row(
        OUR_KEY,
        "OpenAI, Google, Alibaba, Anthropic, AWS, MiniMax",
        codes(
            "invalid_api_key authentication_error API_KEY_INVALID invalid_authentication InvalidApiKey invalid_iam_token "
            "account_deactivated missing_api_key UNAUTHENTICATED unauthorized AuthenticationError incorrect_api_key "
            "API_KEY_SERVICE_BLOCKED ACCESS_TOKEN_EXPIRED invalid_authentication_error UnrecognizedClientException "
            "ExpiredTokenException InvalidSignatureException unsupported_country_region_territory invalid_organization "
            "ip_not_authorized base_resp_1004 base_resp_2049"
        ),
    ),
    Row(OUR_KEY, "Google, Groq, xAI, OpenAI", words=KEY_WORDS, unless=NO_KEY_WORDS, statuses=OPERATORS),
    Row(OUR_KEY, "OpenAI, Groq, Google, Anthropic", words=ACCESS_WORDS, unless=NO_KEY_WORDS, statuses=OPERATORS),
    Row(OUR_KEY, "AWS: an account that may not call the model", words=words(r"^operation not allowed$"), vendor=BEDROCK),
    Row(OUR_KEY, "status", statuses=statuses(401)),
    Row(OUR_KEY, "Zhipu's numbers", codes("1000 1001 1002 1003 1004 1110 1111 1112 1220"), vendor=ZHIPU),
    Row(
        OUR_CREDIT,
        "OpenAI, DeepSeek, Alibaba, Moonshot, MiniMax, Anthropic, xAI",
        codes(
            "insufficient_quota insufficient_balance Arrearage exceeded_current_quota_error 1008 credit_balance_exhausted "
            "organization_spend_limit_exceeded project_spend_limit_exceeded organization_usage_limit_exceeded insufficient_credits "
            "insufficient_funds payment_required quota_exhausted insufficient_balance_error enforced_spend_limit_reached "
            "budget_exceeded ExceededBudget insufficient_user_quota access_terminated_error AccountOverdueError account_overdue "
            "prepaid_credits_depleted out_of_credits InsufficientBalance AllocationQuota.FreeTierOnly base_resp_1008 base_resp_2056"
        ),
    ),
    Row(OUR_CREDIT, "Anthropic, Moonshot, Alibaba, OpenRouter", words=CREDIT_WORDS, unless=NO_CREDIT_WORDS, statuses=OPERATORS),
    Row(OUR_CREDIT, "Google: under 429 it is a rate", words=QUOTA_WORDS, unless=NO_CREDIT_WORDS, statuses=statuses(400, 403, 422)),
    Row(OUR_CREDIT, "status", statuses=statuses(402)),
    Row(OUR_CREDIT, "OpenAI", codes("billing"), prefixes=True),
    Row(OUR_CREDIT, "Zhipu's numbers", codes("1113 1309"), vendor=ZHIPU),
    Row(
        OUR_MODEL,
        "OpenAI, Groq, Azure, Alibaba, Mistral",
        codes(
            "model_not_found model_decommissioned model_deprecated DeploymentNotFound invalid_model unknown_model "
            "model_not_supported model_not_available ModelNotFound model_does_not_exist InvalidModel model_terms_required "
            "model_permission_blocked_org model_permission_blocked_project model_retired deployment_not_found ModelNotOpen "
            "InvalidEndpointOrModel.NotFound base_resp_2061"
        ),
    ),
    Row(OUR_MODEL, "DeepSeek, LiteLLM, transformers, Ollama, Google", words=MODEL_WORDS, statuses=REFUSAL),
    Row(OUR_MODEL, "Zhipu's numbers", codes("1211 1221 1222"), vendor=ZHIPU),
    Row(
        CONTENT,
        "OpenAI, Azure, Alibaba, Volcengine, MiniMax",
        codes(
            "content_filter content_policy_violation content_policy safety moderation_blocked moderation content_filtered "
            "data_inspection_failed DataInspectionFailed ResponsibleAIPolicyViolation SensitiveContentDetected "
            "InputTextSensitiveContentDetected InputImageSensitiveContentDetected invalid_prompt bio_policy "
            "misalignment_policy_violation PROHIBITED_CONTENT content_blocked prompt_blocked safety_violation "
            "sensitive_words_detected content_moderation image_content_policy_violation base_resp_1026 base_resp_1027"
        ),
    ),
    Row(
        CONTENT,
        "xAI, OpenAI, DeepSeek, OpenRouter, StepFun",
        words=CONTENT_WORDS,
        unless=NO_CONTENT_WORDS,
        statuses=statuses(0, 400, 403, 406, 421, 422, 451),
    ),
    Row(CONTENT, "Zhipu's numbers", codes("1301"), vendor=ZHIPU),
    Row(CONTENT, "Cohere's status for a prompt that it blocks", statuses=statuses(498), vendor=COHERE),
    Row(
        CONTEXT,
        "OpenAI, llama.cpp, GitHub, Anthropic, LiteLLM",
        codes(
            "context_length_exceeded exceed_context_size_error context_window_exceeded ContextWindowExceededError "
            "model_max_prompt_tokens_exceeded tokens_limit_reached prompt_too_long input_too_long context_too_long "
            "max_context_length_exceeded model_context_window_exceeded context_overflow"
        ),
    ),
    Row(RATE, "AWS, whose words speak of too many tokens", codes("ThrottlingException")),
    Row(CONTEXT, "by the rule of `overflow.py`", words=is_overflow, statuses=statuses(0, 400, 413, 422, 500)),
    Row(CONTEXT, "Zhipu's numbers", codes("1261"), vendor=ZHIPU),
    Row(
        FEATURE,
        "OpenAI, pydantic",
        codes(
            "unsupported_parameter unsupported_value unknown_parameter extra_forbidden unsupported_feature unrecognized_parameter "
            "UnsupportedParamsError unsupported_operation OperationNotSupported not_implemented"
        ),
    ),
    Row(OUR_ADDRESS, "Azure, Alibaba", words=VERSION_WORDS, statuses=statuses(0, 400, 404, 422)),
    Row(FEATURE, "vLLM, llama.cpp, Ollama, DeepSeek, Groq", words=LACKING_WORDS, statuses=statuses(0, 400, 404, 422, 500, 501)),
    Row(FEATURE, "OpenRouter, vLLM, TGI, Google", words=FEATURE_WORDS, statuses=statuses(0, 400, 404, 405, 415, 422, 501)),
    Row(FEATURE, "a file that only another vendor has", words=FILE_WORDS, statuses=statuses(0, 400, 403, 404, 410, 422)),
    Row(
        RATE,
        "OpenAI, Anthropic, Google, Alibaba, AWS, MiniMax",
        codes(
            "rate_limit_exceeded rate_limit_error rate_limit RESOURCE_EXHAUSTED rate_limit_reached_error ThrottlingException "
            "Throttling Throttling.RateQuota Throttling.AllocationQuota Throttling.BurstRate LimitRequests too_many_requests "
            "TooManyRequestsException ServiceQuotaExceededException rateLimitExceeded tokens_exceeded concurrency_limit_exceeded "
            "request_limit_exceeded "
            "base_resp_1002 base_resp_1039 base_resp_1041 base_resp_2045"
        ),
    ),
    Row(RATE, "Zhipu's numbers", codes("1302 1303 1304 1305 1308 1310"), vendor=ZHIPU),
    Row(RATE, "Groq, Azure, Together", words=RATE_WORDS),
    Row(RATE, "status", statuses=statuses(429)),
    Row(
        CAPACITY,
        "OpenAI, Anthropic, Moonshot, Google, AWS",
        codes(
            "server_is_overloaded overloaded_error overloaded slow_down engine_overloaded engine_overloaded_error UNAVAILABLE "
            "service_unavailable ServiceUnavailableException ModelNotReadyException capacity_exceeded model_overloaded server_busy "
            "no_capacity model_loading flex_capacity"
        ),
    ),
    Row(CAPACITY, "Groq, Hugging Face, DeepSeek", words=CAPACITY_WORDS, statuses=statuses(0, *range(400, 404), *range(405, 600))),
    Row(CAPACITY, "status", statuses=statuses(423, 425, 498, 499, 503, 529)),
    Row(MADE_BADLY, "Groq, Google", words=MADE_BADLY_WORDS),
    Row(OUR_ADDRESS, "servers' own pages for unknown routes", words=ADDRESS_WORDS, statuses=statuses(404, 405)),
    Row(
        OUR_KEY,
        "OpenAI, Anthropic, Google, AWS: what says no more than that access is denied",
        codes(
            "permission_denied permission_error access_denied forbidden AccessDenied AccessDeniedException PermissionDenied "
            "PERMISSION_DENIED Model.AccessDenied Workspace.AccessDenied App.AccessDenied AccessDenied.Unpurchased"
        ),
    ),
    Row(OUR_MODEL, "LiteLLM: the field that the refusal names", codes("param_model")),
    Row(OUR_KEY, "status", statuses=statuses(403)),
    Row(OUR_MODEL, "status", statuses=statuses(404, 410)),
    Row(OUR_ADDRESS, "status", statuses=statuses(405, 407, 426)),
    Row(TOO_SLOW, "status", statuses=statuses(408, 504, 524, 598, 599)),
    Row(TOO_LARGE, "status", statuses=statuses(413)),
    Row(CONTENT, "status", statuses=statuses(451)),
    Row(INVALID, "status", statuses=statuses(400, 414, 422, 431)),
    Row(FAILED, "any other status", statuses=None),
)

#: The codes of the rows, squeezed once.
SQUEEZED = {row.named: frozenset(map(squeezed, row.named)) for row in ROWS}
#: What a code that says no more than a status would have had as one, where the status is lost in an answer.
STATUS_OF = {
    squeezed(code): status
    for status, names in {
        400: "invalid_request_error INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE ValidationException bad_request"
        " BadRequestError invalid_request InvalidParameter base_resp_2013 data_residency_mismatch invalid_image invalid_image_format"
        " invalid_base64_image"
        " invalid_image_url image_too_large image_too_small image_parse_error invalid_image_mode image_file_too_large"
        " unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found",
        404: "not_found_error NOT_FOUND ResourceNotFoundException",
        413: "request_too_large",
        500: "api_error server_error INTERNAL InternalServerException base_resp_1024 base_resp_1033",
        504: "timeout_error DEADLINE_EXCEEDED ModelTimeoutException base_resp_1001",
    }.items()
    for code in names.split()
}
