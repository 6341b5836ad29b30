"""`isn audit duplicates` on real images: the share of altered copies that it finds, the pairs that it reports
among images that are not copies, and the time of an audit of 13,000 images.

usage: duplicates.py WORK --isn PROGRAM --slice DIR {recall|originals|pairs|speed}

  recall     alters 250 images in each of the ways of ALTER and prints the share of copies that are in the group
             of their original, and how many groups join different pictures that are in none without copies; with
             --more '--embeddings FOLDER', also how many copies are only similar to their originals
  originals  audits the images as they are, and makes WORK/originals.png of every group for inspection
  pairs      the distances and similarities of copies, and of the nearest pairs that are not copies, from
             which thresholds are chosen
  speed      makes 13,000 images of 160 pixels and times `isn audit all` and `images`; with JPEG (`--encode
             jpg`), decoding alone, too

Needs Pillow. `--slice` names a folder of photographs, nested to any depth.
"""

import argparse
import io
import json
import math
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

COPIES = 250
# The exit code of an audit that finds something.
FINDINGS = 8


def jpeg30(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=30)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cut(left, top, right, bottom):
    def alter(picture):
        w, h = picture.size
        return picture.crop((round(w * left), round(h * top), round(w * (1 - right)), round(h * (1 - bottom))))

    return alter


def frame(share, colour):
    return lambda p: ImageOps.expand(p, round(share * min(p.size)), colour)


def bars(across, down, colour):
    def alter(picture):
        w, h = picture.size
        left, top = round(w * across), round(h * down)
        page = Image.new("RGB", (w + 2 * left, h + 2 * top), colour)
        page.paste(picture, (left, top))
        return page

    return alter


def tilted(degrees, is_cut=False, expand=False):
    """Turned by a few degrees: with black corners, or with as much cut off as shows none."""
    share = math.tan(math.radians(abs(degrees))) / 2

    def alter(picture):
        turned = picture.rotate(degrees, Image.BICUBIC, expand=expand)
        return cut(share, share, share, share)(turned) if is_cut else turned

    return alter


