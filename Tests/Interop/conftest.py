import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from meridian import Mesh, Region  # noqa: E402


@pytest.fixture(scope="session")
def region(tmp_path_factory):
    """A region that many tests share; each uses topics of its own."""
    region = Region(tmp_path_factory.mktemp("region")).start()
    yield region
    region.stop()


@pytest.fixture(scope="session")
def mesh(tmp_path_factory):
    """Two regions `us` and `eu` that replicate `demo/orders`; many tests share it, each with topics of its own."""
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    mesh.up()
    yield mesh
    mesh.down()


@pytest.fixture
def topic(request):
    """A topic name of this test alone."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"persistent://public/default/{name}"


@pytest.fixture
def orders(request):
    """A topic name of this test alone, in the replicated namespace."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"persistent://demo/orders/{name}"
