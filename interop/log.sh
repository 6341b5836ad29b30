#!/usr/bin/env bash
# Checks logs written by isn with the program interop/log/oracle.go, which shares no code with isn:
# checkpoint, tiles, inclusion, consistency and proof files with Go's x/mod, entries with ssh-keygen. Then
# each of several logs that were tampered with must be refused for the right reason. Needs go, x/mod,
# ssh-keygen, python3: interop/run.sh installs them.
# usage: interop/log.sh ISN WORK (with `cargo build --example write-log` beside ISN)
set -euo pipefail
isn=$(realpath "$1") work=$2/log
cd "$(dirname "$0")/.."
export ISN_HOME=$work/home
mkdir -p "$work"

write=$(dirname "$isn")/examples/write-log
GO111MODULE=off GOPATH=/usr/share/gocode go build -o "$work/oracle" interop/log/oracle.go
registry=$PWD/registry
cd "$work"
vkey() { sed -n 's/.*"log_key": *"\(.*\)".*/\1/p' "$1/registry.json"; }

for entries in 1 3 256 257 1000 70000; do
    "$write" $entries home/logs $entries "before-$entries"
    # Unquoted on purpose: the log of one entry has no older checkpoints.
    ./oracle log $entries "$(vkey $entries)" $(find "before-$entries" -type f)
done
./oracle log "$registry" "$(vkey "$registry")"

key=$(vkey 257)
signed() { # FILE: checks that an entry is signed by the key that entry 0 names
    sed '/^$/,$d' "$1" > statement
    sed '1,/^$/d' "$1" > signature
    ssh-keygen -Y verify -f signers -I publisher -n statement@isn.v1 -s signature < statement
}
for entry in 0 1 255 256; do ./oracle entry 257 "$key" $entry > entry-$entry; done
sed -n 's/^key /publisher /p' entry-0 > signers
for entry in 0 1 255 256; do signed entry-$entry; done

"$isn" trust add 257 "$key" > /dev/null
"$isn" prove birds@0.254 --registry 257 --out proof > /dev/null
./oracle proof proof "$key" | cmp - entry-255

refused() { # WHAT MESSAGE COMMAND...
    if "${@:3}" > out 2>&1 || ! grep -q "$2" out; then
        cat out
        echo "NOT REFUSED, or not for '$2': $1"
        exit 1
    fi
    echo "refused: $1: $(tail -n 1 out)"
}
# Tampers with a copy of the log of 257 entries: tampered WHAT MESSAGE COMMAND; COMMAND runs in
# the copy's folder `log`.
tampered() {
    rm -rf copy && cp -r 257 copy
    (cd copy/log && eval "$3")
    refused "$1" "$2" ./oracle log copy "$key"
}
flip='
import sys
path, at = sys.argv[1], int(sys.argv[2])
b = bytearray(open(path, "rb").read())
b[at] ^= 1
open(path, "wb").write(b)'
swap='
b = open("tile/entries/000", "rb").read()
entries = []
while b:
    end = 2 + int.from_bytes(b[:2], "big")
    entries, b = entries + [b[:end]], b[end:]
entries[7], entries[8] = entries[8], entries[7]
open("tile/entries/000", "wb").write(b"".join(entries))'
tampered "a bit of a leaf tile is flipped" "inconsistent tile" "python3 -c '$flip' tile/0/000 4000"
tampered "a bit of an upper tile is flipped" "inconsistent tile" "python3 -c '$flip' tile/1/000.p/1 7"
tampered "a bit of an entry is flipped" "entry 256 is not the one" "python3 -c '$flip' tile/entries/001.p/1 30"
tampered "two entries are swapped" "entry 7 is not the one" "python3 -c '$swap'"
tampered "a bundle has bytes after its entries" "and 1 bytes more" "printf x >> tile/entries/000"
tampered "a checkpoint with another size" "invalid signature" "sed -i '2s/257/256/' checkpoint"
tampered "a checkpoint with another root" "invalid signature" \
    "sed -i \"3s|.*|\$(sed -n 3p ../../256/log/checkpoint)|\" checkpoint"
tampered "another log, with its own key" "no verifiable signatures" "cp -r ../../256/log/. ."
tampered "another log under this one's name" "no verifiable signatures" \
    "cp -r ../../256/log/. . && sed -i \"1s|.*|\$(head -n 1 ../../257/log/checkpoint)|\" checkpoint"
tampered "no checkpoint" "no such file" "rm checkpoint"

# Two histories under one key: each is consistent, and neither continues the other.
mkdir fork && cp 257/registry.json fork/
for log in home/logs/*/; do
    mkdir -p "other-home/${log#home/}" && cp "${log}key" "other-home/${log#home/}"
done
"$write" fork other-home/logs 257 before-fork
./oracle log fork "$key"
refused "a fork" "does not continue" ./oracle log fork "$key" before-257/11
refused "the same size with another root" "does not continue" ./oracle log fork "$key" 257/log/checkpoint

sed 's/^index 255/index 254/' proof > moved
refused "a proof for another place" "invalid transparency proof" ./oracle proof moved "$key"
refused "a proof with a foreign key" "no verifiable signatures" ./oracle proof proof "$(vkey 256)"
sed -i 's/^version 0.254/version 0.255/' entry-255
refused "a changed statement" "Could not verify signature" signed entry-255
