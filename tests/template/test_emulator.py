"""The template's whole life, by calls of CloudFormation's API to an emulator on this machine (emulator.py): stacks are
created, updated, rolled back and deleted, and what is left of them is counted.

The emulator is no proof of AWS: it refuses less, and takes names of what is not there, such as a certificate.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import tomllib
import unittest
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from project import names
from stack import ROOT, Stack, expand, source, values_of
from test_deployments import given

EXISTING = {"Egress": "existing", **given("SubnetIds", "SecurityGroupIds", "EgressIps")}
LIVE = {"Live": "true", "AlarmEmail": "ops@example.com"}
URLS = {"FunctionUrls": "true", "PublicReservedConcurrency": "5"}
# What a person may have asked for, each a stack of its own.
SETS = [
    {},
    {**LIVE, "EgressScope": "all", "ConfigVersion": "2"},
    {**LIVE, "Payments": "draining", **URLS, "Egress": "none"},
    {"Payments": "false", "Egress": "none", "LogRetentionDays": "14", "LogLevel": "debug"},
    {"Egress": "nat-instance", "EgressScope": "all", **LIVE},
    {"Egress": "nat-instance", **given("EipAllocationId", "EgressIps", "Zones")},
    {"Egress": "nat-gateway", **given("EipAllocationId", "EgressIps"), "VpcCidr": "10.8.0.0/16"},
    {**EXISTING, "EgressScope": "all"},
    {"Egress": "none", **given("DomainName", "CertificateArn"), "TableStream": "true", "Tracing": "true"},
    {"Egress": "none", **given("TableArn", "WechatAppsSecretArn", "WechatPaySecretArn", "SealKeySecretArn")},
    {"Egress": "none", **given("KmsKeyArn", "SecretsKmsKeyArn", "AlarmTopicArn"), "Live": "true"},
    {"Egress": "none", **URLS, "DirectReservedConcurrency": "1", "PayNotifySecret": "verifying"},
]
# What MiniStack's CloudFormation cannot make: alarms about a sum of metrics, or about a query.
LEFT_OUT = {"FunctionErrorsAlarm", "RefreshFailedAlarm", "ThrottlesAlarm", "TokenExpiringAlarm"}
ADDRESSES = {"NatGatewayIp", "NatInstanceIp"}
KEPT = {"Table", "WechatAppsSecret", "WechatPaySecret", "WechatPayVerifySecret", "SealKeySecret"} | ADDRESSES
SERVICES = ("apigatewayv2", "cloudformation", "cloudwatch", "dynamodb", "ec2", "events", "iam", "lambda", "logs", "s3")
SERVICES += ("scheduler", "secretsmanager", "sns", "sqs")


def free_port():
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def package():
    """What `sam package` uploads for a function."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    return buffer.getvalue()


