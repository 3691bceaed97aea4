"""The clients that `make clients` runs: what to install and which script says how each is set up. A row is all that a new one needs."""

from __future__ import annotations

from typing import NamedTuple


class Client(NamedTuple):
    """One client. `install` is what its own package manager is given, the first being the package whose version is told."""

    name: str
    install: tuple[str, ...]
    script: str
    doors: str
    needs: tuple[str, ...] = ()  # what is installed beside it because it does not ask for it itself
    note: str = ""

    @property
    def registry(self) -> str:
        """Whose package it is: pypi, npm, go or maven."""
        return self.install[0].partition(":")[0]

    @property
    def packages(self) -> list[str]:
        """The packages without their registry."""
        return [package.partition(":")[2] or package for package in (*self.install, *self.needs)]


def python(name: str, packages: str, script: str, doors: str, *, needs: tuple[str, ...] = (), note: str = "") -> Client:
    """A client from PyPI."""
    return Client(name, tuple(f"pypi:{package}" for package in packages.split()), script, doors, needs, note)


def node(name: str, packages: str, script: str, doors: str, *, note: str = "") -> Client:
    """A client from npm."""
    return Client(name, tuple(f"npm:{package}" for package in packages.split()), script, doors, (), note)


CHAT, RESPONSES, MESSAGES, GEMINI = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/MODEL:generateContent"
EMBEDDINGS, COMPLETIONS, RERANK = "/v1/embeddings", "/v1/completions", "/v1/rerank"
THREE = f"{CHAT}, {RESPONSES}, {MESSAGES}"
FOUR = f"{THREE}, {GEMINI}"

