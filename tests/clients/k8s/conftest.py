"""Fixtures: a cluster, hosts over it, and the cluster itself, to do things behind their backs.

Without `HEARTH_TEST_KUBECONFIG` the cluster is the double. With it, the same tests run over that cluster, in a namespace
of their own, but for those that break the cluster. It must have these images, or be able to pull them:

    HEARTH_TEST_K8S_PYTHON    the runtime of functions in Python, in AWS's image: python3.12
    HEARTH_TEST_K8S_BUSYBOX   an image with a shell, wget, tar and sha256sum: lab.local/busybox:1
"""

import itertools
import os
import pathlib
import re
import uuid

import pytest
import yaml

from cluster import Api, Double, Namespace, images_of_double, wait_until
from fixtures import deployer, started

BUSYBOX = os.environ.get("HEARTH_TEST_K8S_BUSYBOX", "lab.local/busybox:1")
PYTHON_IMAGE = re.compile(r"public\.ecr\.aws/lambda/python:(.*)")
DEPLOY = pathlib.Path(__file__).parents[3] / "deploy/k8s"


@pytest.fixture(scope="session")
def the_double(tmp_path_factory):
    """The double, or nothing over a real cluster."""
    if os.environ.get("HEARTH_TEST_KUBECONFIG"):
        yield None
        return
    double = Double(tmp_path_factory.mktemp("double") / "kubeconfig")
    yield double
    double.end()


@pytest.fixture
def double(the_double):
    """For tests that break the cluster, which is whole again afterwards."""
    if the_double is None:
        pytest.skip("a real cluster is not to be broken")
    yield the_double
    the_double.heal()


@pytest.fixture(scope="session")
def api(the_double, tmp_path_factory):
    real = os.environ.get("HEARTH_TEST_KUBECONFIG")
    return Api(real or next(tmp_path_factory.getbasetemp().glob("double*/kubeconfig")))


@pytest.fixture(scope="session")
def python(the_double):
    if the_double is None:
        return os.environ.get("HEARTH_TEST_K8S_PYTHON", "python3.12")
    [version] = [found[1] for image in images_of_double() if (found := PYTHON_IMAGE.fullmatch(image))]
    return f"python{version}"


@pytest.fixture(scope="session")
def namespace(api):
    namespace = Namespace(api, f"hearth-tests-{uuid.uuid4().hex[:8]}")
    yield namespace
    namespace.delete()


@pytest.fixture(scope="session")
def kubeconfig(api, namespace, tmp_path_factory):
    """Of somebody with the rights that deploy/k8s gives, and no others."""
    for manifest in yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text()):
        namespace.make(manifest)
    path = tmp_path_factory.mktemp("hearth") / "kubeconfig"
    return api.with_token(namespace.token("hearth"), namespace.name, path)


@pytest.fixture(scope="session")
def settings():
    """Of `[backends.k8s]`, for images that are there."""
    return f'init_image = "{BUSYBOX}"\nimages = {{ "provided.al2023" = "{BUSYBOX}" }}\n'


@pytest.fixture(scope="session")
def arguments(settings, kubeconfig, tmp_path_factory):
    """What a host over the cluster is started with: arguments, and its environment."""
    config = tmp_path_factory.mktemp("settings") / "hearth.toml"
    config.write_text(f"[backends.k8s]\n{settings}")
    return ["--backend", "k8s", "--config", str(config)], {"KUBECONFIG": str(kubeconfig)}


@pytest.fixture(scope="session")
def host(tmp_path_factory, settings, kubeconfig):
    """A host with its defaults, over the cluster."""
    config = f"[backends.k8s]\n{settings}"
    yield from started(tmp_path_factory, "k8s", "--backend", "k8s", config=config, env={"KUBECONFIG": str(kubeconfig)})


@pytest.fixture
def host_with(tmp_path_factory, settings, kubeconfig):
    """Hosts with further settings of `[backends.k8s]`; they end with the test."""
    running = []

    def start(more="", env=None):
        config = f"[backends.k8s]\n{settings}{more}\n"
        env = {"KUBECONFIG": str(kubeconfig)} | (env or {})
        host = started(tmp_path_factory, "k8s-with", "--backend", "k8s", config=config, env=env)
        running.append(host)
        return next(host)

    yield start
    for host in running:
        assert next(host, None) is None


@pytest.fixture
def deploy(client, python, request):
    yield from deployer(client, request.node.name, Runtime=python, Timeout=30)


@pytest.fixture
def deploy_to(python, request):
    """Deployers for hosts that end with the test, and whose functions go with them."""
    numbers = itertools.count(1)

    def deployer_of(host):
        return next(deployer(host.client(), f"{next(numbers)}-{request.node.name}", Runtime=python, Timeout=30))

    return deployer_of


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left(request, namespace):
    """Once all hosts have ended, no pod and no Secret of theirs is there."""
    yield
    if not request.session.testsfailed:
        wait_until(lambda: not namespace.pods() and not namespace.secrets(), "what hosts made to be gone")
