"""The local machine for SDKs of WeChat's in Python, which know its hosts and no others."""

import json
import os
import time
import uuid

import requests

MACHINE = json.loads(os.environ["MACHINE"])
SANDBOX, FUNCTIONS = MACHINE["sandbox"], MACHINE["functions"]
HOSTS = ("https://api.weixin.qq.com", "https://api.mch.weixin.qq.com")


def app(kind):
    """The first app of a kind."""
    return next(app for app in MACHINE["apps"] if app["kind"] == kind)


MINI_PROGRAM, OFFICIAL_ACCOUNT = app("mini-program"), app("official-account")


class ToSandbox(requests.adapters.HTTPAdapter):
    """Sends what is for WeChat's hosts to the sandbox: below the SDKs, which are used as they are published."""

    def send(self, request, **how):
        host = next(host for host in HOSTS if request.url.startswith(f"{host}/"))
        request.url = SANDBOX + request.url.removeprefix(host)
        return super().send(request, **how)


def redirect():
    """From now on, in this process."""
    init = requests.Session.__init__

    def with_adapter(session, *args, **kwargs):
        init(session, *args, **kwargs)
        for host in HOSTS:
            session.mount(host, ToSandbox())

    requests.Session.__init__ = with_adapter


def control(method, path, /, **body):
    """Uses a control of the sandbox."""
    reply = requests.request(method, f"{SANDBOX}/sandbox{path}", json=body, timeout=10)
    assert reply.status_code == 200, f"{method} {path}: {reply.status_code} {reply.text}"
    return reply.json()


def call(function, body, token=None, **headers):
    """Calls a function as a mini program does."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return requests.post(f"{FUNCTIONS}/{function}", json=body, headers=headers, timeout=10)


def invoke(function):
    """Invokes a function as its schedule does."""
    path = f"{FUNCTIONS}/2015-03-31/functions/{function}/invocations"
    reply = requests.post(path, json={}, timeout=20)
    assert reply.status_code == 200 and "X-Amz-Function-Error" not in reply.headers, reply.text


def log_in():
    """A new person of the mini program, known to WeChat and to the functions: the name, and the token of a session."""
    person = control("POST", "/users", unionid=True)["user"]
    code = control("POST", "/wx.login", user=person)["code"]
    return person, call("login", {"code": code}).json()["token"]


def order(token):
    """An unpaid order of the functions: what `create-order` replies."""
    body = {"items": [{"sku": "demo-sticker", "quantity": 1}]}
    reply = call("create-order", body, token, **{"Idempotency-Key": uuid.uuid4().hex})
    assert reply.status_code == 200, reply.text
    return reply.json()


def status(token, number):
    """What the functions know of an order."""
    return call("query-order", {"outTradeNo": number}, token).json()["status"]


def eventually(condition, what):
    """Waits for what happens beside."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within ten seconds")
