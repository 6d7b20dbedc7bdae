"""kit doctor"""

from __future__ import annotations

import typer

from kit.cli.format import print_json, print_table
from kit.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """What kit stands on here: versions, devices, providers; what is missing, and how to get it."""
    from dataclasses import asdict

    from kit.doctor import examine

    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(["", "what", "found"], [[finding.state, finding.what, finding.found] for finding in findings])
        for finding in findings:
            if finding.fix:
                typer.echo(f"\n{finding.state}  {finding.what}: {finding.fix}", nl=False)
        typer.echo()
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
