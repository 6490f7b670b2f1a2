"""The table, the secrets and the address: what outlives the stack, and what a deployment that failed leaves behind."""

# What is made by the operation that fails goes with its rollback. Not so the table: its deletion protection would
# refuse, and the rollback would fail as well.
POLICIES = {
    "AWS::DynamoDB::Table": "Retain",
    "AWS::EC2::EIP": "RetainExceptOnCreate",
    "AWS::SecretsManager::Secret": "RetainExceptOnCreate",
}


def data_outlives_everything(stack):
    for name, resource in stack.resources.items():
        expected, policy = POLICIES.get(resource["Type"]), resource.get("DeletionPolicy")
        if expected is None and policy not in (None, "Delete"):
            yield f"{name} is left behind by the stack"
        if expected is None:
            continue
        if not str(policy).startswith("Retain") or resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name} is deleted with the stack"
        elif policy != expected:
            left = "is left behind by" if policy == "Retain" else "stops the rollback of"
            yield f"{name} {left} a deployment that failed"
    if "Table" not in stack.resources:
        return
    table = stack.properties("Table")
    if table.get("DeletionProtectionEnabled") is not True:
        yield "the table has no deletion protection"
    if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield "the table has no point-in-time recovery"
    if table["BillingMode"] != "PAY_PER_REQUEST":
        yield "the table is not on demand"


def the_table_is_the_contracts(stack):
    if ("Table" in stack.resources) != (stack.values["TableArn"] == ""):
        yield "a table beside the one that is given, or none at all"
    if "Table" not in stack.resources:
        return
    table = stack.properties("Table")
    kinds = {definition["AttributeName"]: definition["AttributeType"] for definition in table["AttributeDefinitions"]}
    keys = [(part["AttributeName"], part["KeyType"], kinds[part["AttributeName"]]) for part in table["KeySchema"]]
    if keys != [("pk", "HASH", "S"), ("sk", "RANGE", "S")]:
        yield f"the table's keys are {keys}"
    if table["TimeToLiveSpecification"] != {"AttributeName": "ttl", "Enabled": True}:
        yield "the table has no ttl"
    (index,) = table["GlobalSecondaryIndexes"]
    keys = [(part["AttributeName"], part["KeyType"], kinds[part["AttributeName"]]) for part in index["KeySchema"]]
    if (index["IndexName"], keys) != ("sweep", [("sweepShard", "HASH", "N"), ("sweepAtMs", "RANGE", "N")]):
        yield f"the index is {index['IndexName']}: {keys}"
    projection = index["Projection"]
    if (projection["ProjectionType"], projection["NonKeyAttributes"]) != ("INCLUDE", ["createdAt", "timeExpire"]):
        yield f"the index projects {projection}"


def secrets_are_empty_but_for_the_seal_key(stack):
    for name, secret in stack.of_type("AWS::SecretsManager::Secret").items():
        properties = secret["Properties"]
        if "SecretString" in properties:
            yield f"{name} has its text in the template"
        generated = properties.get("GenerateSecretString")
        if (generated is not None) != (name == "SealKeySecret"):
            yield f"{name} is {'generated' if generated else 'empty'}"
        elif generated and (generated["PasswordLength"] < 43 or not generated["ExcludePunctuation"]):
            yield "the seal key is short, or may have a comma"
