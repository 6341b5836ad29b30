#!/usr/bin/env bash
# The checks against programs that are not ours. Installs what they need where it can (Debian's packages as root, Python
# packages into a virtual environment); says loudly what it could not run. usage: interop/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ISN_HOME="$work/home"
unset ISN_REGISTRY

say() { printf '\n== %s\n' "$*"; }
need() { # command-or-path package
    { command -v "$1" >/dev/null || [ -e "$1" ]; } && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "MISSING: $1 (package $2)"; return 1; }
    apt-get install -y -qq "$2" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; }
}
need b3sum b3sum && need zstd zstd && need ssh-keygen openssh-client && need curl curl
go=no
if need go golang-go && need /usr/share/gocode/src/golang.org/x/mod golang-golang-x-mod-dev; then go=yes; fi

say "the program"
cargo build --locked --features cloud,parquet
isn="$PWD/target/debug/isn"

say "docs/verify.md, word for word"
interop/verify-docs.sh "$isn"

say "logs that isn wrote, in Go's x/mod"
if [ $go = yes ]; then
    interop/log.sh "$isn" "$work"
else
    echo "NOT RUN: no Go with x/mod here"
fi

say "power cuts in a publish, replayed from its system calls"
if need strace strace && strace -qq -o /dev/null true; then
    python3 interop/crash.py "$isn" "$work"
else
    echo "NOT RUN: no strace here, or it may not trace"
fi

say "nginx: as documented, without ranges, with gzip"
if need nginx nginx-light; then
    interop/nginx.sh "$isn" "$work"
else
    echo "NOT RUN: no nginx here"
fi

say "buckets: moto's S3, s3rver, azurite"
if need npm npm; then
    interop/stores.sh "$isn" "$work"
else
    echo "NOT RUN: no npm here"
fi

say "Pillow reads every image of demobirds with the index's pixels"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pillow blake3 pyarrow
"$isn" pull demobirds@1.0 --to "$work/demobirds" --quiet
"$work/venv/bin/python" interop/pillow.py registry "$work/demobirds"

say "label errors as cleanlab finds them"
python3 -m venv "$work/cleanlab"
"$work/cleanlab/bin/pip" install -q --disable-pip-version-check cleanlab==2.9.0
"$work/cleanlab/bin/python" interop/labels.py "$isn" "$work"

say "what an accuracy can tell, by statsmodels and scipy"
python3 -m venv "$work/statsmodels"
"$work/statsmodels/bin/pip" install -q --disable-pip-version-check scipy statsmodels
"$work/statsmodels/bin/python" interop/resolution.py check tests/vectors/resolution.csv

say "isn review by keyboard, in Chromium"
if need chromium chromium && need chromedriver chromium-driver; then
    "$work/venv/bin/pip" install -q --disable-pip-version-check selenium
    "$work/venv/bin/python" interop/review.py "$isn" "$work"
else
    echo "NOT RUN: no chromium here"
fi

say "the Python package"
interop/python.sh "$work"

say "exports in the libraries that they are for"
interop/exports.sh "$isn" "$work"

data="${ISN_TEST_DATA:-../shared/data}"
if [ -d "$data/ilsvrc-slice" ]; then
    say "the slice of ImageNet: build, publish, python3 -m http.server, pull"
    interop/slice.sh "$isn" "$data" "$work"
    say "ImageNet's layouts: tars by GNU tar, Kaggle's folders, parquet by pyarrow; rebuild-only"
    need strace strace || true
    if need /usr/bin/time time; then
        interop/layouts.sh "$isn" "$data" "$work" "$work/venv/bin/python"
    else
        echo "NOT RUN: no time here"
    fi
    say "raw ImageNet images and photographs in Pillow"
    interop/raw.sh "$isn" "$data" "$work" "$work/venv/bin/python"
else
    echo "NOT RUN: no real images at $data"
fi

say "a clock that is ten years off"
if need faketime faketime; then interop/clock.sh "$isn" "$work"; else echo "NOT RUN: no faketime here"; fi

say "golden vectors on other CPUs"
interop/pixels.sh
