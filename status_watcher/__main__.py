"""`python -m status_watcher`, and what the installed command calls."""

import sys

from status_watcher import stop_request


def main() -> None:
    """Run the command that the arguments name; ends the process with one of `ExitCode`."""
    if sys.argv[1:2] == ["run"]:
        stop_request.listen()
    # Loading takes most of a second, in which a stop is asked for like at any other time.
    from status_watcher import cli  # noqa: PLC0415 - see above

    cli.main(prog_name="status-watcher")


if __name__ == "__main__":
    main()
