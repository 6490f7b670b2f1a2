"""Where orders are taken, they are swept: `Payments` says both, and `Live` neither."""

from project import pascal
from stack import target

from rules.door import invoked, is_open
from rules.policies import listed


def ways_in(stack, name):
    """What lets callers reach a public function: routes, URLs and permissions, by their logical ids."""
    function = f"{pascal(name)}Function"
    kinds = {
        "AWS::ApiGatewayV2::Route": lambda properties: properties["RouteKey"] == f"POST /{name}",
        "AWS::Lambda::Url": lambda properties: str(target(properties["TargetFunctionArn"])).split(".")[0] == function,
        "AWS::Lambda::Permission": lambda properties: invoked(properties) == name,
    }
    for logical_id, resource in stack.resources.items():
        leads = kinds.get(resource["Type"])
        if leads and leads(resource["Properties"]):
            yield logical_id


def orders_are_taken_only_where_they_are_swept(stack):
    taken = sorted(ways_in(stack, "create-order"))
    if bool(taken) != (stack.values["Payments"] == "true") or bool(taken) != is_open(stack, "create-order"):
        yield f"with Payments={stack.values['Payments']}, orders are taken by {taken}"
    is_swept = stack.properties("OrderSweeperSchedule")["State"] == "ENABLED"
    if is_swept != (stack.values["Payments"] != "false"):
        yield f"with Payments={stack.values['Payments']}, orders are {'' if is_swept else 'not '}swept"
    for name in taken:
        is_route = stack.resources[name]["Type"] == "AWS::ApiGatewayV2::Route"
        if is_route and "OrderSweeperSchedule" not in listed(stack.resources[name].get("DependsOn", [])):
            yield f"{name} is there before the sweep"
