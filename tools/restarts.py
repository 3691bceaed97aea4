"""Restarts servers under streaming load, behind nginx, behind HAProxy, and on a handed socket, and prints what their clients saw.

`python tools/restarts.py [--restarts N] [--clients N]`. The exit status is 1 if anything was lost.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the tests

from proxy_rig import PRODUCTS  # noqa: E402 - the line above says where it is
from restart_rig import handed_over, rolling  # noqa: E402 - as above


@click.command()
@click.option("--restarts", default=6, show_default=True, help="Restarts of each kind, of two replicas by turns.")
@click.option("--clients", default=24, show_default=True, help="Clients that stream all the time.")
def main(restarts: int, clients: int) -> None:
    """Print a line for each kind."""
    lost = False
    with TemporaryDirectory() as folder:
        for name in ("nginx", "HAProxy"):
            product = PRODUCTS[name]
            if product.program() is None:
                print(f"{name} is not here", file=sys.stderr)
                continue
            outcome = rolling(name, Path(folder) / name, restarts=restarts, clients=clients)
            print(f"rolling restart of two replicas behind {product.title()}, {restarts} times: {outcome}", flush=True)
            lost |= bool(outcome.lost)
        outcome = handed_over(Path(folder) / "handed", restarts=restarts, clients=clients)
        print(f"upgrade on a handed socket, {restarts} times: {outcome}")
    sys.exit(lost or bool(outcome.lost))


if __name__ == "__main__":
    main()
