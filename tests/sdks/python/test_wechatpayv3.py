"""wechatpayv3 against the sandbox; what it verifies of notifications, and what `pay-notify` takes of those it signs."""

import base64
import json
import secrets
import threading
import time
import unittest
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
import sandbox
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import load_private_key, rsa_sign

sandbox.redirect()

MERCHANT, APP_ID = sandbox.MACHINE["wechatpay"], sandbox.MINI_PROGRAM["appId"]
OPENID = "oDemoUserOfTheLocalMachine_0"
PAY_NOTIFY = f"{sandbox.FUNCTIONS}/pay-notify"


def merchant(**keys):
    return WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=MERCHANT["mchId"],
        private_key=MERCHANT["privateKey"],
        cert_serial_no=MERCHANT["serialNo"],
        apiv3_key=MERCHANT["apiV3Key"],
        appid=APP_ID,
        notify_url=PAY_NOTIFY,
        timeout=(10, 30),
        **keys,
    )


def with_public_key():
    return merchant(public_key=MERCHANT["publicKey"], public_key_id=MERCHANT["publicKeyId"])


def number():
    return uuid.uuid4().hex


class Inbox:
    """A server that WeChat Pay tells what has happened."""

    def __enter__(self):
        self.told = told = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append((dict(self.headers), body.decode()))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait_for(self, count):
        sandbox.eventually(lambda: len(self.told) >= count, f"{count} notifications")
        return self.told


class Payments(unittest.TestCase):
    def answer(self, status, answered):
        code, body = answered
        self.assertEqual(code, status, body)
        return json.loads(body) if body else None

    def test_an_order_is_made_paid_told_queried_and_refunded(self):
        pay, out_trade_no = with_public_key(), number()
        with Inbox() as inbox:
            end = datetime.now(UTC) + timedelta(minutes=30)
            order = {
                "description": "商品",
                "out_trade_no": out_trade_no,
                "amount": {"total": 100},
                "payer": {"openid": OPENID},
                "time_expire": end.isoformat(),  # In UTC, with microseconds.
                "scene_info": {"payer_client_ip": "14.23.150.211", "store_info": {"id": "0001"}},
                "notify_url": inbox.url,
            }
            made = self.answer(200, pay.pay(**order))
            turned = {**order, "amount": {"total": 100}, "payer": {"openid": OPENID}}
            self.assertEqual(self.answer(200, pay.pay(**turned)), made)
            unpaid = self.answer(200, pay.query(out_trade_no=out_trade_no))
            self.assertEqual((unpaid["trade_state"], unpaid["amount"]["total"]), ("NOTPAY", 100))

            package, stamp, nonce = f"prepay_id={made['prepay_id']}", str(int(time.time())), "nonce"
            signature = pay.sign([APP_ID, stamp, nonce, package])
            payment = {"timeStamp": stamp, "nonceStr": nonce, "package": package, "signType": "RSA"}
            paid = sandbox.control("POST", "/requestPayment", payment={**payment, "paySign": signature})
            self.assertEqual(paid["errMsg"], "requestPayment:ok")
            told = pay.callback(*inbox.wait_for(1)[0])
            self.assertEqual((told["event_type"], told["resource"]["trade_state"]), ("TRANSACTION.SUCCESS", "SUCCESS"))
            known = self.answer(200, pay.query(transaction_id=told["resource"]["transaction_id"]))
            self.assertEqual((known["out_trade_no"], known["amount"]["payer_total"]), (out_trade_no, 100))

            wish = {"out_refund_no": number(), "amount": {"refund": 30, "total": 100, "currency": "CNY"}}
            refund = self.answer(200, pay.refund(out_trade_no=out_trade_no, notify_url=inbox.url, **wish))
            self.assertEqual((refund["status"], refund["amount"]["refund"]), ("PROCESSING", 30))
            told = pay.callback(*inbox.wait_for(2)[1])
            self.assertEqual((told["event_type"], told["resource"]["refund_status"]), ("REFUND.SUCCESS", "SUCCESS"))
            self.assertEqual(self.answer(200, pay.query_refund(wish["out_refund_no"]))["status"], "SUCCESS")

    def test_an_order_is_closed(self):
        pay, out_trade_no = with_public_key(), number()
        wish = {"description": "商品", "out_trade_no": out_trade_no, "amount": {"total": 1}}
        self.answer(200, pay.pay(payer={"openid": OPENID}, **wish))
        code, body = pay.close(out_trade_no)
        self.assertEqual((code, body), (204, ""))
        self.assertEqual(self.answer(200, pay.query(out_trade_no=out_trade_no))["trade_state"], "CLOSED")
        self.assertEqual(self.answer(404, pay.query(out_trade_no=number()))["code"], "ORDER_NOT_EXIST")

    def test_what_the_sandbox_lacks_is_said(self):
        missing = self.answer(404, with_public_key().complaint_list_query("2026-11-01"))
        self.assertIn("GET /v3/merchant-service/complaints-v2", missing["message"])