def text(picture):
    """A caption across the lower part, white with a black outline."""
    picture, (w, h) = picture.copy(), picture.size
    size = max(10, h // 9)
    ImageDraw.Draw(picture).text((w * 0.06, h * 0.82), "Sample caption", "white", ImageFont.load_default(size),
                                 stroke_width=max(1, size // 12), stroke_fill="black")
    return picture


def watermark(picture):
    """Two words, half transparent and aslant, one of them across the middle."""
    w, h = picture.size
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.text((w * 0.12, h * 0.42), "SAMPLE", (255, 255, 255, 128), ImageFont.load_default(max(10, w // 7)))
    draw.text((w * 0.5, h * 0.9), "example.org", (255, 255, 255, 160), ImageFont.load_default(max(8, w // 16)))
    return Image.alpha_composite(picture.convert("RGBA"), layer.rotate(20)).convert("RGB")


TURNS = Image.Transpose
ALTER = {
    "jpeg30": jpeg30,
    "96px": lambda p: p.resize((96, max(1, round(96 * p.height / p.width))), Image.BICUBIC),
    "bright": lambda p: ImageEnhance.Brightness(p).enhance(1.4),
    "grey": lambda p: ImageOps.grayscale(p).convert("RGB"),
    "inverted": ImageOps.invert,
    "mirror": ImageOps.mirror,
    "flip": ImageOps.flip,
    "turn90": lambda p: p.transpose(TURNS.ROTATE_270),
    "turn180": lambda p: p.transpose(TURNS.ROTATE_180),
    "turn270": lambda p: p.transpose(TURNS.ROTATE_90),
    "transposed": lambda p: p.transpose(TURNS.TRANSPOSE),
    "crop2": cut(0.02, 0.02, 0.02, 0.02),
    "crop2-corner": cut(0.02, 0.02, 0, 0),
    "crop5": cut(0.05, 0.05, 0.05, 0.05),
    "crop10": cut(0.1, 0.1, 0.1, 0.1),
    "crop10-left": cut(0.1, 0, 0, 0),
    "crop10-top": cut(0, 0.1, 0, 0),
    "crop10-right": cut(0, 0, 0.1, 0),
    "crop10-bottom": cut(0, 0, 0, 0.1),
    "crop10-corner": cut(0.1, 0.1, 0, 0),
    "crop5-left": cut(0.05, 0, 0, 0),
    "crop7-uneven": cut(0.07, 0.02, 0.03, 0.08),
    "crop7-mirror": lambda p: ImageOps.mirror(cut(0.07, 0.07, 0.07, 0.07)(p)),
    "crop15": cut(0.15, 0.15, 0.15, 0.15),
    "frame-white": frame(0.06, "white"),
    "frame-black": frame(0.1, "black"),
    "frame-grey": frame(0.03, (120, 130, 110)),
    "letterbox": bars(0, 0.14, "black"),
    "pillarbox": bars(0.2, 0, "white"),
    "tilt3": tilted(3),
    "tilt3-expanded": tilted(-3, expand=True),
    "tilt3-cut": tilted(3, is_cut=True),
    "text": text,
    "watermark": watermark,
}


def files_of(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def audit(args, folder, *more, verb="duplicates"):
    command = [args.isn, "audit", verb, folder, "--json", "--quiet", *more]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if ran.returncode not in (0, FINDINGS):
        sys.exit(f"{command}: {ran.returncode}: {ran.stderr}")
    return json.loads(ran.stdout.splitlines()[-1])


def originals(args):
    folder = args.work / "originals"
    if not folder.exists():
        for at, path in enumerate(files_of(args.slice)):
            target = folder / "train/x" / f"{at:05}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


def altered(args, kind):
    folder = args.work / f"altered-{kind}"
    if not folder.exists():
        paths = files_of(originals(args))
        for path in random.Random(5).sample(paths, min(COPIES, len(paths))):
            target = folder / "val/x" / f"{path.stem}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            picture = ALTER[kind](Image.open(path).convert("RGB"))
            picture.save(target, quality=30) if kind == "jpeg30" else picture.save(target, quality=95)
        (folder / "train").symlink_to(originals(args).resolve() / "train")
    return folder


def recall(args):
    print("| copies | found | groups of different pictures |\n|---|---|---|")
    report = audit(args, originals(args), *args.more)
    # Originals may be copies of each other.
    same = {Path(p).stem: Path(group[0]).stem for group in report["exact"] + report["near"] for p in group}
    for kind in args.kinds or ALTER:
        folder = altered(args, kind)
        report = audit(args, folder, *args.more)
        groups = report["exact"] + report["near"]
        copies = [path.stem for path in files_of(folder / "val")]
        found = {Path(p).stem for group in groups for p in group if p.startswith("val/")
                 and any(q == p.replace("val/", "train/") for q in group)}
        others = sum(len({same.get(Path(p).stem, Path(p).stem) for p in group}) > 1 for group in groups)
        print(f"| {kind} | {len(found)} of {len(copies)}: {len(found) / len(copies):.3f} | {others} |", flush=True)
        if similar := report.get("similar"):
            right = {Path(p["a"]).stem for p in similar if Path(p["a"]).stem == Path(p["b"]).stem}
            print(f"  similar: {len(similar)} pairs, of {len(right)} more copies", flush=True)


def sheet(folder, groups, path):
    tiles = [Image.open(folder / p).convert("RGB").resize((150, 150)) for group in groups for p in group]
    page = Image.new("RGB", (170 * max(map(len, groups)), 180 * len(groups)), "white")
    at = 0
    for row, group in enumerate(groups):
        for column, name in enumerate(group):
            page.paste(tiles[at], (170 * column, 180 * row))
            ImageDraw.Draw(page).text((170 * column, 180 * row + 155), Path(name).stem, fill="black")
            at += 1
    page.save(path)


def look(args):
    folder = originals(args)
    report = audit(args, folder, *args.more)
    print(len(report["exact"]), "exact,", len(report["near"]), "near")
    for pair in report["pairs"]:
        print(pair)
    groups = report["exact"] + report["near"]
    if groups:
        sheet(folder, groups, args.work / "originals.png")


def pairs(args):
    for kind in ALTER:
        report = audit(args, altered(args, kind), "--similarity", "0", *args.more)
        true = [p for p in report["pairs"] if Path(p["a"]).stem == Path(p["b"]).stem]
        false = [p for p in report["pairs"] if Path(p["a"]).stem != Path(p["b"]).stem]
        scores = sorted(p["similarity"] for p in true)
        worst = sorted((p["similarity"] for p in false), reverse=True)
        print(kind, len(true), "lowest", scores[:12], "| false", len(false), "highest", worst[:12], flush=True)


def decoder(work):
    """Builds benches/decode and returns the path of its program."""
    manifest, target = Path(__file__).parent / "decode/Cargo.toml", work / "decoder"
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", target]
    subprocess.run(command, check=True)
    return target / "release/decode"


def timed(work):
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    result = work()
    wall, after = time.time() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result, wall, cpu, after.ru_maxrss


def speed(args):
    folder = args.work / "many"
    count = 13_000
    if not folder.exists():
        paths, draw = files_of(args.slice), random.Random(7)
        for at in range(count):
            picture = Image.open(paths[at % len(paths)]).convert("RGB")
            # Another part of the picture, turned a little, with other noise, so that it is not a copy
            # of an earlier one.
            w, h = picture.size
            side = draw.uniform(0.55, 0.8)
            left, top = draw.uniform(0, 1 - side) * w, draw.uniform(0, 1 - side) * h
            part = picture.rotate(draw.uniform(-8, 8)).crop((left, top, left + side * w, top + side * h))
            long = draw.choice([160, 213, 213, 240])
            part = part.resize((160, long) if at % 3 == 0 else (long, 160))
            noise = Image.effect_noise(part.size, 12).convert("RGB")
            part = Image.blend(part, noise, 0.12)
            split = "val" if at % 5 == 0 else "train"
            target = folder / split / f"class{at % 10}" / f"{at:05}"
            target.parent.mkdir(parents=True, exist_ok=True)
            part.save(target.with_suffix(f".{args.encode}"), **({"quality": 95} if args.encode == "jpg" else {}))
    if args.encode == "jpg":
        program = decoder(args.work)
        _, wall, cpu, _ = timed(lambda: subprocess.run([program, folder], check=True))
        print(f"decoding alone: {wall:.1f} s, {cpu:.1f} s of CPU", flush=True)
    for verb, jobs in (("all", 2), ("all", 1), ("images", 1)):
        report, wall, cpu, peak = timed(lambda: audit(args, folder, "--jobs", jobs, verb=verb))
        found = "" if verb == "images" else f"{len(report['exact'])} exact, {len(report['near'])} near, "
        print(f"{verb} --jobs {jobs}: {report['images']} images, {wall:.1f} s, {cpu:.1f} s of CPU, {found}"
              f"peak {peak >> 10} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("what", choices=["recall", "originals", "pairs", "speed"])
    parser.add_argument("--isn", type=Path, default=Path("target/release/isn"))
    parser.add_argument("--slice", type=Path, required=True)
    parser.add_argument("--kinds", type=str.split, metavar="KINDS", help="only these kinds of copies, in one string")
    parser.add_argument("--encode", choices=["png", "jpg"], default="png")
    parser.add_argument("--more", type=str.split, default=[], metavar="ARGUMENTS", help="more arguments for isn, in one string")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    {"recall": recall, "originals": look, "pairs": pairs, "speed": speed}[args.what](args)


if __name__ == "__main__":
    sys.exit(main())
