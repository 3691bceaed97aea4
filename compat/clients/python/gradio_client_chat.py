"""gradio, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import gradio
from gradio_client import Client
from told import *


# settings:
def connect(key=KEY):
    return gradio.load_chat(f"{URL}/v1", model=MODEL, token=key)


# :settings


def said(key):
    chat = connect(key)
    _, address, _ = chat.launch(prevent_thread_lock=True, quiet=True)
    try:
        return Client(address, verbose=False).predict({"text": HELLO, "files": []}, api_name="/open_api_stream")
    finally:
        chat.close()


def plain():
    return said(KEY)


def bad_key():
    said(BAD_KEY)


run(plain, bad_key)
