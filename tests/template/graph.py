"""What has to be there before what: the order in which CloudFormation makes resources, and takes them away."""

import re

SUBSTITUTED = re.compile(r"\$\{(\w+)(?:\.[\w.]+)?\}")


def references(value, guards=()):
    """What a value names, and the conditions that decide it: `("Nat", (("NatGateway", True),))`."""
    if isinstance(value, list):
        for item in value:
            yield from references(item, guards)
    if not isinstance(value, dict):
        return
    for function, argument in value.items():
        match function:
            case "Ref":
                yield argument, guards
            case "Fn::GetAtt":
                yield (argument.split(".") if isinstance(argument, str) else argument)[0], guards
            case "Fn::If":
                condition, then, otherwise = argument
                yield from references(then, (*guards, (condition, True)))
                yield from references(otherwise, (*guards, (condition, False)))
            case "Fn::Sub":
                text, given = (argument, {}) if isinstance(argument, str) else argument
                yield from ((name, guards) for name in SUBSTITUTED.findall(text) if name not in given)
                yield from references(given, guards)
            case _:
                yield from references(argument, guards)


def edges(template):
    """Which resource, or output, waits for which one, and when."""
    resources = template["Resources"]
    for name, resource in resources.items():
        depends = resource.get("DependsOn", [])
        for needed in [depends] if isinstance(depends, str) else depends:
            yield name, needed, ()
        for part in ("Properties", "Metadata"):  # CloudFormation waits for what metadata names, too.
            for needed, guards in references(resource.get(part, {})):
                if needed in resources:
                    yield name, needed, guards
    for name, output in template.get("Outputs", {}).items():
        for needed, guards in references(output["Value"]):
            if needed in resources:
                yield f"output {name}", needed, guards


def present(template, holds):
    """The resources and outputs that there are, where `holds` says which conditions do."""
    found = {name: resource.get("Condition") for name, resource in template["Resources"].items()}
    found |= {f"output {name}": output.get("Condition") for name, output in template.get("Outputs", {}).items()}
    return {name for name, condition in found.items() if condition is None or holds(condition)}


def needs(template, holds, known=None):
    """For each resource and output that there is, what it waits for. `known` are the template's edges."""
    waits = {name: set() for name in present(template, holds)}
    for name, needed, guards in edges(template) if known is None else known:
        if name in waits and all(holds(condition) == wanted for condition, wanted in guards):
            waits[name].add(needed)
    return waits


def before(waits, name):
    """All that is there before a resource is."""
    found, todo = set(), [name]
    while todo:
        for needed in waits.get(todo.pop(), ()):
            if needed not in found:
                found.add(needed)
                todo.append(needed)
    return found
