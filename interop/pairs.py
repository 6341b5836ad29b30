"""`isn review --pairs` by keyboard in headless Chromium: every view, more than fifty pairs, a kill in the
middle, and every decision is in the file.

usage: pairs.py ISN WORK [IMAGES]    (needs Python's `selenium` and `pillow`, chromium and chromedriver)
The images are those of IMAGES at any depth, or those of the demo. Writes screenshots of the views to
WORK/pairs-*.png for inspection.
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps, ImageStat
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

isn, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]) / "pairs"
work.mkdir(parents=True)
pairs = work / "pairs.csv"
KILLED_AFTER = 25


def run(*args):
    return subprocess.run([isn, *map(str, args)], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def cropped(image):
    width, height = image.size
    return image.crop((width // 20, height // 20, width - width // 20, height - height // 20))


COPIES = {
    "cropped": cropped,
    "mirrored": ImageOps.mirror,
    "right": lambda image: image.transpose(Image.ROTATE_270),
    "left": lambda image: image.transpose(Image.ROTATE_90),
    "over": lambda image: image.transpose(Image.ROTATE_180),
    "inverted": ImageOps.invert,
    "both": lambda image: ImageOps.mirror(image).transpose(Image.ROTATE_270),
    "small": lambda image: image.resize((image.width // 2, image.height // 2)),
}

if len(sys.argv) > 3:
    images = sorted(path for path in Path(sys.argv[3]).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
else:
    run("demo", "source", "demo", "--quiet").check_returncode()
    images = sorted((work / "demo").rglob("*.JPEG"))
for at, path in enumerate(images[:: max(1, len(images) // 56)][:56]):
    image = Image.open(path).convert("RGB")
    # Some have four copies, and so are a group of five; some have one that is the same file.
    names = ["cropped", "mirrored", "small", "right"] if at % 20 == 0 else [list(COPIES)[at % len(COPIES)]]
    target = work / "raw" / "train" / path.parent.name / f"{at:02}.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, quality=90)
    for name in names:
        other = target.parent.name if at % 5 else "another"
        copy = work / "raw" / ("val" if at % 3 == 0 else "train") / other / f"{at:02}-{name}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        if at % 10 == 7:
            copy.write_bytes(target.read_bytes())
        else:
            COPIES[name](image).save(copy, quality=85)

found = run("audit", "duplicates", "raw", "--json")
assert found.returncode == 8, found
(work / "found.json").write_bytes(found.stdout)


def review(*more):
    command = [isn, "review", "raw", "--pairs", pairs, "--reviewer", "A. Reviewer", "--json", *more]
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, json.loads(process.stdout.readline())


def decided():
    with open(pairs, newline="") as file:
        return [(r["first"], r["second"], r["says"], r["reason"]) for r in csv.DictReader(file)]


options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,950"):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
wait = WebDriverWait(browser, 20)


def press(key):
    browser.find_element(By.TAG_NAME, "body").send_keys(key)


def title_is(pattern):
    try:
        return wait.until(lambda b: re.fullmatch(pattern, b.title))
    except TimeoutException:
        sys.exit(f"the page is {browser.title!r}, expected {pattern!r}: {browser.page_source[:500]}")


def shot(name):
    wait.until(lambda b: b.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"))
    browser.save_screenshot(str(work.parent / f"pairs-{name}.png"))


def style(selector, name):
    return browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name
    )


def media(**features):
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})


def brightness():
    """Returns the mean level in the middle of the pictures."""
    box = browser.find_element(By.CSS_SELECTOR, ".pictures").rect
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("L")
    side = int(min(box["width"], box["height"]) / 2)
    left, top = int(box["x"] + box["width"] / 2 - side / 2), int(box["y"] + box["height"] / 2 - side / 2)
    return ImageStat.Stat(picture.crop((left, top, left + side, top + side))).mean[0]


def views():
    """Looks at each kind of copy in each view: laid back, a copy leaves next to nothing of the difference."""
    seen = {}
    for number in range(1, first["pairs"] + 1):
        browser.get(f"{first['url']}{number}")
        about = browser.find_element(By.CSS_SELECTOR, "aside > p").text
        how = re.search(r"2 is (.*), and shown", about)
        paths = " ".join(one.text for one in browser.find_elements(By.CLASS_NAME, "path"))
        kind = how[1] if how else "as it is"
        if kind in seen or "cropped" in paths or "exact" in browser.page_source:
            continue
        press("4")
        shot(f"difference-{len(seen)}")
        seen[kind] = brightness()
        if how:
            press("x")
            assert brightness() > seen[kind] + 10, (kind, seen[kind], brightness())
            press("x")
        press("1")
    assert len(seen) >= 6 and all(level < 6 for level in seen.values()), seen
    return seen


expected = []
process, first = review("--duplicates", "found.json")
assert first["pairs"] > 50 and first["decided"] == 0, first
turns = {"s": ("same", "copy"), "d": ("different", "look-alike"), "c": ("same", "crop")}
turns |= {"u": ("unsure", "other"), "b": ("same", "burst"), "o": ("same", "same-object")}
try:
    kinds = views()
    browser.get(first["url"])
    for key, name in [("1", "beside"), ("2", "blink"), ("3", "overlay"), ("4", "difference")]:
        press(key)
        shot(name)
    assert style(".second", "mixBlendMode") == "difference"
    press("2")
    wait.until(lambda b: style(".second", "opacity") == "0")
    wait.until(lambda b: style(".second", "opacity") == "1")
    media(prefers_reduced_motion="reduce", prefers_color_scheme="dark")
    assert (style(".second", "animationName"), style(".second", "opacity")) == ("none", "0")
    press("h")
    assert style(".second", "opacity") == "1"
    press("h")
    press("1")
    shot("dark")
    media(prefers_color_scheme="light")
    shot("light")
    pressed, killed, whole = 0, False, 0
    while True:
        title = title_is(r"(\d+) of \d+: (.*) and (.*)|the end")
        if title[0] == "the end":
            break
        number, pair = int(title[1]), (title[2], title[3])
        if "you decided" in browser.page_source:
            press("n")
            wait.until(lambda b: b.title != title[0])
            continue
        if pressed == KILLED_AFTER and not killed:
            # The page has moved on: what was pressed is answered, and so it is on disk.
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert decided() == expected, "a decision is lost"
            process, again = review("--duplicates", "found.json")
            assert again["url"] != first["url"] and again["decided"] == len({row[:2] for row in expected}), again
            browser.get(again["url"])
            killed = True
            continue
        button = browser.find_elements(By.CSS_SELECTOR, "[data-key=a]")
        pressed += 1
        if button and pressed % 2 == 0:
            count = int(re.search(r"(\d+) pairs", button[0].text)[1])
            shot("group")
            press("a")
            wait.until(lambda b: b.title != title[0])
            rows = decided()[len(expected):]
            assert len(rows) == count and all(row[2:] == ("same", "copy") for row in rows), rows
            expected += rows
            whole += 1
            continue
        key = list(turns)[pressed % len(turns)]
        press(key)
        expected.append((*pair, *turns[key]))
        wait.until(lambda b: b.title != title[0])
        if pressed in (10, 40):
            # One step back, and a different decision.
            press(Keys.ARROW_LEFT)
            title_is(re.escape(title[0]))
            shot("decided")
            press("z")
            wait.until(lambda b: "you decided" not in b.page_source)
            press("d")
            wait.until(lambda b: b.title != title[0])
            expected += [(*pair, "withdraw", "other"), (*pair, "different", "look-alike")]
    assert killed and whole, (killed, whole)
    assert f"{first['pairs']} of {first['pairs']} decided" in browser.page_source
    shot("end")
    # Letters typed into a note are not commands.
    press(Keys.ARROW_LEFT)
    title = title_is(rf"{first['pairs']} of .*: (.*) and (.*)")
    press("w")
    note = browser.find_element(By.NAME, "note")
    note.send_keys("s is a letter here")
    assert decided() == expected
    note.send_keys(Keys.ENTER)
    title_is("the end")
    expected.append((title[1], title[2], "same", "copy"))
    complaints = [
        entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
    ]
    # While isn was dead, the browser may have asked it for something.
    assert not [one for one in complaints if "ERR_CONNECTION" not in one["message"]], complaints
finally:
    browser.quit()
process.send_signal(signal.SIGINT)
last = json.loads(process.communicate(timeout=20)[0].splitlines()[-1])
assert last == {"pairs": first["pairs"], "decided": first["pairs"]} and process.returncode == 0, last
assert decided() == expected, "the file differs from what was pressed"
print(
    f"pairs: {len(expected)} rows of {pressed} decisions by keyboard, {whole} of them for whole groups, a kill "
    f"after {KILLED_AFTER}, none lost; {len(kinds)} ways to lie, laid back in the difference view"
)
