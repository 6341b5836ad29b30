"""The command ``isn``."""

import signal
import sys

from . import _isn


def main() -> None:
    """Runs the command with the arguments of the process, and exits with its code."""
    # Python's handler would only run when the command is through.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = _isn.main(["isn", *sys.argv[1:]])
    sys.stdout.flush()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
