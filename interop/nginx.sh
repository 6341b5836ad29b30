#!/usr/bin/env bash
# A registry served by nginx, pulled whole and in part, with nginx as in docs/serve.md, without ranges, and
# with gzip for all types; and files that readers must not see are not served. Needs nginx and curl:
# interop/run.sh installs them.
# usage: interop/nginx.sh ISN WORK
set -euo pipefail
isn=$(realpath "$1") work=$2/nginx
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work" && cd "$work"
export ISN_HOME=$work/home
nginx=
trap '[ -z "$nginx" ] || kill "$nginx"' EXIT

# A version of some megabytes: as much noise as 30 photographs a class, since no image of demobirds
# needs a second range.
python3 - <<'PYTHON'
import random, struct, zlib
from pathlib import Path
def png(seed):
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(3 * 160) for _ in range(160))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">2I5B", 160, 160, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
for c, name in enumerate(("ant", "bee")):
    for i in range(30):
        path = Path("raw", name, f"{name}_{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(1000 * c + i))
PYTHON
cat > noise.toml <<'TOML'
format = "isn-recipe/1"
name = "noise"
version = "1.0"
title = "Noise"
description = "For tests."
licence = "CC0-1.0"
authors = ["isn"]
[source]
kind = "imagefolder"
[image]
size = 160
[split]
policy = "pool"
val = 0.2
salt = "noise"
[[class]]
id = "ant"
label = "ant"
[[class]]
id = "bee"
label = "bee"
TOML
"$isn" build noise.toml --source raw --out out -q > /dev/null
"$isn" key new me --no-passphrase > /dev/null
"$isn" publish out --registry registry --key me -q > published
"$isn" attest out --key me --out statement -q > /dev/null
"$isn" append statement --registry registry -q > /dev/null
pin=$(sed -n 's/^ *pin *//p' published)

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
"$isn" trust add "$url" "$("$isn" key show me)" > /dev/null

tried() { # WHAT SETTINGS: starts nginx with them, pulls, stops it
    local user=
    [ "$(id -u)" != 0 ] || user='user root;'
    { echo "$user"; sed "s|PORT|$port|; s|ROOT|$work/registry|; s|EXTRA|$2|" "$here/nginx.conf"; } > nginx.conf
    rm -f reply
    nginx -p "$work" -e nginx.log -c nginx.conf &
    nginx=$!
    for _ in $(seq 300); do curl -s -o reply "$url/registry.json" && break || sleep 0.1; done
    [ -s reply ] || { echo "nginx, $1: no answer after 30 seconds"; cat nginx.log; exit 1; }
    rm -rf whole part
    "$isn" pull noise@1.0 --registry "$url" --to whole -q > /dev/null
    "$isn" verify whole --expect "$pin" -q > /dev/null
    "$isn" pull noise@1.0 --registry "$url" --to part --class bee --split val -q --json > part.json
    "$isn" log verify --registry "$url" -q > /dev/null
    "$isn" log verify --registry "$url" --attestations -q > /dev/null
    "$isn" info noise@1.0 --registry "$url" | grep -q '1 key states that it built this'
    for path in .isn-lock log/.isn-claims/0 attestations/.isn-claims/0 objects/.isn-tmp-x objects/ keys/me recipes/noise/id_ed25519 %2e%2e/home/keys/me; do
        mkdir -p "registry/$(dirname "$path")" && [ -e "registry/$path" ] || echo secret > "registry/$path"
        status=$(curl -s -o reply -w '%{http_code}' --path-as-is "$url/$path")
        case $status in 400 | 403 | 404) ;; *) echo "SERVED with $1: $path ($status)"; exit 1 ;; esac
    done
    headers() { curl -sI "$url/$1" | tr -d '\r'; }
    object=$(cd registry && find objects -name '*.tar.zst' | head -n 1)
    headers "$object" | grep -q '^Cache-Control: .*immutable$'
    headers log/checkpoint | grep -q '^Cache-Control: no-cache$'
    kill "$nginx" && wait "$nginx"
    nginx=
    echo "nginx, $1: pulled whole and in part (the part took $(grep -o '"fetched_bytes":[0-9]*' part.json))"
}
tried "as documented" ""
tried "without ranges" "max_ranges 0;"
tried "with gzip for all types" "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"
