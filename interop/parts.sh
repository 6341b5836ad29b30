#!/usr/bin/env bash
# A build of real images in parts, by GNU parallel, Ray and Slurm as far as they are there: the bytes of one
# machine. What docs/machines.md says, run.
# usage: interop/parts.sh ISN DATA WORK [PYTHON-WITH-RAY]
set -euo pipefail
isn=$(realpath "$1") data=$(realpath "$2") work=$3 python=${4:-}
cd "$work"
export ISN=$isn RECIPE=$work/slice.toml SOURCE=$data/ilsvrc-slice
{
    cat <<TOML
format = "isn-recipe/1"
name = "slice"
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
salt = "slice"
TOML
    for class in "$SOURCE"/train/*/; do
        printf '[[class]]\nid = "%s"\nlabel = "%s"\n' "$(basename "$class")" "$(basename "$class")"
    done
} > slice.toml

"$isn" build slice.toml --source "$SOURCE" --out whole -q > whole.txt
join() { # FOLDER: joins the parts in it, and compares
    "$isn" build slice.toml --source "$SOURCE" --out "$1/joined" --join "$1"/part-* -q > "$1/joined.txt"
    diff -r whole "$1/joined"
}

for of in 2 3 7; do
    mkdir "parallel-$of"
    parallel --jobs 2 '"$ISN" build "$RECIPE" --source "$SOURCE" --part {}/'"$of"' --out '"parallel-$of"'/part-{} -j1 -q' \
        ::: $(seq "$of") > "parallel-$of.txt"
    join "parallel-$of"
done
echo "GNU parallel: 2, 3 and 7 parts, the bytes of one machine"

if [ -n "$python" ] && "$python" -c 'import ray' 2>/dev/null; then
    for of in 2 3 7; do
        mkdir "ray-$of"
    done
    "$python" - <<'PY'
import os, subprocess
import ray

@ray.remote(num_cpus=1)
def part(i, of):
    out = f"{work}/ray-{of}/part-{i}"
    subprocess.run([os.environ["ISN"], "build", os.environ["RECIPE"], "--source", os.environ["SOURCE"],
                    "--part", f"{i}/{of}", "--out", out, "-j1", "-q"], check=True, stdout=subprocess.DEVNULL)
    return out

work = os.getcwd()
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
for of in (2, 3, 7):
    ray.get([part.remote(i, of) for i in range(1, of + 1)])
PY
    for of in 2 3 7; do join "ray-$of"; done
    echo "Ray: 2, 3 and 7 parts, the bytes of one machine"
else
    echo "NOT RUN: Ray, not installed here"
fi

if sinfo >/dev/null 2>&1; then
    for of in 2 3 7; do
        mkdir "slurm-$of"
        cat > "slurm-$of.sh" <<'SLURM'
#!/bin/bash
"$ISN" build "$RECIPE" --source "$SOURCE" -j1 -q \
    --part "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --out "$OUT/part-$SLURM_ARRAY_TASK_ID"
SLURM
        OUT=$work/slurm-$of sbatch --wait --quiet --array="1-$of" --output=/dev/null "slurm-$of.sh"
        join "slurm-$of"
    done
    echo "Slurm array: 2, 3 and 7 parts, the bytes of one machine"
else
    echo "NOT RUN: Slurm, no cluster answers here"
fi
