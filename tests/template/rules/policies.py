"""Who may do what."""

import re

from project import names, pascal
from stack import target

MANAGED_POLICIES = {"AWSXRayDaemonWriteAccess"}
# Who takes a role of ours. EC2 has none: the NAT instance needs no rights.
SERVICES = {"SchedulerRole": "scheduler.amazonaws.com"}
TABLE_ACTIONS = {"BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"}
OTHER_ACTIONS = {
    "lambda:InvokeFunction",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "sqs:SendMessage",
}
# What Lambda does for a function in a VPC, by the function's role. Source: AWS Lambda developer guide, "Giving Lambda
# functions access to resources in an Amazon VPC", required IAM permissions.
NETWORK_ACTIONS = {
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "UnassignPrivateIpAddresses",
}
KEY_ACTIONS = {"Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"}
ACTIONS = (
    OTHER_ACTIONS | {f"dynamodb:{action}" for action in TABLE_ACTIONS} | {f"kms:{action}" for action in KEY_ACTIONS}
)
# Partitions of the table: ARCHITECTURE.md, "The table".
PARTITION = re.compile(r"[A-Z]+#[^*]*\*.*|QUARANTINE")


def documents(value):
    """Every policy in a value, wherever it is."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from documents(item)


def statements(stack):
    """Every statement of a policy of ours: which resource it is in, and the statement."""
    for name, resource in stack.resources.items():
        for document in documents(resource.get("Properties", {})):
            for statement in document["Statement"]:
                yield name, statement


def of_role(stack, role):
    """The statements that a role has, be they in it or in a policy that names it."""
    for name, statement in statements(stack):
        roles = {target(named) for named in stack.properties(name).get("Roles", [])}
        if "AssumeRole" not in str(statement["Action"]) and (name == role or role in roles):
            yield statement


def listed(value):
    """A text or a list, as a list."""
    return value if isinstance(value, list) else [value]


def nobody_may_do_anything_to_everything(stack):
    for name, statement in statements(stack):
        for key in {"NotAction", "NotResource", "NotPrincipal"} & statement.keys():
            yield f"{name} has {key}"
        if "AssumeRole" in str(statement["Action"]) or name == "VpcPolicy":
            continue
        if statement["Effect"] != "Allow":
            yield f"{name} has the effect {statement['Effect']}"
        for action in listed(statement["Action"]):
            if action not in ACTIONS:
                yield f"{name} may do {action}"
        for resource in listed(statement.get("Resource", "*")):
            named = target(resource)
            is_ours = isinstance(named, str) and named.split(".")[0].removeprefix("${") in stack.resources
            is_given = isinstance(named, str) and named.startswith("arn:") and "*" not in named
            if not is_ours and not is_given:
                yield f"{name} may do it to {resource}"


def roles_are_for_one_service(stack):
    for name, role in stack.of_type("AWS::IAM::Role").items():
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = SERVICES.get(name, "lambda.amazonaws.com")
        if (trust["Action"], trust["Principal"]) != ("sts:AssumeRole", {"Service": service}):
            yield f"{name} is for {trust['Principal']}"
        if name == "SchedulerRole" and trust.get("Condition") != {
            "StringEquals": {"aws:SourceAccount": "123456789012"}
        }:
            yield f"{name} is for schedules of other accounts too"
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            of_aws = {f"arn:{stack.partition}:iam::aws:policy/{policy}" for policy in MANAGED_POLICIES}
            if target(arn) != "VpcPolicy" and arn not in of_aws:
                yield f"{name} has {arn}"


def the_vpc_is_for_lambda_and_not_for_the_code(stack):
    """The policy of functions in a VPC: what Lambda needs to take them there, which their own code may not do."""
    properties = stack.properties("VpcPolicy")
    for extra in {"Groups", "Roles", "Users"} & properties.keys():
        yield f"VpcPolicy names {extra}"
    functions = f"arn:{stack.partition}:lambda:{stack.values['AWS::Region']}:123456789012:function:prod-*"
    found = {"Allow": set(), "Deny": set()}
    for statement in properties["PolicyDocument"]["Statement"]:
        found[statement["Effect"]] |= set(listed(statement["Action"]))
        if statement["Resource"] != "*" or statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}:
            yield "VpcPolicy is about something else"
        condition = statement.get("Condition", {})
        expected = {"ArnLike": {"lambda:SourceFunctionArn": functions}} if statement["Effect"] == "Deny" else {}
        if condition != expected:
            yield f"VpcPolicy has a {statement['Effect']} for {condition}"
    expected = {f"ec2:{action}" for action in NETWORK_ACTIONS}
    for effect, actions in found.items():
        if actions != expected:
            yield f"VpcPolicy has another {effect} for {sorted(actions ^ expected)}"


def every_function_has_a_role_of_its_own(stack):
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        expected = name.removesuffix("Function") + "Role"
        if target(function["Properties"]["Role"]) != f"{expected}.Arn":
            yield f"{name} has not the role {expected}"


def every_function_may_write_its_own_log(stack):
    for name in names():
        role, group = f"{pascal(name)}Role", f"{pascal(name)}LogGroup.Arn"
        writes = [s for s in of_role(stack, role) if "logs:PutLogEvents" in listed(s["Action"])]
        if [target(statement["Resource"]) for statement in writes] != [group]:
            yield f"{role} may not write the log of {name}, or another one"


def table_statements_name_partitions(stack):
    table = stack.values["TableArn"] or "Table.Arn"
    index = f"{stack.values['TableArn'] or '${Table.Arn}'}/index/sweep"
    for name, statement in statements(stack):
        actions = listed(statement["Action"])
        if not any(action.startswith("dynamodb:") for action in actions):
            continue
        resources = [target(resource) for resource in listed(statement["Resource"])]
        keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
        if resources == [index] and actions == ["dynamodb:Query"]:
            continue
        if "Principal" in statement:  # The endpoint of the VPC: whoever comes by it has a role.
            if name != "DynamoDbEndpoint" or resources != [table, index]:
                yield f"{name} lets everybody at {resources}"
            continue
        if resources != [table]:
            yield f"{name} may read or write {resources}"
        if not keys or not all(PARTITION.fullmatch(key) for key in keys):
            yield f"{name} may do {actions} to {keys or 'every partition'}"


def keys_are_used_through_services_only(stack):
    for name, statement in statements(stack):
        if not any(action.startswith("kms:") for action in listed(statement["Action"])):
            continue
        services = listed(statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", []))
        allowed = {
            f"{service}.{stack.values['AWS::Region']}.{stack.values['AWS::URLSuffix']}"
            for service in ("dynamodb", "secretsmanager")
        }
        if not services or not set(services) <= allowed:
            yield f"{name} may use the key by itself"
