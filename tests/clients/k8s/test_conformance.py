"""The conformance kit over a cluster: every promise of the backend interface."""

import json
import os
import subprocess


def test_the_kubernetes_backend_keeps_every_promise_of_the_interface(tmp_path, python, settings, kubeconfig):
    (tmp_path / "hearth.toml").write_text(f"[backends.k8s]\n{settings}")
    kit = [os.environ["HEARTH_BIN"], "backend", "check", "k8s", "--json", "--soak", "6", "--runtime", python]
    kit += ["--config", str(tmp_path / "hearth.toml")]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    checked = subprocess.run(kit, capture_output=True, text=True, timeout=900, env=environment)
    assert checked.stdout, checked.stderr
    checks = json.loads(checked.stdout)["checks"]
    assert [check for check in checks if check["outcome"] == "failed"] == []
    # Nobody but the node can measure a pod or stop it.
    skipped = [check["name"] for check in checks if check["outcome"] == "skipped"]
    assert skipped == ["stats-are-measured", "a-paused-instance-goes-on"]
