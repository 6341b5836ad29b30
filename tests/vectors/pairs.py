"""Writes pairs.csv and what it comes to, pairs_judged.txt, beside itself, from the words of docs/format.md alone."""
import csv
from pathlib import Path

HEADER = ["kind", "first", "second", "says", "reviewer", "reason", "date", "evidence"]
ROWS = [
    # first, second, says, reviewer, reason, date, evidence
    ("a", "b", "same", "Ann", "copy", "2026-11-01", ""),
    ("a", "c", "different", "Ann", "look-alike", "2026-11-01", "another bird, by its beak"),
    # the last decision of a reviewer counts
    ("b", "c", "same", "Ann", "crop", "2026-11-01", ""),
    ("b", "c", "different", "Ann", "look-alike", "2026-11-02T10:11:12Z", "looked again"),
    # withdrawn, and decided once more
    ("c", "d", "same", "Ann", "burst", "2026-11-01", ""),
    ("c", "d", "withdraw", "Ann", "other", "2026-11-02", ""),
    ("d", "e", "same", "Ann", "same-object", "2026-11-01", ""),
    ("d", "e", "withdraw", "Ann", "other", "2026-11-02", ""),
    ("d", "e", "different", "Ann", "other", "2026-11-03", "two birds on one branch"),
    # a withdrawal without a decision
    ("d", "f", "withdraw", "Bo", "other", "2026-11-02", ""),
    # who is unsure does not count beside others
    ("e", "f", "unsure", "Ann", "look-alike", "2026-11-01", ""),
    ("e", "f", "same", "Bo", "copy", "2026-11-01", ""),
    ("f", "g", "unsure", "Ann", "look-alike", "2026-11-01", ""),
    ("f", "g", "unsure", "Bo", "burst", "2026-11-01", ""),
    # reviewers who agree, who differ, and one who gives in
    ("g", "h", "same", "Ann", "copy", "2026-11-01", ""),
    ("g", "h", "same", "Bo", "burst", "2026-11-01", ""),
    ("h", "i", "same", "Bo", "burst", "2026-11-01", ""),
    ("h", "i", "different", "Ann", "look-alike", "2026-11-01", ""),
    ("i", "j", "same", "Ann", "copy", "2026-11-01", ""),
    ("i", "j", "different", "Bo", "other", "2026-11-01", ""),
    ("i", "j", "withdraw", "Ann", "other", "2026-11-02", ""),
    # ids in any script, compared by bytes; a comma and quotes
    ("Z", "a", "different", "Ann", "look-alike", "2026-11-01", ""),
    ("train/café/1", "train/cafe\u0301, 2", "same", "Ann", "copy", "2026-11-01", 'says "copy"'),
    ("val/ｚ", "val/\U0001f989", "same", "Ann", "copy", "2026-11-01", ""),
]


def ordered(one: str, other: str) -> tuple[str, str]:
    return tuple(sorted((one, other), key=lambda text: text.encode()))


rows = [(*ordered(first, second), *rest) for first, second, *rest in ROWS]
said: dict[tuple[str, str], dict[str, str]] = {}
for first, second, says, reviewer, *_ in rows:
    of_pair = said.setdefault((first, second), {})
    # A decision after another one comes after those of others.
    of_pair.pop(reviewer, None)
    if says != "withdraw":
        of_pair[reviewer] = says

judged = []
for pair in sorted(said, key=lambda pair: [text.encode() for text in pair]):
    firm = {reviewer: says for reviewer, says in said[pair].items() if says != "unsure"}
    if len(set(firm.values())) > 1:
        comes_to = "differ: " + ", ".join(f"{reviewer} says {says}" for reviewer, says in firm.items())
    elif firm:
        comes_to = next(iter(firm.values()))
    else:
        comes_to = "open" if said[pair] else "not judged"
    judged.append(f"{pair[0]} | {pair[1]} | {comes_to}\n")

here = Path(__file__).parent
with open(here / "pairs.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(["decision", *row] for row in rows)
(here / "pairs_judged.txt").write_text("".join(judged), encoding="utf-8")