class Emulator:
    """The process, its clients, and stacks in it."""

    def __init__(self):
        command = shutil.which("python-emulator")
        assert command, "python-emulator is not in the PATH: .ci/tools installs it"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.folder = tempfile.TemporaryDirectory()
        self.log = open(Path(self.folder.name) / "log", "w+", encoding="utf-8")
        # No docker, no credentials, nothing of the user's: what it needs is said here.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder.name,
            "TMPDIR": self.folder.name,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.url.rsplit(":", 1)[1],
            "MINISTACK_ACCOUNT_ID": "123456789012",
            "LOG_LEVEL": "WARNING",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        script = [command, "-B", str(ROOT / "tests/template/emulator.py")]
        self.process = subprocess.Popen(script, env=environment, stdout=self.log, stderr=self.log)
        self.clients = {name: self._client(name) for name in SERVICES}
        self.formation = self.clients["cloudformation"]
        self._wait_until_it_answers()
        s3 = self.clients["s3"]
        s3.create_bucket(Bucket="packages")
        for name in names():
            s3.put_object(Bucket="packages", Key=f"functions/{name}", Body=package())

    def _client(self, name):
        config = Config(retries={"max_attempts": 0})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(name, endpoint_url=self.url, region_name="us-east-1", config=config, **keys)

    def _wait_until_it_answers(self):
        port = int(self.url.rsplit(":", 1)[1])
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        self.log.seek(0)
        raise AssertionError(f"the emulator has ended: {self.log.read()}")

    def close(self):
        """Ends the process, and takes its files away."""
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def template(self, values, change=None):
        """The template that a deployment with these values uploads, and where it is."""
        template = source()
        if change:
            change(template)
        expanded = expand(template, values_of(template, values))
        for name in LEFT_OUT:
            del expanded["Resources"][name]
        self.clients["s3"].put_object(Bucket="packages", Key="template", Body=json.dumps(expanded).encode())
        return {"TemplateURL": f"{self.url}/packages/template", "Capabilities": ["CAPABILITY_IAM"]}

    def create(self, stack, parameters, change=None, signal="SUCCESS"):
        """Creates a stack, and says how it ended."""
        given = [{"ParameterKey": name, "ParameterValue": str(value)} for name, value in parameters.items()]
        self.formation.create_stack(StackName=stack, Parameters=given, **self.template(parameters, change))
        return self.settled(stack, signal)

    def update(self, stack, change=None, signal="SUCCESS", **parameters):
        """Changes parameters, while all others keep their value: `turn` of docs/runbook.md, and what SAM sends.

        SAM sends it in a change set. MiniStack's do not see what a condition takes away, and say "no changes".
        """
        described = self.formation.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
        values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described} | parameters
        sent = [
            {"ParameterKey": name, "ParameterValue": parameters[name]}
            if name in parameters
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in values
        ]
        self.formation.update_stack(StackName=stack, Parameters=sent, **self.template(values, change))
        return self.settled(stack, signal)

    def delete(self, stack):
        """Deletes a stack, and says how it ended."""
        identity = self.formation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self.formation.delete_stack(StackName=stack)
        return self.settled(identity)

    def settled(self, stack, signal="SUCCESS"):
        """How an operation ended. A NAT instance that comes up meanwhile signals."""
        while True:
            status = self.formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                return status
            if status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                self._signal(stack, signal)
            time.sleep(0.02)

    def _signal(self, stack, status):
        try:
            self.formation.signal_resource(
                StackName=stack, LogicalResourceId="NatInstanceHost", UniqueId="i-1", Status=status
            )
        except ClientError as error:  # There is none, or it does not wait.
            assert error.response["Error"]["Code"] == "ValidationError", error

    def resources(self, stack):
        """What a stack has: physical ids by logical ids."""
        pages = self.formation.get_paginator("list_stack_resources").paginate(StackName=stack)
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in found
            if resource["ResourceStatus"] != "DELETE_COMPLETE"
        }

    def events(self, stack):
        """What has happened to a stack, the first thing first."""
        pages = self.formation.get_paginator("describe_stack_events").paginate(StackName=stack)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def left(self):
        """What is in the account, apart from what is AWS's."""
        clients = self.clients
        listed = {
            "addresses": clients["ec2"].describe_addresses()["Addresses"],
            "alarms": clients["cloudwatch"].describe_alarms()["MetricAlarms"],
            "apis": clients["apigatewayv2"].get_apis()["Items"],
            "dashboards": clients["cloudwatch"].list_dashboards()["DashboardEntries"],
            "functions": clients["lambda"].list_functions()["Functions"],
            "gateways": clients["ec2"].describe_nat_gateways(Filters=[{"Name": "state", "Values": ["available"]}])[
                "NatGateways"
            ],
            "instances": [
                instance
                for reservation in clients["ec2"].describe_instances()["Reservations"]
                for instance in reservation["Instances"]
                if instance["State"]["Name"] != "terminated"
            ],
            "logs": clients["logs"].describe_log_groups()["logGroups"],
            "queues": clients["sqs"].list_queues().get("QueueUrls", []),
            "roles": clients["iam"].list_roles()["Roles"],
            "schedules": clients["scheduler"].list_schedules()["Schedules"],
            "secrets": clients["secretsmanager"].list_secrets()["SecretList"],
            "tables": clients["dynamodb"].list_tables()["TableNames"],
            "topics": clients["sns"].list_topics()["Topics"],
            "vpcs": [vpc for vpc in clients["ec2"].describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        }
        return {what: len(found) for what, found in listed.items() if found}


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.emulator.close)

    def assert_whole(self, stack, parameters):
        """A stack has what its parameters ask for, and nothing else."""
        self.assertEqual(self.emulator.resources(stack).keys(), Stack(**parameters).resources.keys() - LEFT_OUT)

    def failures(self, stack):
        return [
            (event["LogicalResourceId"], event["ResourceStatusReason"])
            for event in self.emulator.events(stack)
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def left_after(self, before):
        """What there is more of than before."""
        after = self.emulator.left()
        return {what: count - before.get(what, 0) for what, count in after.items() if count != before.get(what, 0)}

    def with_an_address(self, parameters):
        """The same, with an address that there is."""
        if "EipAllocationId" not in parameters:
            return parameters
        address = self.emulator.clients["ec2"].allocate_address(Domain="vpc")
        return {**parameters, "EipAllocationId": address["AllocationId"], "EgressIps": address["PublicIp"]}

    def test_a_stack_of_each_kind_is_created_and_deleted(self):
        for number, parameters in enumerate(SETS):
            with self.subTest(**parameters):
                stack, parameters = f"set-{number}", self.with_an_address(parameters)
                before = self.emulator.left()
                self.assertEqual(self.emulator.create(stack, parameters), "CREATE_COMPLETE", self.failures(stack))
                self.assert_whole(stack, parameters)
                kept = KEPT & self.emulator.resources(stack).keys()
                self.assertEqual(self.emulator.delete(stack), "DELETE_COMPLETE")
                self.assertEqual(sum(self.left_after(before).values()), len(kept), self.left_after(before))

    def test_a_stack_that_runs_is_updated(self):
        stack, parameters = "updated", {}
        self.assertEqual(self.emulator.create(stack, parameters), "CREATE_COMPLETE")
        data = {name: self.emulator.resources(stack)[name] for name in KEPT - ADDRESSES}
        for change in (
            LIVE,
            {"ConfigVersion": "2"},
            {"Egress": "nat-instance"},
            {"Alarms": "essential"},
            {"NatInstanceRelease": "2"},
            {"EgressScope": "all"},
            EXISTING,
            given("DomainName", "CertificateArn"),
            {"Payments": "draining"},
            {"Payments": "false"},
            {"Payments": "true", **URLS},
            {"PayNotifySecret": "verifying"},
            {"Egress": "none", "EgressScope": "token-refresher"},
            {"Egress": "nat-gateway", "LogRetentionDays": "30"},
        ):
            with self.subTest(**change):
                parameters |= change
                self.assertEqual(self.emulator.update(stack, **change), "UPDATE_COMPLETE", self.failures(stack))
                self.assert_whole(stack, parameters)
                has = self.emulator.resources(stack)
                self.assertEqual({name: has[name] for name in data}, data)
        function = self.emulator.clients["lambda"].get_function_configuration(FunctionName=f"{stack}-login")
        self.assertEqual(function["Environment"]["Variables"]["CONFIG_VERSION"], "2")

    def test_a_plain_deployment_keeps_the_switches(self):
        stack = "switched"
        self.assertEqual(self.emulator.create(stack, {"Egress": "none"}), "CREATE_COMPLETE")
        self.assertEqual(self.emulator.update(stack, **LIVE, ConfigVersion="7"), "UPDATE_COMPLETE")
        named = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["prod"]["deploy"]["parameters"]
        named = dict(pair.split("=") for pair in named["parameter_overrides"])
        self.assertEqual(self.emulator.update(stack, **named), "UPDATE_COMPLETE")
        self.assert_whole(stack, {**named, **LIVE, "ConfigVersion": "7"})
        schedule = self.emulator.resources(stack)["TokenRefresherSchedule"]
        self.assertEqual(self.emulator.clients["scheduler"].get_schedule(Name=schedule)["State"], "ENABLED")

    def test_a_first_deployment_that_fails_leaves_the_table_alone(self):
        stack, parameters, before = "failed", {"Egress": "nat-instance"}, self.emulator.left()
        ended = self.emulator.create(stack, parameters, signal="FAILURE")
        self.assertEqual(ended, "ROLLBACK_COMPLETE", self.failures(stack))
        self.assertEqual([name for name, _ in self.failures(stack)], ["NatInstanceHost"])
        self.assertEqual(self.left_after(before), {"tables": 1})
        self.assertEqual(self.emulator.delete(stack), "DELETE_COMPLETE")
        self.assertEqual(self.emulator.create(stack, parameters), "CREATE_COMPLETE")

    def test_an_update_that_fails_takes_back_what_it_made(self):
        stack = "unchanged"
        self.assertEqual(self.emulator.create(stack, {"Egress": "none"}), "CREATE_COMPLETE")
        before, has = self.emulator.left(), self.emulator.resources(stack)
        ended = self.emulator.update(stack, signal="FAILURE", Egress="nat-instance", **LIVE)
        self.assertEqual(ended, "UPDATE_ROLLBACK_COMPLETE", self.failures(stack))
        self.assertEqual(self.left_after(before), {})
        self.assertEqual(self.emulator.resources(stack), has)

    def test_parameters_that_do_not_go_together_are_refused(self):
        before = self.emulator.left()
        for parameters in (
            {"Egress": "existing"},
            given("DomainName"),
            given("EipAllocationId"),
            {"Payments": "maybe"},
        ):
            with self.subTest(**parameters), self.assertRaises(ClientError) as refused:
                self.emulator.create("refused", parameters)
            self.assertEqual(refused.exception.response["Error"]["Code"], "ValidationError")
        self.assertEqual(self.left_after(before), {})


if __name__ == "__main__":
    unittest.main()
