"""Adds to a configuration what is known without it: what entries leave out, vendors of the environment and of this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import cast

from aisa.config.checks import check
from aisa.config.detect import BY_HAND, PROOFS, SPOKEN, completed, detect, lacking, proof_variables, vendor_of
from aisa.config.document import Document
from aisa.config.problem import Problem
from aisa.config.schema import FIELDS, Config, Vendor
from aisa.vendors.row import Row
from aisa.vendors.table import ROWS

#: Takes the ports that need not be looked at; returns which rows answer on this machine.
Nearby = Callable[[Collection[int]], Collection[Row]]


def nobody(_except: Collection[int]) -> Collection[Row]:
    """Stand in for a look at this machine where none is wanted."""
    return ()


def known_vendors(config: Config, document: Document, environment: Mapping[str, str], *, nearby: Nearby) -> dict[str, Vendor]:
    """Return the vendors of a configuration and those that need no entry. Reports what an entry lacks."""
    written = document.values.get("vendors")
    entries = cast("dict[str, object]", written) if isinstance(written, dict) else {}
    vendors: dict[str, Vendor] = {}
    for name, vendor in config.vendors.items():
        given = cast("dict[str, object]", entries[name] or {})  # `groq:` with nothing below is an entry, too
        if "base_url" in given:
            vendors[name] = vendor
        elif (row := _row(name, vendor, given, document=document, environment=environment)) is not None:
            vendors[name] = completed(vendor, row, given=given, environment=environment)
            _check_found(name, vendors[name], document=document, settings={"api_key"} - given.keys())
            if not any(proof in given for proof in PROOFS):
                document.variables.update(proof_variables(row, environment))
    if config.discovery.environment:
        for name, found in detect(environment).items():
            if name not in entries:
                vendors[name] = found.vendor
                document.origins["vendors", name] = found.origin
                document.variables.update(proof_variables(ROWS[name], environment))
                _check_found(name, found.vendor, document=document, settings=("base_url", "api_key"))
    if config.discovery.loopback == "always" or (config.discovery.loopback == "auto" and not entries):
        for row in nearby((config.server.port,)):
            if row.name not in vendors and row.name not in entries:
                vendors[row.name] = vendor_of(row, environment)
                document.origins["vendors", row.name] = f"answers at {row.base_url.partition('://')[2].partition('/')[0]}"
                _check_found(row.name, vendors[row.name], document=document, settings=("api_key",))
    return vendors


def _check_found(name: str, vendor: Vendor, *, document: Document, settings: Collection[str]) -> None:
    """Report what is wrong with settings of a vendor that the environment has, by the rules of those that a file has."""
    for setting in settings:
        flaw = check(f"vendors.<name>.{setting}", setting, getattr(vendor, setting))
        if flaw:
            document.report(("vendors", name, setting), flaw.what, flaw.remedy)


def half_there(config: Config, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield which vendors have their key in the environment and are not used, as something else is missing."""
    rows = [row for row in ROWS.values() if row.dialect in SPOKEN and not row.named_only and not row.retired and not row.sign]
    for row in rows if config.discovery.environment else ():
        missing = lacking(row, environment, named=False)
        if missing and row.name not in config.vendors and (variable := row.key_variable(environment)):
            what = f"{variable} is in the environment, but {row.title} is not used without {' and '.join(missing)}."
            yield Problem(f"vendors.{row.name}", what, "Set it, too.")


def _row(name: str, vendor: Vendor, given: Collection[str], *, document: Document, environment: Mapping[str, str]) -> Row | None:
    """Return the row that says where the vendor of an entry without an address is; None, and a report, if that stays unknown."""
    way = ("vendors", name)
    if vendor.preset is None and "preset" in given:
        return None  # it could not be read, which has been reported
    row = ROWS.get(vendor.preset or name)
    if row is None and vendor.preset is None:
        document.report((*way, "base_url"), "This setting is required.", FIELDS["vendors.<name>.base_url"])
    if row is None:
        return None
    if row.dialect not in SPOKEN and "dialect" not in given:
        document.report(way, f"The dialect of {row.title}, `{row.dialect}`, is not built in yet.", "Leave the entry out.")
        return None
    address = row.address(environment)
    if address.missing:
        what = f"Where {row.title} is depends on {' and '.join(address.missing)}, which the environment does not have."
        document.report((*way, "base_url"), what, "Set it, or write `base_url`.", lacking=address.missing)
        return None
    missing = lacking(row, environment, named=True)
    if missing and not any(name in given for name in (*PROOFS, *BY_HAND)):
        what = f"{row.title} takes no calls without a key, and the environment has no {missing[0]}."
        document.report((*way, "api_key"), what, "Set it, or write `api_key: ${VARIABLE}` with a variable of your own.", lacking=missing)
        return None
    return row
