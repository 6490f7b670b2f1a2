"""Who may do what."""

from stack import target

MANAGED_POLICIES = {"service-role/AWSLambdaVPCAccessExecutionRole", "AWSXRayDaemonWriteAccess"}


def statements(stack):
    """Every statement of a policy of ours: which resource it is in, and the statement."""
    for name, resource in stack.resources.items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if isinstance(policy, dict)]
        documents += [properties[key] for key in ("PolicyDocument", "AssumeRolePolicyDocument") if key in properties]
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def listed(value):
    """A text or a list, as a list."""
    return value if isinstance(value, list) else [value]


def no_policy_of_ours_has_a_wildcard(stack):
    for name, statement in statements(stack):
        for key in {"NotAction", "NotResource", "NotPrincipal"} & statement.keys():
            yield f"{name} has {key}"
        for action in listed(statement["Action"]):
            if "*" in action:
                yield f"{name} may do {action}"
        for resource in listed(statement.get("Resource", [])):
            if isinstance(resource, str) and "*" in resource:
                yield f"{name} may do it to {resource}"
    for name, role in stack.of_type("AWS::IAM::Role").items():
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            if arn.partition(":policy/")[2] not in MANAGED_POLICIES:
                yield f"{name} has {arn}"


def every_function_has_a_role_of_its_own(stack):
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        expected = name.removesuffix("Function") + "Role"
        if target(function["Properties"]["Role"]) != f"{expected}.Arn":
            yield f"{name} has not the role {expected}"


def table_statements_name_partitions(stack):
    for name, statement in statements(stack):
        actions = listed(statement["Action"])
        if not any(action.startswith("dynamodb:") for action in actions) or "Principal" in statement:
            continue
        resources = [target(resource) for resource in listed(statement["Resource"])]
        keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
        if resources == ["${Table.Arn}/index/sweep"] and actions == ["dynamodb:Query"]:
            continue
        if resources != ["Table.Arn"]:
            yield f"{name} may read or write {resources}"
        if not keys or any(key.startswith("*") for key in keys):
            yield f"{name} may do {actions} to every partition"
