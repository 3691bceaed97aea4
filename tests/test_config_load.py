"""The configuration from file, environment and command line: what is taken from where, and what is refused, all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.document import CONFIG_BYTES_MAX
from aisa.config.load import ConfigErrors, Loaded, load
from aisa.config.schema import FIELDS, Config, Cors, Embedded, Log, Model, Prices, Server, Target, Vendor
from repeats import repeats

VENDOR = "vendors: {v: {base_url: 'http://127.0.0.1:1/v1'}}\n"


def loaded(folder: Path, text: str, environment: Mapping[str, str] | None = None, **overrides: object) -> Loaded:
    """Load a configuration of this text; override names have `__` for the dot."""
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), environment or {}, {name.replace("__", "."): value for name, value in overrides.items()})


#: A `*` in a name -> where it stands, and what is told to be written.
STARS = [
    ("vendors: {v: {base_url: 'http://127.0.0.1:1', prices: {'*': {input: 1, output: 2}}}}", "vendors.v.prices.*", "by its name there"),
    ("vendors: {v: {base_url: 'http://127.0.0.1:1', prices: {'gpt-*': [{input: 1, output: 2}]}}}", "vendors.v.prices.gpt-*", "by its name"),
    ("vendors: {v: {base_url: 'http://127.0.0.1:1', price_as: {'*': openai/gpt-4o}}}", "vendors.v.price_as.*", "by its name there"),
    ("vendors: {v: {base_url: 'http://127.0.0.1:1', price_as: {m: openai/*}}}", "vendors.v.price_as.m", "that the catalogue lists"),
    ("models: {'*': [embedded/tiny]}", "models.*", "callers use any as vendor/MODEL"),
    ("models: {m: ['embedded/*']}", "models.m.to.0", "callers use any as embedded/MODEL"),
    ("models: {m: {to: [{target: 'embedded/*'}]}}", "models.m.to.0", "callers use any as embedded/MODEL"),
    ("models: {m: {to: [embedded/tiny], aliases: ['m-*']}}", "models.m.aliases.0", "by its name"),
    ("models: {m: {to: [embedded/tiny], allowed_tiers: ['*']}}", "models.m.allowed_tiers.0", "without the line"),
    ("models: {m: {to: [embedded/tiny], unsupported_parameters: ['*']}}", "models.m.unsupported_parameters.0", "by its name"),
    ("models: {m: {to: [embedded/tiny], reasoning_efforts: ['*']}}", "models.m.reasoning_efforts.0", "by its name"),
    (
        "models: {m: {to: [embedded/tiny], prices: {input: 1, output: 1, service_tiers: {'*': {factor: 2}}}}}",
        "models.m.prices.service_tiers.*",
        "beside `service_tiers`",
    ),
    (
        "vendors: {v: {base_url: 'http://127.0.0.1:1'}}\nlimits: {vendors: {v: {models: {'*': {rpm: 1}}}}}",
        "limits.vendors.v.models.*",
        "one level higher",
    ),
    ("limits: {vendors: {'*': {rpm: 1}}}", "limits.vendors.*", "Known vendors"),
    ("vendors: {'*': {base_url: 'http://127.0.0.1:1'}}", "vendors.*", "Choose another name"),
    ("models_prefer: ['*']", "models_prefer.0", "Known vendors"),
]


@pytest.mark.parametrize(("text", "place", "remedy"), STARS)
def test_a_star_that_stands_for_no_name_is_told(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    """[fault P11] Prices of `*` were "No problems", and everything was free."""
    [problem] = refused(tmp_path, text).problems
    assert problem.where.partition(" ")[0] == place
    assert remedy in problem.remedy


def refused(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> ConfigErrors:
    """Return why a configuration is refused."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(folder, text, environment)
    return caught.value


