"""The command line options that all benches share."""

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read(doc: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("work", type=Path, help="folder for what is made; a tmpfs leaves the disk out of it")
    parser.add_argument("--isn", type=Path, default=ROOT / "target/release/isn", help="the program")
    parser.add_argument("--photos", type=Path, action="append", default=[], help="folder of real photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, help="how many photographs, to try the bench itself; or entries of a log")
    found = parser.parse_args()
    found.work = found.work.resolve()
    found.isn = found.isn.resolve()
    found.work.mkdir(parents=True, exist_ok=True)
    return found
