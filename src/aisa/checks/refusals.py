"""Checks of what is refused, and of the routes beside the doors: true statuses, JSON everywhere, one shape."""

from __future__ import annotations

from typing import Any, cast

from aisa.checks.chat_stream import first_of
from aisa.checks.client import Response
from aisa.checks.members import objects
from aisa.checks.subject import ABSENT, Broken, Skipped, Subject, good, short, value_of

Json = dict[str, Any]
NO_MODEL = "no-such-model"  # a scenario of the played vendor too: a gateway that passes every name on gets its 404
WRONG_KEY = "sk-aisa-check-this-is-nobodys-key"


def refused(response: Response, *statuses: int) -> Json:
    """Return the error of a response that must have one of these statuses. Raises Broken."""
    if response.status not in statuses:
        raise Broken(f"status {response.status} instead of {' or '.join(map(str, statuses))}: {short(response.body)}")
    error = value_of(response).get("error")  # whatever its type: clients read it as JSON without looking
    if not isinstance(error, dict):
        raise Broken(f"status {response.status} with {response.kind or 'no type'} and no `error` object: {short(response.body)}")
    return cast("Json", error)


async def no_key(subject: Subject) -> str:
    """A call without a key is 401."""
    if subject.key is None:
        raise Skipped("it was given no key")
    refused(await subject.ask(subject.request(subject.chat(), key=None)), 401, 403)
    return ""


async def wrong_key(subject: Subject) -> str:
    """A call with a key that nobody has is 401."""
    if subject.key is None:
        raise Skipped("it was given no key")
    refused(await subject.ask(subject.request(subject.chat(), key=WRONG_KEY)), 401, 403)
    return ""


async def key_arrives(subject: Subject) -> str:
    """The Authorization header reaches the server, which may show its models to everybody."""
    if subject.key is None:
        raise Skipped("it was given no key")
    requests = [subject.request(method="GET", path="/v1/models")]
    requests += [subject.request(subject.chat(stream=False))] if subject.model else []
    for request in requests:
        response = await subject.ask(request)
        if response.status in (401, 403, 407):
            raise Broken(f"the key is refused: it is wrong, or did not arrive: {short(response.body)}")
    return ""


async def bad_json(subject: Subject) -> str:
    """A body that is no JSON is 400."""
    refused(await subject.ask(subject.request(raw=b'{"model": ')), 400, 422)
    return ""


async def no_messages(subject: Subject) -> str:
    """A chat without messages is 400."""
    refused(await subject.ask(subject.request({"model": subject.model})), 400, 422)
    return ""


async def unknown_model(subject: Subject) -> str:
    """A model that is not there is refused, and named."""
    asked = {**subject.chat(NO_MODEL), "model": f"aisa-check/{NO_MODEL}"}
    response = await subject.ask(subject.request(asked))
    if response.status == 200 and response.headers.get("x-aisa-served-by", "").startswith("embedded/"):
        raise Skipped("nothing is configured there, and the built-in model answers under every name")
    error = refused(response, 404, 400, 403)
    return first_of(["the message does not name the model"] if NO_MODEL not in str(error.get("message")) else [])


async def unknown_path(subject: Subject) -> str:
    """A path that is not there is 404 in JSON."""
    response = await subject.ask(subject.request(method="GET", path="/v1/aisa-check-no-such-path"))
    broken = [f"status {response.status}"] if response.status != 404 else []
    return first_of([*broken, *([f"{response.kind or 'no type'}: {short(response.body)}"] if response.kind != "application/json" else [])])


async def wrong_method(subject: Subject) -> str:
    """A GET of the chat route is refused with JSON."""
    response = await subject.ask(subject.request(method="GET", path="/v1/chat/completions"))
    return first_of(
        [f"status {response.status}, {response.kind}"] if response.status not in ABSENT or response.kind != "application/json" else []
    )


async def error_members(subject: Subject) -> str:
    """An error has message, type, param and code."""
    error = refused(await subject.ask(subject.request({"model": subject.model})), 400, 422)
    return first_of(f"an error without `{name}`" for name in ("message", "type", "param", "code") if name not in error)


async def request_id(subject: Subject) -> str:
    """Every answer, a refusal too, carries an id to ask about, which is no other's."""
    answers = [await subject.document(), await subject.ask(subject.request({"model": subject.model}))]
    ids = [answer.headers.get("x-request-id") for answer in answers]
    return first_of(["no x-request-id"] if not all(ids) else [f"two answers have the id {ids[0]!r}"] if ids[0] == ids[1] else [])


async def listed(subject: Subject) -> str:
    """The models are listed."""
    response = good(await subject.ask(subject.request(method="GET", path="/v1/models")), "list of models")
    value = value_of(response)
    rows = objects(value.get("data"))
    whole = value.get("object") == "list" and rows and all(row.get("id") for row in rows)
    return f"{len(rows)} models" if whole else first_of([f"a list without ids: {short(response.body)}"])


async def health(subject: Subject) -> str:
    """`/health` says 200, without a key."""
    paths = dict.fromkeys([f"{subject.prefix}/health", "/health"])
    told = [(await subject.ask(subject.request(method="GET", whole_path=path, key=None))).status for path in paths]
    return first_of([f"status {told[-1]}"] if 200 not in told else [])


async def headed(subject: Subject) -> str:
    """HEAD is answered as GET is, without a body."""
    response = await subject.ask(subject.request(method="HEAD", path="/v1/models"))
    return first_of([f"status {response.status}"] if response.status != 200 else [])
