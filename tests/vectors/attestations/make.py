#!/usr/bin/env python3
"""Makes the attestation log in this folder anew, as ../log/make.py makes the log that it belongs to: without isn. usage:
./make.py"""
import base64, hashlib, pathlib, struct, subprocess, tempfile

here = pathlib.Path(__file__).resolve().parent
vectors = here.parent
# The origin of the registry's log, and the suffix of attestation logs.
ORIGIN = "log.example/vectors" + "/attestations"


def key(who):
    """The public key, and the secret one as openssl reads it."""
    public = base64.b64decode((vectors / f"release/{who}.pub").read_text().split()[1])[-32:]
    lines = (vectors / f"release/{who}").read_text().split("\n")
    wire = base64.b64decode("".join(line for line in lines if not line.startswith("-")))
    at = wire.rindex(public, 0, wire.rindex(public)) + 32
    return public, bytes.fromhex("302e020100300506032b657004220420") + wire[at + 4 : at + 36]


def sign(pkcs8, message):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "key").write_bytes(pkcs8)
        (folder / "message").write_bytes(message)
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", folder / "key"]
        return subprocess.check_output([*command, "-in", folder / "message"])


def b64(data):
    return base64.b64encode(data).decode()


def write(name, data):
    (here / name).parent.mkdir(parents=True, exist_ok=True)
    (here / name).write_bytes(data)


public, secret = key("alice")
key_id = hashlib.sha256(ORIGIN.encode() + b"\n\1" + public).digest()[:4]
write("vkey", f"{ORIGIN}+{key_id.hex()}+{b64(bytes([1]) + public)}\n".encode())

# The same statement again has no effect, and neither has one that belongs in the registry's log.
entries = [(vectors / f"statement/{name}.txt").read_bytes() for name in ("rebuilt", "rebuilt", "owner")]
leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
write("tile/0/000.p/3", b"".join(leaves))
write("tile/entries/000.p/3", b"".join(struct.pack(">H", len(entry)) + entry for entry in entries))
pair = hashlib.sha256(b"\1" + leaves[0] + leaves[1]).digest()
root = hashlib.sha256(b"\1" + pair + leaves[2]).digest()
note = f"{ORIGIN}\n3\n{b64(root)}\n"
write("checkpoint", f"{note}\n\u2014 {ORIGIN} {b64(key_id + sign(secret, note.encode()))}\n".encode())
# What the registry shows of the version.
write("versions/imagebirds/1.0", struct.pack(">H", len(entries[0])) + entries[0])
