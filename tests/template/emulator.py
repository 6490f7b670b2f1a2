"""MiniStack, an emulator of AWS and its CloudFormation, with what that lacks and template.yaml needs: NATs, addresses.

    GATEWAY_PORT=4566 BIND_HOST=127.0.0.1 python-emulator tests/template/emulator.py

What is added calls functions inside of MiniStack, so its version is one: .ci/locks/emulator.txt.
"""

import re

from ministack import app
from ministack.services import ec2
from ministack.services.cloudformation import provisioners, stacks, wait_conditions


def call(action, parameters):
    """An action of EC2's API: the first text of each element of its answer."""
    status, _, body = action({name: [value] for name, value in parameters.items() if value})
    text = body.decode() if isinstance(body, bytes) else body
    if status >= 400:
        raise ValueError(text)
    return dict(reversed(re.findall(r"<(\w+)>([^<]*)</", text)))


def create_address(_logical_id, _properties, _stack):
    made = call(ec2._allocate_address, {"Domain": "vpc"})
    return made["publicIp"], {"AllocationId": made["allocationId"], "PublicIp": made["publicIp"]}


def delete_address(address, _properties):
    for allocation in [a["AllocationId"] for a in ec2._addresses.values() if a["PublicIp"] == address]:
        call(ec2._release_address, {"AllocationId": allocation})


def create_association(_logical_id, properties, _stack):
    made = call(ec2._associate_address, properties)
    return made["associationId"], {"Id": made["associationId"]}


def delete_association(association, _properties):
    call(ec2._disassociate_address, {"AssociationId": association})


def create_gateway(_logical_id, properties, _stack):
    wanted = {name: properties.get(name) for name in ("AllocationId", "SubnetId")}
    made = call(ec2._create_nat_gateway, wanted)
    return made["natGatewayId"], {"NatGatewayId": made["natGatewayId"]}


def delete_gateway(gateway, _properties):
    call(ec2._delete_nat_gateway, {"NatGatewayId": gateway})


def create_instance(logical_id, properties, stack):
    """An instance that is ready when it has signalled, if its CreationPolicy says so."""
    made = call(ec2._run_instances, {"SubnetId": properties.get("SubnetId")})
    definition = provisioners._cfn_wait_condition_definition(stack, logical_id)
    signal = definition.get("CreationPolicy", {}).get("ResourceSignal")
    if signal:
        owner = provisioners._cr_stack_id(stack)
        seconds = wait_conditions.validate_resource_signal_timeout(signal.get("Timeout"), logical_id)
        slot = wait_conditions.register_slot(owner)
        kind, count = definition["Type"], signal.get("Count", 1)
        try:
            wait_conditions.wait_for(slot, owner, stack, logical_id, kind, count, seconds)
        except Exception:
            delete_instance(made["instanceId"], properties)
            raise
    return made["instanceId"], {"InstanceId": made["instanceId"]}


def delete_instance(instance, _properties):
    call(ec2._terminate_instances, {"InstanceId.1": instance})


def handlers(create, delete):
    """A type whose every change but that of tags makes another one in its place."""

    attributes = {}

    def make(logical_id, properties, stack):
        physical_id, attributes[physical_id] = create(logical_id, properties, stack)
        return physical_id, attributes[physical_id]

    def update(physical_id, old, new, stack, logical_id=None):
        kept = [{name: value for name, value in properties.items() if name != "Tags"} for properties in (old, new)]
        if kept[0] == kept[1]:
            return physical_id, attributes[physical_id]
        made = make(logical_id, new, stack)
        delete(physical_id, old)
        return made

    return {"create": make, "delete": delete, "update": update, "update_with_logical_id": True}


ADDED = {
    "AWS::EC2::EIP": handlers(create_address, delete_address),
    "AWS::EC2::EIPAssociation": handlers(create_association, delete_association),
    "AWS::EC2::Instance": handlers(create_instance, delete_instance),
    "AWS::EC2::NatGateway": handlers(create_gateway, delete_gateway),
}


def main():
    """Adds the types, and serves."""
    there_already = ADDED.keys() & provisioners._RESOURCE_HANDLERS.keys()
    assert not there_already, f"MiniStack makes these itself now: {sorted(there_already)}"
    provisioners._RESOURCE_HANDLERS.update(ADDED)
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind == "AWS::EC2::Instance" or blocks(kind)
    app.main()


if __name__ == "__main__":
    main()
