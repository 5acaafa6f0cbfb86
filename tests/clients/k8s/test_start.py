"""What hearth says before the first invocation: in one line, what is missing and what to do."""

import os
import subprocess

import pytest
import yaml

from cluster import DEPLOY
from hearth import Host


def last_words(tmp_path, environment, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "KUBE"))}
    clean |= {"HEARTH_PLUGIN_PATH": os.environ["HEARTH_PLUGIN_PATH"], "HOME": str(tmp_path)}
    command = [os.environ["HEARTH_BIN"], "--backend", "k8s", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run([*command, *arguments], env=clean | environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0, ended.stdout
    return ended.stderr.strip().splitlines()[-1]


def settings(tmp_path, text):
    (tmp_path / "hearth.toml").write_text(f"[backends.k8s]\n{text}\n")
    return ["--config", str(tmp_path / "hearth.toml")]


def test_a_cluster_that_nobody_names_is_one_line(tmp_path):
    assert "there is no cluster: hearth is in no pod, KUBECONFIG is not set, and" in last_words(tmp_path, {})


def test_a_kubeconfig_that_cannot_be_used_is_one_line(tmp_path, kubeconfig):
    assert "KUBECONFIG cannot be used: " in last_words(tmp_path, {"KUBECONFIG": "/no/such/file"})
    named = settings(tmp_path, f'kubeconfig = "{kubeconfig}"\ncontext = "no-such-context"')
    told = last_words(tmp_path, {}, *named)
    assert f"the kubeconfig {kubeconfig} cannot be used: " in told and "no-such-context" in told, told


def test_a_server_that_does_not_answer_is_one_line(tmp_path, kubeconfig):
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": "http://127.0.0.1:9"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    told = last_words(tmp_path, {"KUBECONFIG": str(tmp_path / "config")})
    assert "no Kubernetes API server answers at http://127.0.0.1:9, named by KUBECONFIG" in told, told


def test_rights_that_are_missing_are_one_line(tmp_path, api, namespace, kubeconfig):
    namespace.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}})
    api.with_token(namespace.token("nobody"), namespace.name, tmp_path / "config")
    told = last_words(tmp_path, {"KUBECONFIG": str(tmp_path / "config")})
    assert "hearth may not create pods, list pods, watch pods, delete pods, create secrets in the namespace" in told, told
    assert told.endswith("grant it with the Role in deploy/k8s"), told


def test_the_settings_in_deploy_are_accepted(tmp_path, kubeconfig):
    settings = ["--config", str(DEPLOY / "hearth.toml")]
    host = Host(tmp_path / "data", *settings, env={"KUBECONFIG": str(kubeconfig)})
    assert host.admin("health")
    assert host.stop() == 0


def test_the_pod_in_deploy_is_accepted_by_a_restricted_namespace(namespace, kubeconfig):
    """And by the account that it names, which is there. `kubeconfig` has made it."""
    deployment = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hearth-template", "labels": labels}, "spec": template["spec"]}
    made = namespace.api.ask("POST", namespace.path("pods"), pod, dryRun="All", fieldValidation="Strict")
    assert made["spec"]["serviceAccountName"] == "hearth"


@pytest.mark.parametrize(
    "text, expected",
    [
        ('user = "root"', "user in [backends.k8s] is `root`: it can be uid:gid, two numbers, or empty"),
        ('tolerations = ["a:b"]', "tolerations in [backends.k8s]: `a:b` has the effect `b`"),
        ('code_listen = "203.0.113.1:1"', "code cannot be served to pods at 203.0.113.1:1"),
        ('rie = "/no/such/rie"', "there is no emulator for x86_64 containers: /no/such/rie"),
        ("no_such_option = 1", "no_such_option"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(tmp_path, kubeconfig, text, expected):
    assert expected in last_words(tmp_path, {"KUBECONFIG": str(kubeconfig)}, *settings(tmp_path, text))
