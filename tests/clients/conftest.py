"""Fixtures: running hosts, clients, functions that go with their test."""

import concurrent.futures
import os

import pytest

from fixtures import deployer, started
from hearth import wait_for_file
from services import Services


def pytest_configure():
    for name in ("HEARTH_BIN", "HEARTH_PLUGIN_PATH", "HEARTH_TEST_FUNCTIONS"):
        if not os.environ.get(name):
            pytest.exit(f"{name} is not set; run these tests with: cargo xtask test e2e", returncode=4)


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """A host with its defaults: functions as processes."""
    yield from started(tmp_path_factory, "default")


@pytest.fixture(scope="session")
def strict_host(tmp_path_factory):
    """A host that refuses at once what has no room, as AWS does."""
    yield from started(tmp_path_factory, "strict", config='[pool]\nwhen_full = "refuse"\n')


@pytest.fixture(scope="session")
def slow_host(tmp_path_factory):
    """A host whose deploys take a while."""
    config = "[backends.mock]\nprepare_delay_ms = 500\n"
    yield from started(tmp_path_factory, "slow", "--backend", "mock", config=config)


@pytest.fixture(scope="module")
def services():
    """Other services, which take what the tests of a module have hosts send there."""
    services = Services()
    yield services
    services.close()


@pytest.fixture(scope="session")
def client(host):
    return host.client()


@pytest.fixture
def deploy(client, request):
    yield from deployer(client, request.node.name)


@pytest.fixture(scope="module")
def deploy_once(client, request):
    """For functions that many tests of a module share."""
    yield from deployer(client, request.module.__name__)


@pytest.fixture
def deploy_strictly(strict_host, request):
    yield from deployer(strict_host.client(), request.node.name)


@pytest.fixture
def deploy_slowly(slow_host, request):
    yield from deployer(slow_host.client(), request.node.name)


@pytest.fixture(scope="module")
def echo(deploy_once):
    """Answers with its event."""
    return deploy_once("def handler(event, context):\n    return event\n")


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        yield pool


class Gate:
    """Holds invocations up until it is opened; it is opened at the end of the test at the latest."""

    SOURCE = """
import pathlib, time

def handler(event, context):
    if event:
        (pathlib.Path(event) / "started").touch()
        while not (pathlib.Path(event) / "go-on").exists():
            time.sleep(0.01)
    return "old"
"""

    def __init__(self, folder):
        self.folder = folder
        self.event = str(folder)

    def wait_until_reached(self):
        wait_for_file(self.folder / "started")

    def open(self):
        (self.folder / "go-on").touch()


@pytest.fixture
def gate(threads, tmp_path):
    gate = Gate(tmp_path)
    yield gate
    gate.open()
