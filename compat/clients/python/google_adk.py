"""Google's Agent Development Kit, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    os.environ["GOOGLE_GEMINI_BASE_URL"], os.environ["GOOGLE_API_KEY"] = URL, key
    return MODEL if MODEL.startswith("gemini") else "gemini-2.5-flash"  # by other names it looks for other clients


def connect_chat():
    return LiteLlm(model=f"openai/{MODEL}", api_base=f"{URL}/v1", api_key=KEY)


# :settings


class City(BaseModel):
    name: str
    people: int


async def said(model, words, mode=StreamingMode.NONE, **more):
    """Return what the agent said at last, and how often it said something."""
    runner = InMemoryRunner(agent=LlmAgent(name="aisa", model=model, **more), app_name="aisa")
    session = await runner.session_service.create_session(app_name="aisa", user_id="u")
    asked = types.Content(role="user", parts=[types.Part(text=words)])
    events = [
        event
        async for event in runner.run_async(
            user_id="u", session_id=session.id, new_message=asked, run_config=RunConfig(streaming_mode=mode, max_llm_calls=4)
        )
    ]
    return "".join(part.text or "" for part in events[-1].content.parts), len(events)


def both(words, mode=StreamingMode.NONE, **more):
    return [asyncio.run(said(model, words, mode, **more)) for model in (connect(), connect_chat())]


def plain():
    answers = both(HELLO)
    return all(text for text, _ in answers) and answers


def stream():
    answers = both(HELLO, StreamingMode.SSE)
    assert all(events > 2 for _, events in answers), answers
    return answers


def tools():
    answers = both(WEATHER, tools=[get_weather])
    assert [events for _, events in answers] == [3, 3], answers
    return answers


def schema():
    return [City.model_validate_json(text) for text, _ in both(CITY, output_schema=City)]


def bad_key():
    asyncio.run(said(connect(BAD_KEY), HELLO))


run(plain, stream, tools, schema, bad_key)
