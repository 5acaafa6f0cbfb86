"""The conformance kit over a real engine: every promise of the backend interface."""

import json
import os
import subprocess

import pytest


@pytest.mark.parametrize("place", [[], ["--isolate"]], ids=["in-the-host", "isolated"])
def test_the_docker_backend_keeps_every_promise_of_the_interface(python, place):
    kit = [os.environ["HEARTH_BIN"], "backend", "check", "docker", "--json", "--soak", "6", "--runtime", python]
    checked = subprocess.run(kit + place, capture_output=True, text=True, timeout=600)
    assert checked.stdout, checked.stderr
    checks = json.loads(checked.stdout)["checks"]
    assert [check for check in checks if check["outcome"] == "failed"] == []
    assert [check["name"] for check in checks if check["outcome"] == "skipped"] == []
