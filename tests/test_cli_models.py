"""`aisa models` and the running server: a name leads to one place, which both tell alike, and the vendor is never asked on a call's way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa
from aisa.model_lists import FILE_NAME
from server import Server, serving
from test_reload import asked, until
from vendor import ScriptedVendor

CLEAN = {"HOST": None, "PORT": None, "AISA_DATA_DIR": None, "AISA_CONFIG": None, "OPENAI_API_KEY": None, "NO_COLOR": None, "COLUMNS": "200"}
TWO = """\
vendors:
  first: {{base_url: "{first}"}}
  second: {{base_url: "{second}"}}
models:
  named: [first/hello]
"""


class Two(NamedTuple):
    """A server in front of two vendors with lists of their own."""

    server: Server
    first: ScriptedVendor
    second: ScriptedVendor


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """`hello` is at both, `sloppy` at the second alone."""
    with (
        ScriptedVendor(("hello",)) as first,
        ScriptedVendor(("hello", "sloppy")) as second,
        serving(tmp_path_factory.mktemp("two"), TWO.format(first=first.url, second=second.url)) as server,
    ):
        until(lambda: "vendor first lists 1" in server.log and "vendor second lists 2" in server.log)
        kept = server.folder / "data" / FILE_NAME
        until(
            lambda: kept.exists() and all(name in kept.read_text() for name in ("first", "sloppy"))
        )  # it is written behind the log's line
        yield Two(server, first, second)


def call(server: Server, model: str) -> tuple[int, dict[str, object]]:
    """Make a call and return its status and document."""
    answered = asked(server, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hi."}]})
    document: dict[str, object] = json.loads(answered.body)
    return answered.status, document


def test_a_bare_name_goes_to_the_vendor_that_lists_it(two: Two) -> None:
    """[fault P2] At one vendor it answers, at two it is refused with both, and neither is asked for its list meanwhile."""
    lists = two.first.listed, two.second.listed
    assert call(two.server, "Sloppy")[0] == 200
    assert len(two.second.asked("sloppy")) == 1
    status, document = call(two.server, "hello")
    assert status == 404
    assert "'first/hello' or 'second/hello'" in json.dumps(document)
    assert (two.first.listed, two.second.listed) == lists == (1, 1)


def test_the_list_shows_what_works(two: Two) -> None:
    """[fault P1] Every chat interface fills its menu from it, and each name in it answers."""
    names = [model["id"] for model in json.loads(asked(two.server, "/v1/models").body)["data"]]
    assert names == ["named", "embedded/tiny", "first/hello", "second/hello", "sloppy"]
    assert [call(two.server, name)[0] for name in names] == [200] * 5


def test_the_command_tells_what_the_server_does(two: Two) -> None:
    """From what the server has heard of the vendors; with a fence and a preference after a reload too."""
    models = json.loads(two.server.aisa("models", "--json", "--config", str(two.server.folder / "aisa.yaml")))
    assert [(model["name"], model["targets"][0]["target"]) for model in models] == [
        ("named", "first/hello"),
        ("embedded/tiny", "embedded/tiny"),
        ("first/hello", "first/hello"),
        ("second/hello", "second/hello"),
        ("sloppy", "second/sloppy"),
    ]
    text = two.server.aisa("models", "sloppy", "--config", str(two.server.folder / "aisa.yaml"))
    assert "sloppy goes to second/sloppy: it is in the vendor's own list, and at no other vendor." in text


CONFIG = """\
vendors:
  openai: {base_url: "https://api.openai.com/v1"}
  anthropic: {base_url: "https://api.anthropic.com/v1", dialect: anthropic}
  local: {base_url: "http://127.0.0.1:1/v1", price_as: {gpt-4.1: openai/gpt-4.1}}
