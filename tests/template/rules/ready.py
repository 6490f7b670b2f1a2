"""What is ready before what."""

import graphlib

import graph
from project import names, pascal

# What a NAT needs before it can reach anything: `Nat` with a given address has no other reason to wait for it.
WAY_IN_AND_OUT = {"InternetGatewayAttachment", "PublicRoute", "PublicSubnetRoutes"}


def everything_can_be_made_in_some_order(stack):
    yield from without_order(stack.needs)


def without_order(needs):
    """What waits for what is not there, or for itself."""
    for name, needed in sorted(needs.items()):
        for missing in sorted(needed - needs.keys()):
            yield f"{name} waits for {missing}, which is not there"
    try:
        tuple(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as cycle:
        yield f"these wait for each other: {', '.join(cycle.args[1])}"


def functions_enter_the_vpc_when_there_is_a_way_out(stack):
    if "Vpc" not in stack.resources:
        return
    nat = {"Nat"} if "Nat" in stack.resources else {"NatInstanceHost", "NatInstanceIpAssociation"}
    wanted = {"PrivateRoute", "PrivateSubnetARoutes", "PrivateSubnetBRoutes"} | nat
    for name in names():
        function = f"{pascal(name)}Function"
        if "VpcConfig" in stack.properties(function):
            for missing in sorted(wanted - graph.before(stack.needs, function)):
                yield f"{name} enters the VPC before there is {missing}"
    for name in {"Nat", "NatInstanceHost"} & stack.resources.keys():
        for missing in sorted(WAY_IN_AND_OUT - graph.before(stack.needs, name)):
            yield f"{name} is made before there is {missing}"
    if "NatInstanceHost" in nat and "NatInstanceIpAssociation" not in graph.before(stack.needs, "PrivateRoute"):
        yield "functions go out by the NAT instance before it has the address"


def the_nat_instance_is_ready_when_it_forwards(stack):
    if "NatInstanceHost" not in stack.resources:
        return
    signal = stack.resources["NatInstanceHost"].get("CreationPolicy", {}).get("ResourceSignal", {})
    if signal.get("Count") != 1 or "Timeout" not in signal:
        yield "the NAT instance counts as ready at once"
    script = stack.properties("NatInstanceTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    tells = [number for number, line in enumerate(commands) if "cfn-signal" in line and line.startswith("trap ")]
    works = [number for number, line in enumerate(commands) if "iptables" in line or "ip_forward" in line]
    if not commands[0].startswith("set -e") or not tells or tells[0] > min(works):
        yield "the NAT instance does not say that it could not be set up"
    for part in ("-e $?", "--stack prod ", "--resource NatInstanceHost ", " EXIT"):
        if not tells or part not in commands[tells[0]]:
            yield f"the signal of the NAT instance lacks {part.strip()}"


def a_nat_instance_that_is_stopped_raises_its_alarm(stack):
    alarm = stack.resources.get("NatInstanceAlarm")
    if alarm and alarm["Properties"]["TreatMissingData"] != "breaching":
        yield "no alarm tells of a NAT instance that is stopped, which has no status"
