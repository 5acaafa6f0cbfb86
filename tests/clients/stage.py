"""What operations need to be there, so that a request comes further than to a 404."""

from hearth import wait_until
from service_model import OPERATIONS, Wire, request
from tour import ALIAS, NAME, PACKAGE, PROFILE, QUEUE, SPARE


class Stage:
    """Made as far as it is not there. It knows the ids of what has one that the host makes up."""

    def __init__(self, host):
        self.wire = Wire(host.url)
        self.made = {"FunctionName": NAME}
        self.make_function()
        self.make_layer()
        self.make_settings()

    def call(self, operation, **parameters):
        """Whatever comes of it: it may be there already."""
        answer = self.wire(*request(OPERATIONS[operation], parameters))
        return answer.json if answer.headers.get("content-type") == "application/json" else {}

    def make_function(self):
        self.call("CreateFunction", FunctionName=NAME, Code={"ZipFile": PACKAGE}, **SPARE)
        wait_until(self.is_settled, lambda: f"{NAME} was not deployed")
        self.call("UpdateFunctionConfiguration", FunctionName=NAME, Description="on stage", **SPARE)
        wait_until(self.is_settled, lambda: f"{NAME} was not updated")
        version = self.call("PublishVersion", FunctionName=NAME)["Version"]
        self.call("CreateAlias", FunctionName=NAME, Name=ALIAS, FunctionVersion=version)
        self.made["Qualifier"] = version

    def is_settled(self):
        found = self.call("GetFunctionConfiguration", FunctionName=NAME)
        return found["State"] != "Pending" and found["LastUpdateStatus"] != "InProgress"

    def make_layer(self):
        layer = self.call("PublishLayerVersion", LayerName=NAME, Content={"ZipFile": PACKAGE})
        self.made |= {"Arn": layer["LayerVersionArn"], "Layers": [layer["LayerVersionArn"]]}
        self.made["VersionNumber"] = layer["Version"]
        statement = {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}
        version = {"LayerName": NAME, "VersionNumber": layer["Version"]}
        self.call("AddLayerVersionPermission", **statement, **version)

    def make_settings(self):
        made = self.call("CreateCodeSigningConfig", AllowedPublishers={"SigningProfileVersionArns": [PROFILE]})
        self.made["CodeSigningConfigArn"] = made["CodeSigningConfig"]["CodeSigningConfigArn"]
        self.call("CreateEventSourceMapping", FunctionName=NAME, EventSourceArn=QUEUE, Enabled=False)
        mappings = self.call("ListEventSourceMappings", FunctionName=NAME)["EventSourceMappings"]
        self.made["UUID"] = mappings[0]["UUID"]
        self.call("CreateFunctionUrlConfig", FunctionName=NAME, Qualifier=ALIAS, AuthType="NONE")
        qualified = {"FunctionName": NAME, "Qualifier": self.made["Qualifier"]}
        self.call("PutFunctionEventInvokeConfig", MaximumRetryAttempts=0, **qualified)
        self.call("PutProvisionedConcurrencyConfig", ProvisionedConcurrentExecutions=1, **qualified)
        statement = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
        self.call("AddPermission", FunctionName=NAME, **statement)

    def in_place(self, parameters):
        """The parameters with what is on this stage."""
        # Some operations take an alias and nothing else.
        replaced = (name for name in self.made.keys() & parameters.keys() if parameters[name] != ALIAS)
        return parameters | {name: self.made[name] for name in replaced}
