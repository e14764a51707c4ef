"""The line from a terminal: the same steps as the DAGs, without Airflow.

Every command imports what it needs by itself, so that --help and validate answer at once.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainflow import __version__
from chainflow.cli import audit, entries, ingest, local, look, store
from chainflow.cli.given import Given
from chainflow.errors import ChainflowError, InputError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--registry",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The chains; may be repeated, later files win key by key. Default: CHAINFLOW_REGISTRY,"
    " else chains.yaml.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="The PostgreSQL that holds the tables. Default: CHAINFLOW_DATABASE_URL, else"
    " AIRFLOW_CONN_CHAINFLOW_DB, else an embedded server under CHAINFLOW_HOME, else .chainflow.",
)
@click.option("--debug", is_flag=True, help="Tell each step, and where an error came from.")
@click.version_option(__version__, prog_name="chainflow")
@click.pass_context
def cli(
    context: click.Context, files: tuple[Path, ...], database_url: str | None, *, debug: bool
) -> None:
    """Follow blockchains into PostgreSQL, and see how far behind each one is.

    Exit codes: 0 done, 1 the work failed, 2 the input is wrong.
    """
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING, format="%(levelname)s %(message)s"
    )
    context.obj = Given(files, database_url, debug)


for _command in (
    entries.validate,
    entries.probe,
    store.db,
    ingest.sync,
    look.heights,
    look.gaps,
    ingest.plan,
    look.volume,
    look.endpoints,
    audit.audit,
    local.devnet,
    local.demo,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: 0 done, 1 the work failed, 2 the input is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminable():
            code = cli.main(words, prog_name="chainflow", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a group alone: its help, and no error's one line
            click.echo(message, err=True)
        else:
            _tell(words, message)
        sys.exit(2)
    except ChainflowError as error:
        _explain(words, error)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a line, not a traceback
        _explain(words, error)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _terminable() -> Iterator[None]:
    """End on SIGTERM and a closed terminal as on Ctrl-C, so that what was started is stopped.

    Where they are ignored, as under nohup, they stay so.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _explain(words: Sequence[str], error: Exception) -> None:
    if "--debug" in words:
        import traceback

        click.echo(_without_urls(words, "".join(traceback.format_exception(error))), err=True)
    if isinstance(error, RegistryError):
        for problem in error.problems:
            click.echo(_without_urls(words, problem), err=True)
    elif isinstance(error, ChainflowError):
        _tell(words, str(error))
    else:
        where = "`chainflow --debug ...` tells where"
        _tell(words, f"unexpected {type(error).__name__}: {error} ({where})")


def _tell(words: Sequence[str], message: str) -> None:
    click.echo(f"error: {' '.join(_without_urls(words, message).split())}", err=True)


def _without_urls(words: Sequence[str], message: str) -> str:
    """The message with only the scheme of a URL that was typed, and no URL's login.

    What was typed in the wrong place may hold a key anywhere; a path has lost one of its slashes.
    """
    for typed in re.findall(r"[\w+.-]+://\S+", " ".join(words)):
        hidden = f"{typed.partition('://')[0]}://***"
        for shown in (typed, str(Path(typed))):
            message = message.replace(shown, hidden)
    return re.sub(r"([\w+.-]+:/{1,2})\S*@", r"\1***@", message)
