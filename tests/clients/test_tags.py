"""Tags of functions, of event source mappings and of code signing configs."""

import pytest

from hearth import ACCOUNT, REGION, refusal

GIVEN = {"stage": "test"}
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/profile/version"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:tagged"


@pytest.fixture
def function(deploy):
    return deploy("def handler(event, context):\n    return event\n", Tags=GIVEN)


@pytest.fixture
def mapping(client, function):
    made = client.create_event_source_mapping(
        FunctionName=function.name, EventSourceArn=QUEUE, Enabled=False, Tags=GIVEN
    )
    yield made["EventSourceMappingArn"]
    client.delete_event_source_mapping(UUID=made["UUID"])


@pytest.fixture
def config(client):
    publishers = {"SigningProfileVersionArns": [PROFILE]}
    made = client.create_code_signing_config(AllowedPublishers=publishers, Tags=GIVEN)
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    yield arn
    client.delete_code_signing_config(CodeSigningConfigArn=arn)


@pytest.fixture(params=["function", "mapping", "config"])
def tagged(request):
    resource = request.getfixturevalue(request.param)
    return resource if isinstance(resource, str) else resource.arn


def tags(client, arn):
    return client.list_tags(Resource=arn)["Tags"]


def test_tags_from_the_first_to_the_last(client, tagged):
    assert tags(client, tagged) == GIVEN
    client.tag_resource(Resource=tagged, Tags={"stage": "live", "team": "é"})
    assert tags(client, tagged) == {"stage": "live", "team": "é"}
    client.untag_resource(Resource=tagged, TagKeys=["stage", "unknown"])
    assert tags(client, tagged) == {"team": "é"}
    many = {f"tag-{number}": "x" for number in range(50)}
    told = refusal(client, "tag_resource", Resource=tagged, Tags=many)
    assert told == (400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit.")
    assert tags(client, tagged) == {"team": "é"}


def test_what_is_not_there_has_no_tags(client, function):
    nowhere = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
    for arn in [
        f"{nowhere}:function:nobody",
        f"{nowhere}:code-signing-config:csc-00000000000000000",
        f"{nowhere}:event-source-mapping:00000000-0000-0000-0000-000000000000",
        f"arn:aws:lambda:{REGION}:123456789012:code-signing-config:csc-00000000000000000",
        f"{nowhere}:capacity-provider:c",
    ]:
        for operation, given in [
            ("list_tags", {}),
            ("tag_resource", {"Tags": GIVEN}),
            ("untag_resource", {"TagKeys": ["stage"]}),
        ]:
            told = refusal(client, operation, Resource=arn, **given)
            assert (told.status, told.kind) == (404, "ResourceNotFoundException"), (operation, arn)


def test_versions_have_no_tags_of_their_own(client, function):
    told = refusal(client, "list_tags", Resource=f"{function.arn}:1")
    message = "Tags on function aliases and versions are not supported. Please specify a function ARN."
    assert told == (400, "InvalidParameterValueException", message)