def test_no_file_and_an_empty_environment_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh install needs no configuration."""
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}) == Loaded(Config(), {}, None)


@pytest.mark.parametrize("text", ["", "# nothing\n", "server:\nvendors:\nmodels:\n", "---\n", "\ufeffserver: {}\n"])
def test_a_file_that_sets_nothing_is_the_defaults(tmp_path: Path, text: str) -> None:
    """Sections with nothing below them are sections without settings, not errors."""
    assert loaded(tmp_path, text).config == Config()


def test_the_file_in_the_working_directory_is_read_when_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`./aisa.yaml` counts, AISA_CONFIG counts more, and a named file most."""
    monkeypatch.chdir(tmp_path)
    for name, port in (("aisa.yaml", 1), ("other.yaml", 2), ("named.yaml", 3)):
        Path(name).write_text(f"server: {{port: {port}}}", encoding="utf-8")
    assert load(None, {}, {}).config.server.port == 1
    assert load(None, {"AISA_CONFIG": "other.yaml"}, {}).config.server.port == 2
    assert load("named.yaml", {"AISA_CONFIG": "other.yaml"}, {}).config.server.port == 3


def test_command_line_wins_over_environment_over_file(tmp_path: Path) -> None:
    """The order of precedence, and the place that each setting is said to be from."""
    text = "server:\n  host: file\n  port: 1\n  data_dir: file\n"
    result = loaded(tmp_path, text, {"PORT": "2", "AISA_DATA_DIR": "environment", "HOST": ""}, server__data_dir="flag", server__port=None)
    server = result.config.server
    assert (server.host, server.port, server.data_dir) == ("file", 2, "flag")
    assert result.origins["server.host"].endswith("c.yaml, line 2")
    assert result.origins["server.port"] == "PORT in the environment"
    assert result.origins["server.data_dir"] == "command line"


@pytest.mark.parametrize(("environment", "flags"), [({}, {"server__port": 8000}), ({"PORT": "8000"}, {})])
def test_what_is_wrong_in_the_file_is_told_though_something_else_counts(
    tmp_path: Path, environment: dict[str, str], flags: dict[str, int]
) -> None:
    """[issue 13] It passed a start and a reload, and stopped the next start that was told less."""
    with pytest.raises(ConfigErrors) as refused:
        loaded(tmp_path, "server:\n  port: eighty\n", environment, **flags)
    [problem] = refused.value.problems
    assert problem.where.startswith("server.port (")
    assert problem.where.endswith("line 2)")
    assert loaded(tmp_path, "server:\n  port: 80\n", environment, **flags).config.server.port == 8000


def test_every_kind_of_value_is_taken(tmp_path: Path) -> None:
    """One configuration that sets something of each type comes out as written."""
    text = """
server: {host: "::1", port: 0, header_bytes_max: 2048, drain_seconds: 1}
cors: {origins: ["https://a.example", "http://b.example:3000"]}
embedded: {enabled: never}
log: {format: off}
vendors:
  v: {base_url: "http://[::1]:1/v1/", api_key: k, headers: {x-a: "1"}, verify_tls: false, proxy: "http://u:p@h:1"}
models:
  gpt-4.1: {to: [v/m, {target: v/n, weight: 0}], prices: {input: 0.000000001, output: 2}, context_window: 8, modalities: [text]}
"""
    vendor = Vendor(base_url="http://[::1]:1/v1", api_key="k", headers={"x-a": "1"}, verify_tls=False, proxy="http://u:p@h:1")
    targets = ("v/m", Target(target="v/n", weight=0))
    assert loaded(tmp_path, text).config == Config(
        server=Server(host="::1", port=0, header_bytes_max=2048, drain_seconds=1.0),
        cors=Cors(origins=("https://a.example", "http://b.example:3000")),
        embedded=Embedded(enabled="never"),
        log=Log(format="off"),
        vendors={"v": vendor},
        models={"gpt-4.1": Model(to=targets, prices=Prices(input=1e-9, output=2.0), context_window=8, modalities=("text",))},
    )


