"""A configuration file that cannot be read, beside a server that runs: commands find it all the same, and say so. Real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from server import serving
from test_at_hand import FAR, run_in
from test_reload import asked

ASKING = ("status", "usage", "models", "reload", "board", "keys list", "ledger audit", "backup copy")


@pytest.mark.parametrize(
    ("broken", "asking"), [("vendors: [1", ASKING), ("server: {data_dir: [1]}", ASKING[:1]), ("- no mapping", ASKING[:1])]
)
def test_a_file_that_tells_no_data_folder_hides_no_server(tmp_path: Path, broken: str, asking: tuple[str, ...]) -> None:
    """[fault P7] The server that runs is found as from a folder without the file, which is said; what needs the file fails as ever."""
    here, runtime = tmp_path / "here", {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for folder in (here, tmp_path / "run", tmp_path / "one"):
        folder.mkdir()
    (here / "aisa.yaml").write_text(f"{broken}\n", encoding="utf-8")
    named = ("--data-dir", str(tmp_path / "one" / "data"))
    with serving(tmp_path / "one", variables=runtime):
        for words in asking:
            told = run_in(here, *words.split(), **runtime)
            assert told.returncode == 0, (words, told.stderr)
            assert told.stderr.splitlines()[0].startswith("aisa.yaml is broken and was not used"), told.stderr
            assert told.stderr.splitlines()[1:] == [f"The server in {tmp_path / 'one' / 'data'}:"]
        for words in ("config check", "keys create x", "keys list --config aisa.yaml"):
            assert run_in(here, *words.split(), **runtime).returncode == 2
        assert run_in(here, "keys", "create", "x", *named, **runtime).returncode == 0
    nobody = run_in(here, "keys", "list", **runtime)
    assert (nobody.returncode, "name one: --data-dir FOLDER" in nobody.stderr) == (2, True), nobody.stderr
    assert "x" in run_in(here, "keys", "list", *named, **runtime).stdout
    assert run_in(here, "keys", "list", "--data-dir", "nothing", **runtime).returncode == 2
    assert {path.name for path in here.iterdir()} <= {"aisa.yaml", "copy"}


def test_a_reload_of_a_broken_file_is_answered_by_the_server(tmp_path: Path) -> None:
    """As SIGHUP does it: what was read before stays, which whoever asked is told."""
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with serving(tmp_path, FAR, variables={**runtime, "FAR_KEY": "x"}) as server:
        (tmp_path / "aisa.yaml").write_text("vendors: [1", encoding="utf-8")
        told = run_in(tmp_path, "reload", **runtime)
        assert (told.returncode, "stays" in told.stderr) == (1, True), told.stderr
        assert "was not used" not in told.stderr, "the server says what is wrong with it"
        assert asked(server, "/v1/models").status == 200
