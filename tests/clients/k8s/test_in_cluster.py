"""Hearth in a pod of its own, as deploy/k8s puts it there: with the ServiceAccount, the settings and the addresses of it."""

import yaml

from cluster import DEPLOY, wait_until
from fixtures import deployer
from hearth import Host

ECHO = "def handler(event, context):\n    return event\n"


def template():
    """The Deployment's pod, with what is in the images of this machine instead of Hearth's."""
    spec = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    [container] = spec["containers"]
    container["image"] = "lab.local/machine:1"
    container["command"] = ["/programs/hearth"]
    container["env"].append({"name": "HEARTH_PLUGIN_PATH", "value": "/programs"})
    [data] = [volume for volume in spec["volumes"] if volume["name"] == "data"]
    data.pop("persistentVolumeClaim")
    data["emptyDir"] = {}
    return spec


def test_hearth_in_the_cluster_serves_functions_and_leaves_nothing(double, namespace, kubeconfig, settings, python, request):
    """`kubeconfig` has made the account and its rights."""
    text = (DEPLOY / "hearth.toml").read_text() + settings
    namespace.make({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hearth"}, "data": {"hearth.toml": text}})
    labels = {"app.kubernetes.io/name": "hearth"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hearth-0", "labels": labels}, "spec": template()}
    uid = namespace.make(pod)["metadata"]["uid"]
    try:
        status = wait_until(lambda: ready(namespace), "Hearth's pod to be ready")
        host = Host.at(f"http://{status['podIP']}:3001")
        function = next(deployer(host.client(), request.node.name, Runtime=python, Timeout=30))(ECHO)
        assert [function.invoke(number).json for number in (1, 2)] == [1, 2]
        of_function = namespace.one(function)
        assert of_function["metadata"]["ownerReferences"][0]["uid"] == uid
        told = {it["name"]: it.get("value") for it in of_function["spec"]["initContainers"][0]["env"]}
        assert told["HEARTH_RIE_FETCH_URL"] == f"http://{status['podIP']}:3002/parcel"
    finally:
        namespace.remove("pods/hearth-0")
    wait_until(lambda: not namespace.pods("app.kubernetes.io/managed-by=hearth"), "what Hearth made to go with it")
    wait_until(lambda: not namespace.exists("pods/hearth-0"), "Hearth to end")
    namespace.remove("configmaps/hearth")


def ready(namespace):
    status = namespace.exists("pods/hearth-0")["status"]
    assert status["phase"] in ("Pending", "Running"), namespace.api.ask("GET", namespace.path("pods/hearth-0/log"))
    conditions = {it["type"]: it["status"] for it in status.get("conditions", [])}
    return conditions.get("Ready") == "True" and status
