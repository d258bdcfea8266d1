"""`python -m status_watcher`, and what the installed command calls."""

from status_watcher import cli


def main() -> None:
    """Run the command that the arguments name; ends the process with one of `ExitCode`."""
    cli.main(prog_name="status-watcher")


if __name__ == "__main__":
    main()
