"""BAML, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import importlib
import subprocess
from pathlib import Path

from told import *

SETTINGS = """
// settings:
client<llm> Chat {
  provider openai-generic
  options {
    base_url "http://127.0.0.1:8000/v1"
    api_key env.AISA_API_KEY
    model "gpt-4.1"
  }
}
client<llm> Responses {
  provider openai-responses
  options {
    base_url "http://127.0.0.1:8000/v1"
    api_key env.AISA_API_KEY
    model "gpt-4.1"
  }
}
client<llm> Messages {
  provider anthropic
  options {
    base_url "http://127.0.0.1:8000"
    api_key env.AISA_API_KEY
    model "gpt-4.1"
  }
}
client<llm> Gemini {
  provider google-ai
  options {
    base_url "http://127.0.0.1:8000/v1beta"
    api_key env.AISA_API_KEY
    model "gpt-4.1"
  }
}
// :settings
"""
REST = """
client<llm> Refused {
  provider openai-generic
  options {
    base_url "http://127.0.0.1:8000/v1"
    api_key "KEY"
    model "gpt-4.1"
  }
}
function Say(text: string) -> string {
  client Chat
  prompt #"{{ _.role("user") }}{{ text }}"#
}
generator here {
  output_type "python/pydantic"
  output_dir "../"
  version "VERSION"
  default_client_mode sync
}
"""
EACH = ("Chat", "Responses", "Messages", "Gemini")


def made():
    """Make the client that BAML writes of its files, as its users do."""
    version = subprocess.run(["baml-cli", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    rest = REST.replace("VERSION", version).replace("KEY", BAD_KEY)
    written = (SETTINGS + rest).replace("http://127.0.0.1:8000", URL)
    Path("baml_src").mkdir()
    Path("baml_src/main.baml").write_text(written, encoding="utf-8")
    subprocess.run(["baml-cli", "generate"], capture_output=True, check=True)
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module("baml_client").b


def plain():
    return [client.with_options(client=name).Say(HELLO) for name in EACH]


def stream():
    answers = []
    for name in EACH:
        said = client.with_options(client=name).stream.Say(HELLO)
        assert list(said), "no part of it came"
        answers.append(said.get_final_response())
    return answers


def bad_key():
    client.with_options(client="Refused").Say(HELLO)


client = made()
run(plain, stream, bad_key)
