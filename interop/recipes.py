"""Runs the recipes of docs/python.md, section "Elsewhere", unchanged: the code under each heading runs in its
own process, after the code before the first heading. A recipe that needs a missing module is skipped.
usage: interop/recipes.py [NAME…]"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SECTION = (Path(__file__).parent.parent / "docs/python.md").read_text().split("\n## Elsewhere\n")[1].split("\n## ")[0]
# Printed at the end, for the modules that were imported.
VERSIONS = """
import sys

names = "torch torchvision timm fastai tensorflow keras jax datasets fiftyone numpy".split()
print("\\n" + ", ".join(f"{name} {sys.modules[name].__version__}" for name in names if name in sys.modules))
"""


def code(text):
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))


def run(prelude, name, recipe):
    """Whether it succeeded, or could not be run."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "recipe.py").write_text("\n".join([prelude, recipe, VERSIONS]))
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        command, environment = [sys.executable, "recipe.py"], {**os.environ, "PATH": path}
        try:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            print(f"FAILED {name}: not through after 300 s")
            return False
    if done.returncode == 0:
        print(f"ok {name} ({done.stdout.splitlines()[-1]})")
        return True
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    missing = re.fullmatch(r"ModuleNotFoundError: No module named '(\w+)[.\w]*'", last)
    if missing and missing[1] != "isn":
        print(f"NOT RUN {name}: no module {missing[1]}")
        return True
    if "cannot import name 'v2' from 'torchvision.transforms'" in last:
        print(f"NOT RUN {name}: torchvision is older than 0.15")
        return True
    print(f"FAILED {name}: {last}\n{done.stderr}")
    return False


def main():
    before, *recipes = re.split(r"^### ", SECTION, flags=re.M)
    recipes = {text.split("\n", 1)[0]: code(text) for text in recipes}
    wanted = sys.argv[1:] or [name for name, recipe in recipes.items() if recipe]
    sys.exit(not all([run(code(before), name, recipes[name]) for name in wanted]))


if __name__ == "__main__":
    main()
