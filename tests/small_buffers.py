"""A network namespace whose sockets are small, with a proxy in it and everything else outside: the recipe of docs/proxies.md. Not a test.

Who wants it runs in a network namespace of its own (`unshare --net`), so that nothing of the machine's network is touched; it needs root,
Linux, and iproute2. Both namespaces end with their processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from proxy_rig import Within

HERE, THERE = "10.213.7.2", "10.213.7.1"  # the proxy's end of the wire, and ours
BUFFERS = "4096 16384 16384"  # least, usual, most, in bytes
PROGRAMS = ("ip", "nsenter", "sleep", "sysctl", "unshare")


def is_possible() -> bool:
    """Say whether this process may make namespaces, and has what it takes."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in PROGRAMS)


@contextmanager
def small_buffers() -> Iterator[Within]:
    """Make the namespace, joined to ours by a wire of its own, and yield how a proxy gets into it. Raises CalledProcessError."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        enter = ("nsenter", "--target", str(holder.pid), "--net")
        run("ip", "link", "set", "lo", "up")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            pass  # until it has left ours
        run("ip", "link", "add", "aisa-ours", "type", "veth", "peer", "name", "aisa-small", "netns", str(holder.pid))
        run("ip", "address", "add", f"{THERE}/24", "dev", "aisa-ours")
        run("ip", "link", "set", "aisa-ours", "up")
        run(*enter, "ip", "address", "add", f"{HERE}/24", "dev", "aisa-small")
        for device in ("lo", "aisa-small"):
            run(*enter, "ip", "link", "set", device, "up")
        for kind in ("tcp_rmem", "tcp_wmem"):
            run(*enter, "sysctl", "-q", "-w", f"net.ipv4.{kind}={BUFFERS}")
        yield Within(enter, HERE, THERE)
    finally:
        holder.kill()
        holder.wait()


def run(*command: str) -> None:
    """Run a command."""
    subprocess.run(command, check=True)
