"""The sandbox as a command: ``python -m pipeline.sandbox``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from pipeline.sandbox.faults import KINDS, Fault, FaultError
from pipeline.sandbox.server import Sandbox

_ENDS = {signal.SIGINT, signal.SIGTERM}


class _FaultSpec(click.ParamType[Fault]):
    name = "spec"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        try:
            return Fault.parse(value)
        except FaultError as problem:
            self.fail(str(problem), param, ctx)


@click.command(epilog=f"Kinds of faults: {', '.join(KINDS)}. Options: times=N, skip=N, over=HOURS, hour=H.")
@click.option(
    "--exports",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve the export ZIPs of this folder instead of generated days.",
)
@click.option("--events-per-hour", type=click.IntRange(min=0), default=100, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8088, show_default=True, help="0 for a free one.")
@click.option("--key", default="sandbox-key", show_default=True)
@click.option("--secret", default="sandbox-secret", show_default=True)
@click.option(
    "--fault",
    "faults",
    type=_FaultSpec(),
    multiple=True,
    help="What goes wrong: kind[:value][,option=value...], for example status:429,retry_after=1,times=2.",
)
def main(
    *, exports: Path | None, events_per_hour: int, port: int, key: str, secret: str, faults: tuple[Fault, ...]
) -> None:
    """An Amplitude Export API on 127.0.0.1, with invented events, until Ctrl-C."""
    # Blocked before any thread begins, and waited for below: no handler can run, or be missed, in between.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        sandbox = Sandbox(exports, events_per_hour, key=key, secret=secret, faults=faults, port=port)
    except OSError as problem:
        raise click.ClickException(f"port {port} on 127.0.0.1: {problem.strerror}; try --port 0") from None
    with sandbox:
        click.echo(f"Sandbox Export API on {sandbox.url}, until Ctrl-C. For .env:")
        click.echo(f"AMP_BASE_URL={sandbox.url}\nAMP_API_KEY={key}\nAMP_SECRET_KEY={secret}")
        signal.sigwait(_ENDS)
    click.echo(f"Sandbox stopped after {len(sandbox.requests)} requests.")


def run() -> None:
    """The command, with one line for an error in its arguments."""
    try:
        main.main(prog_name="python -m pipeline.sandbox", standalone_mode=False)
    except click.ClickException as problem:
        click.echo(f"Error: {problem.format_message()}", err=True)
        sys.exit(problem.exit_code)


if __name__ == "__main__":
    run()
