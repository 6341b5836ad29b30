#!/usr/bin/env python3
"""Simulates power cuts in a publish. strace records the file operations of `isn publish`; then a folder is
made of each prefix of them, as a disk may have it: with every operation, with only what was synced, and with
some of the rest. In each, isn must find the complete log as it was before or as it is after; and once the
publisher's home has remembered what it signed, that home must be able to finish the publish. Needs strace;
interop/run.sh installs it.
usage: interop/crash.py ISN WORK"""
import concurrent.futures, hashlib, json, os, random, re, shutil, struct, subprocess, sys, time, zlib
from pathlib import Path

isn, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() / "crash"
work.mkdir(parents=True)
os.chdir(work)
environ = {**os.environ, "ISN_HOME": str(work / "home")}
environ.pop("ISN_REGISTRY", None)
registry = work / "reg"
CALLS = ("openat,openat2,open,creat,write,pwrite64,lseek,ftruncate,copy_file_range,sendfile,rename,renameat,renameat2,link,linkat,"
         "symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,syncfs")


def run(*args, home="home"):
    return subprocess.run([isn, *args], env={**environ, "ISN_HOME": str(work / home)}, capture_output=True, text=True)


def must(*args, **more):
    ran = run(*args, **more)
    assert ran.returncode == 0, (args, ran.stdout, ran.stderr)
    return ran.stdout


def png(seed, size=48):
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(3 * size) for _ in range(size))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">2I5B", size, size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def build(version, images):
    for c, name in enumerate(("ant", "bee")):
        (work / f"raw-{version}" / name).mkdir(parents=True)
        for i in range(images):
            (work / f"raw-{version}" / name / f"{name}_{i}.png").write_bytes(png(1000 * c + i))
    Path(f"{version}.toml").write_text(f'''format = "isn-recipe/1"
name = "noise"
version = "{version}"
title = "Noise"
description = "For tests."
licence = "CC0-1.0"
authors = ["isn"]
[source]
kind = "imagefolder"
[image]
size = 48
filter = "catmullrom"
encode = "png"
small = "keep"
exif_orientation = "ignore"
[split]
policy = "pool"
val = 0.25
salt = "crash"
[gates]
leakage = "allow"
[[class]]
id = "ant"
label = "the ant"
[[class]]
id = "bee"
label = "the bee"
''')
    must("build", f"{version}.toml", "--source", f"raw-{version}", "--out", f"out-{version}")


class Disk:
    """A folder as programs see it and as it is on disk. An inode is bytes, or a dictionary of names."""

    def __init__(self, root):
        self.now, self.synced, self.open = {}, {}, {}
        self.root = self.new({})
        for path, folders, files in os.walk(root):
            at = self.find(os.path.relpath(path, root))
            for name in folders:
                self.now[at][name] = self.new({})
            for name in files:
                self.now[at][name] = self.new(Path(path, name).read_bytes())
        for inode in self.now:
            self.sync(inode)

    def new(self, content):
        inode = len(self.now)
        self.now[inode] = content
        # A new file or folder is empty on disk until it is synced.
        self.synced[inode] = type(content)()
        return inode

    def sync(self, inode):
        content = self.now[inode]
        self.synced[inode] = dict(content) if isinstance(content, dict) else bytes(content)

    def find(self, path):
        inode = self.root
        for part in Path(path).parts:
            inode = self.now[inode][part]
        return inode

    def folder(self, path):
        return self.now[self.find(Path(path).parent)], Path(path).name

    def do(self, call, path, *more):
        if call == "create":
            names, name = self.folder(path)
            if name not in names:
                names[name] = self.new(b"")
        elif call == "truncate":
            self.now[self.find(path)] = b""
        elif call == "write":
            inode = self.find(path)
            self.now[inode] += more[0]
        elif call == "mkdir":
            names, name = self.folder(path)
            names[name] = self.new({})
        elif call in ("rename", "link"):
            (names, name), (to_names, to_name) = self.folder(path), self.folder(more[0])
            to_names[to_name] = names[name]
            if call == "rename":
                del names[name]
        elif call in ("unlink", "rmdir"):
            names, name = self.folder(path)
            del names[name]
        elif call == "sync":
            self.sync(self.find(path))
        elif call == "remembered":
            pass
        elif call == "syncfs":
            for inode in self.now:
                self.sync(inode)

    def tree(self, choose):
        """Returns paths with contents; `choose` says whether a change that was not synced is on disk."""
        found = {}

        def visit(inode, prefix):
            now, synced = self.now[inode], self.synced[inode]
            if not isinstance(now, dict):
                found[prefix] = now if now == synced or choose() else synced
                return
            found[prefix + "/"] = None
            for name in sorted({*now, *synced}):
                there = now.get(name) if now.get(name) == synced.get(name) or choose() else synced.get(name)
                if there is not None:
                    visit(there, f"{prefix}/{name}")

        visit(self.root, "")
        return found


