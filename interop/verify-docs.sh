#!/usr/bin/env bash
# Runs the ```sh blocks of docs/verify.md, word for word and in order, against fresh pulls of demobirds from
# the folder registry/, so that everything on the page is tested. Then breaks a tree in ways that the page
# claims to find.
# usage: interop/verify-docs.sh ISN (needs b3sum, ssh-keygen, tar, zstd; go with x/mod for the log; python3
# for the golden version of docs/format.md)
set -euo pipefail
isn=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ISN_HOME="$dir/home"
unset ISN_REGISTRY
cd "$dir"

cp -r "$root/registry" registry
"$isn" trust add registry registry/keys/demo.pub
"$isn" pull demobirds@1.0 --registry registry --quiet > /dev/null
"$isn" pull demobirds@1.0 --registry registry --split val --class n01614925 --to part --quiet > /dev/null

"$isn" prove demobirds@1.0 --registry registry --out proof --quiet > /dev/null
cp "$root/interop/log/oracle.go" .

# Prints the blocks under headings that contain $1 (all of them if it is empty) and not $2.
blocks() { awk -v want="$1" -v but="${2:-}" '/^## /{ on = index($0, want) && (but == "" || !index($0, but)) }
    /^```/{ if (in_sh) in_sh = 0; else in_sh = /^```sh$/; next } in_sh && on' "$root/docs/verify.md"; }
log="A registry's log"
if command -v go > /dev/null && [ -d /usr/share/gocode/src/golang.org/x/mod ]; then
    blocks "" > all.sh
else
    echo "NOT RUN: no Go with x/mod for the section \"$log\""
    blocks "" "$log" > all.sh
fi
[ "$(wc -l < all.sh)" -gt 40 ] || { echo "docs/verify.md has hardly any commands"; exit 1; }
# Plain sh: a reader's shell need not be bash.
sh -eu all.sh > all.log 2>&1 || { tail -n 20 all.log; echo "docs/verify.md: a command failed"; exit 1; }
grep -q 'Good "statement@isn.v1" signature for publisher' all.log

# Each fault must make the commands of its section fail, and isn verify, too.
blocks "A tree, with b3sum" > tree.sh
blocks "A release, with ssh-keygen" > release.sh
refused() { # what, script
    if sh -eu "$2" > refused.log 2>&1; then echo "docs/verify.md does not find: $1"; exit 1; fi
    echo "found: $1"
}
fault() { # what, command in the tree
    rm -rf tree-before && cp -r demobirds-1.0 tree-before
    (cd demobirds-1.0 && eval "$2")
    refused "$1" tree.sh
    if "$isn" verify demobirds-1.0 --expect demobirds@1.0 --registry registry > refused.log 2>&1; then
        echo "isn verify does not find: $1"
        exit 1
    fi
    rm -rf demobirds-1.0 && mv tree-before demobirds-1.0
}
image=train/n01614925/n01614925_10.png
[ -f "demobirds-1.0/$image" ] || image=$(cd demobirds-1.0 && find train -name '*.png' | head -n 1)
fault "a changed image" "printf x >> $image"
fault "a missing image" "rm $image"
fault "an extra image" "cp $image train/n01614925/more.png"
fault "a hidden extra file" "touch train/.hidden"
fault "an image in the wrong class" "mv $image train/n01616318/"
fault "a link in place of an image" "mv $image ../aside && ln -s ../../../aside $image"
fault "an empty folder" "mkdir train/a"
fault "a changed list" "sed -i '\$d' B3SUMS"
fault "other line ends" "sed -i 's/\$/\\r/' B3SUMS"

cp -r registry registry-before
sed -i 's/^version 1.0/version 1.1/' registry/releases/demobirds/1.0
refused "a changed statement" release.sh
rm -rf registry && mv registry-before registry

if grep -q oracle all.sh; then
    blocks "$log" > log.sh
    cp -r registry registry-before
    size=$(sed -n 2p registry/log/checkpoint)
    for file in "registry/log/tile/entries/000.p/$size" "registry/log/tile/0/000.p/$size"; do
        printf x | dd of="$file" bs=1 seek=40 conv=notrunc status=none
        refused "a changed ${file#registry/}" log.sh
        cp "registry-before/${file#registry/}" "$file"
    done
    sed -i '3s/./x/' registry/log/checkpoint
    refused "a changed checkpoint" log.sh
    rm -rf registry && mv registry-before registry
fi

shard=$(ls registry/objects/*/*.tar.zst)
last=$(zstd -dc "registry/objects/"*/"$(cat registry/packs/*)".jsonl.zst | tail -n 1 | sed 's/.*"offset":\([0-9]*\),.*/\1/')
head -c "$last" "$shard" > cut.tar.zst
zstd -tq cut.tar.zst
mkdir cut && tar --zstd -xf cut.tar.zst -C cut
echo "as the page says: a shard cut between frames passes zstd -t and tar"
echo "docs/verify.md: all commands ran"

# An independent reader of docs/format.md: the golden version without isn.
if command -v python3 > /dev/null; then
    python3 "$root/tests/vectors/version-1/check.py"
else
    echo "NOT RUN: no python3 for tests/vectors/version-1/check.py"
fi
