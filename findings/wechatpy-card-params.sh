#!/usr/bin/env bash
# Package:  PyPI wechatpy 1.8.18.
# What:     client.jsapi.get_jsapi_card_params(ticket, card_type, **kwargs) says in its docstring that it takes code, openid,
#           fixed_begintimestamp and outer_str. It drops them, and a card's id too: the signature and the answer are the same
#           with and without them. What it signs is the list that wx.chooseCard wants (appid, card_type), not wx.addCard's.
#           A second trap in the same package: WeChatSigner.add_data(0) and .add_data(b"") add nothing, because 0 counts as empty.
# Surprise: no error and no warning: the call looks like the one for wx.addCard, and WeChat refuses its signature on the phone.
# Do:       for wx.addCard sign with WeChatSigner: api_ticket, timestamp, card_id and, where used, code, openid and nonce_str,
#           each as a string. This method serves wx.chooseCard without a shop only; its answer also holds api_ticket, so do not hand
#           it to the page as it is.
# Needs:    Python 3.11 with venv.
set -euo pipefail

command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check wechatpy==1.8.18 cryptography==50.0.2 ||
    { echo "pip could not install the packages" >&2; exit 2; }

cat >finding.py <<'PYTHON'
import hashlib
import sys

from wechatpy import WeChatClient
from wechatpy.utils import WeChatSigner


def sha1_of_sorted(*values):
    return hashlib.sha1("".join(sorted(values)).encode()).hexdigest()


def signed(*values):
    signer = WeChatSigner()
    signer.add_data(*values)
    return signer.signature


ticket, appid, card = "ticket", "wx0000000000000000", "pcard"
client = WeChatClient(appid, "secret")
fixed = {"noncestr": "nonce", "timestamp": "1700000000"}
bare = client.jsapi.get_jsapi_card_params(ticket, "CASH", **fixed)
full = client.jsapi.get_jsapi_card_params(
    ticket, "CASH", **fixed, code="CODE", openid="openid", card_id=card, fixed_begintimestamp="1700000000", outer_str="shop"
)
add_card = sha1_of_sorted(ticket, "1700000000", card, "CODE", "openid", "nonce")
choose_card = sha1_of_sorted(ticket, appid, "1700000000", "nonce", "CASH")
print("keys of the answer:          ", *sorted(full))
print("the same with and without:   ", full == bare)
print("what wx.addCard wants:       ", add_card)
print("what wx.chooseCard wants:    ", choose_card)
print("what it signs:               ", full["sign"])
print("WeChatSigner for wx.addCard: ", signed(ticket, "1700000000", card, "CODE", "openid", "nonce"))
print("0 is signed:                 ", signed("a", 0) != signed("a"), "  7 is signed:", signed("a", 7) != signed("a"))
holds = (
    full == bare
    and full["sign"] == choose_card
    and signed(ticket, "1700000000", card, "CODE", "openid", "nonce") == add_card
    and signed("a", 0) == signed("a")
    and signed("a", 7) != signed("a")
)
sys.exit(not holds)
PYTHON
python/bin/python finding.py || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
