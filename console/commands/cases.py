"""Commands on cases: what no rule can decide."""

from __future__ import annotations

import typer

case_app = typer.Typer(help="Cases: what no rule can decide.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(case_app, name="case")
