"""The Telemetry API, as told to an extension on AWS's crate `lambda-extension`, unmodified."""

import json
import os
import pathlib

from emulator import free_ports
from hearth import wait_until, zip_of

EXTENSION = pathlib.Path(os.environ["HEARTH_TEST_FUNCTIONS"]) / "telemetry"
TYPES = ["platform", "function", "extension"]

SOURCE = """
print("in the init")

def handler(event, context):
    print("in the handler:", event)
    return event
"""


def subscribed(deploy, notes):
    """A function with the extension beside it, which writes the records down."""
    layer = {"extensions/telemetry": EXTENSION.read_bytes()}
    published = deploy.client.publish_layer_version(LayerName="telemetry", Content={"ZipFile": zip_of(layer)})
    variables = {"NOTES": str(notes), "TELEMETRY_PORT": str(free_ports()[0])}
    return deploy(SOURCE, Layers=[published["LayerVersionArn"]], Environment={"Variables": variables})


def test_a_subscriber_is_told_what_platform_function_and_extension_say(deploy, tmp_path):
    notes = tmp_path / "notes"
    function = subscribed(deploy, notes)
    ids = [function.invoke(number).request_id for number in (1, 2)]

    def told():
        """The records, once the last of them is there."""
        lines = notes.read_text().splitlines() if notes.exists() else []
        records = [json.loads(line) for line in lines]
        return records if sum(it["type"] == "platform.report" for it in records) == 2 else None

    wait_until(told, lambda: f"the last report is not among {notes.read_text() if notes.exists() else 'nothing'}")
    records = told()

    def all_of(kind):
        return [record["record"] for record in records if record["type"] == kind]

    assert [line.strip() for line in all_of("extension")] == ["subscribed"]
    assert [line.strip() for line in all_of("function")] == ["in the init", "in the handler: 1", "in the handler: 2"]
    assert all_of("platform.telemetrySubscription") == [{"name": "telemetry", "state": "Subscribed", "types": TYPES}]
    [extension] = all_of("platform.extension")
    assert (extension["name"], sorted(extension["events"])) == ("telemetry", ["INVOKE", "SHUTDOWN"])

    [start] = all_of("platform.initStart")
    [done] = all_of("platform.initRuntimeDone")
    [report] = all_of("platform.initReport")
    assert {(it["initializationType"], it["phase"]) for it in (start, done, report)} == {("on-demand", "init")}
    assert (done["status"], report["metrics"]["durationMs"] > 0) == ("success", True)

    for number, request_id in enumerate(ids):
        own = [it for it in records if isinstance(it["record"], dict) and it["record"].get("requestId") == request_id]
        assert [it["type"] for it in own] == ["platform.start", "platform.runtimeDone", "platform.report"]
        start, done, report = (it["record"] for it in own)
        assert (start["version"], done["status"], report["status"]) == ("$LATEST", "success", "success")
        assert done["metrics"]["producedBytes"] == 1
        metrics = report["metrics"]
        assert metrics["billedDurationMs"] >= metrics["durationMs"] > 0
        assert (metrics["memorySizeMB"], metrics["maxMemoryUsedMB"] > 0) == (128, True)
        # The init belongs to the first invocation alone.
        assert ("initDurationMs" in metrics) == (number == 0)
