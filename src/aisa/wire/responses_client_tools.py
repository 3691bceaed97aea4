"""Tools of the Responses API that a client runs and that are no functions: each as a function, and its calls and outputs in both forms.

Models elsewhere know functions alone. A call that does not fit its tool is told as the function call that it was, so that nothing is lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from aisa.wire.said import value_in
from aisa.wire.trees import Tree, as_list, as_tree, is_tree, text_or_none, trees_in

Action = TypeVar("Action")
SomeTexts = Annotated[list[str], msgspec.Meta(min_length=1)]
TEXT: Tree = {"type": "string"}
TEXTS: Tree = {"type": "array", "items": TEXT, "minItems": 1}
LOCAL = "local"
COMMAND = "response.shell_call_command"  # begins the types of events
#: How a file is patched: what OpenAI's models write, and the clients that apply it read.
PATCH = (
    "For create_file: every line of the new file behind a '+'. For update_file: one or several hunks, each begun by a line '@@', or by "
    "'@@ ' and a line of the file that stands before the change, such as the head of its function; then unchanged lines behind a blank, "
    "lines that go behind a '-' and lines that come behind a '+', with about three unchanged lines around each change. No line numbers, no "
    "file names. Nothing for delete_file."
)
SKILLS = "Folders with instructions for tasks; read the SKILL.md of one that fits before you begin:"


class OfferedTool(msgspec.Struct):
    """An entry of `tools`. Those in a namespace are functions or custom tools."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    tools: list[OfferedTool] | None = None
    execution: str | None = None
    defer_loading: bool | None = None
    environment: Any = None


class ClientTool(ABC):
    """One of them.

    Items of its calls have the type `call`, ids that begin with `mark`, and what was asked in the member `given`; those of results have the
    type `output`.
    """

    remedy = "Leave it out."  # where the vendor would have to run it
    type: ClassVar[str]
    call: ClassVar[str]
    output: ClassVar[str]
    mark: ClassVar[str]
    given: ClassVar[str]
    description: ClassVar[str]
    parameters: ClassVar[Tree]

    def is_run_by_client(self, tool: OfferedTool) -> bool:
        """Tell whether an entry of `tools` of this type is for the client to run, and not for the vendor."""
        return True

    def function(self, tool: OfferedTool) -> Tree:
        """Return the function that stands for it, without its name."""
        return {"description": self.description, "parameters": self.parameters}

    def is_clients(self, item: Tree) -> bool:
        """Tell whether a call's item is of one that the client ran, and not the vendor."""
        return True

    def call_id(self, item: Tree) -> str | None:
        """Return the id of the call that an item is, or is the result of; None if it has none."""
        return text_or_none(item.get("call_id"))

    @abstractmethod
    def arguments(self, item: Tree) -> object:
        """Return what a call's item says that the tool was given; None if it does not."""

    @abstractmethod
    def result(self, item: Tree) -> str | None:
        """Return what an item of a result says, for the model; None if it says nothing."""

    @abstractmethod
    def members(self, text: str, status: str) -> Tree | None:
        """Return what a call's item says beside its type and ids, from a function's arguments; None if they do not fit."""

    def begun(self, members: Tree) -> Tree:
        """Return the same of an item that is only begun."""
        return {**members, "status": "in_progress"}

    def events(self, members: Tree, index: int) -> list[Tree]:
        """Return the events that tell of it, between those that begin and end its item, which stands at `index`."""
        return []


class Search(ClientTool):
    """The search for further tools, with parameters of the client's."""

    type, call, output, mark = "tool_search", "tool_search_call", "tool_search_output", "tsc"
    given = "arguments"
    description = "Searches for further tools. Those that it finds can be called from then on."
    parameters: ClassVar[Tree] = {"type": "object", "properties": {"query": TEXT}, "required": ["query"]}

    def is_run_by_client(self, tool: OfferedTool) -> bool:
        """Tell whether the client searches."""
        return tool.execution == "client"

    def function(self, tool: OfferedTool) -> Tree:
        """Return it with the client's own words, where it has some."""
        parameters = tool.parameters if is_tree(tool.parameters) else self.parameters
        return {"description": tool.description or self.description, "parameters": parameters}

    def is_clients(self, item: Tree) -> bool:
        """Tell whether the client searched: its searches have an id."""
        return item.get("execution") != "server" and self.call_id(item) is not None

    def arguments(self, item: Tree) -> object:
        """Return what was searched for."""
        given = item.get("arguments")
        return {} if given is None else given

    def result(self, item: Tree) -> str | None:
        """Return nothing: which names were found, only who knows all names can say."""
        return None

    def members(self, text: str, status: str) -> Tree:
        """Return the arguments as an object, or the text that is none."""
        value = value_in(text or "{}")
        return {"execution": "client", "arguments": text if value is None else value, "status": status}


