"""`specvit STAGE`: each stage of the pipeline as a command, loaded only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from specvit import __version__
from specvit.errors import FULL, REFUSED, MachineError, SpecvitError

# Command (a module of specvit.commands that holds it as `command`) and its line in the help.
# A table, so that each stage imports only what it needs: torch alone takes seconds.
COMMANDS: dict[str, str] = {
    "init": "Lay down a folder to run the workflow in.",
    "run": "Run the workflow (Snakemake).",
    "check": "Validate a configuration and print what it plans.",
    "schema": "Print or write the JSON schema of the configuration.",
    "survey": "Fetch one survey's catalogue and select rows from it.",
    "catalog": "Group, split and deal the selected rows to shards.",
    "download": "Fetch the spectra of a shard.",
    "shards": "Draw the spectra of a shard as plots.",
    "plot": "Draw one spectrum as a PNG.",
    "gallery": "Make a page of plots of each class and mode.",
    "verify": "Check every hash, count, key and picture of a run.",
    "train": "Fine-tune the Vision Transformer.",
    "predict": "Predict spectra: files, folders, tars, addresses, lists.",
    "explain": "Show where a network looks in a spectrum.",
    "predict-split": "Predict a split with the trained ViT.",
    "baselines": "Train and run one classical baseline.",
    "evaluate": "Compute every metric from the predictions.",
    "figures": "Draw the figures from the predictions.",
    "report": "Write the report.",
    "export": "Write a trained model as others can use it.",
    "publish": "Write a run's spectra and predictions as others can read them.",
    "weights": "Fetch a backbone's published weights.",
    "status": "Show how far a run is.",
    "unlock": "Remove Snakemake's lock if the run that made it is dead.",
}


class LazyGroup(click.Group):
    """A group of the commands in a package's modules, each imported only when it is called."""

    def __init__(self, *, package: str, lines: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.package, self.lines = package, lines

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the table's order."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in self.lines:
            return None
        module = importlib.import_module(f"{self.package}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))


@click.group(
    cls=LazyGroup,
    package="specvit.commands",
    lines=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="specvit")
@click.option("--verbose", is_flag=True, help="Log details.")
def app(verbose: bool) -> None:
    """From sky surveys to trained, honestly evaluated vision transformers for spectra."""
    from specvit.logs import setup_logging

    setup_logging(verbose)


def main(args: list[str] | None = None) -> Any:
    """Run a command of specvit."""
    return run(app, args)


def run(group: click.Group, args: list[str] | None) -> Any:
    """Run a command: a user's mistake ends in one sentence and a non-zero exit."""
    try:
        return group.main(args=args, standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("specvit: interrupted", file=sys.stderr)
        sys.exit(130)
    except SpecvitError as error:
        print(f"specvit: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in FULL | REFUSED:
            raise
        print(f"specvit: {error}", file=sys.stderr)
        sys.exit(MachineError.exit_code)


if __name__ == "__main__":
    main()
