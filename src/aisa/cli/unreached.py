"""Why a vendor could not be asked, for whoever has configured it: what that means, and what to do. Opens no connection."""

from __future__ import annotations

import re
from typing import NamedTuple

#: How Python writes what the system says: exceptions by their names, numbers of errors, bytes.
PYTHONS = (
    (re.compile(r"\[Errno -?\d+\] "), ""),
    (re.compile(r"(?:connection lost: )?\w+Error\(\d+, '([^']*)'\)"), r"\1"),
    (re.compile(r"ConnectionResetError\b(\(\))?"), "Connection reset by peer"),
    (re.compile(r"\b(?:BrokenPipe|ConnectionAborted|Connection)Error\b(\(\))?"), "the connection was lost"),
    (re.compile(r"HttpParser(?:Error|Upgrade): (?:Expected HTTP/, RTSP/ or ICE/)?"), "what it sends is no HTTP"),
    (re.compile(r"\bb'([^']*)'"), r"\1"),
)
PORT = "Check the port in base_url."
SCHEME = "Check port and beginning of base_url: https:// is for TLS, http:// without. A firewall in between does the same."


class Meaning(NamedTuple):
    """What a failure means that says such a thing, and the remedy."""

    says: str
    meaning: str
    remedy: str


#: The first that fits counts.
MEANINGS = (
    Meaning(
        "the proxy refused: .*407", "The proxy asks who we are.", "Write name and password into `proxy`: http://NAME:PASSWORD@HOST:PORT."
    ),
    Meaning("the proxy", "The proxy lets nothing through to it.", "Check `proxy` of this vendor, HTTPS_PROXY and NO_PROXY."),
    Meaning(
        "by proxy [^ ]+: (?:Connection refused|.*[Nn]ame|no connection within|.*unreachable|No route)",
        "The proxy itself cannot be reached.",
        "Check `proxy` of this vendor, HTTPS_PROXY and NO_PROXY.",
    ),
    Meaning("Connection refused", "Nothing listens there.", "Start what should, or check host and port in base_url."),
    Meaning("WRONG_VERSION_NUMBER|RECORD_LAYER", "What listens there speaks no TLS.", "Write http:// in base_url, or the port of its TLS."),
    Meaning(
        "self.signed|issuer certificate",
        "No authority that this machine trusts vouches for it.",
        "Name the file of its authority, or of your network's own proxy: `ca_file` of this vendor.",
    ),
    Meaning("(?:Hostname|IP address) mismatch", "It is another's.", "Write the name that the certificate is for into base_url."),
    Meaning("certificate has expired", "", "Have its operator renew it, and check this machine's clock."),
    Meaning("certificate is not yet valid", "", "Check this machine's clock."),
    Meaning("Temporary failure in name", "No name server answers.", "Check this machine's network and its name servers."),
    Meaning("Name or service not known|[Nn]o address", "Nobody knows it.", "Check how base_url is spelt, and this machine's name servers."),
    Meaning(
        "no connection within",
        "Nobody answers there, or a firewall drops what is sent.",
        "Check host and port in base_url; where a proxy is the only way out, set `proxy` of this vendor or HTTPS_PROXY.",
    ),
    Meaning("unreachable|No route", "This machine has no way there.", "Check its network, and whether a VPN or a proxy is the way."),
    Meaning("spoke or hung up", "No HTTP server does that.", PORT),
    Meaning("no HTTP", "What listens there is no HTTP server.", PORT),
    Meaning("reset|closed the connection|was lost|connection lost|TLS", "It hung up in place of an answer.", SCHEME),
)
OTHERWISE = Meaning("", "", "Check address, network and proxy.")


def unreached(detail: str) -> tuple[str, str]:
    """Return what is told of a vendor that could not be asked, and the remedy. `detail` is as `UpstreamFailed` has it."""
    for written, said in PYTHONS:
        detail = written.sub(said, detail)
    found = next((each for each in MEANINGS if re.search(each.says, detail)), OTHERWISE)
    what = f"It cannot be asked: {detail.strip().rstrip('.')}. {found.meaning}"
    return what.strip(), found.remedy