def record(args):
    """Runs isn; returns its operations on the registry and when its home remembered a checkpoint, ordered."""
    trace = work / "trace"
    command = ["strace", "-f", "-y", "-qq", "-xx", "-s", "100000000", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", trace]
    ran = subprocess.run([*command, isn, *args], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    operations, begun, remembered = [], {}, None
    text = lambda quoted: bytes.fromhex(quoted.replace("\\x", ""))
    ours = lambda path: os.path.relpath(path, registry) if Path(path).is_relative_to(registry) else None
    for line in trace.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        if call.endswith(" <unfinished ...>"):
            begun[thread] = call.removesuffix(" <unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            call = begun.pop(thread) + resumed[1]
        parsed = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<(.*?)>)?", call)
        if not parsed or parsed[3].startswith("-"):
            continue
        name, arguments = parsed[1], parsed[2]
        # With -xx, strace writes every path in hex: quoted arguments, and the paths of open files.
        path_of = lambda shown: text(shown).decode() if shown.startswith("\\x") else shown
        # A relative path starts from the open folder before it.
        found = re.findall(r'(?:<([^<>]*)>, )?"((?:\\x[0-9a-f]{2})*)"', arguments)
        quoted = [text(q) for _, q in found]
        opened = [path_of(path) for path in re.findall(r"\d+<(.*?)>", arguments)]
        absolute = [work / path_of(folder) / os.fsdecode(text(q)) for folder, q in found] if name not in ("write", "pwrite64") else []
        paths = [ours(path) for path in absolute]
        at = ours(opened[0]) if opened else None
        if name.startswith("rename") and absolute[-1].match("home/logs/*/checkpoint"):
            remembered = str(absolute[-1].parent)
        elif name in ("fsync", "fdatasync") and remembered in opened:
            operations.append(("remembered", "."))
            remembered = None
        if name in ("openat", "openat2", "open", "creat") and paths[0] and "O_CREAT" in arguments:
            operations.append(("create", paths[0]))
            if "O_TRUNC" in arguments:
                operations.append(("truncate", paths[0]))
        elif name == "write" and at:
            operations.append(("write", at, quoted[0]))
        elif name in ("pwrite64", "lseek", "ftruncate") and at or name in ("copy_file_range", "sendfile") and any(map(ours, opened)):
            # lseek(fd, 0, SEEK_CUR) and the like change nothing; the model does not know other calls.
            assert name == "lseek", f"not modelled: {name}({arguments[:80]}"
        elif name.startswith("rename") and any(paths):
            operations.append(("rename", *paths))
        elif name.startswith("link") and any(paths):
            operations.append(("link", *paths))
        elif name in ("unlink", "unlinkat", "rmdir") and paths[0]:
            operations.append(("unlink", paths[0]))
        elif name.startswith("mkdir") and paths[0]:
            operations.append(("mkdir", paths[0]))
        elif name in ("fsync", "fdatasync") and at:
            operations.append(("sync", at))
        elif name == "syncfs":
            operations.append(("syncfs", "."))
        elif name.startswith("symlink"):
            assert not any(paths), "a link in a registry"
    return operations


def size_of(folder):
    """Returns the number of entries that the log shows, all checked, or the error as text."""
    home = folder.with_suffix(".home")
    log = run("log", "verify", "--registry", str(folder), "--json", home=home)
    if log.returncode != 0:
        return f"isn log verify: {log.stdout}{log.stderr}"
    size = json.loads(log.stdout.splitlines()[-1])["size"]
    whole = run("verify", str(folder), home=home)
    if whole.returncode == 0:
        return size
    # The release file and the hints follow the release's entry in the log: readers do without them, and
    # publishing again restores them.
    faults = [line for line in whole.stdout.splitlines() if re.match(r"\w+: ", line) and not line.startswith("FAILED: ")]
    file = r"missing: releases/(\S+)/(\S+) \(.* is not in its place, and entry \d+ of the log .*"
    hint = r"missing: (?:pins|releases)/\S+ \(does not lead to (\S+)@(\S+), which is released\)"
    late = [re.fullmatch(file, line) or re.fullmatch(hint, line) for line in faults]
    if not faults or not all(late) or len({found.groups() for found in late}) > 1:
        return f"isn verify: {whole.stdout}{whole.stderr}"
    must("trust", "add", str(folder), json.loads((folder / "registry.json").read_bytes())["log_key"], home=home)
    tree = home / "tree"
    pulled = run("pull", f"{late[0][1]}@{late[0][2]}", "--registry", str(folder), "--no-cache", "--to", str(tree), home=home)
    return size if pulled.returncode == 0 and run("verify", str(tree), home=home).returncode == 0 else f"isn pull: {pulled.stderr}"


def check(job):
    """Makes the folder, lets isn read it, and publishes again on what the power cut left."""
    number, tree, allowed, after, again, before = job
    folder = work / "states" / str(number)
    for path, content in sorted(tree.items()):
        at = Path(str(folder) + path)
        at.mkdir(parents=True, exist_ok=True) if content is None else at.write_bytes(content)
    found = size_of(folder)
    wrong = None if found in allowed else found
    if again and wrong is None:
        home = folder.with_suffix(".home")
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(before, home, dirs_exist_ok=True)
        ran = run("publish", again, "--registry", str(folder), "--key", "me", home=home)
        if ran.returncode or size_of(folder) != after or run("verify", str(folder), home=home).returncode:
            wrong = f"published again: {ran.stderr}"
    shutil.rmtree(folder)
    shutil.rmtree(folder.with_suffix(".home"), ignore_errors=True)
    return number, wrong


def simulate(out, sizes):
    shutil.rmtree("home-before", ignore_errors=True)
    shutil.copytree("home", "home-before")
    disk = Disk(registry)
    operations = record(["publish", out, "--registry", str(registry), "--key", "me"])
    chance = random.Random(0)
    models = [lambda: True, lambda: False] + 4 * [lambda: chance.random() < 0.5]
    shutil.rmtree("home-after", ignore_errors=True)
    shutil.copytree("home", "home-after")
    # The checkpoint of the new log; a new registry's empty one is remembered before.
    remembers = max(at for at, operation in enumerate(operations) if operation[0] == "remembered")
    shown = max(at for at, operation in enumerate(operations) if operation[0] == "rename" and operation[2] == "log/checkpoint")
    assert remembers < shown, "a checkpoint was shown before it was remembered"
    seen, jobs, prefixes, checkpoint, remembered = set(), [], 0, False, False
    for at, operation in enumerate([None, *operations], -1):
        if operation:
            disk.do(*operation)
            if at == remembers:
                remembered, seen = True, set()
            checkpoint |= operation[0] == "rename" and operation[2] == "log/checkpoint"
        prefixes += 1
        for model in models:
            tree = disk.tree(model)
            key = hashlib.sha256(repr(sorted(tree.items())).encode()).digest()
            if key not in seen:
                seen.add(key)
                # Before the checkpoint is renamed into place, nobody may see the new log.
                allowed = sizes if checkpoint else sizes[:1]
                again = out if remembered or len(jobs) % 25 == 0 else None
                jobs.append((len(jobs), tree, allowed, sizes[-1], again, "home-after" if remembered else "home-before"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [(number, why) for number, why in pool.map(check, jobs) if why is not None]
    for number, why in wrong[:5]:
        print(f"state {number}: {why}")
    if wrong:
        sys.exit(f"{out}: {len(wrong)} of {len(jobs)} states are neither the old registry nor the new one")
    # The fully replayed folder equals what isn wrote.
    replayed = {path[1:]: content for path, content in disk.tree(lambda: True).items() if content is not None}
    written = {os.path.relpath(Path(at, name), registry): Path(at, name).read_bytes() for at, _, names in os.walk(registry) for name in names}
    assert replayed == written, "the recording is not what happened"
    return prefixes, len(jobs)


start = time.monotonic()
build("1.0", 6)
build("1.1", 8)
must("key", "new", "me", "--no-passphrase")
must("registry", "init", str(registry))
total = 0
for out, sizes in (("out-1.0", [0, 2]), ("out-1.1", [2, 3])):
    prefixes, states = simulate(out, sizes)
    total += prefixes
    print(f"{out}: {prefixes} prefixes of a publish, {states} states of the disk: the old registry or the new one in each")
assert total >= 200, total
print(f"{time.monotonic() - start:.0f} seconds")
