#!/usr/bin/env bash
# Pulls, checks and publishes on a machine whose clock is ten years off, either way: nothing in isn expires.
# usage: interop/clock.sh ISN WORK
set -euo pipefail
cd "$(dirname "$0")/.."
isn=$1
work=$2/clock
mkdir -p "$work"
export ISN_HOME="$work/home"
pin=$("$isn" cite demobirds@1.0 --format plain | grep -o 'demobirds@1.0#b3:[0-9a-f]*')
"$isn" serve registry --listen 127.0.0.1:0 > "$work/url" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do [ -s "$work/url" ] && break; sleep 0.1; done
[ -s "$work/url" ] || { echo "isn serve does not listen after 30 seconds"; exit 1; }
url=$(grep -o 'http://[0-9.:]*' "$work/url" | head -1)
vkey=$(grep -o '"log_key": *"[^"]*"' registry/registry.json | cut -d'"' -f4)
"$isn" trust add "$url" "$vkey" > "$work/trust"
for when in -10y +10y; do
    faketime -f "$when" "$isn" pull demobirds@1.0 --registry "$url" --to "$work/by-name$when" --no-cache --quiet > "$work/log"
    faketime -f "$when" "$isn" pull "$pin" --registry "$url" --to "$work/by-pin$when" --quiet > "$work/log"
    faketime -f "$when" "$isn" verify "$work/by-name$when" --expect "$pin" > "$work/log"
    faketime -f "$when" "$isn" cache verify > "$work/log"
    # The doctor must report the wrong clock.
    if faketime -f "$when" "$isn" doctor --registry "$url" > "$work/doctor"; then
        echo "isn doctor sees nothing wrong with a clock at $when"; exit 1
    fi
    grep -q '^WRONG  clock' "$work/doctor"
done
diff -r --exclude ISN.json "$work/by-name-10y" "$work/by-pin+10y"
echo "pulled, checked and diagnosed at -10 and +10 years"
