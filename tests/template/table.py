"""What each function is given, as the table of docs/aws.md.

python tests/template/table.py
"""

from project import CALLERS, names, pascal
from rules.policies import listed, statements
from stack import Stack, target


def network(name):
    """When a function is in the VPC."""
    if name not in CALLERS:
        return "never"
    return "yes" if name == "token-refresher" else "with `all`"


def grants(stack, name):
    """A role's actions by what they are on, without the log."""
    found = {}
    for where, statement in statements(stack):
        actions = [action.split(":")[1] for action in listed(statement["Action"])]
        if where != f"{pascal(name)}Role" or "AssumeRole" in actions or "PutLogEvents" in actions:
            continue
        keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
        for on in keys or [target(resource) for resource in listed(statement["Resource"])]:
            found.setdefault(on.removesuffix(".Arn").replace("${Table.Arn}/", ""), []).extend(actions)
    by_actions = {}
    for on, actions in sorted(found.items()):
        by_actions.setdefault(", ".join(sorted(actions)), []).append(f"`{on}`")
    return "; ".join(f"{actions} on {', '.join(on)}" for actions, on in sorted(by_actions.items()))


def table(stack):
    """Markdown, a row for each function."""
    lines = ["| function | memory | timeout | in the VPC | may |", "|---|---|---|---|---|"]
    for name in names():
        properties = stack.properties(f"{pascal(name)}Function")
        memory, timeout = properties["MemorySize"], properties["Timeout"]
        lines.append(f"| `{name}` | {memory} MB | {timeout} s | {network(name)} | {grants(stack, name)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Stack()))
