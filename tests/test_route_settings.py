"""What the configuration says of routes, and what `aisa route explain` prints of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa

CLEAN = {"HOST": None, "PORT": None, "AISA_DATA_DIR": None, "AISA_CONFIG": None, "OPENAI_API_KEY": None, "NO_COLOR": None, "COLUMNS": "160"}
VENDORS = """\
vendors:
  a: {base_url: "http://127.0.0.1:1/v1", prices: {x: {input: 1, output: 2}}}
  b: {base_url: "http://127.0.0.1:1/v1", prices: {x: {input: 0.5, output: 2}}}
  far: {base_url: "https://far.example/v1"}
models:
  m: %s
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in a working directory of its own."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, model: str, given: str | None = None) -> Result:
    """Run a command with a configuration whose model `m` is written so."""
    Path("aisa.yaml").write_text(VENDORS % model, encoding="utf-8")
    return CliRunner().invoke(aisa, list(arguments), env=CLEAN, input=given, catch_exceptions=False)


@pytest.mark.parametrize(
    ("model", "where", "said"),
    [
        ("{to: [a/x, b/x], route: {by: speed}}", "models.m.route.by", "Expected one of"),
        ("{to: [a/x, b/x], route: {bye: latency}}", "models.m.route.bye", "Did you mean `by`?"),
        ("{to: [a/x, b/x], route: {retries: 11}}", "models.m.route.retries", "from 0 to 10"),
        ("{to: [a/x, b/x], route: {retries: -1}}", "models.m.route.retries", "from 0 to 10"),
        ("{to: [a/x, b/x], route: {first_token_seconds: 0}}", "models.m.route.first_token_seconds", "above 0"),
        ("{to: [a/x, b/x], route: {first_token_seconds: 60}}", "models.m.route.first_token_seconds", "`idle_timeout_seconds`, which is 60"),
        ("{to: [a/x, b/x], route: {affinity: user}}", "models.m.route.affinity", "Expected one of"),
        ("{to: [{target: a/x, weight: 3}, b/x], route: {by: latency}}", "models.m.route.by", "mean nothing with `by: latency`"),
        ("{to: [{target: a/x, weight: 3}, b/x], route: {by: order}}", "models.m.route.by", "mean nothing with `by: order`"),
        ("{to: [{target: a/x, weight: 0}, {target: b/x, weight: 0}], route: {by: load}}", "models.m.route.by", "all are stand-bys"),
        ("{to: [a/x, b/x], prices: {input: 1, output: 1}, route: {by: cost}}", "models.m.route.by", "none is cheaper"),
        ("{to: [a/x], route: {by: cost}}", "models.m.route.by", "nothing to choose"),
        ("{to: [a/x], route: {affinity: prompt}}", "models.m.route.affinity", "all calls go anyway"),
        ("{to: [{target: a/x, takes: [pictures]}]}", "models.m.to.0.takes", "Expected"),
    ],
)
def test_a_route_that_can_mean_nothing_is_refused(model: str, where: str, said: str) -> None:
    """With its place and what would be right."""
    result = run("config", "check", model=model)
    assert result.exit_code == 2
    assert where in result.output
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(("dialect", "status"), [("anthropic", 2), ("mistral", 2), ("gemini", 0), ("bedrock", 0), ("openai", 0)])
def test_pictures_are_read_only_for_dialects_that_take_bytes(dialect: str, status: int) -> None:
    """Elsewhere the setting would promise what nobody does."""
    Path("aisa.yaml").write_text(
        f'vendors: {{a: {{base_url: "http://127.0.0.1:1/v1", dialect: {dialect}, fetch_pictures: true}}}}', encoding="utf-8"
    )
    result = CliRunner().invoke(aisa, ["config", "check"], env=CLEAN)
    assert (result.exit_code, "vendors.a.fetch_pictures" in result.output) == (status, status == 2)


@pytest.mark.parametrize(
    "model",
    [
        "{to: [{target: a/x, weight: 3}, b/x], route: {by: weights, affinity: prompt}}",
        "{to: [{target: a/x, weight: 3}, b/x], route: {by: load}}",
        "{to: [{target: a/x, weight: 3}, b/x], route: {by: latency, affinity: prompt}}",
        "{to: [{target: a/x, weight: 0}, b/x], route: {by: latency, first_token_seconds: 5}}",
        "{to: [a/x], route: {retries: 2, retry_seconds: 5}}",
        "{to: [{target: a/x, takes: []}, {target: b/x, takes: [image, audio, file, video, tools]}]}",
    ],
)
def test_a_route_that_means_something_is_taken(model: str) -> None:
    """Nothing is wrong with it."""
    assert run("config", "check", model=model).exit_code == 0


MODEL = "{to: [{target: a/x, takes: [tools]}, b/x, {target: a/y, weight: 0, context_window: 1000}, far/z], route: {by: cost, retries: 2}}"


def plan_of(result: Result) -> list[tuple[int | None, str, str]]:
    """The targets of a plan that was printed as JSON."""
    assert result.exit_code == 0, result.output
    return [(row["place"], row["target"], row["why"]) for row in json.loads(result.output)["targets"]]


