#!/usr/bin/env python3
"""Deploys the functions of a SAM or CloudFormation template to Hearth, through the Lambda API and nothing else.

  deploy.py template.yaml                      a SAM template as it is, or as `sam build` has left it
  deploy.py cdk.out/Stack.template.json        what `cdk synth` has left, with its assets beside it
  deploy.py --delete template.yaml             takes away what was deployed

Functions, layers, versions, aliases, URLs, permissions and event source mappings are made; everything else in the
template has a name and an ARN that can be referred to, and is not made. Needs boto3 and PyYAML. Where Hearth is, the SDK
knows from AWS_ENDPOINT_URL_LAMBDA.
"""

import argparse
import io
import json
import pathlib
import re
import sys
import zipfile

import boto3
import botocore.exceptions
import yaml
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::{account}:role/{name}"
# What a function's properties in a template are called in the API, where that is not the same.
FUNCTION_SETTINGS = """
    Architectures CodeSigningConfigArn DeadLetterConfig Description Environment EphemeralStorage FileSystemConfigs Handler
    ImageConfig KmsKeyArn Layers LoggingConfig MemorySize PackageType Role Runtime SnapStart Timeout TracingConfig VpcConfig
""".split()
# A deploy to this machine takes milliseconds.
OFTEN = {"Delay": 0.1, "MaxAttempts": 3000}
ONLY_AT_CREATION = ("Architectures", "CodeSigningConfigArn", "PackageType")
MAPPING_SETTINGS = """
    BatchSize BisectBatchOnFunctionError DestinationConfig Enabled EventSourceArn FilterCriteria FunctionResponseTypes
    MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds MaximumRetryAttempts ParallelizationFactor ScalingConfig
    StartingPosition TumblingWindowInSeconds
""".split()


