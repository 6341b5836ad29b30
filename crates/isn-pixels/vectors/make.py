#!/usr/bin/env python3
"""Draws the source images of the golden vectors into this folder.

    make.py            needs Pillow, numpy, and libjpeg-turbo's cjpeg on PATH

The files are fixed: what was drawn once is committed, and other versions of these tools may well write other
bytes. Run it to add a file, never to replace one.
"""
import io
import pathlib
import re
import struct
import subprocess
import zlib

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).parent


def picture(width, height, seed, noise=12):
    """A bird of a kind: gradient sky, a body, an eye, some noise. uint8 [height, width, 3]"""
    y, x = numpy.mgrid[0:height, 0:width] / max(width, height)
    sky = numpy.stack([90 + 100 * y, 140 + 60 * x, 220 - 80 * y], -1)
    cx, cy = width / max(width, height) / 2, height / max(width, height) / 2
    body = ((x - cx) / 0.3) ** 2 + ((y - cy) / 0.2) ** 2 < 1
    eye = (x - cx - 0.15) ** 2 + (y - cy + 0.05) ** 2 < 0.03**2
    sky[body] = [200, 60, 30]
    sky[eye] = [5, 5, 5]
    noisy = sky + numpy.random.default_rng(seed).normal(0, noise, sky.shape)
    return noisy.clip(0, 255).round().astype(numpy.uint8)


def write(name, data):
    path = HERE / name
    if not path.exists():
        path.write_bytes(data)
        print(f"{len(data):6} {name}")


def jpeg(array, **options):
    out = io.BytesIO()
    mode = {2: "L", 3: "RGB", 4: "CMYK"}[array.ndim if array.ndim == 2 else array.shape[2]]
    Image.fromarray(array, mode).save(out, "JPEG", **options)
    return out.getvalue()


def cjpeg(array, *options):
    ppm = io.BytesIO()
    Image.fromarray(array).save(ppm, "PPM")
    return subprocess.run(["cjpeg", *options], input=ppm.getvalue(), capture_output=True, check=True).stdout


def app1(data, payload):
    """`data` with an APP1 segment right after SOI."""
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def exif(orientation, thumbnail=b""):
    tiff = b"MM\0*" + struct.pack(">IHHHIHxxI", 8, 1, 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + tiff + thumbnail


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, colour, depth, interlaced=False, before=b"", after=b""):
    """`samples`: [height, width, channels] of integers below 2**depth"""
    height, width, channels = samples.shape

    def rows(part):
        out = b""
        for row in part:
            if depth == 16:
                out += b"\0" + row.astype(">u2").tobytes()
            else:
                bits = numpy.unpackbits(row.astype(numpy.uint8)[..., None], axis=-1)[..., 8 - depth:]
                out += b"\0" + numpy.packbits(bits.reshape(-1)).tobytes()
        return out

    parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    raw = b"".join(rows(part) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
            + chunk(b"IDAT", zlib.compress(raw, 9)) + after + chunk(b"IEND", b""))


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def jpegs():
    wide, tall = picture(97, 65, 1), picture(65, 97, 2)
    write("420.jpg", jpeg(wide, quality=85))
    write("422.jpg", jpeg(wide, quality=70, subsampling="4:2:2"))
    write("444_optimized.jpg", jpeg(tall, quality=95, subsampling="4:4:4", optimize=True))
    write("440.jpg", cjpeg(wide, "-sample", "1x2", "-quality", "80"))
    write("411.jpg", cjpeg(wide, "-sample", "4x1", "-quality", "80"))
    write("410.jpg", cjpeg(wide, "-sample", "4x2", "-quality", "80"))
    write("uneven_chroma.jpg", cjpeg(wide, "-sample", "2x2,2x1,2x1", "-quality", "80"))
    write("rgb_components.jpg", cjpeg(tall, "-rgb", "-quality", "80"))
    # Named 1, 2, 3, and RGB only by the word of Adobe's segment.
    named = cjpeg(tall, "-rgb", "-quality", "80", "-progressive")
    names = bytes.maketrans(b"RGB", b"\1\2\3")
    headers = rb"\xff\xc2\0\x11.{6}(.{9})|\xff\xda\0(?:\x0c\x03(.{6})|\x08\x01(.))"
    rename = lambda match: match[0][:-len(match[match.lastindex])] + match[match.lastindex].translate(names)
    write("rgb_by_adobe.jpg", re.sub(headers, rename, named, flags=re.DOTALL))
    write("quality_100.jpg", jpeg(picture(40, 33, 3, 60), quality=100, subsampling="4:4:4"))
    write("grey.jpg", jpeg(wide[..., 1], quality=80))
    write("grey_progressive.jpg", jpeg(wide[..., 1], quality=80, progressive=True))
    write("progressive.jpg", jpeg(tall, quality=85, progressive=True))
    write("restart.jpg", cjpeg(wide, "-restart", "3B", "-quality", "85"))
    write("restart_row.jpg", cjpeg(wide, "-restart", "1", "-quality", "60", "-sample", "1x1"))
    write("progressive_restart.jpg", cjpeg(wide, "-progressive", "-restart", "5B", "-quality", "85"))
    scans = HERE / "scans.tmp"
    scans.write_text("0;\n1;\n2;\n")
    write("scan_each.jpg", cjpeg(wide, "-scans", str(scans), "-quality", "85", "-sample", "2x1"))
    # The decoder would put the blocks of this one in the wrong places, and scale the other one wrongly.
    write("rejected_scan_each_420.jpg", cjpeg(wide, "-scans", str(scans), "-quality", "50", "-sample", "2x2"))
    write("rejected_luma_subsampled.jpg", cjpeg(wide, "-quality", "50", "-sample", "1x1,2x2,2x2"))
    scans.unlink()
    # Pillow stores CMYK inverted, with an Adobe marker, as Photoshop does.
    cmyk = numpy.dstack([255 - wide, numpy.full(wide.shape[:2], 40, numpy.uint8)])
    write("cmyk_adobe.jpg", jpeg(cmyk, quality=85))
    ycc = numpy.asarray(Image.fromarray(wide).convert("YCbCr"))
    ycck = 255 - numpy.dstack([ycc, numpy.full(wide.shape[:2], 215, numpy.uint8)])
    stored = bytearray(jpeg(ycck, quality=85))
    stored[stored.index(b"Adobe") + 11] = 2
    write("ycck_adobe.jpg", bytes(stored))
    thumbnail = jpeg(picture(16, 16, 4), quality=40)
    for orientation in range(2, 9):
        small = jpeg(picture(41, 29, 5), quality=60)
        write(f"exif_{orientation}.jpg", app1(small, exif(orientation, thumbnail)))
    write("exif_broken.jpg", app1(jpeg(tall, quality=60), b"Exif\0\0MM\0*\xff\xff\xff\xff\x40\0"))
    write("trailing_bytes.jpg", jpeg(tall, quality=60) + b"\xff\xd8\xff\xe1 and so on" * 9)
    write("thin.jpg", jpeg(picture(3, 190, 6), quality=80))
    write("one_pixel.jpg", jpeg(picture(1, 1, 7), quality=80))


