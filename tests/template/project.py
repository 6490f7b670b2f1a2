"""The functions of the project, as the contract has them."""

from stack import ROOT

DIRECT = {"order-sweeper", "refund-order", "token-refresher"}
SCHEDULED = {"order-sweeper", "token-refresher"}
# Who calls WeChat or WeChat Pay; the others call the table, and perhaps token-refresher.
CALLERS = {
    "create-order",
    "login",
    "order-sweeper",
    "phone-decrypt",
    "query-order",
    "refund-order",
    "token-refresher",
}


def names():
    """The functions, by their folders."""
    return sorted(folder.name for folder in (ROOT / "functions").iterdir() if folder.is_dir())


def pascal(name):
    """`user-info` -> `UserInfo`."""
    return "".join(word.capitalize() for word in name.split("-"))


def public():
    """The functions with a route."""
    return [name for name in names() if name not in DIRECT]
