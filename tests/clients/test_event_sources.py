"""Event source mappings."""

import datetime

import pytest

from hearth import ACCOUNT, REGION, UUID, refusal

ECHO = "def handler(event, context):\n    return event\n"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/1"
NOT_FOUND = (404, "ResourceNotFoundException", "The resource you requested does not exist.")


def queue(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def body(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.fixture
def map_to(client):
    """Makes mappings, disabled unless it is told otherwise, and deletes them at the end."""
    made = []

    def create(function, source, **settings):
        settings = {"Enabled": False} | settings
        answer = client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=source, **settings)
        made.append(answer["UUID"])
        return answer

    yield create
    for uuid in made:
        client.delete_event_source_mapping(UUID=uuid)


def test_a_mapping_from_its_creation_to_its_end(client, deploy):
    function = deploy(ECHO)
    source = queue("from-creation-to-end")
    made = client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=source)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    uuid = made["UUID"]
    assert UUID.fullmatch(uuid)
    made = body(made)
    assert isinstance(made.pop("LastModified"), datetime.datetime)
    assert made == {
        "UUID": uuid,
        "EventSourceMappingArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{uuid}",
        "EventSourceArn": source,
        "FunctionArn": function.arn,
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
    }
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"
    again = refusal(client, "create_event_source_mapping", FunctionName=function.name, EventSourceArn=source)
    assert again == (
        409,
        "ResourceConflictException",
        f'The event source arn (" {source} ") and function (" {function.name} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}",
    )
    changes = {"Enabled": False, "BatchSize": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"]}
    changed = client.update_event_source_mapping(UUID=uuid, ScalingConfig={"MaximumConcurrency": 2}, **changes)
    assert (changed["ResponseMetadata"]["HTTPStatusCode"], changed["State"]) == (202, "Disabling")
    found = body(client.get_event_source_mapping(UUID=uuid))
    assert (found["State"], found["BatchSize"]) == ("Disabled", 5)
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert client.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    assert client.update_event_source_mapping(UUID=uuid, BatchSize=6)["State"] == "Updating"

    deleted = client.delete_event_source_mapping(UUID=uuid)
    assert (deleted["ResponseMetadata"]["HTTPStatusCode"], deleted["State"]) == (202, "Deleting")
    for operation in ("get_event_source_mapping", "update_event_source_mapping", "delete_event_source_mapping"):
        assert refusal(client, operation, UUID=uuid) == NOT_FOUND, operation


def test_a_mapping_of_a_stream_has_the_defaults_of_streams(deploy, map_to):
    made = map_to(deploy(ECHO), STREAM, StartingPosition="LATEST", ParallelizationFactor=2)
    expected = {
        "BatchSize": 100,
        "StartingPosition": "LATEST",
        "ParallelizationFactor": 2,
        "BisectBatchOnFunctionError": False,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "TumblingWindowInSeconds": 0,
        "DestinationConfig": {"OnFailure": {}},
        "LastProcessingResult": "No records processed",
        "StateTransitionReason": "User action",
    }
    assert {name: made[name] for name in expected} == expected


def test_mappings_are_listed_by_source_and_by_function(client, deploy, map_to):
    one, other = deploy(ECHO), deploy(ECHO)
    version = client.publish_version(FunctionName=one.name)["Version"]
    first, second = queue("listed-first"), queue("listed-second")
    map_to(one, first)
    map_to(one, second)
    map_to(other, first)
    qualified = client.create_event_source_mapping(
        FunctionName=f"{one.arn}:{version}", EventSourceArn=first, Enabled=False
    )
    assert qualified["FunctionArn"] == f"{one.arn}:{version}"

    def listed(**by):
        mappings = client.list_event_source_mappings(**by)["EventSourceMappings"]
        return {(mapping["FunctionArn"], mapping["EventSourceArn"]) for mapping in mappings}

    assert listed(EventSourceArn=second) == {(one.arn, second)}
    assert listed(FunctionName=one.name) == {(one.arn, first), (one.arn, second)}
    assert listed(FunctionName=other.name, EventSourceArn=second) == set()
    assert len(listed(EventSourceArn=first)) == 3
    client.delete_event_source_mapping(UUID=qualified["UUID"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"FunctionName": "nobody"}, ("InvalidParameterValueException", "Function does not exist")),
        ({"FunctionName": "{name}:nowhere"}, ("InvalidParameterValueException", "Function does not exist")),
        ({"EventSourceArn": None}, ("InvalidParameterValueException", "Unrecognized event source.")),
        (
            {"BatchSize": 11},
            (
                "InvalidParameterValueException",
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            ),
        ),
        (
            {"BatchSize": 10001},
            (
                "ValidationException",
                "1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: Member must "
                "have value less than or equal to 10000",
            ),
        ),
        (
            {"EventSourceArn": STREAM},
            (
                "InvalidParameterValueException",
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member "
                "must not be null.",
            ),
        ),
        (
            {"EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP"},
            ("InvalidParameterValueException", f"Unsupported starting position for arn type: {TABLE}"),
        ),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(client, deploy, given, expected):
    function = deploy(ECHO)
    asked = {"FunctionName": function.name, "EventSourceArn": queue("refused")} | given
    asked["FunctionName"] = asked["FunctionName"].format(name=function.name)
    asked = {name: value for name, value in asked.items() if value is not None}
    assert refusal(client, "create_event_source_mapping", **asked) == (400, *expected)