def test_the_plan_says_who_is_asked_in_which_order_and_why() -> None:
    """In the order of the call; whom it leaves out stands behind, with the reason."""
    assert plan_of(run("route", "explain", "m", "--json", model=MODEL)) == [
        (1, "b/x", "this request costs some 0.001008 US dollars there"),
        (2, "a/x", "this request costs some 0.001016 US dollars there"),
        (3, "a/y", "stand-by: its weight is 0"),
        (None, "far/z", "left out: it has no price, and may not be used without"),
    ]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]}, "left out: it does not take pictures"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "left out: it does not take sound"),
    ],
)
def test_what_a_request_shows_leaves_targets_out(request_: dict[str, object], why: str) -> None:
    """From a file or from standard input, whatever model the request itself names."""
    Path("r.json").write_text(json.dumps({"model": "other", **request_}), encoding="utf-8")
    for result in (
        run("route", "explain", "m", "--json", "--body", "r.json", model=MODEL),
        run("route", "explain", "m", "--json", "--body", "-", model=MODEL, given=json.dumps(request_)),
    ):
        assert (None, "a/x", why) in plan_of(result)


def test_a_long_request_leaves_small_windows_out() -> None:
    """With the size of the window."""
    request = json.dumps({"messages": [{"role": "user", "content": "word " * 2_000}], "stream": True})
    result = run("route", "explain", "m", "--body", "-", model=MODEL, given=request)
    assert "left out: its window of 1,000 tokens is too small" in result.output
    assert "a stream of some 2,500 input tokens" in result.output


def test_rules_that_only_show_at_a_failure_are_told_too() -> None:
    """Retries and the time for a first token."""
    model = "{to: [a/x, b/x], route: {retries: 2, first_token_seconds: 5}}"
    output = run("route", "explain", "m", model=model).output
    assert "2 more tries begin within 15 s" in output
    assert "A stream waits 5 s" in output


def test_a_plan_of_several_says_that_the_running_server_may_ask_in_another_order() -> None:
    """[a newcomer's] The status told a target as asked last that the plan had first. One target is asked whatever was seen of it."""
    said = "So would a server that has just started."
    assert said in run("route", "explain", "m", model="{to: [a/x, b/x]}").output
    assert said not in run("route", "explain", "m", model="[a/x]").output


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("{to: [a/x, b/x]}", ["as it stands", "as it stands"]),
        ("{to: [a/x, b/x], route: {by: order}}", ["as it stands", "as it stands"]),
        ("[a/x]", ["the only one"]),
        (
            "{to: [{target: a/x, weight: 3}, {target: b/x, weight: 1}]}",
            ["25 % of the calls ask it first", "75 % of the calls ask it first"],
        ),
        ("{to: [a/x, b/x], route: {by: latency}}", ["by its time to the first token, which only the running server knows"] * 2),
        ("{to: [a/x, b/x], route: {by: load}}", ["by its calls in flight, which only the running server knows"] * 2),
        ("{to: [a/x, b/x], route: {by: order, affinity: prompt}}", ["as it stands", "requests that begin like this one go here"]),
    ],
)
def test_each_kind_of_route_has_its_reason(model: str, why: list[str]) -> None:
    """Why a target stands where it does."""
    assert sorted(row[2] for row in plan_of(run("route", "explain", "m", "--json", model=model))) == why


def test_whom_nobody_would_serve_is_told_what_the_caller_would_be() -> None:
    """An unknown name, a request that no target takes; the exit status is 1."""
    assert "404 unknown_model" in run("route", "explain", "nix", model=MODEL).output
    request = '{"messages": [{"role": "user", "content": [{"type": "file"}]}]}'
    result = run("route", "explain", "m", "--body", "-", model="{to: [{target: a/x, takes: []}]}", given=request)
    assert (result.exit_code, "422 unsupported_parameter" in result.output) == (1, True)


@pytest.mark.parametrize("given", ["", "[]", "{", '{"messages": []}', '{"messages": "x"}'])
def test_what_is_no_request_is_told(given: str) -> None:
    """With what is wrong with it; the exit status is 2."""
    assert run("route", "explain", "m", "--body", "-", model=MODEL, given=given).exit_code == 2


def test_explain_says_what_the_vendors_of_a_model_allow_and_how_long_a_call_waits() -> None:
    """Those of the plan's targets alone; what has no limit is not named."""
    limits = "\nlimits: {vendors: {a: {rpm: 9, models: {x: {concurrency: 2}, y: {rpm: 1}}}, far: {rpm: 3, queue_seconds: 60}}}"
    said = run("route", "explain", "m", model="[a/x, b/x]" + limits).output
    assert "a may be asked 9 calls a minute." in said
    assert "a/x may be asked 2 calls at once." in said
    assert "the call waits for 10 s at most" in said
    assert "far" not in said
    assert "a/y" not in said
    assert "waits" not in run("route", "explain", "m", model="[b/x]" + limits).output