class Certificates(unittest.TestCase):
    def test_certificates_are_fetched_decrypted_and_rotated(self):
        sandbox.control("PUT", "/keys", mode="certificates")
        self.addCleanup(sandbox.control, "PUT", "/keys", mode="both")
        pay = merchant()
        code, body = pay.query(out_trade_no=number())
        self.assertEqual((code, json.loads(body)["code"]), (404, "ORDER_NOT_EXIST"))
        first = signing()
        for step in ("announce", "sign"):
            sandbox.control("POST", "/certificates/rotate", step=step)
            wish = {"description": "商品", "out_trade_no": number(), "amount": {"total": 1}}
            code, body = pay.pay(payer={"openid": OPENID}, **wish)
            self.assertEqual(code, 200, f"{step}: {body}")
        self.assertNotEqual(signing(), first)


def signing():
    return next(key["serialNo"] for key in sandbox.control("GET", "/keys")["certificates"] if key["signs"])


class Notifications(unittest.TestCase):
    """Signed by the SDK's own helper, with the keys of the sandbox's WeChat Pay."""

    def notification(self, resource, key="wechatPayKey", serial=MERCHANT["publicKeyId"], event="TRANSACTION.SUCCESS"):
        nonce, kind = secrets.token_hex(6), "transaction" if event.startswith("T") else "refund"
        sealed = AESGCM(MERCHANT["apiV3Key"].encode()).encrypt(nonce.encode(), json.dumps(resource).encode(), b"")
        body = json.dumps(
            {
                "id": str(uuid.uuid4()),
                "create_time": "2026-11-29T12:00:00+08:00",
                "resource_type": "encrypt-resource",
                "event_type": event,
                "summary": "支付成功",
                "resource": {
                    "original_type": kind,
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": base64.b64encode(sealed).decode(),
                    "nonce": nonce,
                },
            }
        )
        stamp, nonce = str(int(time.time())), uuid.uuid4().hex
        signature = rsa_sign(load_private_key(sandbox.MACHINE["keys"][key]), f"{stamp}\n{nonce}\n{body}\n")
        headers = {
            "Content-Type": "application/json",
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": signature,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
            "Wechatpay-Timestamp": stamp,
        }
        return headers, body

    def tell(self, headers, body):
        return requests.post(PAY_NOTIFY, headers=headers, data=body.encode(), timeout=10).status_code

    def paid(self, order):
        return {
            "appid": APP_ID,
            "mchid": MERCHANT["mchId"],
            "out_trade_no": order["outTradeNo"],
            "transaction_id": f"42000{secrets.randbelow(10**23):023}",
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "OTHERS",
            "attach": "",
            "success_time": "2026-11-29T04:00:00.123Z",
            "payer": {"openid": OPENID},
            "amount": {"total": order["totalFen"], "payer_total": order["totalFen"], "currency": "CNY"},
        }

    def test_pay_notify_takes_what_either_key_has_signed_and_nothing_else(self):
        _, token = sandbox.log_in()
        certificate = next(key["serialNo"] for key in sandbox.control("GET", "/keys")["certificates"])
        sandbox.invoke("order-sweeper")  # It fetches the certificates.
        for key, serial in [("wechatPayKey", MERCHANT["publicKeyId"]), ("platformKey", certificate)]:
            order = sandbox.order(token)
            headers, body = self.notification(self.paid(order), key, serial)
            self.assertEqual(self.tell({**headers, "Wechatpay-Nonce": "another"}, body), 401, key)
            self.assertEqual(self.tell(headers, body + " "), 401, key)
            self.assertEqual(sandbox.status(token, order["outTradeNo"]), "NOTPAY", key)
            self.assertEqual(self.tell(headers, body), 204, key)
            self.assertEqual(sandbox.status(token, order["outTradeNo"]), "SUCCESS", key)
            verified = (merchant() if key == "platformKey" else with_public_key()).callback(headers, body)
            self.assertEqual(verified["resource"]["out_trade_no"], order["outTradeNo"])

    def test_pay_notify_takes_a_refund_that_staff_made(self):
        _, token = sandbox.log_in()
        order = sandbox.order(token)
        paid = self.paid(order)
        self.assertEqual(self.tell(*self.notification(paid)), 204)
        refund = {
            "mchid": MERCHANT["mchId"],
            "out_trade_no": order["outTradeNo"],
            "transaction_id": paid["transaction_id"],
            "out_refund_no": number(),
            "refund_id": f"50300{secrets.randbelow(10**23):023}",
            "refund_status": "SUCCESS",
            "success_time": "2026-11-29T04:10:00Z",
            "user_received_account": "支付用户零钱",
            "amount": {"total": 100, "refund": 40, "payer_total": 100, "payer_refund": 40},
        }
        self.assertEqual(self.tell(*self.notification(refund, event="REFUND.SUCCESS")), 204)
        known = sandbox.call("query-order", {"outTradeNo": order["outTradeNo"]}, token).json()
        self.assertEqual((known["status"], known["refundedFen"]), ("REFUND", 40))


class OurPayments(unittest.TestCase):
    def test_what_create_order_signs_is_what_the_sdk_would_sign(self):
        _, token = sandbox.log_in()
        payment = sandbox.order(token)["payment"]
        signed = [APP_ID, payment["timeStamp"], payment["nonceStr"], payment["package"]]
        self.assertEqual(payment["paySign"], with_public_key().sign(signed))


if __name__ == "__main__":
    unittest.main()
