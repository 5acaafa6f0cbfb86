"""Fixtures: a cluster, hosts over it, and the cluster itself, to do things behind their backs.

Without `HEARTH_TEST_KUBECONFIG` the cluster is the double. With it, the same tests run over that cluster, in a namespace
of their own, but for those that break the cluster. It must have these images, or be able to pull them:

    HEARTH_TEST_K8S_PYTHON    the runtime of functions in Python, in AWS's image: python3.12
    HEARTH_TEST_K8S_BUSYBOX   an image with a shell, wget, tar and sha256sum: lab.local/busybox:1
"""

import itertools
import os
import uuid

import pytest

from cluster import Api, Double, Namespace, Settings, programs, wait_until
from fixtures import deployer, started


@pytest.fixture(scope="session")
def the_double(tmp_path_factory):
    """The double, or nothing over a real cluster."""
    if os.environ.get("HEARTH_TEST_KUBECONFIG"):
        yield None
        return
    double = Double(tmp_path_factory.mktemp("double") / "kubeconfig", *programs())
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
def of_cluster(the_double):
    return Settings.of(is_real=the_double is None)


@pytest.fixture(scope="session")
def python(of_cluster):
    return of_cluster.python


@pytest.fixture(scope="session")
def namespace(api):
    namespace = Namespace(api, f"hearth-tests-{uuid.uuid4().hex[:8]}")
    yield namespace
    namespace.delete()


@pytest.fixture(scope="session")
def kubeconfig(namespace, tmp_path_factory):
    """Of somebody with the rights that deploy/k8s gives, and no others."""
    return namespace.for_hearth(tmp_path_factory.mktemp("hearth") / "kubeconfig")


@pytest.fixture(scope="session")
def settings(of_cluster):
    """Of `[backends.k8s]`, for images that are there."""
    return of_cluster.toml


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
    """Hosts with further settings of `[backends.k8s]`, or with others; they end with the test."""
    running = []

    def start(more="", env=None, replaces=None):
        config = f"[backends.k8s]\n{replaces or settings}{more}\n"
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
