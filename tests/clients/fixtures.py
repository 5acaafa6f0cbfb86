"""What fixtures are made of: hosts that end, and functions that go."""

import itertools
import os
import re
import shutil
import sys

import pytest

from hearth import ROLE, Function, Host, zip_of

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
NODE = "nodejs22.x"
PROVIDED = "provided.al2023"
# Interpreters of scripts that bring their own runtime.
PYTHON_PATH = os.path.realpath(sys.executable)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def started(tmp_path_factory, name, *args, config=None, **how):
    """A host that ends with its fixture, and must end well."""
    folder = tmp_path_factory.mktemp(name)
    if config is not None:
        (folder / "hearth.toml").write_text(config)
        args = ("--config", str(folder / "hearth.toml"), *args)
    host = Host(folder / "data", *args, **how)
    yield host
    assert host.stop() == 0, host.log_path.read_text()


class Deployer:
    """Creates functions and deletes them at the end. The handler's module is `handler.py` unless it says otherwise."""

    def __init__(self, client, prefix, **defaults):
        self.client = client
        self.defaults = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE} | defaults
        self.names = (f"{prefix}-{number}" for number in itertools.count(1))
        self.deployed = []

    def __call__(self, source=None, *, files=None, name=None, **settings):
        name = name or next(self.names)
        code = {"ZipFile": zip_of(files or {"handler.py": source})}
        self.client.create_function(FunctionName=name, Code=code, **self.defaults | settings)
        return self.deployed_as(name)

    def image(self, uri, **settings):
        """A function that is an image."""
        name = next(self.names)
        code = {"ImageUri": uri}
        settings = {"Role": ROLE, "PackageType": "Image"} | settings
        self.client.create_function(FunctionName=name, Code=code, **settings)
        return self.deployed_as(name)

    def deployed_as(self, name):
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


def deployer(client, name, **defaults):
    made = Deployer(client, re.sub("[^a-zA-Z0-9]+", "-", name).strip("-")[:56], **defaults)
    yield made
    made.clean_up()