def pngs():
    wide = picture(37, 29, 8, 4).astype(int)
    grey, alpha = wide[..., 1:2], (numpy.indices(wide.shape[:2]).sum(0) * 7 % 256)[..., None]
    deep = wide * 257 + (numpy.arange(37)[None, :, None] * 37 % 256 - 128)
    deep, deep_alpha = deep.clip(0, 65535), alpha * 257
    palette = numpy.random.default_rng(9).integers(0, 256, (16, 3), numpy.uint8).tobytes()
    plte, trns = chunk(b"PLTE", palette), chunk(b"tRNS", bytes(range(0, 256, 16)))
    write("rgb8.png", png(wide, RGB, 8))
    write("rgb8_interlaced.png", png(wide, RGB, 8, True))
    write("rgb8_trns.png", png(wide, RGB, 8, before=chunk(b"tRNS", struct.pack(">HHH", *wide[3, 3]))))
    write("rgba8.png", png(numpy.dstack([wide, alpha]), RGBA, 8))
    write("rgba8_interlaced.png", png(numpy.dstack([wide, alpha]), RGBA, 8, True))
    write("grey1.png", png(grey >> 7, GREY, 1))
    write("grey2_interlaced.png", png(grey >> 6, GREY, 2, True))
    write("grey4.png", png(grey >> 4, GREY, 4))
    write("grey8.png", png(grey, GREY, 8))
    write("grey8_trns.png", png(grey, GREY, 8, before=chunk(b"tRNS", b"\0\x80")))
    write("grey_alpha8.png", png(numpy.dstack([grey, alpha]), GREY_ALPHA, 8))
    write("grey16.png", png(deep[..., 1:2], GREY, 16))
    write("grey16_interlaced.png", png(deep[..., 1:2], GREY, 16, True))
    write("grey_alpha16.png", png(numpy.dstack([deep[..., 1:2], deep_alpha]), GREY_ALPHA, 16))
    write("rgb16.png", png(deep, RGB, 16))
    write("rgba16.png", png(numpy.dstack([deep, deep_alpha]), RGBA, 16))
    write("palette1.png", png(grey >> 7, PALETTE, 1, before=plte))
    write("palette4_interlaced.png", png(grey >> 4, PALETTE, 4, True, before=plte))
    write("palette8_trns.png", png(grey >> 4, PALETTE, 8, before=plte + trns))
    colour = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"eXIf", exif(6)[6:])
    write("gamma_exif.png", png(wide, RGB, 8, before=colour))
    # An APNG whose first frame is not its default image, and one whose is.
    other = zlib.compress(b"".join(b"\0" + row.astype(numpy.uint8).tobytes() for row in 255 - wide), 9)
    control = lambda number: chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 37, 29, 0, 0, 1, 10, 0, 0))
    frame = lambda number: chunk(b"fdAT", struct.pack(">I", number) + other)
    actl = lambda frames: chunk(b"acTL", struct.pack(">II", frames, 0))
    write("apng_default.png", png(wide, RGB, 8, before=actl(1), after=control(0) + frame(1)))
    write("apng_first.png", png(wide, RGB, 8, before=actl(2) + control(0), after=control(1) + frame(2)))
    write("named.JPEG", png(wide[:17, :25], RGB, 8))


jpegs()
pngs()
