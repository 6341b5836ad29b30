#!/usr/bin/env bash
# Raw-size ImageNet images and photographs (CMYK, greyscale, EXIF-rotated, one truncated): all build except
# the truncated one, which the error names; Pillow sees the index's pixels.
# usage: interop/raw.sh ISN DATA WORK PYTHON
set -euo pipefail
isn=$1 data=$(realpath "$2") work=$3 python=$4
here=$(cd "$(dirname "$0")" && pwd)
cd "$work"

mkdir raw && cp -r "$data/ilsvrc-raw/train/." raw/ && mkdir raw/photos && cp "$data"/photos/*.jpg raw/photos/
recipe() {
    printf 'format = "isn-recipe/1"\nname = "raw"\nversion = "1.0"\ntitle = "Raw"\ndescription = "For tests."\n'
    printf 'licence = "as the sources"\nauthors = ["isn"]\n[source]\nkind = "imagefolder"\n[image]\nsize = 160\n'
    printf '[split]\npolicy = "keep"\n%s' "${1:-}"
    for class in raw/*/; do printf '[[class]]\nid = "%s"\nlabel = "%s"\n' "$(basename "$class")" "$(basename "$class")"; done
}
recipe > raw.toml
if "$isn" build raw.toml --source raw --out raw-out -q 2> rejects; then echo "the truncated photograph was accepted"; exit 1; fi
cat rejects
grep -q '1 source image cannot be built' rejects
grep -q 'photos/african_elephants_truncated_file.jpg: truncated' rejects
printf 'source_id,action,to,reason,source,reviewer,date\nphotos/african_elephants_truncated_file,remove,,truncated,isn build,isn,2026-11-23\n' > raw.csv
recipe $'[corrections]\nfile = "raw.csv"\n' > raw.toml
"$isn" build raw.toml --source raw --out raw-out -q
"$isn" key new raw --no-passphrase -q >/dev/null
"$isn" publish raw-out --registry raw-registry --key raw -q
"$isn" pull "$(sed -n 's/.*"dataset": "\(.*\)".*/\1/p' raw-out/report.json)" --registry raw-registry --to raw-tree -q
"$python" "$here/pillow.py" raw-out raw-tree
