"""`aisa check`: the command as it is called. What it shows is in `check_lines`."""

from __future__ import annotations

import click

from aisa.cli.written import Number, text

EXAMPLES = """\b
Examples:
  aisa check http://127.0.0.1:8000 --quick
  aisa check https://llm.example.com --model gpt-4.1 --key-env LLM_KEY
  aisa check http://127.0.0.1:8000 --model check --vendor-port 9150
  aisa check --list

The key is read from AISA_API_KEY, from another variable, or with `--key-env -` from standard
input. It never stands on the command line, where everybody on the machine could read it.
"""


@click.command(epilog=EXAMPLES)
@click.argument("url", required=False)
@click.option("--model", callback=text, metavar="M", help="The model that is asked.  [the first that is listed]")
@click.option(
    "--key-env", metavar="NAME", default="AISA_API_KEY", help="Variable that holds the key; `-` for standard input.  [AISA_API_KEY]"
)
@click.option("--quick", is_flag=True, help="Only the checks that take less than 5 seconds each.")
@click.option("--vendor-port", type=Number(0, 65_535), metavar="P", help="Play the vendor at this port: the whole way is checked.")
@click.option("--vendor-host", default="127.0.0.1", metavar="H", help="Where that port is listened on.  [127.0.0.1]")
@click.option("--header", "headers", multiple=True, metavar="H", help="`name: value` with every request; no place for a key.")
@click.option("--only", multiple=True, metavar="NAME", help="Only the check of this name; can be said several times.")
@click.option("--except", "without", multiple=True, metavar="NAME", help="All checks but this one, whose failure is known and borne.")
@click.option("--json", "json_file", metavar="FILE", help="Write all of it as JSON; `-` for standard output, instead of the table.")
@click.option("--junit", metavar="FILE", help="Write it as JUnit does, for CI.")
@click.option("--insecure", is_flag=True, help="Do not check the certificate.")
@click.option("--list", "only_list", is_flag=True, help="List the checks and what each failure breaks.")
def check(url: str | None, key_env: str, *, only_list: bool, **asked: object) -> None:
    """Check what stands at URL, whoever's it is: streams, errors, time, leaving, swallowed tokens.

    It tells what each failure breaks, and which setting of a proxy to change. With --vendor-port
    it also plays the vendor: let MODEL lead to http://HOST:P/v1 there (OpenAI's dialect, any key).
    Exits with 1 if a check fails.
    """
    import msgspec

    from aisa.cli import check_lines, check_run

    if only_list:
        check_lines.list_checks()
        return
    if url is None:
        raise click.UsageError("Say what is to be checked: aisa check http://127.0.0.1:8000")
    check_lines.show(msgspec.convert({"url": url, "key_env": key_env, **asked}, check_run.Asked))
