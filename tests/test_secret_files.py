"""Vendors' secrets in files: what is read, what is wrong with a file, and a key that is swapped under a server that runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aisa.config.load import ConfigErrors, Loaded, load
from aisa.config.problem import Problem
from aisa.config.secret_files import SECRET_BYTES_MAX
from server import FRONT, serving
from test_reload import asked
from vendor import ScriptedVendor

ENTRY = "vendors: {{v: {{base_url: 'http://h', {settings}}}}}\n"
APP = "azure_credentials: [{{tenant_id: t, client_id: c, {settings}}}]"


def loaded(folder: Path, settings: str, **environment: str) -> Loaded:
    """A configuration with one vendor."""
    (folder / "aisa.yaml").write_text(ENTRY.format(settings=settings))
    return load(str(folder / "aisa.yaml"), environment, {})


def secret(folder: Path, data: bytes, *, name: str = "key") -> Path:
    """A file that only its owner may read."""
    path = folder / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_what_is_in_its_file_without_the_end_of_its_line(tmp_path: Path, end: str) -> None:
    """Editors and `echo` write one. Keys beside it are used, too."""
    path = secret(tmp_path, b"sk-1" + end.encode())
    more = secret(tmp_path, b"sk-3" + end.encode(), name="more")
    found = loaded(
        tmp_path, f"api_key_file: {path}, api_keys: [sk-2], api_key_files: [{more}], " + APP.format(settings=f"client_secret_file: {path}")
    )
    vendor = found.config.vendors["v"]
    assert (vendor.api_key, vendor.api_keys, vendor.azure_credentials[0].client_secret) == ("sk-1", ("sk-2", "sk-3"), "sk-1")
    assert found.notes == ()


def folder(path: Path) -> None:
    """A folder in its place."""
    path.mkdir()


def nothing(_path: Path) -> None:
    """No file in its place."""


def containing(data: bytes) -> Callable[[Path], None]:
    """A file in its place."""

    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


BROKEN = {
    "missing": (nothing, "cannot be read: No such file"),
    "folder": (folder, "a folder"),
    "pipe": (os.mkfifo, "something else"),
    "empty": (containing(b"\n"), "is empty"),
    "large": (containing(b"k" * (SECRET_BYTES_MAX + 1)), f"larger than {SECRET_BYTES_MAX:,} bytes"),
    "lines": (containing(b"sk-secret\nsk-other\n"), "more than one line"),
    "binary": (containing(b"sk-secret\xff"), "characters that no key has"),
}


@pytest.mark.parametrize(
    "setting", ["api_key_file: {}", "api_key_files: [{}]", APP.format(settings="client_secret_file: {}").replace("{{", "{{{{")]
)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_told_and_no_secret_is(tmp_path: Path, name: str, setting: str) -> None:
    """At its setting, with its path and once."""
    make, said = BROKEN[name]
    make(tmp_path / "key")
    with pytest.raises(ConfigErrors) as refused:
        loaded(tmp_path, setting.replace("{}", str(tmp_path / "key")))
    [problem] = refused.value.problems
    assert said in problem.what
    assert "_file" in problem.where
    assert "sk-" not in str(problem)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    """Of another user's, or of none's. An administrator may read all."""
    path = secret(tmp_path, b"k")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(ConfigErrors, match="Permission denied"):
        loaded(tmp_path, f"api_key_file: {path}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("api_key: k, api_key_file: {path}", "It stands beside `api_key`."),
        (APP.format(settings="client_secret: s, client_secret_file: '{path}'"), "It stands beside `client_secret`."),
        (APP.format(settings="client_secret: ''"), "This setting is required."),
    ],
)
def test_a_secret_is_said_once(tmp_path: Path, settings: str, said: str) -> None:
    """Nobody would know which counts; an application without any proves nothing."""
    with pytest.raises(ConfigErrors) as refused:
        loaded(tmp_path, settings.replace("{path}", str(secret(tmp_path, b"k"))))
    assert [problem.what for problem in refused.value.problems] == [said]


def test_an_entry_with_a_file_takes_no_key_from_the_environment(tmp_path: Path) -> None:
    """And needs none, where its vendor is known."""
    (tmp_path / "aisa.yaml").write_text(f"vendors: {{openai: {{api_key_file: {secret(tmp_path, b'of-the-file')}}}}}\n")
    for environment in ({}, {"OPENAI_API_KEY": "of-the-environment"}):
        assert load(str(tmp_path / "aisa.yaml"), environment, {}).config.vendors["openai"].api_key == "of-the-file"


def test_who_else_may_read_a_secret_is_noted(tmp_path: Path) -> None:
    """It is used all the same: in a container the mode may be nobody's choice."""
    path = secret(tmp_path, b"k")
    path.chmod(0o644)
    [note] = loaded(tmp_path, f"api_key_file: {path}").notes
    assert (note.where, note.remedy) == ("vendors.v.api_key_file", f"Close it: chmod o= {path}")
    assert "mode 0644" in note.what


