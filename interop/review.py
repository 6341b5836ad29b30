"""`isn review` by keyboard in headless Chromium: a hundred suspects, a kill in the middle, and every decision
is in the ledger.

usage: review.py ISN WORK        (needs Python's `selenium`, chromium and chromedriver)
Writes screenshots of the page to WORK/review-*.png for inspection.
"""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

isn, work = Path(sys.argv[1]).resolve(), Path(sys.argv[2]) / "review"
work.mkdir(parents=True)
ledger, suspects = work / "ledger.csv", work / "suspects.csv"
HUNDRED = 100
RECIPE = Path("registry/recipes/demobirds/recipe.toml").resolve()


def run(*args):
    subprocess.run([isn, *map(str, args)], cwd=work, check=True, stdout=subprocess.DEVNULL)


run("demo", "source", "raw", "--quiet")
classes = sorted(p.name for p in (work / "raw/train").iterdir())
images = sorted(p for p in (work / "raw/train").rglob("*.JPEG"))[:HUNDRED]
with open(suspects, "w", newline="") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["source_id", "labels", "evidence"])
    for at, image in enumerate(images):
        other = classes[(classes.index(image.parent.name) + 1) % len(classes)]
        rows.writerow([image.stem, other, f"score 0.{at:03}, <b>not</b> & markup"])


def review():
    command = [isn, "review", "raw", "--ledger", ledger, "--suspects", suspects, "--recipe", RECIPE, "--reviewer", "A. Reviewer", "--json"]
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, json.loads(process.stdout.readline())


def decided():
    with open(ledger, newline="") as file:
        return [(r["source_id"], r["says"], r["labels"]) for r in csv.DictReader(file) if r["kind"] == "decision"]


options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,950"):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
wait = WebDriverWait(browser, 20)


def press(key):
    browser.find_element(By.TAG_NAME, "body").send_keys(key)


def title_begins(text):
    try:
        wait.until(lambda b: b.title.startswith(text))
    except TimeoutException:
        sys.exit(f"the page is {browser.title!r}, expected {text!r}: {browser.page_source[:500]}")


def shot(name):
    wait.until(lambda b: b.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"))
    browser.save_screenshot(str(work.parent / f"review-{name}.png"))


expected = []
process, first = review()
assert first["suspects"] == HUNDRED and first["decided"] == 0, first
browser.get(first["url"])
try:
    for number, image in enumerate(images, start=1):
        if number == 51:
            # The page has moved on: the fiftieth image is answered, and so the decision is on disk.
            title_begins(f"51 of {HUNDRED}")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert decided() == expected, "a decision is lost"
            process, again = review()
            assert again["decided"] == 50 and again["url"] != first["url"], again
            browser.get(again["url"])
        title_begins(f"{number} of {HUNDRED}: {image.stem}")
        if number == 1:
            shot("first")
        key, says = [("k", "keep"), ("r", "remove"), ("1", "relabel"), ("u", "unsure")][number % 4]
        other = classes[(classes.index(image.parent.name) + 1) % len(classes)]
        press(key)
        expected.append((image.stem, says, other if says == "relabel" else ""))
        if number in (10, 60):
            # One step back, and a different decision.
            title_begins(f"{number + 1} of")
            press(Keys.ARROW_LEFT)
            title_begins(f"{number} of")
            shot("decided")
            press("z")
            wait.until(lambda b: "you decided" not in b.page_source)
            press("r")
            expected += [(image.stem, "withdraw", ""), (image.stem, "remove", "")]
    title_begins("the end")
    assert f"{HUNDRED} of {HUNDRED} decided" in browser.page_source
    shot("end")
    # Letters typed into a note are not commands.
    press(Keys.ARROW_LEFT)
    title_begins(f"{HUNDRED} of")
    press("w")
    browser.find_element(By.NAME, "note").send_keys("k is a letter here")
    assert decided() == expected
    browser.find_element(By.NAME, "note").send_keys(Keys.ENTER)
    title_begins("the end")
    expected.append((images[-1].stem, "remove", ""))
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]
    assert not complaints, complaints
finally:
    browser.quit()
process.send_signal(signal.SIGINT)
last = json.loads(process.communicate(timeout=20)[0].splitlines()[-1])
assert last == {"suspects": HUNDRED, "decided": HUNDRED} and process.returncode == 0, (last, process.returncode)
assert decided() == expected, "the ledger differs from what was pressed"
run("ledger", "show", ledger)
print(f"review: {len(expected)} decisions by keyboard, a kill after 50, none lost")
