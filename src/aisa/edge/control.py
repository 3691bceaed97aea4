"""The control socket's side of the edge: hands each request on the data folder's unix socket to the key administration."""

from __future__ import annotations

from aisa.edge.admin import Admin
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.wire.reply import JSON_TYPE, error_json

CONTROL_ID = "control"  # these requests are the operator's own; they have no call id


class Control:
    """Serves the command line. Who can open the socket (mode 0600 in a folder of mode 0700) is the operator."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Answer one request of the command line."""
        status, body = self._admin.answer(request.method, request.path, request.body)
        respond(reply, status, body)

    def refuse(self, error: ApiError, reply: Reply) -> None:
        """Answer what is not a request."""
        respond(reply, error.status, error_json(error, CONTROL_ID))


def respond(reply: Reply, status: int, body: bytes) -> None:
    """Send a JSON body."""
    reply.start(status, [("content-type", JSON_TYPE)], len(body))
    reply.write(body)
    reply.end()
