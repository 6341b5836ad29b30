import os
import tempfile

# Nothing of the user's: no settings, no cache, no registry.
os.environ["ISN_HOME"] = tempfile.mkdtemp(prefix="isn-home-")
os.environ.pop("ISN_REGISTRY", None)
os.environ.pop("ISN_CACHE", None)

import pytest

import isn


def pytest_configure(config):
    """What NumPy or PyTorch warn of in our code is an error."""
    for module in ("isn.dataset", "isn.torch"):
        config.addinivalue_line("filterwarnings", f"error:::{module}")


@pytest.fixture(scope="session")
def train():
    return isn.load("demobirds@1.0", split="train")
