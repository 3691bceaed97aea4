"""A Gemini request as the client wrote it. The model, and whether it is a stream, stand in its address. Knows no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.wire import gemini_types
from aisa.wire.chat import ChatRequest
from aisa.wire.gemini_chat import chat_tree
from aisa.wire.gemini_names import check_names, list_at, member, tree_in, trees_at
from aisa.wire.gemini_types import check_types
from aisa.wire.losses import Losses, Traced, refuse_any
from aisa.wire.members import Shape
from aisa.wire.origins import Translated
from aisa.wire.own_names import GEMINI
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree
from aisa.wire.vendor_tier import tier_named
from aisa.wire.wish import EFFORTS, Wish

BLOB, FILE = (
    Shape("mimeType mime_type data displayName display_name"),
    Shape("mimeType mime_type fileUri file_uri displayName display_name"),
)
CALL = Shape("id name args")
RESPONSE = Shape("id name response parts")
PART = Shape(
    "text thought thoughtSignature thought_signature executableCode codeExecutionResult",
    inlineData=BLOB,
    inline_data=BLOB,
    fileData=FILE,
    file_data=FILE,
    functionCall=CALL,
    function_call=CALL,
    functionResponse=RESPONSE,
    function_response=RESPONSE,
)
CONTENT = Shape("role", parts=PART)
DECLARATION = Shape("name description parameters parametersJsonSchema parameters_json_schema")
TOOL = Shape(
    "googleSearch google_search googleSearchRetrieval google_search_retrieval enterpriseWebSearch enterprise_web_search googleMaps "
    "google_maps parallelAiSearch parallel_ai_search exaAiSearch exa_ai_search retrieval codeExecution code_execution "
    "urlContext url_context",
    functionDeclarations=DECLARATION,
    function_declarations=DECLARATION,
)
CALLING = Shape("mode allowedFunctionNames allowed_function_names")
CALLING_CONFIG = Shape("", functionCallingConfig=CALLING, function_calling_config=CALLING)
THINKING = Shape("thinkingBudget thinking_budget includeThoughts include_thoughts thinkingLevel thinking_level")
GENERATION = Shape(
    "temperature topP top_p topK top_k candidateCount candidate_count maxOutputTokens max_output_tokens stopSequences stop_sequences seed "
    "responseMimeType response_mime_type responseSchema response_schema responseJsonSchema response_json_schema presencePenalty "
    "presence_penalty frequencyPenalty frequency_penalty responseLogprobs response_logprobs logprobs "
    "responseModalities response_modalities speechConfig speech_config imageConfig image_config",
    thinkingConfig=THINKING,
    thinking_config=THINKING,
)
SAFETY = Shape("category threshold method")
#: Every name that means something to us in a request, in both spellings.
REQUEST = Shape(
    "model serviceTier service_tier labels cachedContent cached_content continuationToken continuation_token",
    contents=CONTENT,
    systemInstruction=CONTENT,
    system_instruction=CONTENT,
    tools=TOOL,
    toolConfig=CALLING_CONFIG,
    tool_config=CALLING_CONFIG,
    generationConfig=GENERATION,
    generation_config=GENERATION,
    safetySettings=SAFETY,
    safety_settings=SAFETY,
)


class GeminiRequest(Translated):
    """A valid request; implements `wire.door.Request`. `body` is the client's own, for a vendor of the same protocol."""

    protocol, own_names = "gemini", GEMINI
    task = ""
    bound_name = "generationConfig.maxOutputTokens"

    def __init__(self, tree: Tree, body: bytes, model: str, *, stream: bool) -> None:
        """Raises ApiError for what no model can take."""
        self.tree = tree
        self.body = body
        self.body_bytes = len(body)
        self.model = model[: MODEL_NAME_CHARACTERS_MAX + 1]
        self.stream = stream
        self._losses = Losses()
        self.chat = self.chat_from(chat_tree(tree, self.model, self._losses, stream=stream))

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.chat.choices

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on output tokens, None if it gave none."""
        return self.chat.max_tokens

    @property
    def bounds_reasoning(self) -> bool:
        """True if there is such a bound: it always holds for hidden reasoning too."""
        return self.max_tokens is not None

    @cached_property
    def _config(self) -> Tree:
        return tree_in(self.tree, "generationConfig")

    def wishes(self) -> Iterator[Wish]:
        """Yield what is asked of the model that its entry may limit."""
        known = self.chat.known
        yield Wish("generationConfig.logprobs", "max_top_logprobs", known.top_logprobs)
        yield Wish("generationConfig.candidateCount", "max_n", known.n)
        yield Wish("generationConfig.stopSequences", "max_stop_sequences", len(list_at(self._config, "stopSequences")), listed=True)
        yield Wish(
            "tools", "max_tools", sum([len(trees_at(tool, "functionDeclarations")) for tool in trees_at(self.tree, "tools")]), listed=True
        )
        yield Wish("generationConfig.temperature", "max_temperature", known.temperature)
        yield Wish("generationConfig.frequencyPenalty", "max_penalty", known.frequency_penalty)
        yield Wish("generationConfig.presencePenalty", "max_penalty", known.presence_penalty)
        yield Wish("generationConfig.thinkingConfig.thinkingLevel", EFFORTS, None, word=known.reasoning_effort)

    def tier(self) -> tuple[str, str]:
        """Return the service tier that is asked for, nothing for the usual one, and the member that asks."""
        tier = tier_named(member(self.tree, "serviceTier")) or ""
        return (tier, "serviceTier") if tier not in ("", "unspecified") else ("", "")

    def as_chat(self) -> ChatRequest:
        """Return the chat completion that this comes to. Raises UpstreamFailed for what that cannot say."""
        refuse_any(self._losses)
        return self.chat

    def traced(self) -> tuple[Tree, Traced]:
        """Return the members of the chat completion, and where they came from."""
        traced = Traced()
        return chat_tree(self.tree, self.model, traced, stream=self.stream), traced


def parse_gemini(body: bytes, model: str, *, stream: bool) -> GeminiRequest:
    """Return the request in a body. Raises ApiError as `parse_chat` does."""
    tree = parse_object(body, '{"contents": [...]}')
    check_names(tree, REQUEST)
    check_types(tree, gemini_types.REQUEST)
    return GeminiRequest(tree, body, model, stream=stream)
