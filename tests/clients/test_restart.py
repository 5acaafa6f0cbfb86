"""What was set is there again after the host was killed."""

from fixtures import PYTHON
from hearth import ACCOUNT, REGION, ROLE, Function, Host, zip_of

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/profile/version"


def described(client):
    """All that the test sets, as it is shown."""
    config = client.list_code_signing_configs()["CodeSigningConfigs"][0]["CodeSigningConfigArn"]
    answers = [
        client.get_function_event_invoke_config(FunctionName="f", Qualifier="live"),
        client.get_policy(FunctionName="f", Qualifier="live"),
        client.get_layer_version_policy(LayerName="layer", VersionNumber=1),
        client.get_runtime_management_config(FunctionName="f"),
        client.get_function_recursion_config(FunctionName="f"),
        client.get_function_code_signing_config(FunctionName="f"),
        client.get_code_signing_config(CodeSigningConfigArn=config),
        client.list_event_source_mappings(FunctionName="f"),
    ]
    for answer in answers:
        del answer["ResponseMetadata"]
    return answers


def test_what_was_set_survives_a_kill(tmp_path):
    host = Host(tmp_path / "data")
    client = host.client()
    package = zip_of({"handler.py": "def handler(event, context):\n    return event\n"})
    client.create_function(
        FunctionName="f", Runtime=PYTHON, Handler="handler.handler", Role=ROLE, Code={"ZipFile": package}
    )
    Function(client, "f").wait_until_active()
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    failure = {"OnFailure": {"Destination": QUEUE}}
    client.put_function_event_invoke_config(FunctionName="f", Qualifier="live", DestinationConfig=failure)
    invoke = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    client.add_permission(FunctionName="f", Qualifier="live", **invoke)
    client.publish_layer_version(LayerName="layer", Content={"ZipFile": package})
    read = {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    client.add_layer_version_permission(LayerName="layer", VersionNumber=1, **read)
    client.put_runtime_management_config(FunctionName="f", UpdateRuntimeOn="FunctionUpdate")
    client.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    made = client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [PROFILE]})
    config = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    client.put_function_code_signing_config(FunctionName="f", CodeSigningConfigArn=config)
    client.create_event_source_mapping(FunctionName="f", EventSourceArn=QUEUE, BatchSize=3, Enabled=False)
    before = described(client)
    host.process.kill()
    host.process.wait()

    host = Host(tmp_path / "data")
    assert described(host.client()) == before
    assert host.stop() == 0, host.log_path.read_text()
