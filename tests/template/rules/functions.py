"""What a function is, and what it is given."""

import re

from project import names, pascal
from stack import ROOT, target

from rules.policies import listed, of_role

# Seconds. The least is what a function's own deadline is (ARCHITECTURE.md, "Time and retries"), and what it keeps.
TIMEOUTS = {"order-sweeper": (51, 60), "pay-notify": (4, 5), "refund-order": (26, 60), "token-refresher": (15, 60)}
# The contract's names, and two that the contract is silent about.
VARIABLES = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))


def functions_are_those_of_the_folders(stack):
    found = stack.of_type("AWS::Lambda::Function")
    expected = {f"{pascal(name)}Function": name for name in names()}
    for extra in found.keys() - expected.keys():
        yield f"{extra} has no folder in functions/"
    for logical_id, name in expected.items():
        if logical_id not in found:
            yield f"{name} has no {logical_id}"
            continue
        properties = found[logical_id]["Properties"]
        if properties["FunctionName"] != f"prod-{name}":
            yield f"{logical_id} is called {properties['FunctionName']}"
        if properties["Code"]["S3Key"] != f"functions/{name}":
            yield f"{logical_id} is built from {properties['Code']['S3Key']}"
        if (properties["Runtime"], properties["Handler"]) != ("provided.al2023", "bootstrap"):
            yield f"{logical_id} does not run on provided.al2023"
        least, most = TIMEOUTS.get(name, (10, 15))
        if not least <= properties["Timeout"] <= most:
            yield f"{logical_id} has {properties['Timeout']} s and needs {least} to {most}"


def every_function_has_a_log_group_with_a_retention(stack):
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        properties = function["Properties"]
        group = target(properties.get("LoggingConfig", {}).get("LogGroup"))
        if group not in stack.resources:
            yield f"{name} has no log group"
        elif stack.properties(group).get("LogGroupName") != f"/aws/lambda/{properties['FunctionName']}":
            yield f"{name}'s log group has another function's name"
    for name, group in stack.of_type("AWS::Logs::LogGroup").items():
        if not group["Properties"].get("RetentionInDays"):
            yield f"{name} keeps logs for good"


def functions_get_what_they_use(stack):
    """Only known variables, and each secret by ARN together with the right to read it."""
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        variables = function["Properties"]["Environment"]["Variables"]
        for variable in variables.keys() - VARIABLES:
            yield f"{name} has {variable}, which README.md does not know"
        for variable in ("WECHAT_APPS", "WECHATPAY", "SEAL_KEY"):
            if variables.get(variable):
                yield f"{name} has the secret {variable} in plain text"
        own = list(of_role(stack, name.removesuffix("Function") + "Role"))
        wanted = {str(value) for variable, value in variables.items() if variable.endswith("_SECRET_ARN")}
        if wanted != on_what(own, "secretsmanager:"):
            yield f"{name} asks for {sorted(wanted)} and may read {sorted(on_what(own, 'secretsmanager:'))}"
        refresher = {str(variables["TOKEN_REFRESHER"])} if "TOKEN_REFRESHER" in variables else set()
        if refresher != on_what(own, "lambda:"):
            yield f"{name} asks {sorted(refresher)} and may invoke {sorted(on_what(own, 'lambda:'))}"
        if not on_what(own, "dynamodb:"):
            yield f"{name} may not use the table"


def on_what(statements, service):
    """What a role may use of a service."""
    mine = [s for s in statements if any(action.startswith(service) for action in listed(s["Action"]))]
    return {str(resource) for statement in mine for resource in listed(statement["Resource"])}
