"""Engines that are reached over a network."""

import shutil

import pytest

from engine import wait_until
from far_engines import SshMachine, TlsDoor
from hearth import Host
from test_settings import ECHO, works


@pytest.fixture
def tls_door(tmp_path):
    door = TlsDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def ssh_machine(tmp_path):
    if not (shutil.which("ssh") and shutil.which("docker")):
        pytest.skip("there is no ssh, or no docker CLI, on this machine")
    machine = SshMachine(tmp_path)
    yield machine
    machine.close()


def not_started(host_with, settings="", env=None):
    """What a host says that does not start."""
    with pytest.raises(RuntimeError) as failure:
        host_with(settings, env=env)
    return str(failure.value)


def test_an_engine_behind_tls_that_wants_to_know_who_asks(tls_door, host_with, deploy_to, containers):
    environment = {"DOCKER_HOST": tls_door.address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tls_door.certificates)}
    function = deploy_to(host_with(env=environment))(ECHO)
    works(function)
    # It is another machine, as far as can be known.
    assert containers.one(function).attrs["NetworkSettings"]["Ports"]["8080/tcp"]

    settings = f'host = "{tls_door.address}"\ncert_path = "{tls_door.certificates}"'
    works(deploy_to(host_with(settings))(ECHO))


def test_an_engine_behind_tls_that_does_not_know_us_is_told(tls_door, host_with):
    (tls_door.certificates / "cert.pem").unlink()
    settings = f'host = "{tls_door.address}"\ncert_path = "{tls_door.certificates}"'
    assert "named by `host` in [backends.docker] (received fatal alert: CertificateRequired)" in not_started(host_with, settings)
    (tls_door.certificates / "ca.pem").unlink()
    assert f"(there is no {tls_door.certificates}/ca.pem: for TLS, " in not_started(host_with, settings)


def test_an_engine_behind_ssh(ssh_machine, deploy_to, containers, tmp_path):
    environment = ssh_machine.environment | {"DOCKER_HOST": ssh_machine.address}
    data = tmp_path / "data"
    host = Host(data, "--backend", "docker", env=environment)
    function = deploy_to(host)(ECHO)
    works(function)
    assert set(ssh_machine.commands) == {"docker system dial-stdio"}
    # A connection serves many calls.
    assert len(ssh_machine.commands) < 12
    host.process.kill()
    host.process.wait()
    wait_until(lambda: not ssh_machine.clients(), "what a killed host has started to end")
    # By a name that only ssh knows, and with the address at which ports are published.
    environment |= {"DOCKER_HOST": "ssh://lab"}
    config = tmp_path / "hearth.toml"
    config.write_text('[backends.docker]\npublished_address = "127.0.0.1"\n')
    next_host = Host(data, "--backend", "docker", "--config", str(config), env=environment)
    try:
        wait_until(lambda: not containers.of(function), "the orphan to be removed")
        works(deploy_to(next_host)(ECHO, name="again"))
    finally:
        assert next_host.stop() == 0
    wait_until(lambda: not ssh_machine.clients(), "all of ssh to end")


def test_an_ssh_that_is_refused_says_why(ssh_machine, host_with):
    ssh_machine.config.write_text(ssh_machine.config.read_text().replace("/key\n", "/none\n"))
    said = not_started(host_with, env=ssh_machine.environment | {"DOCKER_HOST": ssh_machine.address})
    assert f"no container engine answers at {ssh_machine.address}, named by DOCKER_HOST (ssh: " in said
    assert "Permission denied" in said