def test_the_short_form_of_a_model_is_its_list_of_targets(tmp_path: Path) -> None:
    """`name: [vendor/model]` means the same as the long form with nothing but `to`, and a bare target stays one without weight."""
    short = loaded(tmp_path, VENDOR + "models: {m: [v/a, v/b]}").config
    long = loaded(tmp_path, VENDOR + "models: {m: {to: [v/a, v/b]}}").config
    assert short == long
    assert short.models == {"m": Model(to=("v/a", "v/b"))}


@pytest.mark.parametrize("name", ["4.1", "on", "null", "0x10", "2026-01-01"])
def test_a_name_that_yaml_would_take_for_a_value_is_a_name(tmp_path: Path, name: str) -> None:
    """Model names are what is written, although YAML reads numbers, booleans and dates from them."""
    assert list(loaded(tmp_path, VENDOR + f"models: {{{name}: [v/m]}}").config.models) == [name]


def test_references_are_filled_in_from_the_environment(tmp_path: Path) -> None:
    """Anywhere in a text, several times, with defaults, escaped, and for settings that are no text."""
    text = """
server: {port: "${P}", data_dir: "a${A}b${A}c"}
vendors:
  v: {base_url: "${URL:-http://127.0.0.1:1}", api_key: "$${A} $A ${EMPTY:-}x", headers: {x: "${EMPTY:-d}"}, verify_tls: "${T}"}
models: {m: ["v/${A}"]}
"""
    config = loaded(tmp_path, text, {"P": "7", "A": "ü}", "EMPTY": "", "T": "false"}).config
    vendor = Vendor(base_url="http://127.0.0.1:1", api_key="${A} $A x", headers={"x": "d"}, verify_tls=False)
    assert (config.server.port, config.server.data_dir) == (7, "aü}bü}c")
    assert config.vendors == {"v": vendor}
    assert config.models == {"m": Model(to=("v/ü}",))}


def test_a_number_in_quotes_is_no_number(tmp_path: Path) -> None:
    """Only what a variable gave is converted; a text in the file stays a text."""
    assert [problem.what for problem in refused(tmp_path, 'server: {port: "80"}').problems] == [
        'Expected a whole number from 0 to 65,535, but found "80".'
    ]


