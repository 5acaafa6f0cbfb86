"""Fixtures: hosts over a container engine, and the engine itself, to do things behind their backs."""

import itertools
import os
import uuid

import docker
import pytest

from engine import Containers, OwnEngine
from fixtures import deployer, started


def newest(engine, language):
    """The version of a language that there is an image of."""
    tags = [tag for image in engine.images.list(f"public.ecr.aws/lambda/{language}") for tag in image.tags]
    assert tags, f"there is no image of {language}: cargo xtask images"
    return tags[0].split(":")[1]


@pytest.fixture(scope="session")
def engine():
    engine = docker.from_env(timeout=60)
    engine.ping()
    return engine


@pytest.fixture(scope="session")
def python(engine):
    return f"python{newest(engine, 'python')}"


@pytest.fixture(scope="session")
def node(engine):
    return f"nodejs{newest(engine, 'nodejs')}.x"


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """A host with its defaults, over the engine."""
    yield from started(tmp_path_factory, "docker", "--backend", "docker")


@pytest.fixture
def host_with(tmp_path_factory):
    """Hosts with settings of `[backends.docker]`; they end with the test."""
    running = []

    def start(settings="", pool="", env=None):
        config = f"{pool}\n[backends.docker]\n{settings}\n"
        host = started(tmp_path_factory, "docker-with", "--backend", "docker", config=config, env=env)
        running.append(host)
        return next(host)

    yield start
    for host in running:
        assert next(host, None) is None


@pytest.fixture
def deploy(client, python, request):
    yield from deployer(client, request.node.name, Runtime=python)


@pytest.fixture
def deploy_to(python, request):
    """Deployers for hosts that end with the test, and whose functions go with them."""
    numbers = itertools.count(1)

    def deployer_of(host):
        return next(deployer(host.client(), f"{next(numbers)}-{request.node.name}", Runtime=python))

    return deployer_of


@pytest.fixture(scope="session")
def containers(engine):
    return Containers(engine)


@pytest.fixture
def image_name(engine):
    """A name for an image that goes with the test."""
    name = f"hearth-tests/{uuid.uuid4().hex}:1"
    yield name
    for image in engine.images.list(name.split(":")[0]):
        engine.images.remove(image.tags[0], force=True)


@pytest.fixture
def own_engine():
    command = os.environ.get("HEARTH_TEST_ENGINE")
    if not command:
        pytest.skip("the engine is not the tests' own, and must not be stopped")
    return OwnEngine(command.splitlines())
