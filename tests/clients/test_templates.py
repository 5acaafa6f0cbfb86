"""SAM and CDK templates, deployed by the script in examples/ and run."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import pytest

from fixtures import PYTHON
from hearth import ANSWER_LIMIT, REGION

TEMPLATES = pathlib.Path(__file__).parents[2] / "examples" / "templates"
DEPLOY = TEMPLATES / "deploy.py"


def run(host, *arguments):
    environment = os.environ | {
        "AWS_ENDPOINT_URL_LAMBDA": host.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, str(DEPLOY), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ANSWER_LIMIT)


def deploy(host, *arguments):
    done = run(host, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.splitlines()


def on_this_python(folder, template, tmp_path):
    """The same templates, for the Python that is here: functions run on that."""
    copy = shutil.copytree(TEMPLATES / folder, tmp_path / folder)
    moved = copy / template
    moved.write_text(moved.read_text().replace("python3.13", PYTHON))
    return moved


def call(host, url):
    """By path: not every machine resolves names under localhost."""
    path = f"{host.url}/_hearth/url/{url.split('/')[2].split('.')[0]}/"
    with urllib.request.urlopen(path, timeout=ANSWER_LIMIT) as answer:
        return json.load(answer)


def invoke(client, name, **parameters):
    return json.load(client.invoke(FunctionName=name, **parameters)["Payload"])


def test_a_sam_template_is_deployed_updated_and_deleted(host, client, tmp_path):
    template = on_this_python("sam", "template.yaml", tmp_path)
    deployed, left_out = deploy(host, template, "--stack-name", "sam")
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:sam-Hello"
    assert deployed["Functions"] == {"Hello": arn}
    assert deployed["Outputs"] == {"HelloArn": arn, "Described": f"sam-Hello in {REGION} says Hello"}
    assert left_out == ["not made: Orders (AWS::SQS::Queue)"]
    said = invoke(client, "sam-Hello", Qualifier="live", Payload=b'{"name": "you"}')
    assert said == {"said": "Hello, you!", "stage": "local", "version": "1"}
    assert call(host, deployed["Urls"]["sam-Hello"]) == {"said": "Hello, world!", "stage": "local", "version": "1"}
    (mapping,) = client.list_event_source_mappings(FunctionName=f"{arn}:live")["EventSourceMappings"]
    assert (mapping["EventSourceArn"], mapping["BatchSize"]) == (f"arn:aws:sqs:{REGION}:000000000000:sam-Orders", 5)

    again, _ = deploy(host, template, "--stack-name", "sam", "--parameter", "Greeting=Good day")
    assert again["Urls"] == deployed["Urls"]
    assert invoke(client, "sam-Hello", Qualifier="live")["said"] == "Good day, world!"
    assert run(host, "--delete", template, "--stack-name", "sam").stdout == "deleted sam-Hello\n"
    assert client.list_event_source_mappings(FunctionName=f"{arn}:live")["EventSourceMappings"] == []


def test_a_synthesized_cdk_template_is_deployed(host, client, tmp_path):
    template = on_this_python("cdk", "cdk.out/Cdk.template.json", tmp_path)
    deployed, _ = deploy(host, template, "--stack-name", "cdk")
    (arn,) = deployed["Functions"].values()
    name = arn.rsplit(":", 1)[1]
    assert deployed["Outputs"]["Arn"] == arn
    assert invoke(client, name, Qualifier="live")["said"] == "Hello, world!"
    assert call(host, deployed["Outputs"]["Url"])["version"] == "1"
    (config,) = client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert config["MaximumRetryAttempts"] == 1
    assert "Failed" in config["DestinationConfig"]["OnFailure"]["Destination"]
    run(host, "--delete", template, "--stack-name", "cdk")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("Resources: {A: {Type: 'AWS::Lambda::Alias', Properties: {}}}", "A (AWS::Lambda::Alias): KeyError('FunctionVersion')"),
        (
            "Outputs: {X: {Value: !Ref Nothing}}",
            "the template refers to Nothing, and has no such resource or parameter",
        ),
        ("Outputs: {X: {Value: !Cidr [a]}}", "Fn::Cidr is not known here"),
        (
            "Resources: {F: {Type: 'AWS::Serverless::Function', Properties: {CodeUri: gone/}}}",
            "there is no {folder}/gone",
        ),
    ],
)
def test_what_is_wrong_with_a_template_is_said_in_one_line(host, tmp_path, text, problem):
    template = tmp_path / "template.yaml"
    template.write_text(text)
    done = run(host, template)
    problem = problem.replace("{folder}", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"deploy.py: {template}: {problem}\n")
