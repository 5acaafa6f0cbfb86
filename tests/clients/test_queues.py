"""Functions that are given the messages of queues."""

import itertools
import json

import pytest

from fixtures import deployer, started
from hearth import ACCOUNT, REGION, wait_until
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


def test_a_mapping_that_is_disabled_or_filtered_reads_nothing(reading, queues, reading_host):
    reader = reading(Enabled=False)
    reader.send("wait")
    pattern = {"Filters": [{"Pattern": json.dumps({"body": ["x"]})}]}
    reader.client.update_event_source_mapping(UUID=reader.uuid, Enabled=True, FilterCriteria=pattern)
    told = "this host does not know filter criteria"
    wait_until(lambda: told in reading_host.log_path.read_text(), lambda: f"the log does not say: {told}")
    assert queues.receives[reader.queue] == 0
    reader.client.update_event_source_mapping(UUID=reader.uuid, FilterCriteria={"Filters": []})
    reader.batches(1)


def test_every_message_of_many_batches_is_given_once(reading):
    reader = reading(BatchSize=1)
    reader.send(*map(str, range(20)))
    bodies = sorted(record["body"] for record in itertools.chain(*reader.batches(20)))
    assert bodies == sorted(map(str, range(20)))
    reader.wait_until_empty()
