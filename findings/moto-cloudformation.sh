#!/usr/bin/env bash
# Package:  PyPI moto 5.2.5 with boto3 1.44.8.
# What:     its CloudFormation creates what CloudFormation refuses, and cleans up otherwise:
#           - `Rules` are not evaluated, and `AllowedValues` of a parameter are not checked: such stacks are CREATE_COMPLETE;
#           - a stack whose second resource cannot be created is not rolled back: CreateStack itself fails with the resource's
#             error, the stack stays CREATE_IN_PROGRESS, and its first resource is left;
#           - `DeletionPolicy: RetainExceptOnCreate` deletes the resource with a complete stack. CloudFormation keeps it there,
#             as with `Retain`, and deletes it only when its creation is rolled back;
#           - an update that changes nothing succeeds; CloudFormation says "No updates are to be performed.".
# Surprise: the stack's status reads as in CloudFormation, so a test with moto looks like a trial deployment.
# Do:       use moto for what a template makes, not for what it refuses, keeps or rolls back. Test `Rules` and `AllowedValues`
#           by reading the template, deletion policies in an account.
# Needs:    Python 3.11 with venv.
set -euo pipefail

command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check \
    moto==5.2.5 PyYAML==6.0.4 openapi-spec-validator==0.9.0 boto3==1.44.8 || { echo "pip could not install the packages" >&2; exit 2; }

cat >finding.py <<'PYTHON'
import json
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

EQUALS_YES = {"Fn::Equals": [{"Ref": "Answer"}, "yes"]}


def queue(name, **attributes):
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}, **attributes}


def template(resources, **sections):
    return json.dumps({"Resources": resources, **sections})


def exists(name):
    return any(url.endswith("/" + name) for url in boto3.client("sqs").list_queues().get("QueueUrls", []))


def status(stack):
    return boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


@mock_aws
def created(name, resources, answer, **sections):
    parameters = [{"ParameterKey": "Answer", "ParameterValue": answer}]
    sections = {"Parameters": {"Answer": {"Type": "String"}}, **sections}
    try:
        boto3.client("cloudformation").create_stack(
            StackName=name, TemplateBody=template(resources, **sections), Parameters=parameters
        )
        error = ""
    except ClientError as refused:
        error = ", " + refused.response["Error"]["Code"]
    return f"{status(name)}{error}, queue {'there' if exists(name) else 'not there'}"


@mock_aws
def after_deletion(policy):
    stacks = boto3.client("cloudformation")
    stacks.create_stack(StackName="kept", TemplateBody=template({"Queue": queue("kept", DeletionPolicy=policy)}))
    stacks.delete_stack(StackName="kept")
    return "kept" if exists("kept") else "deleted"


@mock_aws
def same_again():
    stacks = boto3.client("cloudformation")
    stacks.create_stack(StackName="same", TemplateBody=template({"Queue": queue("same")}))
    stacks.update_stack(StackName="same", TemplateBody=template({"Queue": queue("same")}))
    return status("same")


rule = {"Assertions": [{"Assert": EQUALS_YES, "AssertDescription": "only yes"}]}
only_yes = {"Answer": {"Type": "String", "AllowedValues": ["yes"]}}
# The name of a FIFO queue ends in ".fifo".
broken = {"Type": "AWS::SQS::Queue", "DependsOn": "Queue", "Properties": {"QueueName": "broken", "FifoQueue": True}}
seen = {
    "a rule that says no": created("rule", {"Queue": queue("rule")}, "no", Rules={"Rule": rule}),
    "a value that is not allowed": created("value", {"Queue": queue("value")}, "no", Parameters=only_yes),
    "a second resource that fails": created("second", {"Queue": queue("second"), "Broken": broken}, "yes"),
    "Retain": after_deletion("Retain"),
    "RetainExceptOnCreate": after_deletion("RetainExceptOnCreate"),
    "an update without a change": same_again(),
}
for case, result in seen.items():
    print(f"{case + ':':32}{result}")
expected = [
    "CREATE_COMPLETE, queue there",
    "CREATE_COMPLETE, queue there",
    "CREATE_IN_PROGRESS, InvalidParameterValue, queue there",
    "kept",
    "deleted",
    "UPDATE_COMPLETE",
]
sys.exit(list(seen.values()) != expected)
PYTHON
python/bin/python -W ignore finding.py || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
