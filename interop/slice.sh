#!/usr/bin/env bash
# A real slice of ImageNet (10 classes) from raw files to a pull over HTTP: one dataset hash for any number of
# threads, order of files and locale.
# usage: interop/slice.sh ISN DATA WORK
set -euo pipefail
isn=$1 data=$(realpath "$2") work=$3
here=$(cd "$(dirname "$0")" && pwd)
cd "$work"

recipe() { # name, class ids from the folder of a source
    cat <<TOML
format = "isn-recipe/1"
name = "$1"
version = "1.0"
title = "A slice of ImageNet"
description = "For tests."
licence = "ImageNet's terms"
authors = ["isn"]
[source]
kind = "ilsvrc2012"
[image]
size = 160
[split]
policy = "pool"
val = 0.2
salt = "$1"
TOML
    for class in "$2"/train/*/; do
        printf '[[class]]\nid = "%s"\nlabel = "%s"\n' "$(basename "$class")" "$(basename "$class")"
    done
}
recipe slice "$data/ilsvrc-slice" > slice.toml
# The hash, from the pin of a build or of a pull.
pin() { sed -n 's/^ *pin .*b3:/b3:/p'; }

LC_ALL=C "$isn" build slice.toml --source "$data/ilsvrc-slice" --out out1 -j1 -q | pin > pin1
# The same files, created in another order.
mkdir other && (cd "$data/ilsvrc-slice" && find train val -type f | sort -R | cpio -pdmu --quiet "$work/other" 2>/dev/null) \
    || (cd "$data/ilsvrc-slice" && find train val -type f | sort -R | while read -r f; do mkdir -p "$work/other/$(dirname "$f")"; cp "$f" "$work/other/$f"; done)
LC_ALL=tr_TR.UTF-8 "$isn" build slice.toml --source other --out out2 -j2 -q | pin > pin2
cmp pin1 pin2
echo "one hash with -j1 and -j2, two orders, two locales: $(cat pin1)"

"$isn" key new slice --no-passphrase -q >/dev/null
"$isn" publish out1 --registry registry --key slice -q
python3 -u -m http.server 0 --bind 127.0.0.1 --directory registry > server.log 2>&1 &
server=$!
trap 'kill $server' EXIT
for _ in $(seq 300); do grep -q 'port [0-9]' server.log && break; sleep 0.1; done
grep -q 'port [0-9]' server.log || { echo "http.server has no port after 30 s"; cat server.log; exit 1; }
port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' server.log | head -n 1)
url="http://127.0.0.1:$port"
"$isn" trust add "$url" "$("$isn" key show slice)" >/dev/null
for jobs in 1 2; do
    "$isn" pull slice@1.0 --registry "$url" --to "tree$jobs" -j $jobs -q | pin | cmp - pin1
done
diff -r tree1 tree2
"$isn" verify tree1 --expect "$(cat pin1)"
(cd tree1 && b3sum --quiet --check B3SUMS && [ "b3:$(b3sum --no-names B3SUMS)" = "$(cat ../pin1)" ])
echo "pulled over HTTP with -j1 and -j2, checked with b3sum"

mkdir shards && find registry/objects -name '*.tar.zst' | while read -r shard; do tar --zstd -xf "$shard" -C shards; done
count=$(find shards -name '*.png' | wc -l)
python3 - <<'PY'
import pathlib
assert all(p.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for p in pathlib.Path("shards").iterdir())
PY
echo "stock tar unpacked $count PNGs"