ODD_401 = "It asks six times when its key is refused, and says so only then."
OWN_WORDS = "A refusal's words are in no message of its errors: it wants codes that are numbers. Its list of models is of another form."
OWN_WORDS_AND_NULLS = (
    f"{OWN_WORDS} Ask for no usage in streams: it breaks off at `usage: null`, which every chunk then has, as OpenAI's do."
)
CUT_CALLS = 'Its agents carry out a call of a tool that the limit of tokens has cut (`finish_reason: "length"`), with half the arguments'
CUT_IN_MESSAGES = f'{CUT_CALLS}, where they are streamed with the mode "messages"; where they are invoked they do not.'
CUT_OBJECTS = 'It takes a structured answer that the limit of tokens has cut (`finish_reason: "length"`) for whole: 100 may be 10000'
TURNS = (
    "It loses the arguments of calls whose fragments come in turns, as few vendors send them: `default_headers={"
    '"x-aisa-tool-calls": "whole"}` has each call sent in one piece.'
)
LAST_CALL = (
    "Its package for Node, `@strands-agents/sdk` 1.19.0, carries out only the last of several calls in an answer of chat: give its "
    "`OpenAIModel` the member `params: { parallel_tool_calls: false }`."
)
REFUSED_AGAIN = "Its agents take a refusal, or an answer without a word, for a step on the way, and ask again, up to"
TWELVE = (
    "What fails is asked for twelve times, streams four times: its retries stand around those of OpenAI's client. `max_retries=0` "
    "asks once."
)
HALF_A_CALL = (
    "A stream that fails in the middle of a call of a tool it takes for a call with wrong arguments, and asks once more: look at "
    '`onError`, as the last `finishReason` is then "stop".'
)
CLIENTS = (
    node("Codex", "@openai/codex", "shell/codex.sh", RESPONSES, note=ODD_401),
    node("Claude Code", "@anthropic-ai/claude-code", "shell/claude-code.sh", MESSAGES),
    node(
        "Copilot CLI",
        "@github/copilot",
        "shell/copilot.sh",
        THREE,
        note="It asks three times when its key is refused, and shows the status, not the words.",
    ),
    node("Gemini CLI", "@google/gemini-cli", "shell/gemini-cli.sh", GEMINI),
    python("pydantic-ai", "pydantic-ai-slim[openai,anthropic,google]", "python/pydantic_ai_client.py", FOUR),
    python("openai-agents (Python)", "openai-agents", "python/openai_agents.py", RESPONSES),
    node("openai-agents (JavaScript)", "@openai/agents zod", "node/openai-agents.mjs", f"{RESPONSES}, {CHAT}"),
    node(
        "AI SDK",
        "ai @ai-sdk/openai @ai-sdk/openai-compatible @ai-sdk/anthropic @ai-sdk/google zod",
        "node/ai-sdk.mjs",
        FOUR,
        note=HALF_A_CALL,
    ),
    python("mirascope", "mirascope[openai,anthropic,google]", "python/mirascope_client.py", FOUR),
    python("google-genai (Python)", "google-genai", "python/google_genai.py", f"{GEMINI}, embedContent, countTokens"),
    node("google-genai (JavaScript)", "@google/genai", "node/google-genai.mjs", f"{GEMINI}, embedContent, countTokens"),
    python("anthropic (Python)", "anthropic", "python/anthropic_client.py", MESSAGES),
    node("anthropic (JavaScript)", "@anthropic-ai/sdk", "node/anthropic.mjs", MESSAGES),
    python("mistralai", "mistralai", "python/mistralai_client.py", f"{CHAT}, {EMBEDDINGS}"),
    python("cohere", "cohere", "python/cohere_client.py", RERANK),
    python("openai (Python)", "openai", "python/openai_client.py", f"{CHAT}, {RESPONSES}, {COMPLETIONS}, {EMBEDDINGS}"),
    node("openai (JavaScript)", "openai", "node/openai.mjs", f"{CHAT}, {RESPONSES}, {EMBEDDINGS}"),
    Client("openai (Go)", ("go:github.com/openai/openai-go/v3",), "go/openai", f"{CHAT}, {RESPONSES}"),
    Client("anthropic (Go)", ("go:github.com/anthropics/anthropic-sdk-go",), "go/anthropic", MESSAGES),
    Client("google-genai (Go)", ("go:google.golang.org/genai",), "go/genai", GEMINI),
    Client("openai (Java)", ("maven:com.openai:openai-java",), "java/OpenAi.java", f"{CHAT}, {RESPONSES}"),
    Client("anthropic (Java)", ("maven:com.anthropic:anthropic-java",), "java/Anthropic.java", MESSAGES),
    Client(
        "langchain4j", ("maven:dev.langchain4j:langchain4j-open-ai", "maven:dev.langchain4j:langchain4j"), "java/LangChain4j.java", CHAT
    ),
    python(
        "LangChain (Python)",
        "langchain-openai langchain langchain-anthropic langchain-google-genai",
        "python/langchain_client.py",
        f"{FOUR}, {EMBEDDINGS}",
        note=CUT_IN_MESSAGES,
    ),
    node(
        "LangChain (JavaScript)",
        "@langchain/openai @langchain/core @langchain/anthropic zod",
        "node/langchain.mjs",
        THREE,
        note=CUT_IN_MESSAGES,
    ),
    python("LangGraph", "langgraph langchain-openai", "python/langgraph_client.py", CHAT, note=CUT_IN_MESSAGES),
    python(
        "LlamaIndex",
        "llama-index-llms-openai-like llama-index-core",
        "python/llama_index_client.py",
        f"{CHAT}, {COMPLETIONS}",
        note=f"{CUT_CALLS}: give models that call tools room enough. {CUT_OBJECTS}. {TURNS} {TWELVE}",
    ),
    python(
        "Haystack",
        "haystack-ai",
        "python/haystack_client.py",
        CHAT,
        note=f"{REFUSED_AGAIN} a hundred times: `max_agent_steps` bounds that.",
    ),
    python("DSPy", "dspy", "python/dspy_client.py", f"{CHAT}, {RESPONSES}", note=f"{CUT_OBJECTS}, with a word in its log."),
    python(
        "instructor",
        "instructor[anthropic]",
        "python/instructor_client.py",
        THREE,
        note=f"Where it is streamed: {CUT_OBJECTS[0].lower()}{CUT_OBJECTS[1:]}.",
    ),
    python(
        "smolagents",
        "smolagents[openai]",
        "python/smolagents_client.py",
        CHAT,
        note=f"{REFUSED_AGAIN} twenty-one times: `max_steps` bounds that.",
    ),
    python("AutoGen", "autogen-ext[openai] autogen-agentchat", "python/autogen_client.py", CHAT),
    python("Semantic Kernel", "semantic-kernel", "python/semantic_kernel_client.py", CHAT),
    python("Agno", "agno openai", "python/agno_client.py", f"{CHAT}, {RESPONSES}"),
    python("Strands", "strands-agents[openai]", "python/strands_client.py", CHAT, note=LAST_CALL),
    python(
        "Agent Framework",
        "agent-framework-openai agent-framework-anthropic",
        "python/agent_framework_client.py",
        THREE,
        note="Microsoft's. At the Responses API its agents send their last turn alone, whatever answers say of `store`: `store: False` in "
        "their options has them send all. The last part of a stream there is the whole text again: print the pieces up to it, or take "
        "`get_final_response()`.",
    ),
    python(
        "BAML",
        "baml-py",
        "python/baml_functions.py",
        FOUR,
        needs=("pydantic", "typing-extensions"),
        note=f"The settings stand in a file of its own language, below `baml_src`. {CUT_OBJECTS}.",
    ),
    python("CrewAI", "crewai", "python/crewai_client.py", f"{CHAT}, {RESPONSES}"),
    python("LiteLLM (library)", "litellm", "python/litellm_client.py", f"{FOUR}, {EMBEDDINGS}"),
    python("any-llm", "any-llm-sdk[anthropic,gemini]", "python/any_llm_client.py", f"{FOUR}, {EMBEDDINGS}"),
    python("OpenRouter (Python)", "openrouter", "python/openrouter_client.py", f"{CHAT}, {RESPONSES}, {EMBEDDINGS}", note=OWN_WORDS),
    node(
        "OpenRouter (JavaScript)", "@openrouter/sdk", "node/openrouter.mjs", f"{CHAT}, {RESPONSES}, {EMBEDDINGS}", note=OWN_WORDS_AND_NULLS
    ),
    node(
        "OpenRouter for the AI SDK",
        "@openrouter/ai-sdk-provider ai zod",
        "node/openrouter-ai-sdk.mjs",
        f"{CHAT}, {EMBEDDINGS}",
        note='Streams tell their usage with `compatibility: "strict"` alone: OpenRouter tells it unasked.',
    ),
    node("Mastra", "@mastra/core zod", "node/mastra.mjs", CHAT),
    node("Genkit", "genkit @genkit-ai/compat-oai", "node/genkit.mjs", CHAT, note=f"{CUT_OBJECTS}."),
    node(
        "TanStack AI",
        "@tanstack/ai @tanstack/ai-openai @tanstack/ai-anthropic @tanstack/ai-gemini zod",
        "node/tanstack-ai.mjs",
        FOUR,
    ),
    python("Google ADK", "google-adk litellm", "python/google_adk.py", f"{GEMINI}, {CHAT}"),
    python("Inspect AI", "inspect-ai openai anthropic google-genai", "python/inspect_ai_client.py", FOUR),
    python("llm", "llm", "shell/llm.sh", CHAT),
    python("aider", "aider-chat", "shell/aider.sh", CHAT),
    python("gptme", "gptme", "shell/gptme.sh", CHAT),
    python(
        "shell-gpt", "shell-gpt", "shell/shell-gpt.sh", CHAT, needs=("click",), note="Its package does not ask for click, which it imports."
    ),
    node("qwen-code", "@qwen-code/qwen-code", "shell/qwen-code.sh", CHAT),
    node("opencode", "opencode-ai", "shell/opencode.sh", CHAT),
    node("Continue", "@continuedev/cli", "shell/continue.sh", CHAT),
    node("Cline", "cline", "shell/cline.sh", CHAT),
    node("pi", "@mariozechner/pi-coding-agent", "shell/pi.sh", CHAT),
    node("promptfoo", "promptfoo node", "shell/promptfoo.sh", THREE, note="It wants Node 22, which comes beside it."),
    python("lm-eval", "lm-eval[api]", "shell/lm-eval.sh", CHAT),
    python("guidellm", "guidellm", "shell/guidellm.sh", CHAT, note="It counts a refused key as errors and does not say why."),
    python("gradio", "gradio openai", "python/gradio_client_chat.py", CHAT),
    python("Open WebUI", "open-webui", "shell/open-webui.sh", CHAT),
)
