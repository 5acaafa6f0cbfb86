"""Functions that are given the messages of queues."""

import itertools
import json
import zlib

import pytest

from fixtures import deployer, started
from hearth import ACCOUNT, REGION, refusal, wait_until
from queues import Queues

# Writes down each event, then fails on the messages that say so: all at once, or by their ids.
READS = """
import json, os, pathlib, uuid

def handler(event, context):
    folder = pathlib.Path({folder!r})
    made = folder / (uuid.uuid4().hex + ".part")
    made.write_text(json.dumps(event))
    made.rename(made.with_suffix(".json"))
    bodies = {{record["messageId"]: record["body"] for record in event["Records"]}}
    if "fail" in bodies.values() and not (folder / "healed").exists():
        raise Exception("cannot do this")
    return {{"batchItemFailures": [{{"itemIdentifier": one}} for one, body in bodies.items() if body == "later"]}}
"""


@pytest.fixture(scope="module")
def queues():
    queues = Queues()
    yield queues
    queues.close()


@pytest.fixture(scope="module")
def reading_host(tmp_path_factory, queues):
    yield from started(tmp_path_factory, "reading", env={"AWS_ENDPOINT_URL_SQS": queues.url})


@pytest.fixture
def deploy(reading_host, request):
    yield from deployer(reading_host.client(), request.node.name)


class Reading:
    """A function that reads a queue of its own."""

    def __init__(self, deploy, queues, folder, **settings):
        self.queues = queues
        self.folder = folder
        function = deploy(READS.format(folder=str(folder)))
        self.client = function.client
        self.queue = function.name
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.queue}"
        made = self.client.create_event_source_mapping(
            FunctionName=function.name, EventSourceArn=self.arn, **settings
        )
        self.uuid = made["UUID"]

    def send(self, *bodies, **attributes):
        return self.queues.send(self.queue, *bodies, **attributes)

    def batches(self, count):
        """What the function was given, once that are so many batches."""
        files = lambda: list(self.folder.glob("*.json"))
        wait_until(lambda: len(files()) >= count, lambda: f"{len(files())} batches came")
        return [json.loads(file.read_text())["Records"] for file in files()]

    def wait_until_empty(self):
        wait_until(lambda: self.queues.is_empty(self.queue), lambda: "messages are left")


@pytest.fixture
def reading(deploy, queues, tmp_path):
    made = []

    def make(**settings):
        made.append(Reading(deploy, queues, tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.client.delete_event_source_mapping(UUID=one.uuid)


def test_a_message_is_given_to_the_function_and_deleted(reading):
    reader = reading()
    title = {"Title": {"DataType": "String", "StringValue": "t"}}
    (sent,) = reader.send("hello", MessageAttributes=title, MD5OfMessageAttributes="md5")
    ((record,),) = reader.batches(1)
    assert record.pop("receiptHandle")
    assert record == {
        "messageId": sent,
        "body": "hello",
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "Title": {"stringValue": "t", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfMessageAttributes": "md5",
        "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
        "eventSource": "aws:sqs",
        "eventSourceARN": reader.arn,
        "awsRegion": REGION,
    }
    reader.wait_until_empty()


def test_what_a_function_fails_on_comes_again(reading):
    reader = reading()
    sent = reader.send("fail")
    reader.batches(1)
    assert reader.queues.hidden_ids(reader.queue) == set(sent)
    (reader.folder / "healed").touch()
    reader.queues.show_again(reader.queue)
    reader.batches(2)
    reader.wait_until_empty()


def test_only_what_a_function_reports_comes_again(reading):
    reader = reading(FunctionResponseTypes=["ReportBatchItemFailures"])
    done, later = reader.send("done", "later")
    reader.batches(1)
    hidden = lambda: reader.queues.hidden_ids(reader.queue)
    wait_until(lambda: hidden() == {later}, lambda: f"{hidden()} are left of {done} and {later}")


def test_a_window_gathers_a_batch_that_is_larger_than_one_receive(reading):
    reader = reading(Enabled=False, BatchSize=15, MaximumBatchingWindowInSeconds=30)
    reader.send(*map(str, range(15)))
    reader.client.update_event_source_mapping(UUID=reader.uuid, Enabled=True)
    (batch,) = reader.batches(1)
    assert [record["body"] for record in batch] == [str(number) for number in range(15)]
    reader.wait_until_empty()


def test_a_mapping_that_is_disabled_reads_nothing(reading, queues):
    reader = reading(Enabled=False)
    reader.send("wait")
    other = reading()
    other.send("read")
    other.batches(1)
    assert queues.receives[reader.queue] == 0
    reader.client.update_event_source_mapping(UUID=reader.uuid, Enabled=True)
    reader.wait_until_empty()


def test_a_function_is_given_what_its_filters_let_through_and_the_rest_is_deleted(reading):
    pattern = {"Filters": [{"Pattern": json.dumps({"body": {"state": ["open"], "id": [{"numeric": [">", 1]}]}})}]}
    reader = reading(Enabled=False, BatchSize=10, FilterCriteria=pattern)
    wanted = json.dumps({"state": "open", "id": 2})
    reader.send("no JSON", json.dumps({"state": "open", "id": 1}), wanted, json.dumps({"state": "shut", "id": 3}))
    reader.client.update_event_source_mapping(UUID=reader.uuid, Enabled=True)
    reader.wait_until_empty()
    assert [record["body"] for record in itertools.chain(*reader.batches(1))] == [wanted]


def test_a_filter_that_cannot_be_kept_is_refused(reading):
    reader = reading(Enabled=False)
    for pattern in ("no JSON", '{"body": [{"wildcard": "x*"}]}', '{"body": "x"}'):
        criteria = {"Filters": [{"Pattern": pattern}]}
        refused = refusal(reader.client, "update_event_source_mapping", UUID=reader.uuid, FilterCriteria=criteria)
        assert refused == (400, "InvalidParameterValueException", "Invalid filter pattern definition.")


def test_every_message_of_many_batches_is_given_once(reading):
    reader = reading(BatchSize=1)
    reader.send(*map(str, range(20)))
    bodies = sorted(record["body"] for record in itertools.chain(*reader.batches(20)))
    assert bodies == sorted(map(str, range(20)))
    reader.wait_until_empty()


def test_a_message_that_a_function_sends_to_itself_for_ever_stays_in_the_queue(reading):
    reader = reading()
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{reader.queue}"
    name = f"{zlib.crc32(arn.encode()):08x}"
    header = f"Root=1-66401234-00112233445566778899aabb;Sampled=0;Lineage={name}:15"
    looping = reader.send("loops", Attributes={"ApproximateReceiveCount": "1", "AWSTraceHeader": header})
    hidden = lambda: reader.queues.hidden_ids(reader.queue)
    wait_until(lambda: hidden() == set(looping), "the message was read")
    reader.send("goes on")
    ((record,),) = reader.batches(1)
    assert record["body"] == "goes on"
    wait_until(lambda: hidden() == set(looping), "only the one that loops is left")