class ShellAction(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a shell is to do."""

    commands: SomeTexts | str
    timeout_ms: int | None = None
    max_output_length: int | None = None


class Shell(ClientTool):
    """A shell on the client's side."""

    type, call, output, mark = "shell", "shell_call", "shell_call_output", "sh"
    given = "action"
    description = "Runs commands in a shell on the user's side. Returns what they wrote and how they ended."
    parameters: ClassVar[Tree] = {
        "type": "object",
        "properties": {
            "commands": {**TEXTS, "description": "Whole command lines, in their order."},
            "timeout_ms": {"type": "integer", "description": "The most milliseconds that they may take."},
            "max_output_length": {"type": "integer", "description": "The most characters of their output to return."},
        },
        "required": ["commands"],
        "additionalProperties": False,
    }

    remedy = 'With an `environment` of the type "local" your client runs the commands, whichever model it asks.'

    def is_run_by_client(self, tool: OfferedTool) -> bool:
        """Tell whether commands run on the client's side, as they do where nothing else is said."""
        return tool.environment is None or as_tree(tool.environment).get("type") == LOCAL

    def function(self, tool: OfferedTool) -> Tree:
        """Return it with the skills that the client has there."""
        skills = trees_in(as_tree(tool.environment).get("skills"))
        told = [f"- {skill.get('name')} ({skill.get('path')}): {skill.get('description')}" for skill in skills]
        return {"description": "\n".join([self.description, *([SKILLS, *told] if told else [])]), "parameters": self.parameters}

    def is_clients(self, item: Tree) -> bool:
        """Tell whether it ran on the client's side, and not in a container of the vendor's."""
        return as_tree(item.get("environment")).get("type", LOCAL) == LOCAL

    def arguments(self, item: Tree) -> object:
        """Return the commands, and what bounds them where something does."""
        return stated(item.get("action"))

    def result(self, item: Tree) -> str | None:
        """Return what each command wrote, and how it ended."""
        output = item.get("output")
        if output is None or isinstance(output, str):
            return output
        told = [written(entry) for entry in trees_in(output)]
        return "\n\n".join(told) or "Nothing came back."

    def members(self, text: str, status: str) -> Tree | None:
        """Return the action, with a single command in a list."""
        action = fitting(text, ShellAction)
        if action is None:
            return None
        commands = [action.commands] if isinstance(action.commands, str) else action.commands
        given = {**as_tree(msgspec.to_builtins(action)), "commands": commands}
        return {"action": given, "environment": {"type": LOCAL}, "status": "completed"}

    def begun(self, members: Tree) -> Tree:
        """Return it without its commands, which have events of their own."""
        return {**super().begun(members), "action": {**as_tree(members["action"]), "commands": []}}

    def events(self, members: Tree, index: int) -> list[Tree]:
        """Return those of each command, which name no item."""
        events: list[Tree] = []
        for number, command in enumerate(as_list(as_tree(members["action"])["commands"])):
            at: Tree = {"output_index": index, "command_index": number}
            events.append({"type": f"{COMMAND}.added", **at, "command": ""})
            events.append({"type": f"{COMMAND}.delta", **at, "delta": command})
            events.append({"type": f"{COMMAND}.done", **at, "command": command})
        return events


class LocalShellAction(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which program is to run, and how. The AI SDK reads no null in it."""

    command: SomeTexts
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None
    env: dict[str, str] | None = None


class LocalShell(ClientTool):
    """The older shell: one program with its arguments."""

    type, call, output, mark = "local_shell", "local_shell_call", "local_shell_call_output", "lsh"
    given = "action"
    description = "Runs one program on the user's side. Returns what it wrote."
    parameters: ClassVar[Tree] = {
        "type": "object",
        "properties": {
            "command": {**TEXTS, "description": 'The program and its arguments; a line for a shell is ["bash", "-lc", "LINE"].'},
            "timeout_ms": {"type": "integer", "description": "The most milliseconds that it may take."},
            "working_directory": {"type": "string", "description": "Where it runs."},
            "env": {"type": "object", "additionalProperties": TEXT, "description": "Variables of its environment."},
            "user": {"type": "string", "description": "As whom it runs."},
        },
        "required": ["command"],
        "additionalProperties": False,
    }

    def call_id(self, item: Tree) -> str | None:
        """Return the id of the call; some items have no other than their own, and results the call's under that name."""
        return super().call_id(item) or text_or_none(item.get("id"))

    def arguments(self, item: Tree) -> object:
        """Return the program and how it ran."""
        action = stated(item.get("action"))
        return None if action is None else {name: value for name, value in action.items() if name != "type" and value != {}}

    def result(self, item: Tree) -> str | None:
        """Return what the program wrote."""
        return plain(item.get("output"))

    def members(self, text: str, status: str) -> Tree | None:
        """Return the action."""
        action = fitting(text, LocalShellAction)
        if action is None:
            return None
        return {"action": {"type": "exec", **as_tree(msgspec.to_builtins(action)), "env": action.env or {}}, "status": "completed"}


class FileChange(msgspec.Struct, forbid_unknown_fields=True):
    """A file that is created or changed, or is to go."""

    type: Literal["create_file", "update_file", "delete_file"]
    path: Annotated[str, msgspec.Meta(min_length=1)]
    diff: str | None = None


class ApplyPatch(ClientTool):
    """Patches of the client's files."""

    type, call, output, mark = "apply_patch", "apply_patch_call", "apply_patch_call_output", "apc"
    given = "operation"
    description = "Creates, changes or deletes one file on the user's side by a patch. Returns whether that was done."
    parameters: ClassVar[Tree] = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"], "description": "What to do with the file."},
            "path": {"type": "string", "description": "The file's path."},
            "diff": {"type": "string", "description": PATCH},
        },
        "required": ["type", "path"],
        "additionalProperties": False,
    }

    def arguments(self, item: Tree) -> object:
        """Return what was to be done with the file."""
        return stated(item.get("operation"))

    def result(self, item: Tree) -> str | None:
        """Return whether it was done, and what the client says to it."""
        done = "The patch failed." if item.get("status") == "failed" else "The patch was applied."
        return "\n".join([done, *([told] if (told := plain(item.get("output"))) else [])])

    def members(self, text: str, status: str) -> Tree | None:
        """Return the operation: with a patch, if only an empty one, unless the file goes."""
        file = fitting(text, FileChange)
        if file is None or (file.diff if file.type == "delete_file" else file.diff is None):
            return None
        patch = {} if file.diff is None or file.type == "delete_file" else {"diff": file.diff}
        return {"operation": {"type": file.type, "path": file.path, **patch}, "status": "completed"}

    def begun(self, members: Tree) -> Tree:
        """Return it without its patch, of which OpenAI's types have no events."""
        operation = as_tree(members["operation"])
        return {**super().begun(members), "operation": {**operation, "diff": ""} if "diff" in operation else operation}


