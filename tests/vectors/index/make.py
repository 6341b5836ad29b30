#!/usr/bin/env python3
"""Makes the index of names in this folder anew, from the words of docs/format.md and without isn. Needs `b3sum` and
openssl. usage: ./make.py"""
import base64, hashlib, pathlib, struct, subprocess, sys

here = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.argv = [str(here.parent / "log/make.py")]
ORIGIN = "log.example/vectors"


def blake3(data):
    return bytes.fromhex(subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True, check=True).stdout.decode())


def entry(number):
    if number % 97 == 5:
        return f"isn/v1 logkey\norigin {ORIGIN}\n".encode()
    if number % 50 == 7:
        return b"noise\n"
    if number % 2 == 0:
        return f"isn/v1 release\nname birds\nversion 1.{number}\n".encode()
    return f"isn/v1 yank\nname bird-{number % 301}\nversion 1.0\n".encode()


def subject(data):
    lines = data.split(b"\n")
    if len(lines) > 2 and lines[1].startswith(b"name "):
        return lines[1][5:]
    return b"" if lines[0] == b"isn/v1 logkey" and len(lines) > 1 else None


files = {}


def row(name, places):
    """The row of a name: blocks of 256 from the front, as long as at least one place is left."""
    packed = [struct.pack(">QIH", *place) for place in places]
    hashes, level = [], 0
    above = []
    rest = packed
    full = (len(packed) - 1) // 256 if packed else 0
    items, last = packed[: full * 256], packed[full * 256 :]
    while items:
        hashes = []
        for at in range(0, len(items) // 256 * 256, 256):
            block = b"\2" + b"".join(items[at : at + 256])
            files[f"block/{name.decode()}/{level}/{at // 256}"] = block
            hashes.append(blake3(block))
        above.append(hashes[len(hashes) // 256 * 256 :])
        items = hashes[: len(hashes) // 256 * 256]
        level += 1
    body = b"".join(hash for hashes in reversed(above) for hash in hashes) + b"".join(last)
    return bytes([len(name)]) + name + struct.pack(">Q", len(places)) + body


def node(names, depth):
    """The bytes of the node with these names, {name: places}, and the number of its last entry, and 1."""
    through = max((places[-1][0] + 1 for places in names.values()), default=0)
    if len(names) <= 64:
        return b"\0" + bytes([len(names)]) + b"".join(row(name, names[name]) for name in sorted(names)), through
    below = {}
    for name, places in names.items():
        below.setdefault(keys[name][depth], {})[name] = places
    children = b""
    for digit in sorted(below):
        data, last = node(below[digit], depth + 1)
        prefix = keys[next(iter(below[digit]))][: depth + 1]
        files[f"node/{prefix}/{last}"] = data
        children += bytes([int(digit, 16)]) + struct.pack(">Q", last) + blake3(data)
    return b"\1" + bytes([len(below) - 1]) + children, through


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    at = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:at]) + root_of(leaves[at:])).digest()


entries = [entry(number) for number in range(600)]
(here / "entries").write_bytes(b"".join(struct.pack(">H", len(data)) + data for data in entries))
filed, offset = {}, 0
for number, data in enumerate(entries):
    if number % 256 == 0:
        offset = 0
    if subject(data) is not None:
        filed.setdefault(subject(data), []).append((number, offset + 2, len(data)))
    offset += 2 + len(data)
changes = filed.pop(b"")
keys = {name: blake3(name).hex() for name in filed}
body, through = node(filed, 0)
through = max(through, changes[-1][0] + 1)
top = b"\3" + row(b"", changes) + body
files[f"top/{through}"] = top
lines = sorted(f"{path} {len(data)} {blake3(data).hex()}\n" for path, data in files.items())
(here / "files").write_text("".join(lines))

log = {"__file__": sys.argv[0], "__name__": "log"}
source = (here.parent / "log/make.py").read_text()
exec(compile(source[: source.index("\ndef leaf(")], sys.argv[0], "exec"), log)
public, pkcs8 = log["key"]("bob")
root = base64.b64encode(root_of([hashlib.sha256(b"\0" + data).digest() for data in entries])).decode()
text = f"isn/v1 names\n{ORIGIN}\n{len(entries)}\n{root}\n{through}\nb3:{blake3(top).hex()}\n"
line = log["line"](ORIGIN, 1, public, log["sign"](pkcs8, text.encode()))
(here / "note").write_text(text + "\n" + line, encoding="utf-8")
