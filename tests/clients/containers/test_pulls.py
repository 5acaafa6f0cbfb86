"""Images that are pulled: once for all who wait, with what the docker CLI knows of who pulls, and one sees how far it is."""

import os

import pytest
from botocore.exceptions import WaiterError

from engine import wait_until
from hearth import ROLE, Host
from registry import Registry, docker_config
from test_functions import SHELL_RUNTIME


@pytest.fixture
def registry(engine, image_name, tmp_path):
    """With an image that the engine has never seen."""
    (tmp_path / "bootstrap").write_text(SHELL_RUNTIME)
    (tmp_path / "bootstrap").chmod(0o755)
    (tmp_path / "big").write_bytes(os.urandom(8 * 1024 * 1024))
    (tmp_path / "Dockerfile").write_text("FROM public.ecr.aws/lambda/provided:al2023\nCOPY bootstrap big /var/task/\nCMD [\"any\"]\n")
    image, _ = engine.images.build(path=str(tmp_path), tag=image_name, rm=True)
    registry = Registry(image, "somebody", "secret")
    engine.images.remove(image_name, force=True)
    yield registry
    registry.close()
    for image in engine.images.list(f"{registry.address}/function"):
        engine.images.remove(image.id, force=True)


def test_an_image_is_pulled_once_for_all_who_wait_with_the_credentials_of_the_docker_cli(registry, tmp_path, deploy_to):
    folder = tmp_path / "docker"
    folder.mkdir()
    environment = docker_config(folder, registry.address, "somebody", "secret")
    host = Host(tmp_path / "data", "--backend", "docker", env=environment)
    try:
        deploy = deploy_to(host)
        names = ["one", "other"]
        code = {"ImageUri": f"{registry.address}/function:1"}
        for name in names:
            host.client().create_function(FunctionName=name, Role=ROLE, PackageType="Image", Code=code)

        def both_wait():
            preparing = host.admin("progress")["preparing"]
            under_way = [it for it in preparing if it["step"].startswith("pulling ") and 0 < it["done"] < it["total"]]
            return sorted(it["function"] for it in under_way) == names

        wait_until(both_wait, "both to be told how far the pull is")
        registry.may_go_on.set()
        for name in names:
            assert deploy.deployed_as(name).invoke([1]).json == {"got": [1]}
        assert registry.pulls == 1
        assert host.admin("progress") == {"preparing": []}
    finally:
        assert host.stop() == 0


def test_whoever_is_not_known_to_the_registry_is_told(registry, deploy, client):
    with pytest.raises(WaiterError):
        deploy.image(f"{registry.address}/function:1")
    [function] = deploy.deployed
    state = client.get_function_configuration(FunctionName=function.name)
    assert state["State"] == "Failed"
    assert f"the image {registry.address}/function:1 cannot be pulled: " in state["StateReason"]
