"""What follows from a refusal on the path of a call: who is asked next, what the caller is told, who is alarmed, what is left out then.

Faults B1 to B7 and W7. A simulation with seeds holds the promises over the whole table.
"""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.errors import CALLER, OPERATOR, VENDOR
from aisa.facts import CallEnded, VendorFailed
from aisa.observe.words import in_words
from aisa.providers import blame_table as table
from aisa.providers.blame_table import Verdict
from aisa.providers.omissions import TARGETS_KEPT_MAX, Omissions
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from refusals import SENTENCES
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, body, content_of, document, event, events_of, text, whole_stream

JSON = {"content-type": "application/json"}


def refuses(message: str, status: int = 400, headers: dict[str, str] | None = None, **members: object) -> Script:
    """A vendor that refuses with these words."""
    return Script([json.dumps({"error": {"message": message, **members}}).encode()], status=status, headers={**JSON, **(headers or {})})


class Called(NamedTuple):
    """What came of a call."""

    client: MemoryClient
    rig: Rig
    upstreams: list[ScriptedUpstream]

    @property
    def asked(self) -> list[int]:
        """How often each target was asked."""
        return [len(upstream.requests) for upstream in self.upstreams]

    @property
    def error(self) -> Any:
        """The error that the caller got."""
        return json.loads(self.client.body)["error"]

    @property
    def failed(self) -> list[VendorFailed]:
        """What was reported of vendors."""
        return [fact for fact in self.rig.facts if isinstance(fact, VendorFailed)]


def call(*scripts: Script, data: bytes | None = None, routes: Config | None = None, **options: Any) -> Called:
    """Make one call to vendors a, b, ... with one script each, streamed unless `data` says otherwise."""
    client, upstreams = MemoryClient(), [ScriptedUpstream(script) for script in scripts]

    async def main() -> Rig:
        rig = Rig(*upstreams, **options)
        if routes is not None:
            rig.dependencies.routes = Routes(routes)
        await rig.call(client, data or body(stream=True))
        return rig

    return Called(client, run_virtual(main()), upstreams)


def limit(seconds: int) -> Script:
    """A vendor that limits us for so long."""
    return refuses("slow down", 429, {"retry-after": str(seconds)})


GOOD = Script(whole_stream("b"))


@pytest.mark.parametrize("told", [table.OUR_KEY, table.OUR_CREDIT, table.OUR_MODEL], ids=lambda told: told.name)
def test_the_operators_fault_falls_back_and_is_loud(told: Verdict) -> None:
    """[fault B1] The caller has his answer, and the operator the words that tell what to do."""
    words = SENTENCES[told][0].replace("m-1", "some-model")
    called = call(refuses(words), GOOD)
    assert (content_of(called.client.body), called.asked) == ("b", [1, 1])
    assert [(fact.blame, fact.loud) for fact in called.failed] == [(OPERATOR, True)]
    assert words[:12] in called.failed[0].detail
    assert in_words(called.failed[0]).startswith("ACT NOW: vendor a failed")


@pytest.mark.parametrize("told", [table.OUR_KEY, table.OUR_CREDIT, table.OUR_MODEL], ids=lambda told: told.name)
def test_the_operators_fault_is_a_502_that_no_retry_cures(told: Verdict) -> None:
    """[fault B1] Also as the first event of a stream, and none of the vendor's words are shown."""
    words = SENTENCES[told][0].replace("m-1", "some-model")
    for script in (refuses(words), refuses(words, 422), Script([event({"error": {"message": words}}), DONE])):
        called = call(script)
        assert (called.client.status, called.error["code"]) == (502, "upstream_unavailable")
        assert called.client.headers["x-should-retry"] == "false"
        assert "retry-after" not in called.client.headers
        assert words not in called.error["message"]


