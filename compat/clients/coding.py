"""The coding task that `make agents` gives: what a model says turn after turn, by the tools of each agent. Starts no agent.

Ten turns with eleven calls, two of them at once; a test fails, and is mended. Whoever does it leaves the same files.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from polyglot_words import Line, Script

WRONG, RIGHT = "def add(a, b):\n    return a - b\n", "def add(a, b):\n    return a + b\n"
FILES = {"add.py": RIGHT, "README.md": "# Add\n", "result.txt": "passed\n"}
TEST = "python3 -c 'from add import add; assert add(2, 3) == 5' && echo passed"
LAST = "It is done."
ADDED, MENDED = "+def add(a, b):\n+    return a - b\n", "@@\n-    return a - b\n+    return a + b\n"
Calls = Callable[[str, int], Line]


def exec_command(command: str, number: int) -> Line:
    """A command by Codex's tool."""
    return Line("call", f"call_{number}", "exec_command", json.dumps({"cmd": command}))


def by_code(command: str, number: int) -> Line:
    """A command by Codex's tool of its newest models: a custom tool in a namespace, which runs JavaScript that calls the others."""
    code = f"const ran = await tools.exec_command({json.dumps({'cmd': command})});\ntext(ran);\n"
    return Line("call", f"call_{number}", "functions__exec", json.dumps({"input": code}))


def shell(command: str, number: int) -> Line:
    """A command by openai-agents' shells, the older one every other time."""
    if number % 2:
        return Line("call", f"call_{number}", "local_shell", json.dumps({"command": ["bash", "-c", command]}))
    return Line("call", f"call_{number}", "shell", json.dumps({"commands": [command]}))


def codex_patch(number: int, change: str) -> Line:
    """A patch by Codex's custom tool, which a vendor that knows functions alone calls as a function of one text."""
    return Line("call", f"call_{number}", "apply_patch", json.dumps({"input": f"*** Begin Patch\n*** {change}*** End Patch\n"}))


def operation(number: int, kind: str, diff: str) -> Line:
    """A patch by OpenAI's tool."""
    return Line("call", f"call_{number}", "apply_patch", json.dumps({"type": kind, "path": "add.py", "diff": diff}))


def turns(command: Calls, *, write: Line | None = None, mend: Line | None = None, keep: Line | None = None) -> list[list[Line]]:
    """The turns by commands, except where there is another tool: to write the file, to mend it, to keep the result."""
    return [
        [command("pwd", 0)],
        [write or command(f"printf {json.dumps(WRONG).replace('%', '%%')} > add.py", 1)],
        [command("cat add.py", 2)],
        [command(TEST, 3)],  # it fails
        [mend or command("sed -i 's/a - b/a + b/' add.py", 4)],
        [command(TEST, 5)],
        [command("echo '# Add' > README.md", 6)],
        [command("cat README.md", 7)],
        [command("ls", 8), command("wc -l add.py", 9)],
        [keep or command("echo passed > result.txt", 10)],
    ]


def claude(name: str, number: int, **given: str) -> Line:
    """A call of one of Claude Code's tools."""
    return Line("call", f"toolu_{number}", name, json.dumps(given))


def claude_turns(folder: str) -> list[list[Line]]:
    """The same with tools for files, which take whole paths."""
    add, readme = f"{folder}/add.py", f"{folder}/README.md"
    return [
        [claude("Bash", 0, command="pwd", description="Where am I")],
        [claude("Write", 1, file_path=add, content=WRONG)],
        [claude("Read", 2, file_path=add)],
        [claude("Bash", 3, command=TEST, description="Test")],  # it fails
        [claude("Edit", 4, file_path=add, old_string="a - b", new_string="a + b")],
        [claude("Bash", 5, command=TEST, description="Test again")],
        [claude("Write", 6, file_path=readme, content="# Add\n")],
        [claude("Read", 7, file_path=readme)],
        [claude("Bash", 8, command="ls", description="List"), claude("Read", 9, file_path=add)],
        [claude("Bash", 10, command="echo passed > result.txt", description="Keep the result")],
    ]


def turns_of(agent: str, folder: str) -> list[list[Line]]:
    """The turns by the tools of an agent that works in a folder."""
    match agent:
        case "claude-code":
            return claude_turns(folder)
        case "codex":
            return turns(exec_command)
        case "codex-patch":
            written = codex_patch(1, f"Add File: add.py\n{ADDED}")
            return turns(exec_command, write=written, mend=codex_patch(4, f"Update File: add.py\n{MENDED}"))
        case "codex-code":
            return turns(by_code)
        case _:
            kept = Line("call", "call_10", "keep", json.dumps({"input": "passed\n"}))
            return turns(shell, write=operation(1, "create_file", ADDED), mend=operation(4, "update_file", MENDED), keep=kept)


def script_of(agent: str, folder: str) -> list[Script]:
    """Turns as a vendor says them: it thinks before each, and ends without a call."""
    said = turns_of(agent, folder)
    thought = [[Line("think", f"Step {number}."), *calls, Line("end", "tool_calls")] for number, calls in enumerate(said)]
    return [*thought, [Line("think", "Done."), Line("say", LAST), Line("end", "stop")]]
