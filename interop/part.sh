#!/usr/bin/env bash
# Parts with proofs: part.py, made from the words of docs/format.md, takes what isn pulls; it and `isn verify`
# refuse what was tampered with.
# usage: interop/part.sh ISN WORK
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
isn=$(realpath "$1") work=$2/part
mkdir "$work"
cd "$work"
python3 "$here/blake3_tree.py"

# 640 images of 4 classes, small ones. `bee-fly` has none in val, and `bee` three that are one image.
python3 - <<'PY'
import struct, zlib
from pathlib import Path

def png(color: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" + color)) + chunk(b"IEND", b""))

COUNTS = [("ant", 300, 50), ("bee", 150, 40), ("bee-fly", 60, 0), ("wasp", 30, 10)]
for at, (name, train, val) in enumerate(COUNTS):
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            path = Path(f"source/{split}/{name}/{name}_{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            shown = 0 if name == "bee" and number < 3 else number
            path.write_bytes(png(bytes([at + (100 if split == "val" else 0), shown % 256, shown // 256])))
PY
cat > recipe.toml <<'TOML'
format = "isn-recipe/2"
name = "parts"
version = "1.0"
title = "Parts"
description = "For tests."
licence = "CC0-1.0"
authors = ["isn"]
[source]
kind = "imagefolder"
[image]
size = 1
[split]
policy = "keep"
[gates]
leakage = "allow"
val_min = 0
TOML
for class in ant bee bee-fly wasp; do
    printf '[[class]]\nid = "%s"\nlabel = "%s"\n' $class $class
done >> recipe.toml
quietly() { "$@" > said.txt 2>&1 || { cat said.txt; exit 1; }; }
quietly "$isn" key new me --no-passphrase
quietly "$isn" build recipe.toml --source source --out out --index blocks --quiet
quietly "$isn" publish out --registry registry --key me --quiet
quietly "$isn" trust add registry "$ISN_HOME/keys/me.pub"
pull() { quietly "$isn" pull parts@1.0 --registry registry --quiet "$@"; }
pull --to whole
dataset=b3:$(b3sum --no-names whole/B3SUMS)
awk 'NR % 90 == 7 { print substr($0, 67) }' whole/B3SUMS > list.txt

python3 - "$here/part.py" "$isn" "$dataset" <<'PY'
"""Each part, as it was pulled, and tampered with in every way, for both programs."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

checker, isn, dataset = sys.argv[1:]
sys.path.insert(0, str(Path(checker).parent))
import part as words  # noqa: E402
from blake3_tree import CHUNK, chunks_of, left_chunks, node_value  # noqa: E402

PARTS = {
    "class": ["--class", "bee"], "without": ["--class", "bee-fly"], "split": ["--split", "val"],
    "two": ["--class", "ant", "--class", "wasp", "--split", "val"], "list": ["--images", "list.txt"],
}
wrong = []


def verified(tree: str, expected: str) -> tuple[int, str]:
    ran = subprocess.run([isn, "verify", tree, "--expect", expected], capture_output=True, text=True)
    return ran.returncode, (ran.stderr + ran.stdout).strip()


def taken(what: str, tree: str) -> None:
    ran = subprocess.run([checker, tree, "--expect", dataset], capture_output=True, text=True)
    for program, (code, text) in {
        "part.py": (ran.returncode, ran.stdout + ran.stderr), "isn verify": verified(tree, dataset),
    }.items():
        if code != 0:
            wrong.append(f"{program} refuses {what} ({code}): {text}")


def refused(what: str, tree: str, expected: str = dataset) -> None:
    try:
        wrong.append(f"{part}: {what}: part.py: {words.check(Path(tree), expected)}")
    except words.REFUSALS as why:
        print(f"{what}: {why}")
    code, text = verified(tree, expected)
    if code in (0, 2) or code > 100:
        wrong.append(f"{part}: {what}: isn verify: {code}: {text}")


def forged(shown: set[str]) -> bytes:
    """A proof that shows no more than these files."""
    sums = Path("whole/B3SUMS").read_bytes()
    chunks, end = {chunks_of(len(sums)) - 1}, 0
    for line in sums.splitlines(keepends=True):
        start, end = end, end + len(line)
        if line[66:-1].decode() in shown:
            chunks |= set(range(start // CHUNK, (end - 1) // CHUNK + 1))
    firsts = sorted(chunk for chunk in chunks if chunk - 1 not in chunks)
    ends = sorted(chunk + 1 for chunk in chunks if chunk + 1 not in chunks)

    def below(first: int, data: bytes) -> bytes:
        count = chunks_of(len(data))
        if not chunks & set(range(first, first + count)):
            return b""
        if count == 1:
            return data
        middle = left_chunks(count)
        left, right = data[:middle * CHUNK], data[middle * CHUNK:]
        values = node_value(left, first) + node_value(right, first + middle)
        return values + below(first, left) + below(first + middle, right)

    numbers = [len(sums), len(firsts), *(one for pair in zip(firsts, ends) for one in pair)]
    return b"".join(number.to_bytes(8, "little") for number in numbers) + below(0, sums)


def tampered(part: str) -> Path:
    shutil.rmtree("tampered", ignore_errors=True)
    return Path(shutil.copytree(part, "tampered"))


for part, options in PARTS.items():
    pulled = [isn, "pull", "parts@1.0", "--registry", "registry", "--to", part, "--quiet", *options]
    subprocess.run(pulled, check=True, capture_output=True)
    taken(part, part)

for part in PARTS:
    lines = Path(part, "B3SUMS.selected").read_text().splitlines(keepends=True)
    images = [at for at, line in enumerate(lines) if not line.endswith("  classes.csv\n")]

    def without(*left_out: int, files: bool) -> None:
        tree = tampered(part)
        kept = [line for at, line in enumerate(lines) if at not in left_out]
        (tree / "B3SUMS.selected").write_text("".join(kept))
        for at in left_out if files else ():
            (tree / lines[at][66:-1]).unlink()

    print(f"== {part}: {len(images)} images")
    for at in (images[0], images[len(images) // 2], images[-1]) if part == "class" else (images[-1],):
        path = lines[at][66:-1]
        without(at, files=False)
        refused("a line is missing", "tampered")
        without(at, files=True)
        refused("a line and its image are missing", "tampered")
        (tampered(part) / path).unlink()
        refused("an image is missing", "tampered")
        with open(tampered(part) / path, "ab") as file:
            file.write(b"\0")
        refused("an image has another byte", "tampered")
        other = "".join("1" if digit == "0" else "0" for digit in lines[at][:64])
        tree = tampered(part)
        (tree / "B3SUMS.selected").write_text("".join(other + line[64:] if here == at else line
                                                      for here, line in enumerate(lines)))
        refused("a line has another hash", "tampered")
    without(*images, files=True)
    refused("all images and their lines are missing", "tampered")
    without(next(at for at in range(len(lines)) if at not in images), files=True)
    refused("classes.csv and its line are missing", "tampered")
    tree = tampered(part)
    (tree / "classes.csv").write_text((tree / "classes.csv").read_text().replace("wasp", "gnat"))
    refused("classes.csv is another", "tampered")
    # A line that is in B3SUMS, with its file.
    listed = {line[66:-1] for line in lines}
    line = next(line for line in Path("whole/B3SUMS").read_text().splitlines(keepends=True)
                if line[66:-1] not in listed)
    tree, path = tampered(part), line[66:-1]
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path("whole", path), tree / path)
    refused("a file that is not of the part", "tampered")
    # The proof.
    proof = Path(part, "B3SUMS.proof").read_bytes()
    places = (0, 1, 8, 16, 24, len(proof) - 1) if part == "class" else ()
    for at in (*places, len(proof) // 2):
        (tampered(part) / "B3SUMS.proof").write_bytes(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1:])
        refused(f"byte {at} of the proof", "tampered")
    for what, other in (("cut", proof[:-1]), ("longer", proof + b"\0"), ("empty", b"")):
        (tampered(part) / "B3SUMS.proof").write_bytes(other)
        refused(f"the proof is {what}", "tampered")
    (tampered(part) / "B3SUMS.proof").unlink()
    refused("the proof is missing", "tampered")
    for other in PARTS:
        # The proof of a split shows what its classes have.
        if other != part and (part, other) != ("two", "split"):
            shutil.copy(Path(other, "B3SUMS.proof"), tampered(part) / "B3SUMS.proof")
            refused(f"the proof of the part `{other}`", "tampered")
    # Proofs of less, with which nothing is said of lines that are gone.
    if part != "list":
        folders = {line[66:].rsplit("/", 1)[0] for line in lines if "/" in line}
        gone = {
            "the first images": images[:40], "the last images": images[-40:],
            "those in the middle": images[20:-20],
            **{f"those in {folder}": [at for at in images if lines[at][66:].startswith(f"{folder}/")]
               for folder in sorted(folders)},
        }
        for what, left_out in gone.items():
            without(*left_out, files=True)
            kept = {line[66:-1] for at, line in enumerate(lines) if at not in left_out}
            Path("tampered/B3SUMS.proof").write_bytes(forged(kept | {"classes.csv"}))
            refused(f"{what} are missing, and are not in the proof", "tampered")
    # What was selected. Nobody signs that; but it must be what the part has.
    for what, selection in (
        ("more classes", {"classes": ["ant", "bee", "wasp"]}),
        ("all splits", {"splits": ["train", "val", "test"]}),
        ("another image", {"images": [path]}),
    ):
        tree = tampered(part)
        note = json.loads((tree / "ISN.json").read_text())
        note["selection"] = selection
        (tree / "ISN.json").write_text(json.dumps(note))
        refused(f"ISN.json selects {what}", "tampered")
    refused("another dataset hash", part, "b3:" + "0" * 64)
ran = subprocess.run([checker, "tampered", "--expect", dataset], capture_output=True, text=True)
if ran.returncode != 1 or not ran.stderr.startswith("REFUSED: "):
    wrong.append(f"part.py ends with {ran.returncode} and {ran.stderr}")

print(*wrong, sep="\n")
sys.exit(1 if wrong else 0)
PY