def test_an_empty_account_inside_a_200_falls_back() -> None:
    """[fault B5] MiniMax's way of saying it, before anything was sent; nothing is billed for it."""
    dry = event({"id": "x", "choices": [], "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}})
    called = call(Script([dry, DONE]), GOOD)
    assert content_of(called.client.body) == "b"
    alone = call(Script([dry, DONE]), prices=Prices(input=1, output=2))
    assert (alone.client.status, alone.rig.rows[0].outcome, alone.rig.rows[0].cost) == (502, "failed", 0)


def test_an_error_inside_a_running_stream_is_an_error_event() -> None:
    """[fault B5] What was said stays, no other target is asked, and there is neither finish nor [DONE]."""
    dry = event({"choices": [], "base_resp": {"status_code": "1008", "status_msg": "insufficient balance"}})
    called = call(Script([*text("a"), dry, DONE]), GOOD)
    assert (content_of(called.client.body), called.asked) == ("a", [1, 0])
    assert events_of(called.client.body)[-1]["error"]["code"] == "upstream_unavailable"
    assert [fact.blame for fact in called.failed] == [OPERATOR]


def test_refused_content_reaches_no_second_vendor() -> None:
    """[fault B2] And the log says that it was the caller's request."""
    called = call(refuses("Content violates usage guidelines.", 403), GOOD)
    assert (called.client.status, called.asked) == (422, [1, 0])
    assert [(fact.blame, fact.loud) for fact in called.failed] == [(CALLER, False)]
    assert in_words(called.failed[0]).startswith("a caller's request was refused by vendor a")


def test_a_callers_refusal_is_not_quoted_in_the_log() -> None:
    """[fault B3] A vendor's sentence may hold the prompt, which is kept nowhere; how the refusal was read is."""
    called = call(refuses("The text 'my secret diary' is not wanted."))
    assert "diary" in called.error["message"]
    assert called.failed[0].detail == "a answered 400, taken as: request"


def test_of_targets_that_all_lack_something_the_first_words_are_told() -> None:
    """What the caller must change is what the first of them said, not what a later one stumbled over."""
    called = call(refuses("No tools here: not supported."), refuses("Tools are not supported.", 404), refuses("down", 500))
    assert (called.client.status, called.asked) == (422, [1, 1, 1])
    assert called.error["message"] == "No tools here: not supported."
    assert [fact.blame for fact in called.failed] == [CALLER, CALLER, VENDOR]


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ([limit(5), limit(3_600)], ("upstream_rate_limit", "5", None)),
        ([limit(3_600), limit(5)], ("upstream_rate_limit", "5", None)),
        ([limit(5), limit(40)], ("upstream_rate_limit", "5", None)),
        ([limit(40), limit(5)], ("upstream_rate_limit", "5", None)),
        ([refuses("busy", 503), limit(3_600)], ("overloaded", "1", None)),
        ([limit(5), refuses("no such key", 401)], ("upstream_rate_limit", "5", None)),
        ([limit(3_600), limit(7_200)], ("upstream_rate_limit", "60", "false")),
    ],
)
def test_a_limit_of_hours_is_told_only_if_no_target_has_room_sooner(scripts: list[Script], told: tuple[str, str, str | None]) -> None:
    """A client that is told not to retry gives up, though another target of the same model answers in seconds."""
    called = call(*scripts)
    assert (called.error["code"], called.client.headers.get("retry-after"), called.client.headers.get("x-should-retry")) == told


def test_a_feature_of_the_next_target_answers() -> None:
    """What only one target lacks is asked of the next."""
    assert content_of(call(refuses("m-1 does not support tools"), GOOD).client.body) == "b"


TOO_LONG = "prompt is too long: 9000 tokens > 8192 maximum"


@pytest.mark.parametrize(
    ("windows", "asked"),
    [((None, None), [1, 0]), ((None, 8_192), [1, 0]), ((None, 9_000), [1, 0]), ((None, 9_001), [1, 1]), ((200_000, 100_000), [1, 0])],
)
def test_a_prompt_that_is_too_long_goes_only_to_a_window_that_holds_it(windows: tuple[int | None, int | None], asked: list[int]) -> None:
    """[fault B4] A window of which nothing is known is not tried, nor is one that the words or the first window rule out."""
    first, second = windows
    # Weighted targets that stand together are drawn by chance; the one of weight 0 is their stand-by.
    to = (
        TargetSetting(target="a/some-model", context_window=first),
        TargetSetting(target="b/some-model", context_window=second, weight=0),
    )
    vendors = {name: Vendor(base_url=f"http://{name}.example:9/v1") for name in "ab"}
    routes = Config(vendors=vendors, models={"fast": Model(to=to)})
    called = call(refuses(TOO_LONG), GOOD, routes=routes)
    assert called.asked == asked
    if asked == [1, 0]:
        assert (called.client.status, called.error["code"], called.error["message"]) == (400, "context_length_exceeded", TOO_LONG)


def test_a_name_that_the_caller_chose_is_his_404() -> None:
    """[fault B3] No key can fill the operator's pager with typing mistakes."""
    vendors = {"a": Vendor(base_url="http://a.example:9/v1")}
    passed = call(refuses("The model `gpt-41` does not exist", 404), data=body(model="a/gpt-41"), routes=Config(vendors=vendors))
    assert (passed.client.status, passed.error["code"], passed.error["param"]) == (404, "unknown_model", "model")
    assert [(fact.blame, fact.loud) for fact in passed.failed] == [(CALLER, False)]
    ours = call(refuses("The model `some-model` does not exist", 404))
    assert (ours.client.status, ours.failed[0].loud) == (502, True)


