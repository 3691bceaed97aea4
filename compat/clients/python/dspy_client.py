"""DSPy, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import dspy
from told import *


# settings:
def connect(key=KEY, **more):
    return dspy.LM(f"openai/{MODEL}", api_base=f"{URL}/v1", api_key=key, cache=False, **more)


# :settings


def plain():
    return connect()(HELLO)


def responses():
    return connect(model_type="responses")(HELLO)


def schema():
    with dspy.context(lm=connect(), adapter=dspy.JSONAdapter()):
        return dspy.Predict("question -> name: str, people: int")(question=CITY)


def bad_key():
    connect(BAD_KEY)(HELLO)


run(plain, responses, schema, bad_key)