def test_a_key_in_the_environment_makes_a_vendor(tmp_path: Path) -> None:
    """OPENAI_API_KEY is enough; OPENAI_BASE_URL moves it; models may name it."""
    text = "models: {m: [openai/gpt-4.1]}"
    result = loaded(tmp_path, text, {"OPENAI_API_KEY": " k\n"})
    assert result.config.vendors == {"openai": Vendor(base_url="https://api.openai.com/v1", api_key="k")}
    assert result.origins["vendors.openai"] == "OPENAI_API_KEY in the environment"
    moved = loaded(tmp_path, text, {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1/"})
    assert moved.config.vendors["openai"].base_url == "http://127.0.0.1:9/v1"
    assert loaded(tmp_path, "", {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "http://127.0.0.1:9"}).config.vendors == {}


def test_a_vendor_in_the_file_wins_over_the_environment(tmp_path: Path) -> None:
    """The entry is taken as it is: no key from the environment is mixed into it."""
    config = loaded(tmp_path, "vendors: {openai: {base_url: 'http://127.0.0.1:1'}}", {"OPENAI_API_KEY": "k"}).config
    assert config.vendors == {"openai": Vendor(base_url="http://127.0.0.1:1")}


def test_a_bad_address_in_the_environment_is_a_problem(tmp_path: Path) -> None:
    """What is found in the environment is checked like what the file says."""
    errors = refused(tmp_path, "", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "api.openai.com"})
    assert [problem.where for problem in errors.problems] == [
        "vendors.openai.base_url (OPENAI_API_KEY and OPENAI_BASE_URL in the environment)"
    ]


#: text -> where its only problem is, words of what is wrong, words of the remedy
BAD = {
    "server: {prot: 1}": ("server.prot", "no such setting", "`port`"),
    "port: 1": ("port", "no such setting", "`server.port`"),
    "servre: {}": ("servre", "no such setting", "`server`"),
    "zzz: 1": ("zzz", "no such setting", "server, tls,"),
    "<<: {server: {}}": ("<<", "no such setting", "There are"),
    "server: 5": ("server", "Expected a mapping of settings, but found 5", ""),
    "server: [1]": ("server", "found [1]", ""),
    "server: {port: 65536}": ("server.port", "from 0 to 65,535", "TCP port"),
    "server: {port: true}": ("server.port", "found true", "TCP port"),
    "server: {port: }": ("server.port", "found null", "TCP port"),
    "server: {port: 80:80}": ("server.port", 'found "80:80"', "TCP port"),
    "server: {host: 1}": ("server.host", "Expected text", "Address"),
    "server: {host: ' '}": ("server.host", "empty", "default"),
    'server: {data_dir: "a\\0b"}': ("server.data_dir", "no name has", "default"),
    "server: {drain_seconds: .nan}": ("server.drain_seconds", "above 0 to 86,400", "SIGTERM"),
    "server: {port: 1, host: h, port: 2}": ("server.port", "twice", "Keep one"),
    "server: {? [1] : 2}": ("server", "key that is no text", "name before the colon"),
    "server: {port: !!int x}": ("server.port", "tag", "Remove the tag"),
    "server: {host: !!python/name:os.system x}": ("server.host", "tag", "Remove the tag"),
    "log: {format: xml}": ("log.format", 'one of auto, json, off, text, but found "xml"', "machines"),
    "tls: {cert: /dev/null/x, key: KEY}": ("tls.cert", "no file /dev/null/x", "PEM"),
    "tls: {key: KEY}": ("tls.cert", "required", "certificate"),
    "cors: {origins: [https://a/b]}": ("cors.origins.0", "not a web origin", "https://host"),
    "server: {host: '${NOPE}'}": ("server.host", "variable NOPE is unset", "${NOPE:-default}"),
    "server: {host: 'a ${1}'}": ("server.host", "not followed by a variable's name", "$${"),
    "vendors: {v: {}}": ("vendors.v.base_url", "required", "/chat/completions"),
    "vendors: {v: {base_url: ftp://h}}": ("vendors.v.base_url", "http://", "https://api"),
    "vendors: {v: {base_url: http://}}": ("vendors.v.base_url", "no host", "https://api"),
    "vendors: {v: {base_url: 'http://h:x'}}": ("vendors.v.base_url", "not an address", "https://api"),
    "vendors: {v: {base_url: 'http://h/a b'}}": ("vendors.v.base_url", "characters", "https://api"),
    "vendors: {v: {base_url: 'http://h?a=b&c=d&a=e'}}": ("vendors.v.base_url", "twice", "https://api"),
    "vendors: {v: {base_url: 'http://h?a=b', query: {a: b}}}": ("vendors.v.query.a", "`a` too", "Keep one"),
    "vendors: {v: {base_url: 'http://h/v1/responses/'}}": ("vendors.v.base_url", "ends in /responses", "https://api"),
    "vendors: {v: {base_url: 'http://h/v1/models?a=b'}}": ("vendors.v.base_url", "ends in /models", "https://api"),
    "vendors: {v: {base_url: http://h, api_key_as: x-api-key}}": ("vendors.v.api_key_as", "no place for a key", "header:NAME"),
    "vendors: {v: {base_url: http://h, query: {'': b}}}": ("vendors.v.query", "no text", "name"),
    "vendors: {v: {base_url: http://h, query: {a: 5}}}": ("vendors.v.query.a", "Expected text", "quotes"),
    "server: {data_dir: ~/aisa}": ("server.data_dir", "only shells", "Write /"),
    "server: {data_dir: $HOME/aisa}": ("server.data_dir", "`$HOME`", "Write ${HOME}/aisa"),
    "tls: {cert: ~/c.pem, key: KEY}": ("tls.cert", "only shells", "/c.pem"),
    "vendors: {v: {base_url: 'http://h#'}}": ("vendors.v.base_url", "fragment", "https://api"),
    "vendors: {v: {base_url: http://u@h}}": ("vendors.v.base_url", "`api_key`", "https://api"),
    "vendors: {v: {base_url: http://h, dialect: x}}": ("vendors.v.dialect", "one of anthropic, ", "API"),
    "vendors: {v: {base_url: http://h, api_key: ''}}": ("vendors.v.api_key", "empty", "Copy it again"),
    'vendors: {v: {base_url: http://h, api_key: "a\\nb"}}': ("vendors.v.api_key", "header", "Copy it again"),
    "vendors: {v: {base_url: http://h, headers: {a b: c}}}": ("vendors.v.headers.a b", "header", "ASCII"),
    'vendors: {v: {base_url: http://h, headers: {a: "b\\r\\nc: d"}}}': ("vendors.v.headers.a", "header", "ASCII"),
    "vendors: {v: {base_url: http://h, headers: [a]}}": ("vendors.v.headers", "Expected a mapping from names to text", "name to value"),
    "vendors: {v: {base_url: http://h, proxy: socks5://h:1}}": ("vendors.v.proxy", "HTTP proxy", "http://host:port"),
    "vendors: {v: {base_url: http://h, ca_file: /dev/null/x}}": ("vendors.v.ca_file", "no file", "PEM"),
    "vendors: {a/b: {base_url: http://h}}": ("vendors.a/b", "letters", "another name"),
    "vendors: {embedded: {base_url: http://h}}": ("vendors.embedded", "built-in", "another name"),
    "embedded: {enabled: never}": ("vendors", "nothing could answer", "Add a vendor"),
    VENDOR + "models: {m: [v/m, w/m]}": ("models.m.to.1", "no vendor `w`", "embedded, v"),
    "limits: {tiers: {default: {rpm: 1}}}": ("limits.tiers.default", "no account could be given it", "another name"),
    "admin: {hosts: [good.example, https://a.example]}": ("admin.hosts.1", "No request's `Host`", "a name alone"),
    "admin: {hosts: ['*.example']}": ("admin.hosts.0", "No request's `Host`", "a name alone"),
    "admin: {hosts: ['']}": ("admin.hosts.0", "No request's `Host`", "a name alone"),
    VENDOR + "limits: {vendors: {vv: {rpm: 1}}}": ("limits.vendors.vv", "no vendor `vv`", "`v`"),
    VENDOR + "models: {m: [zzz/m]}": ("models.m.to.0", "no vendor `zzz`", "embedded, v"),
    VENDOR + "models: {m: [{target: vv/m}]}": ("models.m.to.0", "no vendor `vv`", "`v/m`"),
    VENDOR + "models: {m: [v]}": ("models.m.to.0", "not of the form vendor/model", "openai/"),
    VENDOR + "models: {m: [v/]}": ("models.m.to.0", "not of the form vendor/model", "openai/"),
    VENDOR + "models: {m: []}": ("models.m.to", "empty", "at least one"),
    VENDOR + "models: {m: v/m}": ("models.m", 'found "v/m"', "Write `m: [v/m]`."),
    VENDOR + "models_prefer: v": ("models_prefer", 'found "v"', "Write `models_prefer: [v]`."),
    VENDOR + "models_prefer: 'v: x'": ("models_prefer", 'found "v: x"', 'Write `models_prefer: ["v: x"]`.'),
    "server: {models: {a: [embedded/tiny]}}": ("server.models", "no such setting", "`models` stands at the left margin"),
    "server: {groq: {}}": ("server.groq", "no such setting", "`vendors.groq`"),
    VENDOR + "models: {m: [openai/m]}": ("models.m.to.0", "no vendor `openai`", "when the environment has OPENAI_API_KEY"),
    VENDOR + "models: {m: [ollama/m]}": ("models.m.to.0", "no vendor `ollama`", "Write `ollama: {}` under `vendors`."),
    VENDOR + "discovery: {environment: false}\nmodels: {m: [groq/m]}": (
        "models.m.to.0",
        "no vendor",
        "`groq: {}` under `vendors`, and set GROQ",
    ),
    VENDOR + "models: {m: [bedrock/m]}": ("models.m.to.0", "no vendor `bedrock`", "AWS_REGION"),
    VENDOR + "models: {m: [1]}": ("models.m.0", "found 1", ""),
    VENDOR + "models: {m: {to: v/m}}": ("models.m.to", 'found "v/m"', "Write `to: [v/m]`. "),
    VENDOR + "models: {m: {to: [v/m], weight: 1}}": ("models.m.weight", "no such setting", "models.<name>.to[].weight"),
    VENDOR + "models: {m: {to: [v/m], prices: {input: 1}}}": ("models.m.prices.output", "required", "output tokens"),
    VENDOR + "models: {m: {to: [v/m], prices: {input: 0.1234567891, output: 1}}}": ("models.m.prices.input", "nine decimals", "Round"),
    VENDOR + "models: {' m': [v/m]}": ("models. m", "spaces at its ends", "another name"),
}


@pytest.mark.parametrize(("text", "expected"), BAD.items(), ids=list(BAD))
def test_a_mistake_is_told_with_its_place_and_its_remedy(tmp_path: Path, text: str, expected: tuple[str, str, str]) -> None:
    """Each mistake alone is one problem, which names the setting and its line, and says what would be right."""
    key = tmp_path / "key.pem"
    key.touch()
    problems = refused(tmp_path, text.replace("KEY", str(key))).problems
    where, what, remedy = expected
    assert len(problems) == 1, problems
    assert problems[0].where.partition(" (")[0] == where
    assert what in problems[0].what
    assert remedy in problems[0].remedy
    assert problems[0].remedy.endswith((".", "?"))


@pytest.mark.parametrize(
    ("written", "base_url", "query", "told"),
    [
        ("https://h/v1/", "https://h/v1", {}, False),
        ("https://h/v1/chat/completions", "https://h/v1", {}, True),
        ("https://h/v1//chat/completions//", "https://h/v1", {}, True),
        ("https://h/chat/completions", "https://h", {}, True),
        ("https://h/d/gpt/chat/completions?api-version=2024-10-21&x=", "https://h/d/gpt", {"api-version": "2024-10-21", "x": ""}, True),
        ("https://h/v1/?a=b%20c+d", "https://h/v1", {"a": "b c d"}, False),
        ("https://h/v1?", "https://h/v1", {}, False),
        ("https://chat/completions-are/here", "https://chat/completions-are/here", {}, False),
    ],
)
def test_an_address_is_understood_as_people_copy_it(tmp_path: Path, written: str, base_url: str, query: dict[str, str], told: bool) -> None:
    """[fault P11] The chat route at its end is left out, which is told, and its query goes with every request."""
    found = loaded(tmp_path, f"vendors: {{v: {{base_url: '{written}', query: {{q: '1'}}}}}}")
    assert found.config.vendors == {"v": Vendor(base_url=base_url, query={**query, "q": "1"})}
    assert [(note.where, note.remedy) for note in found.notes] == [("vendors.v.base_url", f"Read as {base_url}.")] * told


def test_a_version_that_looks_like_a_day_is_text(tmp_path: Path) -> None:
    """Azure's `api-version` is written without quotes in every example; YAML would make a date of it, and of a price's day it may."""
    text = "vendors: {v: {base_url: http://h, query: {api-version: 2024-10-21}, prices: {m: {input: 1, output: 1, from: 2026-12-01}}}}"
    vendor = loaded(tmp_path, text).config.vendors["v"]
    assert vendor.query == {"api-version": "2024-10-21"}
    assert vendor.prices["m"] == Prices(input=1, output=1, from_=date(2026, 12, 1))


def test_a_file_by_the_other_ending_is_never_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[fault P11] Alone it is a mistake, as the server would start with defaults; beside the right one it is told; named, it is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aisa.yml").write_text("server: {port: 1}")
    with pytest.raises(ConfigErrors) as caught:
        load(None, {}, {})
    assert [("aisa.yml" in problem.what, problem.remedy) for problem in caught.value.problems] == [
        (True, "Call it aisa.yaml, or name it: --config aisa.yml.")
    ]
    assert load("aisa.yml", {}, {}).config.server.port == 1
    (tmp_path / "aisa.yaml").write_text("server: {port: 2}")
    found = load(None, {}, {})
    assert (found.config.server.port, [note.where for note in found.notes]) == (2, ["aisa.yml"])


def test_every_problem_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Mistakes of all kinds do not hide each other, and each has its line."""
    text = """\
server:
  prot: 1
  port: x
  host: "${NOPE}"
vendors:
  v: {base_url: ftp://h}
  w: {}
models:
  a: [v/m, w/m, z/m]
  b: {to: []}
tls: {cert: /dev/null/x}
"""
    told = [problem.where.replace(str(tmp_path), "") for problem in refused(tmp_path, text).problems]
    assert told == [
        "server.prot (/c.yaml, line 2)",
        "server.port (/c.yaml, line 3)",
        "server.host (/c.yaml, line 4)",
        "vendors.v.base_url (/c.yaml, line 6)",
        "vendors.w.base_url (/c.yaml, line 7)",
        "models.a.to.2 (/c.yaml, line 9)",
        "models.b.to (/c.yaml, line 10)",
        "tls.key (/c.yaml, line 11)",
        "tls.cert (/c.yaml, line 11)",
    ]


def test_what_could_be_read_comes_with_the_problems(tmp_path: Path) -> None:
    """Whoever needs one sound setting gets it, and can tell that it is sound."""
    errors = refused(tmp_path, "server: {port: x, data_dir: d}\nvendors: 3")
    assert errors.partial == Config(server=Server(data_dir="d"))
    assert [errors.concern(setting) for setting in ("server.port", "server.data_dir", "vendors.v")] == [True, False, True]


@pytest.mark.parametrize(
    "setting",
    [
        "api_key: 12345678",
        'api_key: "12345678\\n"',
        "headers: 12345678",
        "proxy: 12345678",
        "headers: {a: [12345678]}",
        "query: 12345678",
        "query: {a: [12345678]}",
    ],
)
def test_no_message_repeats_a_secret(tmp_path: Path, setting: str) -> None:
    """The settings that hold credentials are never quoted, not even when they are wrong."""
    errors = refused(tmp_path, f"vendors: {{v: {{base_url: http://h, {setting}}}}}")
    assert "12345678" not in repr(errors.problems)


@pytest.mark.parametrize("setting", ["server: {port: '${S}'}", "log: {format: '${S}'}", "vendors: {v: {base_url: 'http://u:${S}@h'}}"])
def test_no_message_repeats_what_a_variable_held(tmp_path: Path, setting: str) -> None:
    """A secret that was put in the wrong place by its variable's name does not get into the terminal."""
    errors = refused(tmp_path, setting, {"S": "12345678x"})
    assert "12345678" not in repr(errors.problems)


UNREADABLE = {
    "missing file": (None, "No such file"),
    "no text": (b"\xff\xfe", "not UTF-8"),
    "control characters": (b"a: \x00", "characters that YAML does not allow"),
    "bad syntax": (b"server:\n  a: [1\nb: 2", "Not valid YAML"),
    "a list": (b"- server", "not a mapping"),
    "two documents": (b"a: 1\n---\nb: 2", "Not valid YAML"),
    "deep": (b"a: " + b"[" * 17 + b"]" * 17, "beyond 16 levels"),
    "very deep": (b"[" * 100_000, "nested deeper"),
    "alias within itself": (b"a: &a [*a]", "beyond 16 levels"),
    "many aliases": (b"a: &a [1]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c]\n" % (n, n, n - 1, n - 1, n - 1) for n in range(98, 110)), "values"),
    "too large": (b"#" * (CONFIG_BYTES_MAX + 1), "larger than"),
}  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_understood_is_one_problem(tmp_path: Path, case: str) -> None:
    """No file, however odd, ends in anything but a problem that says why it cannot be read."""
    data, what = UNREADABLE[case]
    path = tmp_path / "c.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigErrors) as caught:
        load(str(path), {}, {})
    assert [what in problem.what for problem in caught.value.problems] == [True]
    assert caught.value.partial is None


def test_a_reference_in_braces_without_quotes_gets_the_right_advice(tmp_path: Path) -> None:
    """YAML's own message about it would help nobody."""
    problem = refused(tmp_path, "vendors: {v: {api_key: ${KEY}}}").problems[0]
    assert 'quotes around "${NAME}"' in problem.remedy
    assert "line 1, column" in problem.where


NAMES = sorted({part.removesuffix("[]") for setting in FIELDS for part in setting.split(".")} | {"x", "<<", ""})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(["", "v/m", "${X}", "${X:-1}", "http://h", "a\r\n\0b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=repeats(200), deadline=None)
@given(value=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_any_document_is_a_configuration_or_a_list_of_problems(tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]) -> None:
    """Whatever is written where, it is loaded or refused with problems that have a place, a matter and a remedy."""
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    try:
        result = load(str(path), {"OPENAI_API_KEY": "k"}, {"server.port": 1})
        told = ((result.path, "loaded", "nothing"),)
    except ConfigErrors as errors:
        told = errors.problems
    assert told
    assert all(all(problem) for problem in told)


@pytest.mark.parametrize("value", ["http://[::1", "https://h:99999", "http://\u2100.com", "x" * 300, "a\0b"])
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("identity.issuer", "identity: {{issuer: {0}, audience: a}}"),
        ("identity.keys_url", "identity: {{issuer: 'https://h', audience: a, keys_url: {0}}}"),
        ("stores.limits", "stores: {{limits: {0}}}"),
        ("telemetry.endpoint", "telemetry: {{endpoint: {0}}}"),
        ("price_catalogues.0", "price_catalogues: [{0}]"),
        ("vendors.v.ca_file", "vendors: {{v: {{base_url: 'http://h/v1', ca_file: {0}}}}}"),
        ("vendors.v.proxy", "vendors: {{v: {{base_url: 'http://h/v1', proxy: {0}}}}}"),
    ],
)
def test_what_is_no_address_and_no_file_is_a_problem_with_its_place(tmp_path: Path, place: str, text: str, value: str) -> None:
    """Whatever makes it none: brackets, ports and letters that Python's parser raises of, a name that is too long to look for."""
    wrong = refused(tmp_path, text.format(json.dumps(value)))
    assert [problem.where.split(" ")[0] for problem in wrong.problems] == [place]


def test_the_variables_of_our_own_name_win_over_the_general_ones(tmp_path: Path) -> None:
    """Point P16: HOST and PORT may be there for something else."""
    result = loaded(tmp_path, "", {"PORT": "2", "AISA_PORT": "3", "HOST": "0.0.0.0", "AISA_HOST": "::1"})
    assert (result.config.server.port, result.config.server.host) == (3, "::1")
    assert result.origins["server.port"] == "AISA_PORT in the environment"


def test_a_default_tier_that_does_not_exist_is_told_with_the_nearest(tmp_path: Path) -> None:
    """Nobody is limited by a name that means nothing, and nobody is left unlimited by it."""
    file = tmp_path / "c.yaml"
    file.write_text('limits: {default_tier: fre, tiers: {"": {rpm: 1}}}\n')
    with pytest.raises(ConfigErrors) as caught:
        load(str(file), {}, {})
    said = {problem.where: problem for problem in caught.value.problems}
    assert "free" in next(problem.remedy for where, problem in said.items() if "default_tier" in where)
    assert len(said) == 2
