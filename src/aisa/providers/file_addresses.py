"""Files that stand at an address, in a request that came to chat completions: few vendors read them there, and others must not guess.

OpenAI's own chat completions take data and uploads alone; its Responses API takes addresses. Reads nothing.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from aisa.providers.concessions import Concessions
from aisa.providers.shape import Target
from aisa.wire.addresses import is_web_address
from aisa.wire.trees import as_tree, trees_in

#: In JSON of ours. Within a text the quotation marks would be escaped.
LIKE_ADDRESS = re.compile(rb'"file_data":"(?i:http)')


def refuse_file_addresses(messages: Raw, target: Target) -> None:
    """Do nothing unless a file in these messages stands at an address which the target does not read. Raises UpstreamFailed for it."""
    if target.file_addresses or LIKE_ADDRESS.search(bytes(messages)) is None:
        return
    for place, message in enumerate(trees_in(msgspec.json.decode(messages))):
        for order, part in enumerate(trees_in(message.get("content"))):
            if is_web_address(as_tree(part.get("file")).get("file_data")):
                why = "they take the data of a file and not its address. Send it as base64"
                raise Concessions(target).refusal(f"messages[{place}].content[{order}].file", why)
