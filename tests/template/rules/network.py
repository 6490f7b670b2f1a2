"""Who goes out, and by which address."""

from project import CALLERS, names, pascal
from stack import target

from rules.policies import listed, statements


def the_right_functions_go_out_by_the_fixed_address(stack):
    scope = {"token-refresher"} if stack.values["EgressScope"] == "token-refresher" else CALLERS
    expected = set() if stack.values["Egress"] == "none" else scope
    for name in names():
        properties = stack.properties(f"{pascal(name)}Function")
        is_in = "VpcConfig" in properties
        if is_in != (name in expected):
            yield f"{name} is {'in' if is_in else 'not in'} the VPC"
        arns = stack.properties(f"{pascal(name)}Role").get("ManagedPolicyArns", [])
        may_be_in = "VpcPolicy" in map(target, arns)
        if may_be_in != (is_in or name == "token-refresher"):
            yield f"{name}'s role does not go with its network"
        if is_in and not all(properties["VpcConfig"][key] for key in ("SubnetIds", "SecurityGroupIds")):
            yield f"{name} has no subnets"


def private_subnets_go_out_by_the_nat_alone(stack):
    kind = stack.values["Egress"]
    has_vpc = "Vpc" in stack.resources
    if has_vpc != (kind in ("nat-gateway", "nat-instance")):
        yield f"a VPC with {kind}" if has_vpc else f"no VPC with {kind}"
    own = {"nat-gateway": {"Ref": "NatGatewayIp"}, "nat-instance": {"Ref": "NatInstanceIp"}}
    address = stack.values["EgressIps"] if stack.values["EipAllocationId"] else own.get(kind, stack.values["EgressIps"])
    for name in ("login", "phone-decrypt", "token-refresher"):
        if stack.properties(f"{pascal(name)}Function")["Environment"]["Variables"]["EGRESS_IP"] != address:
            yield f"{name} does not know the fixed address"
    if stack.outputs["EgressIp"]["Value"] != (address or "none"):
        yield "the output EgressIp is another"
    if not has_vpc:
        return
    route = stack.properties("PrivateRoute")
    by = {"NatGatewayId", "InstanceId", "GatewayId"} & route.keys()
    if by != ({"NatGatewayId"} if kind == "nat-gateway" else {"InstanceId"}):
        yield f"private subnets go out by {by}"
    routes = [r["Properties"] for r in stack.of_type("AWS::EC2::Route").values()]
    if len([r for r in routes if target(r["RouteTableId"]) == "PrivateRouteTable"]) != 1:
        yield "there is another way out of the private subnets"
    zones = {str(stack.properties(f"PrivateSubnet{letter}")["AvailabilityZone"]) for letter in "AB"}
    if len(zones) != 2:
        yield "both subnets are in one zone"
    tables = {target(stack.properties(f"PrivateSubnet{letter}Routes")["RouteTableId"]) for letter in "AB"}
    endpoint = stack.properties("DynamoDbEndpoint")
    if tables != {"PrivateRouteTable"} or tables != {target(table) for table in endpoint["RouteTableIds"]}:
        yield "a private subnet has another route table"
    if endpoint["VpcEndpointType"] != "Gateway":
        yield "the table is reached by an endpoint that costs money"
    wanted = {action for name in CALLERS for action in table_actions(stack, name)}
    allowed = set(endpoint["PolicyDocument"]["Statement"][0]["Action"])
    if wanted != allowed:
        yield f"the endpoint lets through {sorted(wanted ^ allowed)} too much or too little"


def table_actions(stack, name):
    """What a function may do to the table."""
    own = (statement for where, statement in statements(stack) if where == f"{pascal(name)}Role")
    return {action for statement in own for action in listed(statement["Action"]) if action.startswith("dynamodb:")}


def the_nat_has_the_address(stack):
    given = stack.values["EipAllocationId"]
    if "Nat" in stack.resources:
        allocation = stack.properties("Nat")["AllocationId"]
        if target(allocation) != (given or "NatGatewayIp.AllocationId"):
            yield "the NAT gateway has another address"
    if "NatInstanceHost" in stack.resources:
        association = stack.properties("NatInstanceIpAssociation")
        if target(association["AllocationId"]) != (given or "NatInstanceIp.AllocationId"):
            yield "the NAT instance has another address"
        if target(association["InstanceId"]) != "NatInstanceHost":
            yield "the address is on another instance"
        if stack.properties("NatInstanceHost")["SourceDestCheck"] is not False:
            yield "the NAT instance drops what it is to forward"
    for name in stack.of_type("AWS::EC2::EIP") if given else []:
        yield f"{name} is not what WeChat knows"