class Picky(ScriptedUpstream):
    """A vendor that refuses `stream_options`, in its own way, and else answers. Its usage never comes."""

    def __init__(self, refusal: Script) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    async def ask(self, request: Any) -> Any:
        """Refuse or answer."""
        told = "stream_options" in json.loads(request.body)
        self._scripts = [self.refusal if told else Script([*text("a", "b"), event(FINISH), DONE])]
        return await super().ask(request)


FINISH = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some-model"} | {
    "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
}
PICKY = {
    "pydantic's list": Script(
        [b'{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}'],
        status=422,
        headers=JSON,
    ),
    "a text": Script([b"unknown field: stream_options"], status=400, headers={"content-type": "text/plain"}),
    "OpenAI's": refuses("Unrecognized request argument supplied: stream_options", 400, param="stream_options"),
    "a detail": Script([b'{"detail":"stream_options is not supported"}'], status=400, headers=JSON),
    "a name in another case": refuses("json: unknown field 'streamOptions'", 422),
    "its member": refuses("include_usage is not a known option", 400),
    "no list of words": refuses("stream_options is only for the new engine", 400),
}


@pytest.mark.parametrize("refusal", PICKY.values(), ids=PICKY)
@pytest.mark.parametrize(
    "options", [{}, {"stream_options": {"include_usage": True}}, {"stream_options": None}], ids=["none", "usage", "null"]
)
def test_what_we_added_and_a_vendor_refuses_is_left_out_from_then_on(refusal: Script, options: dict[str, Any]) -> None:
    """[fault W7] The caller hears nothing of a member he never sent, and his wish for usage is ours to grant: it is counted."""
    picky = Picky(refusal)

    async def main() -> tuple[Rig, list[MemoryClient]]:
        rig, clients = Rig(picky), [MemoryClient(), MemoryClient()]
        for client in clients:
            await rig.call(client, body(stream=True, **options))
        return rig, clients

    rig, clients = run_virtual(main())
    assert [content_of(client.body) for client in clients] == ["ab", "ab"]
    assert ["stream_options" in json.loads(request.body) for request in picky.requests] == [True, False, False]
    wanted = bool(options.get("stream_options"))
    for client in clients:
        counts = [item["usage"]["completion_tokens"] for item in events_of(client.body) if isinstance(item, dict) and item.get("usage")]
        assert counts == ([1] if wanted else [])  # two letters are one token
    assert [fact.blame for fact in rig.facts if isinstance(fact, VendorFailed)] == [VENDOR]
    assert [row.billed.source for row in rig.rows] == ["estimated", "estimated"]  # single letters are counted by their size alone


def test_a_setting_leaves_it_out_for_good() -> None:
    """Fault W7: `omit` spares the first refusal; what the caller asks for besides stays."""
    picky = Picky(PICKY["a text"])
    vendors = {"a": Vendor(base_url="http://a.example:9/v1", omit=("stream_options",))}

    async def main() -> None:
        rig = Rig(picky)
        rig.dependencies.routes = Routes(Config(vendors=vendors))
        await rig.call(MemoryClient(), body(stream=True, model="a/some-model"))
        obfuscated = {"include_usage": True, "include_obfuscation": False}
        await rig.call(MemoryClient(), body(stream=True, model="a/some-model", stream_options=obfuscated))

    run_virtual(main())
    asked = [json.loads(request.body).get("stream_options") for request in picky.requests]
    assert asked == [None, {"include_obfuscation": False}]


def test_a_member_that_the_caller_sent_is_his() -> None:
    """What he asks of the vendor and no target takes is told him, in the vendor's words."""
    called = call(
        refuses("Unknown field: stream_options.include_obfuscation"), data=body(stream=True, stream_options={"include_obfuscation": True})
    )
    assert called.asked == [1]
    assert (called.client.status, called.error["code"]) == (422, "unsupported_parameter")


def test_no_caller_can_teach_us_to_leave_usage_out() -> None:
    """Counted usage knows no hidden thinking. A vendor that quotes a caller may name the member: it is believed when it answers without."""
    quoting = ScriptedUpstream(
        refuses("The field `x` must not be 'stream_options'"), refuses("The field `x` must not be 'stream_options'"), GOOD
    )

    async def main() -> None:
        rig = Rig(quoting)
        for _ in range(2):
            await rig.call(MemoryClient(), body(stream=True))

    run_virtual(main())
    assert ["stream_options" in json.loads(request.body) for request in quoting.requests] == [True, False, True]
    alike = call(refuses("Unknown field: stream_options_x, my_include_usage"))
    assert alike.asked == [1]


