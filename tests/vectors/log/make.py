#!/usr/bin/env python3
"""Makes the log in this folder anew, from the words of C2SP's tlog-tiles, tlog-checkpoint, tlog-cosignature and
tlog-proof, and from docs/format.md: without isn, with hashlib and `openssl pkeyutl` alone. Ed25519 signatures are deterministic, so everything
comes out as it was. usage: ./make.py"""
import base64, hashlib, pathlib, struct, subprocess, tempfile

here = pathlib.Path(__file__).resolve().parent
vectors = here.parent
ORIGIN = "log.example/vectors"
WITNESS = "witness.example"
TIME = 1_700_000_000
# The second release, and the owner statement that is played again, have no effect.
ENTRIES = "owner owner-recovery release release logkey yank withdraw owner revoke".split()
PROVED = 2


def key(who):
    """The public key, and the secret one as a file that openssl reads."""
    public = base64.b64decode((vectors / f"release/{who}.pub").read_text().split()[1])[-32:]
    lines = (vectors / f"release/{who}").read_text().split("\n")
    wire = base64.b64decode("".join(line for line in lines if not line.startswith("-")))
    # In an OpenSSH key file that is not encrypted, seed and public key follow the last copy of the public key.
    at = wire.rindex(public, 0, wire.rindex(public)) + 32
    assert wire[at : at + 4] == struct.pack(">I", 64)
    seed = wire[at + 4 : at + 36]
    pkcs8 = bytes.fromhex("302e020100300506032b657004220420") + seed
    return public, pkcs8


def sign(pkcs8, message):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "key").write_bytes(pkcs8)
        (folder / "message").write_bytes(message)
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", folder / "key"]
        return subprocess.check_output([*command, "-in", folder / "message"])


def b64(data):
    return base64.b64encode(data).decode()


def key_id(name, kind, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name, kind, public):
    return f"{name}+{key_id(name, kind, public).hex()}+{b64(bytes([kind]) + public)}\n"


def line(name, kind, public, signature):
    return f"\u2014 {name} {b64(key_id(name, kind, public) + signature)}\n"


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def split(count):
    return 1 << (count - 1).bit_length() - 1


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(leaves, index):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return path(leaves[:k], index) + [root(leaves[k:])]
    return path(leaves[k:], index - k) + [root(leaves[:k])]


def write(name, data):
    file = here / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


(alice, alice_secret), (bob, bob_secret) = key("alice"), key("bob")
entries = [(vectors / f"statement/{kind}.txt").read_bytes() for kind in ENTRIES]
leaves = [leaf(entry) for entry in entries]

write("vkey", vkey(ORIGIN, 1, alice))
write("vkey-now", vkey(ORIGIN, 1, bob))
write("witness", vkey(WITNESS, 4, alice))
write(f"tile/0/000.p/{len(leaves)}", b"".join(leaves))
write(f"tile/entries/000.p/{len(leaves)}", b"".join(struct.pack(">H", len(e)) + e for e in entries))

text = f"{ORIGIN}\n{len(leaves)}\n{b64(root(leaves))}\n"
checkpoint = text + "\n" + line(ORIGIN, 1, bob, sign(bob_secret, text.encode()))
write("checkpoint", checkpoint)
seen = sign(alice_secret, f"cosignature/v1\ntime {TIME}\n{text}".encode())
write("cosigned", checkpoint + line(WITNESS, 4, alice, struct.pack(">Q", TIME) + seen))

hashes = "".join(f"{b64(node)}\n" for node in path(leaves, PROVED))
head = f"c2sp.org/tlog-proof@v1\nextra {b64(entries[PROVED])}\nindex {PROVED}\n{hashes}\n"
write("proof", head + checkpoint)

# Entries 4 and 5 before they are in the log: the change of key is signed for by the key before it.
bundle = b"".join(struct.pack(">H", len(e)) + e for e in entries[4:6])
text = f"isn/v1 claim\n{ORIGIN}\n4\n{b64(root(leaves[:4]))}\n{b64(hashlib.sha256(bundle).digest())}\n"
write("claim", (text + "\n" + line(ORIGIN, 1, alice, sign(alice_secret, text.encode()))).encode() + bundle)
