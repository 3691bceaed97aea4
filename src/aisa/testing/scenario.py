"""A scenario: what a scripted vendor does with a request, as data, read from a file or a case of a corpus. Opens no socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from aisa.testing.aws_frames import frames_of

SCENARIO_BYTES_MAX = 16_777_216  # of one file; a picture in an event has some MiB
TOKENS_MAX = 1_000_000  # that one step may say: an hour at 250 a second
#: What a step does; one of them in each.
ACTIONS = ("say", "call", "event", "send", "wait_seconds", "end", "cut", "reset", "hang")
HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+: [^\x00-\x08\x0a-\x1f\x7f]*", re.ASCII)
BUILT_IN = Path(__file__).parent / "scenarios"
#: The body of a case of the corpus -> its media type.
CASE_BODIES = {
    "upstream.sse": "text/event-stream",
    "upstream.frames.json": "application/vnd.amazon.eventstream",
    "upstream.json": "application/json",
    "upstream.txt": "text/plain",
}


class ScenarioUnfit(Exception):
    """A scenario that cannot be read: `where` it stands, `what` is wrong, and the `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what} {remedy}")
        self.where, self.what, self.remedy = where, what, remedy


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the model calls. `fragments`: in how many parts the arguments come; `index`: what it is numbered, if not in order."""

    name: str
    arguments: str = "{}"
    fragments: int = 2
    index: int | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the vendor does.

    `say` sends a token of this text (`repeat` times over, `{n}` its number), or of several in turn, `times` tokens with `every_seconds`
    before each; `event` sends JSON as an event and `send` text as it is; `end` finishes for this reason, with usage if it was asked for
    and `[DONE]`; `cut` closes the connection, `reset` breaks it, `hang` says nothing more.
    """

    say: str | tuple[str, ...] | None = None
    repeat: int = 1
    times: int = 1
    every_seconds: float = 0.0
    call: ToolCall | None = None
    event: object = msgspec.UNSET
    send: str | None = None
    wait_seconds: float | None = None
    end: str | None = None
    cut: bool = False
    reset: bool = False
    hang: bool = False

    @property
    def action(self) -> str:
        """What it does, one of ACTIONS. Raises ScenarioUnfit unless it is exactly one."""
        done = [name for name in ACTIONS if getattr(self, name) not in (None, False, msgspec.UNSET)]
        if len(done) != 1:
            said = ", ".join(done) or "nothing"
            raise ScenarioUnfit("a step", f"It does {said}.", f"A step does one of {', '.join(ACTIONS)}.")
        return done[0]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of one request.

    After `after_seconds` a head with `status` and `headers` is sent, then the steps; or a `body` as it is, or `json`. `file` is sent as it
    is too, and is found beside the scenario. `role` is the role's chunk that opens a stream.
    """

    status: int = 200
    headers: dict[str, str] = {}
    after_seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    body: str | None = None
    json: object = msgspec.UNSET
    file: str | None = None
    role: bool = True
    raw: bytes | None = None  # the bytes of `file`, or of a case of the corpus; never written in a file


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answers to the first request, the second and so on; the last one again and again."""

    answers: tuple[Answer, ...]
    description: str = ""
    name: str = ""

    def answer(self, number: int) -> Answer:
        """Return the answer to the request of this number, from 0."""
        return self.answers[min(number, len(self.answers) - 1)]


def load_scenario(path: Path) -> Scenario:
    """Return the scenario of a file (YAML or JSON), or of a folder that is a case of the corpus. Raises ScenarioUnfit."""
    if path.is_dir():
        return corpus_case(path)
    try:
        if path.stat().st_size > SCENARIO_BYTES_MAX:
            raise ScenarioUnfit(str(path), "It is too large.", f"A scenario has at most {SCENARIO_BYTES_MAX:,} bytes.")
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        scenario = msgspec.convert(value, Scenario, strict=True)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioUnfit(str(path), f"It cannot be read: {why}.", "`aisa simulate --list` names those that are built in.") from error
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ScenarioUnfit(str(path), f"It is no scenario: {error}.", "docs/simulate.md has the format.") from error
    return msgspec.structs.replace(checked(scenario, str(path), path.parent), name=path.stem)


def checked(scenario: Scenario, where: str, folder: Path) -> Scenario:
    """Return a scenario that can be played, the bytes of its files read. Raises ScenarioUnfit."""
    if not scenario.answers:
        raise ScenarioUnfit(where, "It has no answers.", "Write `answers` with one at least.")
    answers: list[Answer] = []
    for answer in scenario.answers:
        bodies = sum(given not in (None, msgspec.UNSET, ()) for given in (answer.steps, answer.body, answer.json, answer.file))
        if bodies > 1 or answer.raw is not None or not 200 <= answer.status <= 599:
            raise ScenarioUnfit(where, "An answer has one body and a status from 200 to 599.", "Give it `steps`, `body`, `json` or `file`.")
        if not all(HEADER.fullmatch(f"{name}: {value}") for name, value in answer.headers.items()):
            raise ScenarioUnfit(where, "An answer has a header that cannot be sent.", "A name has no blanks, and a value is one line.")
        for step in answer.steps:
            if step.action and not fits(step):
                bounds = f"`say` has a text at least, `times`, `repeat` and `fragments` are from 1 to {TOKENS_MAX:,}, seconds from 0."
                raise ScenarioUnfit(where, "A step has a number that cannot be.", bounds)
        answers.append(answer if answer.file is None else msgspec.structs.replace(answer, raw=bytes_of(folder / answer.file, where)))
    return msgspec.structs.replace(scenario, answers=tuple(answers))


def fits(step: Step) -> bool:
    """Say whether a step's numbers can be."""
    counts = (step.times, step.repeat, 1 if step.call is None else step.call.fragments)
    return all(0 < count <= TOKENS_MAX for count in counts) and step.say != () and step.every_seconds >= 0 and (step.wait_seconds or 0) >= 0


def bytes_of(path: Path, where: str) -> bytes:
    """Return a file's bytes. Raises ScenarioUnfit."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScenarioUnfit(where, f"{path} cannot be read: {error.strerror}.", "`file` is found beside the scenario.") from error


def corpus_case(folder: Path) -> Scenario:
    """Return what the vendor of a case of the corpus does: its body byte for byte. Raises ScenarioUnfit."""
    found = [name for name in CASE_BODIES if (folder / name).exists()]
    if len(found) != 1:
        raise ScenarioUnfit(str(folder), "It is no case of a corpus.", f"A case has one of {', '.join(CASE_BODIES)}.")
    body = (folder / found[0]).read_bytes()
    meta, flags = dict[str, Any](), dict[str, int]()
    if (folder / "upstream.meta.json").exists():
        meta = msgspec.json.decode((folder / "upstream.meta.json").read_bytes())
    if (folder / "case.json").exists():
        flags = msgspec.json.decode((folder / "case.json").read_bytes())
    if found[0] == "upstream.frames.json":
        framed = bytearray(frames_of(msgspec.json.decode(body)))
        del framed[len(framed) - flags.get("cut_bytes", 0) :]
        if "flipped_byte" in flags:
            framed[flags["flipped_byte"]] ^= 1
        body = bytes(framed)
    answer = Answer(status=meta.get("status", 200), headers={"content-type": CASE_BODIES[found[0]], **meta.get("headers", {})}, raw=body)
    return Scenario((answer,), f"a case of the corpus: {folder.name.replace('-', ' ')}", folder.name)


def scenarios_in(folder: Path) -> Iterator[Scenario]:
    """Yield the scenarios of a folder: its files, and the cases among its folders. Raises ScenarioUnfit."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".yml", ".json") or (path.is_dir() and any((path / name).exists() for name in CASE_BODIES)):
            yield load_scenario(path)


def built_in() -> dict[str, Scenario]:
    """Return the scenarios that come with the program, by name."""
    return {scenario.name: scenario for scenario in scenarios_in(BUILT_IN)}
