"""Fixtures: running hosts, clients, functions that go with their test."""

import concurrent.futures
import itertools
import os
import re
import shutil
import sys

import pytest

from hearth import ROLE, Function, Host, wait_for_file, zip_of

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
NODE = "nodejs22.x"
PROVIDED = "provided.al2023"
# Interpreters of scripts that bring their own runtime.
PYTHON_PATH = os.path.realpath(sys.executable)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def pytest_configure():
    for name in ("HEARTH_BIN", "HEARTH_PLUGIN_PATH", "HEARTH_TEST_FUNCTIONS"):
        if not os.environ.get(name):
            pytest.exit(f"{name} is not set; run these tests with: cargo xtask test e2e", returncode=4)


def started(tmp_path_factory, name, *args, config=None, env=None):
    """A host that ends with its fixture, and must end well."""
    folder = tmp_path_factory.mktemp(name)
    if config is not None:
        (folder / "hearth.toml").write_text(config)
        args = ("--config", str(folder / "hearth.toml"), *args)
    host = Host(folder / "data", *args, env=env)
    yield host
    assert host.stop() == 0, host.log_path.read_text()


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


@pytest.fixture(scope="session")
def client(host):
    return host.client()


class Deployer:
    """Creates functions and deletes them at the end. The handler's module is `handler.py` unless it says otherwise."""

    def __init__(self, client, prefix):
        self.client = client
        self.names = (f"{prefix}-{number}" for number in itertools.count(1))
        self.deployed = []

    def __call__(self, source=None, *, files=None, name=None, **settings):
        name = name or next(self.names)
        settings = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE} | settings
        files = files or {"handler.py": source}
        self.client.create_function(FunctionName=name, Code={"ZipFile": zip_of(files)}, **settings)
        function = Function(self.client, name)
        self.deployed.append(function)
        function.wait_until_active()
        return function

    def node(self, source, **settings):
        return self(files={"handler.js": source}, Runtime=NODE, **settings)

    def provided(self, bootstrap, **settings):
        """A function with a runtime of its own: a Python script, without its first line."""
        files = {"bootstrap": f"#!{PYTHON_PATH}\n{bootstrap}"}
        return self(files=files, Runtime=PROVIDED, Handler="function.handler", **settings)

    def clean_up(self):
        for function in self.deployed:
            try:
                self.client.delete_function(FunctionName=function.name)
            except self.client.exceptions.ResourceNotFoundException:
                # The test has deleted it itself.
                pass


def deployer(client, name):
    made = Deployer(client, re.sub("[^a-zA-Z0-9]+", "-", name).strip("-")[:56])
    yield made
    made.clean_up()


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
