"""What `[backends.k8s]` and the tags of functions can say: how pods are reached, where they run, what they may."""

import shutil

import pytest

from fixtures import PROVIDED

ECHO = "def handler(event, context):\n    return event\n"


def works(function):
    results = [function.invoke(number) for number in (1, 2)]
    assert [(result.error, result.json) for result in results] == [(None, 1), (None, 2)]


def test_pods_are_reached_at_their_own_address_or_through_the_api_server(api, namespace, tmp_path, host_with, deploy_to, threads):
    for manifest in forwarding():
        namespace.make(manifest)
    kubeconfig = api.with_token(namespace.token("forwarder"), namespace.name, tmp_path / "kubeconfig")
    for reach in ("pod-ip", "port-forward", "auto"):
        host = host_with(f'reach = "{reach}"', env={"KUBECONFIG": str(kubeconfig)})
        function = deploy_to(host)(ECHO)
        works(function)
        big = "x" * 5_000_000
        assert function.invoke(big).json == big
        # Each connection is a tunnel of its own.
        slow = deploy_to(host)("import time\n\ndef handler(event, context):\n    time.sleep(0.2)\n    return event\n")
        running = [threads.submit(slow.invoke, number) for number in range(4)]
        assert [invocation.result().json for invocation in running] == [0, 1, 2, 3]


def forwarding():
    meta = {"metadata": {"name": "forwarder"}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", **meta}
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "list", "watch", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    group = "rbac.authorization.k8s.io"
    yield {"apiVersion": f"{group}/v1", "kind": "Role", **meta, "rules": rules}
    subjects = [{"kind": "ServiceAccount", "name": "forwarder"}]
    role = {"apiGroup": group, "kind": "Role", "name": "forwarder"}
    yield {"apiVersion": f"{group}/v1", "kind": "RoleBinding", **meta, "roleRef": role, "subjects": subjects}


def test_where_and_as_whom_pods_run_is_said_for_all_and_for_one_function(namespace, host_with, deploy_to):
    namespace.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "functions"}})
    host = host_with(
        'service_account = "functions"\n'
        'tolerations = ["dedicated=functions:NoSchedule"]\n'
        'annotations = { "example.com/all" = "yes" }\n'
        'pull_secrets = ["registry"]\n'
        'node_selector = { "kubernetes.io/os" = "linux" }\n'
    )
    tags = {
        "hearth.k8s.tolerations": "gpu:NoExecute",
        "hearth.k8s.annotation.example.com/one": "too",
        "hearth.k8s.service-account": "default",
    }
    deploy = deploy_to(host)
    of_all, of_one = deploy(ECHO), deploy(ECHO, Tags=tags)
    specs = []
    for function in (of_all, of_one):
        works(function)
        pod = namespace.one(function)
        annotations = {name: value for name, value in pod["metadata"]["annotations"].items() if name.startswith("example.com")}
        tolerations = [it["key"] for it in pod["spec"]["tolerations"] if not it["key"].startswith("node.kubernetes.io")]
        specs.append([pod["spec"]["serviceAccountName"], tolerations, annotations, pod["spec"]["imagePullSecrets"], pod["spec"]["nodeSelector"]])
    [account, tolerations, annotations, secrets, selector] = specs[0]
    assert account == "functions" and tolerations == ["dedicated"] and annotations == {"example.com/all": "yes"}
    assert secrets == [{"name": "registry"}] and selector == {"kubernetes.io/os": "linux"}
    assert specs[1] == ["default", ["dedicated", "gpu"], {"example.com/all": "yes", "example.com/one": "too"}, secrets, selector]


def test_a_tmp_of_memory_is_full_when_it_is_full(host_with, deploy_to):
    source = """
def handler(event, context):
    try:
        with open("/tmp/file", "wb") as file:
            for _ in range(event):
                file.write(b"x" * (1024 * 1024))
    except OSError as error:
        return error.strerror
    return "written"
"""
    function = deploy_to(host_with('tmp = "memory"'))(source, MemorySize=128)
    assert function.invoke(400).json == "written"
    assert function.invoke(600).json == "No space left on device"


def test_a_function_can_write_nowhere_but_to_tmp_if_its_root_is_read_only(host_with, deploy_to, namespace):
    host = host_with('read_only_root = true\ncpu = "quota"')
    source = "import os\n\ndef handler(event, context):\n    os.stat('/tmp')\n    return os.statvfs('/').f_flag & os.ST_RDONLY\n"
    function = deploy_to(host)(source, MemorySize=1769)
    assert function.invoke().json == 1
    [container] = namespace.one(function)["spec"]["containers"]
    # A real server writes quantities in one way.
    assert container["resources"]["limits"]["cpu"] in ("1", "1000m")


PYTHON_RUNTIME = """
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
path = "/2018-06-01/runtime/invocation"
while True:
    api.request("GET", f"{path}/next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    result = {
        "read": open(event["read"]).read(),
        "writable": os.access("/var/task", os.W_OK),
        "told": [name for name in os.environ if name.startswith("HEARTH")],
    }
    api.request("POST", f"{path}/{answer.headers['Lambda-Runtime-Aws-Request-Id']}/response", body=json.dumps(result))
    api.getresponse().read()
"""


def test_an_emulator_that_is_in_the_image_fetches_the_code_by_itself(host_with, deploy_to, namespace, double):
    """The image is this machine's own file system, which has the emulator in it."""
    rie = "/programs/rie-x86_64"
    images = 'images = { "provided.al2023" = "lab.local/machine:1" }\ninit_image = "lab.local/no-such-image:1"'
    host = host_with(replaces=f'{images}\nrie_in_image = "{rie}"')
    # One that a user without rights can start.
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    if python is None:
        pytest.skip("this machine has no python3 for everybody")
    source = f"#!{python}\n{PYTHON_RUNTIME}"
    function = deploy_to(host)(files={"bootstrap": source, "data": "there"}, Runtime=PROVIDED, Handler="any")
    result = function.invoke({"read": "data"}).json
    assert result == {"read": "there", "writable": False, "told": []}
    assert "initContainers" not in namespace.one(function)["spec"]


def test_the_emulator_of_the_image(host_with, deploy_to, namespace):
    """That of AWS: it knows no request ids and no log tails, and starts the function with the first event."""
    function = deploy_to(host_with('emulator = "image"'))(ECHO)
    works(function)
    invocation = function.invoke({"errorMessage": "m", "errorType": "t"})
    assert invocation.error == "Unhandled", "errors are told from results by how they look"
    assert [it["name"] for it in namespace.one(function)["spec"]["volumes"]] == ["tmp", "parcel"]
