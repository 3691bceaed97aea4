"""How popular clients are set up for a server: the exact settings, for its address and a model of its. Knows no server.

The console's setup page is made of this table, and so are the settings of these clients in docs/clients.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Setting(NamedTuple):
    """What to write where: into a shell, a file or fields of a page. `{url}` is the server's address, `{model}` a model's name."""

    where: str
    text: str


class Client(NamedTuple):
    """One client: which API it speaks here, what to write where, and what else should be known of it."""

    name: str
    kind: str
    door: str
    settings: tuple[Setting, ...]
    note: str = ""

    def filled(self, url: str, model: str) -> Client:
        """Return it with an address and a model."""
        filled = tuple([Setting(each.where, each.text.replace("{url}", url).replace("{model}", model)) for each in self.settings])
        return self._replace(settings=filled)


AGENTS, CHATS, EDITORS, LIBRARIES = "Coding agents", "Chat applications", "Editors", "Libraries"
CHAT, RESPONSES, MESSAGES, GEMINI = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models"

CLIENTS: tuple[Client, ...] = (
    Client(
        "Claude Code",
        AGENTS,
        MESSAGES,
        (
            Setting(
                "Shell",
                """export ANTHROPIC_BASE_URL={url}
export ANTHROPIC_AUTH_TOKEN=$AISA_API_KEY
export ANTHROPIC_MODEL={model}
claude""",
            ),
        ),
        "No /v1 at the end of the address: Claude Code adds it.",
    ),
    Client(
        "Codex",
        AGENTS,
        RESPONSES,
        (
            Setting(
                "~/.codex/config.toml",
                """model = "{model}"
model_provider = "aisa"

