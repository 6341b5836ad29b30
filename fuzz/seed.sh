#!/usr/bin/env bash
# Fills the corpora with what earlier runs have found (keep.sh), and from tests/vectors with valid and invalid
# files. usage: fuzz/seed.sh
set -euo pipefail
cd "$(dirname "$0")"
vectors=../tests/vectors
mkdir -p corpus
tar -xzf corpus.tar.gz -C corpus

seed() { # TARGET FILE...: names each seed after its path, so that no two have the same name
    local target=$1 file name
    shift
    mkdir -p "corpus/$target"
    for file; do
        name=${file#"$vectors"/}
        cp "$file" "corpus/$target/seed-${name//\//-}"
    done
}
kind() { # NUMBER FILE [TARGET [NAME]]: a seed of `descriptions`, or TARGET, whose first byte gives the kind
    local target=${3:-descriptions}
    mkdir -p "corpus/$target"
    { printf "\\x0$1" && cat "$2"; } > "corpus/$target/seed-$1${4:-}"
}

golden=$vectors/version-1
log=$vectors/log
shopt -s globstar nullglob

seed statement $vectors/statement/*.txt $vectors/release/*.txt $vectors/release/refused/*.txt $vectors/release/*.pub
seed checkpoint $log/checkpoint $log/cosigned $log/vkey* $log/witness
seed claim $log/claim $log/checkpoint $log/tile/entries/000.p/*
# With another number and therefore a bad signature, of another kind, and cut off.
sed 's/^4$/5/' $log/claim > corpus/claim/seed-number
sed '1s/v1/v2/' $log/claim > corpus/claim/seed-kind
head -c 400 $log/claim > corpus/claim/seed-cut
seed proof $log/proof
index=$vectors/index
kind 0 $index/note names
kind 4 $index/entries names
kind 4 $log/tile/entries/000.p/9 names -log
seed bundle $log/tile/entries/000.p/*
seed history $log/tile/entries/000.p/*
# The entries of the log by number: in order, in reverse order, and each twice.
numbers() { local n; for n; do printf "\\x00\\x01\\x0$n"; done; }
numbers 0 1 2 3 4 5 6 7 8 > corpus/history/seed-order
numbers 8 7 6 5 4 3 2 1 0 > corpus/history/seed-reverse
numbers 0 0 1 1 2 2 4 4 5 5 6 6 8 8 > corpus/history/seed-twice

seed ledger $vectors/ledger.csv $golden/corrections.csv ../registry/recipes/*/corrections.csv
seed pairs $vectors/pairs.csv
seed recipe $golden/recipe.toml ../registry/recipes/*/recipe.toml
seed shard $golden/registry/objects/**/*.tar.zst
mkdir -p corpus/image
for file in ../crates/isn-pixels/vectors/*.{jpg,png,JPEG}; do cp "$file" "corpus/image/seed-pixels-${file##*/}"; done
seed npy $vectors/labels/*.npy
seed lock $golden/isn.lock
mkdir -p corpus/{lock,project,trust,tokens}
printf 'format = "isn-lock/1"\n[[dataset]]\npath = "../a"\npin = "a@1.0#b3:%064d"\nregistry = "/r"\n' 0 > corpus/lock/seed-outside
printf 'registry = ["bundled", "https://example.org/data"]\ndatasets = ["demobirds", "demobirds@1.0"]\n' > corpus/project/seed
{
    printf 'format = "isn-trust/1"\n[registry."https://example.org/data"]\nlog = "%s"\n' "$(cat $log/vkey)"
    printf 'keys = ["%s"]\nwitnesses = ["%s"]\nwitnesses_needed = 1\n' "$(cat $golden/alice.pub)" "$(cat $log/witness)"
} > corpus/trust/seed
printf '"example.org" = "a token"\n"example.org:8080" = "another"\n' > corpus/tokens/seed-shown
printf '# who\nci %064d\n' 0 > corpus/tokens/seed-hashes
# Requests to `isn serve`: for a file, for a part of it, with an object, with statements, and for
# a file over HTTP/2.
mkdir -p corpus/request
head=$'Host: a\r\nAuthorization: Bearer token\r\n'
printf 'GET /registry.json HTTP/1.1\r\n%sRange: bytes=1-5\r\nIf-Range: "x"\r\n\r\n' "$head" > corpus/request/seed-part
printf 'HEAD /objects/aa/%064d.csv HTTP/1.1\r\n%sIf-None-Match: "x", W/"y"\r\n\r\n' 0 "$head" > corpus/request/seed-head
printf 'PUT /-/publish/objects/00/%064d.csv HTTP/1.1\r\n%sContent-Length: 1\r\n\r\nx' 0 "$head" > corpus/request/seed-object
printf 'POST /-/publish/statements HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n12\r\n{"statements":[""]}\r\n0\r\n\r\n' "$head" \
    > corpus/request/seed-statements
printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\25\1\5\0\0\0\1\202\206\4\16/registry.json\101\1a' \
    > corpus/request/seed-http2
mkdir -p corpus/table
printf 'ant,bee\n0.25,0.75\n1,0\n' > corpus/table/seed-probabilities
printf 'path,label\na,bee\nb,0\n' > corpus/table/seed-labels
kind 0 manifest.json
kind 3 $golden/tree/classes.csv
kind 4 $vectors/splits.csv
kind 5 $golden/tree/B3SUMS
blocks=$vectors/blocks
kind 4 $blocks/tree.bin blocks
kind 4 $blocks/parts/none/B3SUMS.selected blocks -lines
for part in "$blocks"/parts/*; do kind 5 "$part/B3SUMS.proof" blocks "-${part##*/}"; done
# Lines in place of their frames, in part: the target compresses them.
if command -v zstd >/dev/null; then
    lines() { zstd -dcq "$blocks/$1.jsonl.zst"; }
    kind 0 <(lines index) blocks
    kind 1 <(lines rows | head -n 5; lines sources | head -n 5) blocks
    kind 2 <(lines pack-new) blocks
    kind 2 <(lines pack-earlier) blocks -two-shards
    kind 3 <(lines places-earlier | head -n 12) blocks
fi
# The same files in each format that GNU tar writes, one with a name that needs an extra header.
mkdir -p corpus/tar
for format in v7 oldgnu gnu ustar pax; do
    tar -cf "corpus/tar/seed-$format" --format=$format -C "$golden/source" val
done
for format in gnu pax; do
    tar -cf "corpus/tar/seed-$format-long" --format=$format --transform "s,^,$(printf 'folder/%.0s' {1..30})," -C "$golden/source" val
done