class TemplateError(Exception):
    """What is wrong with a template, for people."""


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` is `{Ref: x}`, `!GetAtt a.b` is `{Fn::GetAtt: [a, b]}`."""


def short_form(loader, suffix, node):
    value = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: loader.construct_sequence,
        yaml.MappingNode: loader.construct_mapping,
    }[type(node)](node, *([] if isinstance(node, yaml.ScalarNode) else [True]))
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


class Stack:
    """A template that is being deployed: each resource is made when it is first referred to."""

    def __init__(self, path, name, parameters):
        self.folder = path.parent
        self.name = name
        self.client = boto3.client("lambda")
        self.template = yaml.load(path.read_text(), Loader)
        self.resources = self.template.get("Resources") or {}
        self.account = self.find_account()
        declared = self.template.get("Parameters") or {}
        self.parameters = {name: about.get("Default", "") for name, about in declared.items()} | parameters
        self.made, self.urls, self.left_out = {}, {}, []

    def find_account(self):
        """A function that does not exist is refused with its ARN."""
        try:
            self.client.get_function(FunctionName=f"{self.name}-no-such-function")
        except self.client.exceptions.ResourceNotFoundException as error:
            return re.search(r":(\d{12}):function:", str(error))[1]
        return "000000000000"

    # Values

    def value(self, value):
        """A value with everything that it refers to put in."""
        if isinstance(value, list):
            return [one for one in map(self.value, value) if one is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, operand),) = value.items()
            intrinsic = getattr(self, "fn_" + name.replace("Fn::", "").replace("::", "_").lower(), None)
            if intrinsic and (name == "Ref" or name.startswith("Fn::")):
                return intrinsic(operand)
            if name.startswith("Fn::"):
                raise TemplateError(f"{name} is not known here")
        return {name: found for name, one in value.items() if (found := self.value(one)) is not None}

    def fn_ref(self, name):
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::NoValue": None,
            "AWS::Partition": "aws",
            "AWS::Region": self.client.meta.region_name,
            "AWS::StackId": f"arn:aws:cloudformation:{self.client.meta.region_name}:{self.account}:stack/{self.name}/0",
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self.make(name)["Ref"]

    def fn_getatt(self, path):
        name, attribute = path if isinstance(path, list) else path.split(".", 1)
        attributes = self.make(name)
        if attribute in attributes:
            return attributes[attribute]
        raise TemplateError(f"{name} has no attribute {attribute} here; it has {', '.join(attributes)}")

    def fn_sub(self, operand):
        text, values = operand if isinstance(operand, list) else (operand, {})

        def put_in(match):
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return str(self.value(values[name]))
            return str(self.fn_getatt(name) if "." in name else self.fn_ref(name))

        return re.sub(r"\$\{([^}]+)\}", put_in, text)

    def fn_join(self, operand):
        separator, parts = operand
        return separator.join(map(str, self.value(parts)))

    def fn_select(self, operand):
        place, parts = operand
        return self.value(parts)[int(place)]

    def fn_split(self, operand):
        separator, text = operand
        return self.value(text).split(separator)

    def fn_findinmap(self, operand):
        table, first, second = self.value(operand)
        return self.template["Mappings"][table][first][second]

    def fn_if(self, operand):
        condition, then, otherwise = operand
        return self.value(then if self.holds(condition) else otherwise)

    def fn_equals(self, operand):
        first, second = map(self.value, operand)
        return str(first) == str(second)

    def fn_not(self, operand):
        return not self.value(operand[0])

    def fn_and(self, operand):
        return all(map(self.value, operand))

    def fn_or(self, operand):
        return any(map(self.value, operand))

    def holds(self, condition):
        return bool(self.value(self.template["Conditions"][condition]))

    # Resources

    def deploy(self):
        for name, resource in self.resources.items():
            if "Condition" not in resource or self.holds(resource["Condition"]):
                self.make(name)

    def make(self, name):
        """Makes a resource, once; answers its attributes."""
        if name in self.made:
            return self.made[name]
        if name not in self.resources:
            raise TemplateError(f"the template refers to {name}, and has no such resource or parameter")
        kind = self.resources[name]["Type"]
        maker = getattr(self, "make_" + kind.replace("::", "_").lower(), None)
        try:
            # A resource that refers to itself, through others, finds what it is going to be called.
            self.made[name] = self.stand_in(name, kind)
            if maker:
                self.made[name] = maker(name, self.properties(name))
            else:
                self.left_out.append(f"{name} ({kind})")
        except (KeyError, TypeError, ValueError) as error:
            raise TemplateError(f"{name} ({kind}): {error!r}") from error
        return self.made[name]

    def properties(self, name):
        resource = self.resources[name]
        section = (self.template.get("Globals") or {}).get(resource["Type"].rsplit("::")[-1], {})
        common = section if resource["Type"].startswith("AWS::Serverless::") else {}
        return self.value(merged(common, resource.get("Properties") or {}))

    def stand_in(self, name, kind):
        """What can be referred to of something that is not made."""
        service = kind.split("::")[1].lower()
        physical = f"{self.name}-{name}"
        if kind == "AWS::IAM::Role":
            arn = ROLE.format(account=self.account, name=physical)
        else:
            arn = f"arn:aws:{service}:{self.client.meta.region_name}:{self.account}:{physical}"
        return {"Ref": physical, "Arn": arn, "QueueName": physical, "TopicArn": arn}

    def make_aws_serverless_function(self, name, properties):
        # What SAM calls otherwise.
        if "DeadLetterQueue" in properties:
            properties["DeadLetterConfig"] = {"TargetArn": properties["DeadLetterQueue"]["TargetArn"]}
        if "Tracing" in properties:
            properties["TracingConfig"] = {"Mode": properties["Tracing"]}
        function = self.make_function(name, properties, self.serverless_code(name, properties))
        qualifier = {}
        if "AutoPublishAlias" in properties:
            version = self.client.publish_version(FunctionName=function["Ref"])["Version"]
            qualifier = {"Qualifier": properties["AutoPublishAlias"]}
            self.put_alias(function["Ref"], properties["AutoPublishAlias"], {"FunctionVersion": version})
            function["Alias"] = f"{function['Arn']}:{properties['AutoPublishAlias']}"
        if "FunctionUrlConfig" in properties:
            self.put_url(function["Ref"], properties["FunctionUrlConfig"], **qualifier)
        if "EventInvokeConfig" in properties:
            self.client.put_function_event_invoke_config(
                FunctionName=function["Ref"], **event_invoke(properties["EventInvokeConfig"]), **qualifier
            )
        for event, about in (properties.get("Events") or {}).items():
            if about["Type"] != "SQS":
                self.left_out.append(f"{name}.{event} (an event of type {about['Type']})")
                continue
            settings = dict(about["Properties"])
            settings["EventSourceArn"] = settings.pop("Queue")
            self.put_mapping(function.get("Alias", function["Ref"]), settings)
        return function

    def make_aws_lambda_function(self, name, properties):
        return self.make_function(name, properties, self.code(name, properties["Code"], properties))

    def make_function(self, name, properties, code):
        function = properties.get("FunctionName", f"{self.name}-{name}")
        settings = {setting: properties[setting] for setting in FUNCTION_SETTINGS if setting in properties}
        settings.setdefault("Role", ROLE.format(account=self.account, name=f"{self.name}-{name}"))
        numbers(settings, "MemorySize", "Timeout")
        tags = properties.get("Tags") or {}
        tags = {tag["Key"]: tag["Value"] for tag in tags} if isinstance(tags, list) else tags
        try:
            arn = self.client.create_function(FunctionName=function, Code=code, Tags=tags, **settings)["FunctionArn"]
            self.client.get_waiter("function_active_v2").wait(FunctionName=function, WaiterConfig=OFTEN)
        except self.client.exceptions.ResourceConflictException:
            arn = self.update_function(function, code, settings)
        if "ReservedConcurrentExecutions" in properties:
            self.client.put_function_concurrency(
                FunctionName=function, ReservedConcurrentExecutions=int(properties["ReservedConcurrentExecutions"])
            )
        return {"Ref": function, "Arn": arn}

    def update_function(self, function, code, settings):
        waiter = self.client.get_waiter("function_updated_v2")
        self.client.update_function_code(FunctionName=function, **code)
        waiter.wait(FunctionName=function, WaiterConfig=OFTEN)
        changeable = {setting: value for setting, value in settings.items() if setting not in ONLY_AT_CREATION}
        updated = self.client.update_function_configuration(FunctionName=function, **changeable)
        waiter.wait(FunctionName=function, WaiterConfig=OFTEN)
        return updated["FunctionArn"]

    def make_aws_serverless_layerversion(self, name, properties):
        return self.make_layer(name, properties, self.package(properties["ContentUri"]))

    def make_aws_lambda_layerversion(self, name, properties):
        return self.make_layer(name, properties, self.code(name, properties["Content"], {}))

    def make_layer(self, name, properties, content):
        wanted = ("CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo")
        settings = {setting: properties[setting] for setting in wanted if setting in properties}
        layer = self.client.publish_layer_version(
            LayerName=properties.get("LayerName", f"{self.name}-{name}"), Content=content, **settings
        )
        return {"Ref": layer["LayerVersionArn"], "LayerVersionArn": layer["LayerVersionArn"]}

    def make_aws_lambda_version(self, name, properties):
        published = self.client.publish_version(
            FunctionName=properties["FunctionName"], Description=properties.get("Description", "")
        )
        return {"Ref": published["FunctionArn"], "Version": published["Version"], "FunctionArn": published["FunctionArn"]}

    def make_aws_lambda_alias(self, name, properties):
        settings = {"FunctionVersion": properties["FunctionVersion"]}
        weights = (properties.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
        if weights:
            weights = {weight["FunctionVersion"]: float(weight["FunctionWeight"]) for weight in weights}
            settings["RoutingConfig"] = {"AdditionalVersionWeights": weights}
        alias = self.put_alias(properties["FunctionName"], properties["Name"], settings)
        return {"Ref": alias["AliasArn"], "AliasArn": alias["AliasArn"]}

    def put_alias(self, function, name, settings):
        try:
            return self.client.create_alias(FunctionName=function, Name=name, **settings)
        except self.client.exceptions.ResourceConflictException:
            return self.client.update_alias(FunctionName=function, Name=name, **settings)

    def make_aws_lambda_url(self, name, properties):
        qualifier = {"Qualifier": properties["Qualifier"]} if "Qualifier" in properties else {}
        wanted = {setting: properties[setting] for setting in ("AuthType", "Cors", "InvokeMode") if setting in properties}
        url = self.put_url(properties["TargetFunctionArn"], wanted, opens=False, **qualifier)
        return {"Ref": properties["TargetFunctionArn"], "FunctionArn": url["FunctionArn"], "FunctionUrl": url["FunctionUrl"]}

    def put_url(self, function, settings, opens=True, **qualifier):
        """SAM opens a URL to everybody by itself; CloudFormation has a permission of its own for that."""
        try:
            url = self.client.create_function_url_config(FunctionName=function, **settings, **qualifier)
        except self.client.exceptions.ResourceConflictException:
            url = self.client.update_function_url_config(FunctionName=function, **settings, **qualifier)
        if opens and settings["AuthType"] == "NONE":
            self.permit(function, "url", FunctionUrlAuthType="NONE", Action="lambda:InvokeFunctionUrl", Principal="*", **qualifier)
        self.urls[function] = url["FunctionUrl"]
        return url

    def make_aws_lambda_permission(self, name, properties):
        wanted = "Action EventSourceToken FunctionUrlAuthType InvokedViaFunctionUrl Principal PrincipalOrgID SourceAccount SourceArn"
        settings = {setting: properties[setting] for setting in wanted.split() if setting in properties}
        self.permit(properties["FunctionName"], re.sub("[^a-zA-Z0-9-_]", "-", name), **settings)
        return {"Ref": name, "Id": name}

    def permit(self, function, statement, **settings):
        try:
            self.client.add_permission(FunctionName=function, StatementId=statement, **settings)
        except self.client.exceptions.ResourceConflictException:
            # It is there already, from an earlier time.
            pass

    def make_aws_lambda_eventsourcemapping(self, name, properties):
        return self.put_mapping(properties["FunctionName"], properties)

    def put_mapping(self, function, properties):
        settings = {setting: properties[setting] for setting in MAPPING_SETTINGS if setting in properties}
        numbers(settings, "BatchSize", "MaximumBatchingWindowInSeconds")
        try:
            mapping = self.client.create_event_source_mapping(FunctionName=function, **settings)
            return {"Ref": mapping["UUID"], "Id": mapping["UUID"]}
        except self.client.exceptions.ResourceConflictException as error:
            uuid = str(error).rsplit(" ", 1)[1]
            for lasting in ("EventSourceArn", "StartingPosition"):
                settings.pop(lasting, None)
            self.client.update_event_source_mapping(UUID=uuid, FunctionName=function, **settings)
            return {"Ref": uuid, "Id": uuid}

    def make_aws_lambda_eventinvokeconfig(self, name, properties):
        self.client.put_function_event_invoke_config(
            FunctionName=properties["FunctionName"], Qualifier=properties["Qualifier"], **event_invoke(properties)
        )
        return {"Ref": name}

    # Code

    def serverless_code(self, name, properties):
        if "ImageUri" in properties:
            return {"ImageUri": properties["ImageUri"]}
        if "InlineCode" in properties:
            return inline(properties["InlineCode"], properties)
        return self.package(properties["CodeUri"])

    def package(self, uri):
        """A folder or a zip file beside the template, or an object in S3."""
        if isinstance(uri, dict):
            place = {"S3Bucket": uri["Bucket"], "S3Key": uri["Key"]}
            return place | ({"S3ObjectVersion": uri["Version"]} if "Version" in uri else {})
        if uri.startswith("s3://"):
            bucket, key = uri.removeprefix("s3://").split("/", 1)
            return {"S3Bucket": bucket, "S3Key": key}
        return {"ZipFile": zipped(self.folder / uri)}

    def code(self, name, code, properties):
        """CDK puts its assets beside the template; CloudFormation itself knows S3, images and text."""
        asset = (self.resources[name].get("Metadata") or {}).get("aws:asset:path")
        asset = asset or f"asset.{str(code.get('S3Key')).removesuffix('.zip')}"
        for path in (self.folder / asset, self.folder / f"{asset}.zip"):
            if path.exists():
                return {"ZipFile": zipped(path)}
        if isinstance(code.get("ZipFile"), str):
            return inline(code["ZipFile"], properties)
        return {member: code[member] for member in ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri") if member in code}

    # The end

    def delete(self):
        """Layers stay: functions elsewhere may use them."""
        for name, resource in self.resources.items():
            if resource["Type"] not in ("AWS::Serverless::Function", "AWS::Lambda::Function"):
                continue
            properties = resource.get("Properties") or {}
            function = properties.get("FunctionName", f"{self.name}-{name}")
            function = function if isinstance(function, str) else self.value(function)
            self.delete_mappings(function)
            try:
                self.client.delete_function(FunctionName=function)
                print(f"deleted {function}")
            except self.client.exceptions.ResourceNotFoundException:
                print(f"{function} is not there")


    def delete_mappings(self, function):
        """Those of its aliases, too."""
        for page in self.client.get_paginator("list_event_source_mappings").paginate():
            for mapping in page["EventSourceMappings"]:
                if mapping["FunctionArn"].split(":")[6] == function:
                    self.client.delete_event_source_mapping(UUID=mapping["UUID"])


def merged(common, own):
    """A function's own properties before those of all; settings in both are put together, as SAM does."""
    if isinstance(common, dict) and isinstance(own, dict):
        return {name: merged(common[name], own[name]) if name in common and name in own else (own | common)[name] for name in {**common, **own}}
    if isinstance(common, list) and isinstance(own, list):
        return [*common, *own]
    return own


def numbers(settings, *names):
    """Parameters are texts."""
    for name in names:
        if name in settings:
            settings[name] = int(settings[name])


def event_invoke(properties):
    wanted = ("DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts")
    settings = {setting: properties[setting] for setting in wanted if setting in properties}
    for destination in (settings.get("DestinationConfig") or {}).values():
        # SAM names the kind as well.
        destination.pop("Type", None)
    return settings


def inline(text, properties):
    name = "index.js" if properties.get("Runtime", "").startswith("nodejs") else "index.py"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr(name, text)
    return {"ZipFile": buffer.getvalue()}


def zipped(path):
    """A zip file's content, or that of a folder packed."""
    if path.is_file() and zipfile.is_zipfile(path):
        return path.read_bytes()
    if not path.exists():
        raise TemplateError(f"there is no {path}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                package.write(file, file.relative_to(path if path.is_dir() else path.parent))
    return buffer.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("template", type=pathlib.Path)
    parser.add_argument("--stack-name", metavar="NAME", help="what names begin with [default: the template's folder]")
    parser.add_argument("--parameter", metavar="NAME=VALUE", action="append", default=[])
    parser.add_argument("--delete", action="store_true", help="take away what was deployed")
    given = parser.parse_args()
    path = given.template.resolve()
    name = given.stack_name or re.sub("[^a-zA-Z0-9-]+", "-", path.parent.name).strip("-")
    try:
        stack = Stack(path, name, dict(pair.split("=", 1) for pair in given.parameter))
        if given.delete:
            return stack.delete()
        stack.deploy()
        outputs = {name: stack.value(about["Value"]) for name, about in (stack.template.get("Outputs") or {}).items()}
    except (OSError, TemplateError, botocore.exceptions.BotoCoreError, ClientError, yaml.YAMLError) as error:
        sys.exit(f"deploy.py: {given.template}: {error}")
    for left_out in stack.left_out:
        print(f"not made: {left_out}", file=sys.stderr)
    functions = {id: made["Arn"] for id, made in stack.made.items() if ":function:" in made.get("Arn", "")}
    print(json.dumps({"Functions": functions, "Urls": stack.urls, "Outputs": outputs}, indent=2))


if __name__ == "__main__":
    main()
