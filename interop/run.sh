#!/usr/bin/env bash
# Checks against independent programs. Installs what they need where it can (Debian packages as root, Python
# packages into virtual environments); says loudly what it could not run. Two checks run at a time, since many
# mostly wait for a server or a download. A check's output is printed in one piece when it ends. After a
# failure no other check starts.
# usage: interop/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset ISN_REGISTRY

need() { # command-or-path package
    { command -v "$1" >/dev/null || [ -e "$1" ]; } && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "MISSING: $1 (package $2)"; return 1; }
    apt-get install -y -qq "$2" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; }
}
step() { # WHAT COMMAND...: runs a command with its own home, prints its output, and returns its exit status
    local what=$1 begun=$SECONDS ended=0 said
    [ ! -e "$work/failed" ] || exit 1
    said=$(mktemp "$work/step-XXXX")
    ISN_HOME=$said-home "${@:2}" >"$said" 2>&1 &
    wait $! || ended=$?
    {
        flock 9
        printf '\n== %s (%s s)\n' "$what" $((SECONDS - begun))
        cat "$said"
        [ $ended = 0 ] || { echo "FAILED with $ended: $what"; touch "$work/failed"; }
    } 9>"$work/printing"
    return $ended
}
begin() { # FUNCTION: starts the steps of a function once fewer than two others are running
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
    "$1" &
}
venv() { # NAME PACKAGE...
    python3 -m venv "$work/venv-$1"
    "$work/venv-$1/bin/pip" install -q --disable-pip-version-check "${@:2}"
}

# All apt-get installations come first: two cannot run at a time.
need b3sum b3sum && need zstd zstd && need ssh-keygen openssh-client && need curl curl
checks=()
able() { # FUNCTION PROGRAM PACKAGE [PROGRAM PACKAGE]...: whether a check can run here
    local check=$1
    shift
    while [ $# -gt 0 ]; do
        need "$1" "$2" || { printf '\nNOT RUN: %s, no %s here\n' "$check" "$1"; return; }
        shift 2
    done
    checks+=("$check")
}
data="${ISN_TEST_DATA:-../shared/data}"
need strace strace || true

# The slowest checks first.
able python_package
able buckets npm npm
able real_images /usr/bin/time time parallel parallel
able golden_vectors
able logs go golang-go /usr/share/gocode/src/golang.org/x/mod golang-golang-x-mod-dev
able review_by_keyboard chromium chromium chromedriver chromium-driver
able verify_docs
able parts_with_proofs
able label_errors
able accuracies
able power_cuts
able web_server nginx nginx-light
able wrong_clock faketime faketime

# Examples share the dependencies of tests, so both are compiled as the tests were, and nothing twice.
printf '\n== the program\n'
cargo build --locked --features full --bin isn --example write-log
isn="$PWD/target/debug/isn"

verify_docs() {
    step "docs/verify.md, word for word" interop/verify-docs.sh "$isn"
}
logs() {
    step "logs that isn wrote, in Go's x/mod" interop/log.sh "$isn" "$work"
}
power_cuts() {
    if strace -qq -o /dev/null true; then
        step "power cuts in a publish, replayed from its system calls" python3 interop/crash.py "$isn" "$work"
    else
        step "power cuts in a publish" echo "NOT RUN: no strace here, or it may not trace"
    fi
}
web_server() {
    step "nginx: as documented, without ranges, with gzip" interop/nginx.sh "$isn" "$work"
}
buckets() {
    step "buckets: moto's S3, s3rver, azurite" interop/stores.sh "$isn" "$work"
}
pillow() {
    venv pillow pillow blake3 pyarrow
    "$isn" pull demobirds@1.0 --to "$work/demobirds" --quiet
    "$work/venv-pillow/bin/python" interop/pillow.py registry "$work/demobirds"
}
parts() {
    mkdir "$work/parts"
    interop/parts.sh "$isn" "$data" "$work/parts" python3
}
real_images() {
    step "Pillow reads every image of demobirds with the index's pixels" pillow
    if [ -d "$data/ilsvrc-slice" ]; then
        step "the slice of ImageNet: build, publish, python3 -m http.server, pull" \
            interop/slice.sh "$isn" "$data" "$work"
        step "the slice in 2, 3 and 7 parts, by GNU parallel (Ray and Slurm where they are)" parts
        step "ImageNet's layouts: tars by GNU tar, Kaggle's folders, parquet by pyarrow; rebuild-only" \
            interop/layouts.sh "$isn" "$data" "$work" "$work/venv-pillow/bin/python"
        step "raw ImageNet images and photographs in Pillow" \
            interop/raw.sh "$isn" "$data" "$work" "$work/venv-pillow/bin/python"
    else
        step "real images" echo "NOT RUN: none at $data"
    fi
}
parts_with_proofs() {
    step "parts with proofs, checked from the words of docs/format.md" interop/part.sh "$isn" "$work"
}
cleanlab() {
    venv cleanlab cleanlab==2.9.0
    "$work/venv-cleanlab/bin/python" interop/labels.py "$isn" "$work"
}
label_errors() {
    step "label errors as cleanlab finds them" cleanlab
}
statsmodels() {
    venv statsmodels scipy statsmodels
    "$work/venv-statsmodels/bin/python" interop/resolution.py check tests/vectors/resolution.csv
}
accuracies() {
    step "what an accuracy can tell, by statsmodels and scipy" statsmodels
}
selenium() {
    venv selenium selenium pillow
    "$work/venv-selenium/bin/python" interop/review.py "$isn" "$work"
    "$work/venv-selenium/bin/python" interop/pairs.py "$isn" "$work"
}
review_by_keyboard() {
    step "isn review by keyboard, in Chromium" selenium
}
python_package() {
    step "the Python package" interop/python.sh "$work"
    step "exports in the libraries that they are for" interop/exports.sh "$isn" "$work"
}
wrong_clock() {
    step "a clock that is ten years off" interop/clock.sh "$isn" "$work"
}
golden_vectors() {
    step "golden vectors on other CPUs" interop/pixels.sh
}

for check in "${checks[@]}"; do begin "$check"; done
wait
[ ! -e "$work/failed" ]