def test_a_document_has_nothing_added_to_leave_out() -> None:
    """A refusal that names the member all the same is not asked again."""
    assert call(refuses("stream_options is not supported"), data=body()).asked == [1]


def test_what_is_remembered_has_a_bound_and_is_of_one_model() -> None:
    """Callers can name models; the oldest target is forgotten first."""
    omissions, targets = Omissions(), [Target("a", f"m-{number}", "openai") for number in range(TARGETS_KEPT_MAX + 1)]
    for target in targets:
        omissions.learn(omissions.applied(target, ("stream_options",)), ("stream_options",))
    assert omissions.applied(targets[0]).omit == ()
    assert omissions.applied(targets[-1]).omit == ("stream_options",)
    assert omissions.applied(Target("b", targets[-1].model, "openai")).omit == ()
    assert omissions.applied(targets[-1], ("include_usage",)).omit == ("stream_options", "include_usage")


def test_what_is_asked_without_something_is_one_target_for_all_calls() -> None:
    """Or whatever is known by the target, as an account's states are, would be made anew for each call."""
    omissions, target = Omissions(), Target("a", "m", "openai")
    first = omissions.applied(target, ("stream_options",))
    omissions.learn(first, ("stream_options",))
    assert omissions.applied(target) is first
    assert omissions.applied(target, ("include_usage",)) is not first
    assert omissions.applied(Target("a", "m", "openai", omit=("user",))).omit == ("user", "stream_options")
    for number in range(TARGETS_KEPT_MAX):
        assert omissions.applied(Target("a", "m", "openai", omit=(f"m{number}",))).omit == (f"m{number}", "stream_options")
    again = omissions.applied(target)
    assert (again, again is first) == (first, False)


class Told(NamedTuple):
    """A scripted target of the simulation, and the verdict on what it says; None if it answers."""

    script: Script
    verdict: Verdict | None


def drawn(chance: random.Random, *, streamed: bool) -> Told:
    """Draw what a target does: one in five answers, the others refuse, by a status of 400 or by their stream's first event."""
    if chance.random() < 0.2:
        return Told(GOOD if streamed else Script([document()], headers=JSON), None)
    verdict = chance.choice([told for told in SENTENCES if told is not table.FAILED])
    words = chance.choice(SENTENCES[verdict]).replace("m-1", "some-model").replace("M-1", "some-model")
    if streamed and chance.random() < 0.3 and verdict is not table.INVALID:
        return Told(Script([event({"error": {"message": words}}), DONE]), verdict)
    return Told(refuses(words), verdict)


@pytest.mark.parametrize("seed", range(400))
def test_over_the_whole_table_nobody_is_asked_who_should_not_be_and_every_call_closes_once(seed: int) -> None:
    """No refused content reaches a second vendor, every operator's and vendor's fault falls back, the first fault of the caller is told."""
    chance = random.Random(seed)
    streamed = chance.random() < 0.5
    targets = [drawn(chance, streamed=streamed) for _ in range(chance.randint(1, 5))]
    called = call(*[target.script for target in targets], data=body(stream=streamed), prices=Prices(input=1, output=2))
    reached: list[Verdict | None] = []
    for target in targets:
        reached.append(target.verdict)
        if target.verdict is None or target.verdict.others != table.ANY:
            break
    assert called.asked == [1] * len(reached) + [0] * (len(targets) - len(reached))
    failures = [verdict for verdict in reached if verdict is not None]
    assert [fact.blame for fact in called.failed] == [verdict.blame for verdict in failures]
    assert [fact.loud for fact in called.failed] == [verdict.blame == OPERATOR for verdict in failures]
    ends = [fact for fact in called.rig.facts if isinstance(fact, CallEnded)]
    assert (len(ends), len(called.rig.rows)) == (1, 1)
    if reached[-1] is None:
        assert (called.client.status, ends[0].outcome) == (200, "completed")
        return
    passing = [verdict for verdict in failures if verdict.blame == VENDOR]  # a retry may be answered there
    told = next((verdict for verdict in failures if verdict.blame == CALLER), (passing or failures)[-1])
    assert called.error["code"] == told.code
    assert (called.rig.rows[0].outcome, called.rig.rows[0].cost) == ("refused" if told.blame == CALLER else "failed", 0)
    assert all(upstream.open == 0 for upstream in called.upstreams)
