#!/usr/bin/env bash
# A real slice of ImageNet in every layout has one dataset hash: tars by GNU tar in three of its formats,
# Kaggle's folders, parquet files by pyarrow. The tars are read once, and memory stays small. Then a
# rebuild-only release of one copy is built from another; and one file that was saved again is named.
# usage: interop/layouts.sh ISN DATA WORK PYTHON (isn with the feature `parquet`)
set -euo pipefail
isn=$1 data=$(realpath "$2") work=$3 python=$4
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work/layouts" && cd "$work/layouts"
slice=$data/ilsvrc-slice
classes=(n01440764 n02102040 n03000684)

{
    printf 'format = "isn-recipe/1"\nname = "layouts"\nversion = "1.0"\ntitle = "Layouts"\ndescription = "For tests."\n'
    printf 'licence = "as the sources"\nauthors = ["isn"]\n[source]\nkind = "ilsvrc2012"\n[image]\nsize = 160\n'
    printf '[split]\npolicy = "pool"\nval = 0.2\nsalt = "layouts"\n'
    printf '[[class]]\nid = "%s"\nlabel = "a class"\n' "${classes[@]}"
} > recipe.toml

for format in gnu ustar pax; do
    mkdir -p "tars-$format/inner"
    for folder in "$slice"/train/*/; do
        class=$(basename "$folder")
        tar -cf "tars-$format/inner/$class.tar" --format=$format -C "$folder" .
    done
    tar -cf "tars-$format/ILSVRC2012_img_train.tar" --format=$format -C "tars-$format/inner" .
    rm -r "tars-$format/inner"
    tar -cf "tars-$format/ILSVRC2012_img_val.tar" --format=$format -C "$slice/val" .
done
mkdir -p kaggle/ILSVRC/Data/CLS-LOC && cp -r "$slice/train" "$slice/val" kaggle/ILSVRC/Data/CLS-LOC/
{
    echo ImageId,PredictionString
    tail -n +2 "$data/ilsvrc2012/val_wnids.csv" | tr -d '\r' | sed 's/\.JPEG,\(.*\)/,\1 1 1 400 300 /'
} > kaggle/LOC_val_solution.csv
mkdir mixed && ln -s ../tars-gnu/ILSVRC2012_img_train.tar mixed/ && ln -s "$slice/val" mixed/val
"$python" "$here/parquet.py" "$slice" parquet "$data/ilsvrc2012/classes.csv" "$data/ilsvrc2012/val_wnids.csv"

# The hash, from the pin of a build or of a pull.
pin() { sed -n 's/^ *pin .*b3:/b3:/p'; }
"$isn" build recipe.toml --source "$slice" --out out -q | pin > expected
for layout in tars-gnu tars-ustar tars-pax kaggle mixed parquet; do
    /usr/bin/time -o time -f %M "$isn" build recipe.toml --source $layout --out "out-$layout" -q > built
    pin < built | cmp - expected
    rm -r "out-$layout"
    memory=$(cat time)
    [ "$memory" -lt 1048576 ] || { echo "$layout: $memory kB in memory"; exit 1; }
    echo "$layout:$(sed -n 's/^ *source */ /p' built), the same hash, $memory kB in memory"
done

# The bytes read from the tars, compared with the size of the images that are needed.
needed=$("$python" - "$slice" "${classes[@]}" <<'PY'
import csv, pathlib, sys
source, classes = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
train = sum(f.stat().st_size for c in classes for f in (source / "train" / c).iterdir())
val = dict(list(csv.reader(open(source.parent / "ilsvrc2012/val_wnids.csv")))[1:])
print(train + sum(f.stat().st_size for f in (source / "val").rglob("*.JPEG") if val[f.name] in classes))
PY
)
if command -v strace >/dev/null; then
    # One trace file per thread: in a shared file, overlapping calls would be split into two lines.
    strace -ff -qq -y -e trace=read,pread64,readv,preadv -o trace env ISN_CACHE="$PWD/empty" "$isn" build recipe.toml --source tars-gnu --out out-traced -q >/dev/null
    read=$(cat trace.* | grep -o 'tars-gnu/[^>]*>.* = [0-9]*$' | sed 's/.* = //' | awk '{ n += $1 } END { print n }')
    awk -v read="$read" -v needed="$needed" 'BEGIN {
        printf "the tars were read once: %d bytes for %d bytes of images (%.3f)\n", read, needed, read / needed
        exit !(read >= needed && read <= 1.1 * needed)
    }'
else
    echo "NOT RUN: no strace here"
fi

"$isn" key new layouts --no-passphrase -q >/dev/null
"$isn" publish out --registry registry --key layouts --rebuild-only -q >/dev/null
"$isn" trust add registry "$("$isn" key show layouts)" >/dev/null
[ -z "$(find registry -name '*.tar.zst')" ]
"$isn" registry check registry | grep 'rebuild-only, without images: layouts@1.0'
for source in tars-pax parquet; do
    "$isn" verify-source layouts@1.0 --registry registry --source $source -q | head -n 1
    "$isn" pull layouts@1.0 --registry registry --source $source --to "tree-$source" --no-cache -q | pin | cmp - expected
done
diff -r --exclude ISN.json tree-tars-pax tree-parquet
echo "pulled from two other copies: the same tree"

image=kaggle/ILSVRC/Data/CLS-LOC/train/n01440764/$(ls "$slice/train/n01440764" | head -n 1)
"$python" -c 'import sys; from PIL import Image; i = Image.open(sys.argv[1]); i.save(sys.argv[1], "JPEG", quality=95)' "$image"
for verb in "pull --to tree-other --no-cache" verify-source; do
    if "$isn" ${verb%% *} layouts@1.0 --registry registry --source kaggle $(echo "$verb" | cut -s -d' ' -f2-) -q > said 2>&1; then
        echo "$verb took a file that was saved again"; exit 1
    else
        [ $? = 3 ]
    fi
    grep "$(basename "$image" .JPEG).png: its source file differs" said
done
[ ! -e tree-other ]