models: {fast: [openai/gpt-4.1-mini, anthropic/claude-haiku-4-5]}
models_prefer: [local]
"""


def run(folder: Path, *arguments: str, config: str = CONFIG) -> Result:
    """Run `aisa models` with a configuration."""
    (folder / "c.yaml").write_text(config, encoding="utf-8")
    words = ("models", *arguments, "--config", str(folder / "c.yaml"), "--data-dir", str(folder / "data"))
    return CliRunner().invoke(aisa, words, env=CLEAN, prog_name="aisa", catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fast", "fast goes to openai/gpt-4.1-mini or anthropic/claude-haiku-4-5: it is a model of the configuration."),
        ("o3", "o3 goes to openai/o3: the price catalogue lists it there, and at no other vendor."),
        ("gpt-4.1", "gpt-4.1 goes to local/gpt-4.1: the configuration names it there, and `models_prefer` puts local first."),
        ("gpt-4.1", "openai/gpt-4.1 has the name too"),
        ("gpt-4.1", "local/gpt-4.1: 2 input, 8 output, US dollars per million tokens (catalogue genai-prices"),
        ("openai/gpt-4.1", "openai/gpt-4.1 goes to openai/gpt-4.1: the name says the vendor, openai."),
        ("embedded/tiny", "the built-in model has this name"),
    ],
)
def test_a_name_is_explained(tmp_path: Path, name: str, said: str) -> None:
    """[fault P2] Where it goes, at what price, and why; no folder is made for that."""
    result = run(tmp_path, name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert said in result.stdout
    assert not (tmp_path / "data").exists()


def test_other_reasons_are_told_too(tmp_path: Path) -> None:
    """The only vendor, and the built-in model."""
    alone = 'vendors: {local: {base_url: "http://127.0.0.1:1/v1"}}'
    assert (
        "any-name goes to local/any-name: local is the only vendor, and gets every name." in run(tmp_path, "any-name", config=alone).stdout
    )
    assert "nothing else serves it, so the built-in model answers" in run(tmp_path, "gpt-5", config="{}").stdout
    named = run(tmp_path, "gpt-4.1", config="models: {gpt-4.1: [embedded/tiny]}").stdout
    assert "gpt-4.1 goes to embedded/tiny: it is a model of the configuration." in named


def test_a_name_that_nothing_serves_fails_with_the_nearest(tmp_path: Path) -> None:
    """Status 1, for scripts."""
    result = run(tmp_path, "gpt-4.1-mnii")
    assert result.exit_code == 1
    assert "Did you mean 'gpt-4.1-mini'" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("models_only: true", "Nothing could be called"),
        ("vendors: {openai: {base_url: 'https://api.openai.com/v1'}}\nmodels_prefer: [opnai]", "Did you mean `openai`?"),
        ("models: {only: true}", "The setting is `models_only`"),
        ("models: {fast: [embedded/tiny], only: yes please}", "The setting is `models_only`"),
        ("models.only: true", "Did you mean `models_only`?"),
        ("models: {prefer: [openai, azure]}", "The setting is `models_prefer`"),
        ("models: {only: [openia/x]}", "There is no vendor `openia`"),
    ],
)
def test_settings_on_names_that_cannot_work_are_refused(tmp_path: Path, config: str, said: str) -> None:
    """With what would be right."""
    (tmp_path / "c.yaml").write_text(config, encoding="utf-8")
    checked = CliRunner().invoke(aisa, ("config", "check", "--config", str(tmp_path / "c.yaml")), env=CLEAN)
    assert checked.exit_code == 2
    assert said in " ".join(checked.stderr.split())


@pytest.mark.parametrize(
    ("config", "any_name"), [("{}", True), ("embedded: {enabled: never}\nvendors: {a: {base_url: 'http://127.0.0.1:9/v1'}}", False)]
)
def test_it_is_said_that_every_other_name_is_answered(tmp_path: Path, config: str, any_name: bool) -> None:
    """[fault P2] Without a vendor `gpt-5` was answered and stood nowhere: one name was listed, that of the built-in model."""
    result = run(tmp_path, config=config)
    assert bool(re.search(r"^any other name +the built-in model +free +free$", result.stdout, re.MULTILINE)) == any_name
