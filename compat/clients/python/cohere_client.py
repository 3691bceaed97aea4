"""cohere, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import cohere
from told import *


# settings:
def connect(key=KEY):
    return cohere.ClientV2(api_key=key, base_url=URL)  # its rankings only: this server has no other address of Cohere's


# :settings


def rerank():
    return connect().rerank(model=MODEL, query=HELLO, documents=[HELLO, CITY, WEATHER]).results


def bad_key():
    connect(BAD_KEY).rerank(model=MODEL, query=HELLO, documents=[HELLO])


def chat_is_elsewhere():
    try:
        connect().chat(model=MODEL, messages=[{"role": "user", "content": HELLO}])
    except cohere.NotFoundError as error:
        return error


run(rerank, chat_is_elsewhere, bad_key)