def fitting(text: str, kind: type[Action]) -> Action | None:
    """Return a function's arguments as this type; None if they are none of it."""
    try:
        return msgspec.convert(value_in(text), kind, strict=False)
    except msgspec.ValidationError:
        return None


def stated(given: object) -> Tree | None:
    """Return an object without its members that are null; None if it is none."""
    return {name: value for name, value in given.items() if value is not None} if is_tree(given) else None


def plain(given: object) -> str | None:
    """Return a text as it is, anything else as JSON; None of nothing."""
    return given if given is None or isinstance(given, str) else msgspec.json.encode(given).decode()


def written(entry: Tree) -> str:
    """Return what commands wrote and how they ended, as a model reads it."""
    outcome, stdout, stderr = as_tree(entry.get("outcome")), text_or_none(entry.get("stdout")), text_or_none(entry.get("stderr"))
    told = [stdout.removesuffix("\n")] if stdout else []
    told += ["stderr:", stderr.removesuffix("\n")] if stderr else []
    told += ["It ran out of time."] if outcome.get("type") == "timeout" else []
    told += [f"Exit code: {outcome['exit_code']}"] if outcome.get("exit_code") is not None else []
    return "\n".join(told)


SEARCH = Search()
CLIENT_TOOLS: tuple[ClientTool, ...] = (SEARCH, Shell(), LocalShell(), ApplyPatch())
BY_TYPE = MappingProxyType({tool.type: tool for tool in CLIENT_TOOLS})
BY_CALL = MappingProxyType({tool.call: tool for tool in CLIENT_TOOLS})
BY_OUTPUT = MappingProxyType({tool.output: tool for tool in CLIENT_TOOLS})