[model_providers.aisa]
name = "aisa"
base_url = "{url}/v1"
env_key = "AISA_API_KEY"
wire_api = "responses\"""",
            ),
        ),
    ),
    Client(
        "Gemini CLI",
        AGENTS,
        GEMINI,
        (
            Setting(
                "Shell",
                """export GOOGLE_GEMINI_BASE_URL={url}
export GEMINI_API_KEY=$AISA_API_KEY
gemini --model {model}""",
            ),
        ),
    ),
    Client(
        "Copilot CLI",
        AGENTS,
        CHAT,
        (
            Setting(
                "Shell",
                """export COPILOT_PROVIDER_BASE_URL={url}/v1
export COPILOT_PROVIDER_API_KEY=$AISA_API_KEY
export COPILOT_MODEL={model}
copilot""",
            ),
        ),
        "GitHub's, which needs no account there with this. COPILOT_OFFLINE=true keeps it from asking GitHub at all.",
    ),
    Client(
        "aider",
        AGENTS,
        CHAT,
        (
            Setting(
                "Shell",
                """export OPENAI_API_BASE={url}/v1
export OPENAI_API_KEY=$AISA_API_KEY
aider --model openai/{model}""",
            ),
        ),
    ),
    Client(
        "OpenCode",
        AGENTS,
        CHAT,
        (
            Setting(
                "opencode.json",
                """{
  "provider": {
    "aisa": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "aisa",
      "options": {"baseURL": "{url}/v1", "apiKey": "{env:AISA_API_KEY}"},
      "models": {"{model}": {}}
    }
  }
}""",
            ),
        ),
    ),
    Client(
        "Open WebUI",
        CHATS,
        CHAT,
        (
            Setting(
                "Environment",
                """OPENAI_API_BASE_URL={url}/v1
OPENAI_API_KEY=sk-aisa-…""",
            ),
        ),
        "Or in its admin settings, under Connections. From a container this machine is host.docker.internal.",
    ),
    Client(
        "LibreChat",
        CHATS,
        CHAT,
        (
            Setting(
                "librechat.yaml",
                """endpoints:
  custom:
    - name: "aisa"
      apiKey: "${AISA_API_KEY}"
      baseURL: "{url}/v1"
      models: {default: ["{model}"], fetch: true}
      titleConvo: true""",
            ),
        ),
    ),
    Client(
        "Cursor",
        EDITORS,
        CHAT,
        (
            Setting(
                "Settings, Models, API Keys",
                """OpenAI API Key             sk-aisa-…
Override OpenAI Base URL   {url}/v1
Add model                  {model}""",
            ),
        ),
        "Cursor's own servers make these calls, so the address must be reachable from the internet.",
    ),
    Client(
        "Cline, Roo Code",
        EDITORS,
        CHAT,
        (
            Setting(
                "Settings",
                """API Provider   OpenAI Compatible
Base URL       {url}/v1
API Key        sk-aisa-…
Model ID       {model}""",
            ),
        ),
    ),
    Client(
        "Continue",
        EDITORS,
        CHAT,
        (
            Setting(
                "~/.continue/config.yaml",
                """models:
  - name: aisa
    provider: openai
    model: {model}
    apiBase: {url}/v1
    apiKey: sk-aisa-…
    roles: [chat, edit, apply]""",
            ),
        ),
    ),
    Client(
        "Zed",
        EDITORS,
        CHAT,
        (
            Setting(
                "settings.json",
                """{
  "language_models": {
    "openai_compatible": {
      "aisa": {
        "api_url": "{url}/v1",
        "available_models": [{"name": "{model}", "max_tokens": 128000}]
      }
    }
  }
}""",
            ),
        ),
        "The key goes into AISA_API_KEY, or into the provider's field.",
    ),
    Client(
        "OpenAI's Python client",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "Python",
                """import os

from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["AISA_API_KEY"])
answer = client.chat.completions.create(
    model="{model}",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.choices[0].message.content)""",
            ),
        ),
    ),
    Client(
        "OpenAI's Node client",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "JavaScript",
                """import OpenAI from "openai";

const client = new OpenAI({ baseURL: "{url}/v1", apiKey: process.env.AISA_API_KEY });
const answer = await client.chat.completions.create({
  model: "{model}",
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(answer.choices[0].message.content);""",
            ),
        ),
    ),
    Client(
        "Anthropic's Python client",
        LIBRARIES,
        MESSAGES,
        (
            Setting(
                "Python",
                """import os

from anthropic import Anthropic

client = Anthropic(base_url="{url}", auth_token=os.environ["AISA_API_KEY"])
answer = client.messages.create(
    model="{model}",
    max_tokens=200,
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.content[0].text)""",
            ),
        ),
    ),
    Client(
        "google-genai",
        LIBRARIES,
        GEMINI,
        (
            Setting(
                "Python",
                """import os

from google import genai

client = genai.Client(api_key=os.environ["AISA_API_KEY"], http_options={"base_url": "{url}"})
answer = client.models.generate_content(model="{model}", contents="Hello!")
print(answer.text)""",
            ),
        ),
    ),
    Client(
        "LangChain",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "Python",
                """import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="{model}", base_url="{url}/v1", api_key=os.environ["AISA_API_KEY"])
print(model.invoke("Hello!").content)""",
            ),
        ),
    ),
    Client(
        "LlamaIndex",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "Python",
                """import os

from llama_index.llms.openai_like import OpenAILike

llm = OpenAILike(model="{model}", api_base="{url}/v1", api_key=os.environ["AISA_API_KEY"], is_chat_model=True)
print(llm.complete("Hello!"))""",
            ),
        ),
    ),
    Client(
        "Vercel's AI SDK",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "JavaScript",
                """import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const aisa = createOpenAICompatible({
  name: "aisa",
  baseURL: "{url}/v1",
  apiKey: process.env.AISA_API_KEY,
});
const { text } = await generateText({ model: aisa("{model}"), prompt: "Hello!" });
console.log(text);""",
            ),
        ),
    ),
    Client(
        "pydantic-ai",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "Python",
                """import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url="{url}/v1", api_key=os.environ["AISA_API_KEY"])
print(Agent(OpenAIChatModel("{model}", provider=provider)).run_sync("Hello!").output)""",
            ),
        ),
    ),
    Client(
        "curl",
        LIBRARIES,
        CHAT,
        (
            Setting(
                "Shell",
                """curl -N {url}/v1/chat/completions \\
  -H "Authorization: Bearer $AISA_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'""",
            ),
        ),
    ),
)


def clients_for(url: str, model: str) -> Mapping[str, list[Client]]:
    """Return the clients of each kind, for a server's address and a model."""
    kinds: dict[str, list[Client]] = {}
    for client in CLIENTS:
        kinds.setdefault(client.kind, []).append(client.filled(url, model))
    return kinds