@pytest.mark.parametrize("workers", [1, 2])
def test_another_key_in_the_file_is_taken_by_a_reload(tmp_path: Path, workers: int) -> None:
    """[issue 13] Nothing else has changed, and no process was started again; a file that is gone changes nothing."""
    path = secret(tmp_path, b"sk-first\n")
    with ScriptedVendor() as vendor:
        front = FRONT.format(vendor=vendor.url).replace("api_key: vendor-secret", f"api_key_file: {path}")
        assert str(path) in front
        with serving(tmp_path, f"server: {{workers: {workers}}}\n{front}") as server:
            body = {"model": "local/hello", "messages": [{"role": "user", "content": "Hi."}]}
            for key in ("sk-first", "sk-second"):
                path.write_text(f"{key}\n")
                assert server.aisa("reload").startswith("Reloaded: " + ("nothing has changed" if key == "sk-first" else "vendors.local."))
                assert asked(server, "/v1/chat/completions", body).status == 200
                assert vendor.requests[-1].headers["authorization"] == f"Bearer {key}"
            path.rename(tmp_path / "gone")
            with pytest.raises(subprocess.CalledProcessError):
                server.aisa("reload")
            assert asked(server, "/v1/chat/completions", body).status == 200
            assert vendor.requests[-1].headers["authorization"] == "Bearer sk-second"
            assert "sk-second" not in server.log


@pytest.mark.parametrize(
    ("configuration", "named"),
    [
        ("vendors: {v: {base_url: 'http://h', api_key: '${VK}', headers: {x: '${OTHER:-none} $${NOT}'}}}", ("OTHER", "VK")),
        ("vendors: {openai: {}}", ("OPENAI_API_KEY",)),
        ("{}", ("OPENAI_API_KEY",)),
        ("vendors: {openai: {api_key: k}}", ()),
    ],
)
def test_which_variables_a_configuration_was_made_from_is_known(tmp_path: Path, configuration: str, named: tuple[str, ...]) -> None:
    """Those that the file names, and the keys of vendors that have theirs in the environment."""
    (tmp_path / "aisa.yaml").write_text(configuration)
    environment = {"VK": "k"} if "VK" in named else {"OPENAI_API_KEY": "k"}
    assert load(str(tmp_path / "aisa.yaml"), environment, {}).variables == named


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_says_that_variables_stay_as_they_were(tmp_path: Path, workers: int) -> None:
    """[issue 13] Somebody who sets another one for the command was told that nothing has changed, and not why."""
    front = FRONT.format(vendor="http://127.0.0.1:1/v1").replace("api_key: vendor-secret", 'api_key: "${VK:-one}"')
    with serving(tmp_path, f"server: {{workers: {workers}}}\n{front}") as server:
        said = server.aisa("reload")
    assert said.startswith(
        "Reloaded: nothing has changed.\nAs they were when the server was started: VK. A running server never sees another"
    )


@pytest.mark.parametrize(
    ("quoted", "said"), [("'sk-1'", "in quotes"), ('"sk-1"', "in quotes"), ("sk\n1", "no header may have"), ("sk-ü", "no header may have")]
)
def test_a_key_that_cannot_be_one_is_told_wherever_it_is_set(tmp_path: Path, quoted: str, said: str) -> None:
    """A variable that makes a vendor, or fills in an entry, was sent as it is: `docker --env-file` leaves quotes where they are."""
    written = loaded_flaw(tmp_path, "vendors: {v: {base_url: 'http://h', api_key: \"${KEY}\"}}", KEY=quoted)
    found = loaded_flaw(tmp_path, "", OPENAI_API_KEY=quoted)
    entry = loaded_flaw(tmp_path, "vendors: {openai: {}}", OPENAI_API_KEY=quoted)
    assert [(flaw.where.split()[0], said in flaw.what) for flaw in (written, found, entry)] == [
        ("vendors.v.api_key", True),
        *[("vendors.openai.api_key", True)] * 2,
    ]
    (tmp_path / "aisa.yaml").write_text("")
    assert load(str(tmp_path / "aisa.yaml"), {"OPENAI_API_KEY": "sk-'1"}, {}).config.vendors["openai"].api_key == "sk-'1"


def test_a_secret_in_quotes_in_a_file_is_told(tmp_path: Path) -> None:
    """Who copies a line of a file of variables has them, too."""
    path = secret(tmp_path, b"'sk-1'\n")
    flaw = loaded_flaw(tmp_path, f"vendors: {{v: {{base_url: 'http://h', api_key_file: {path}}}}}")
    assert (flaw.where.split()[0], "stands in quotes" in flaw.what) == ("vendors.v.api_key_file", True)


def loaded_flaw(folder: Path, text: str, **environment: str) -> Problem:
    """The one thing that is wrong with a configuration."""
    (folder / "aisa.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigErrors) as errors:
        load(str(folder / "aisa.yaml"), environment, {})
    [flaw] = errors.value.problems
    return flaw
