"""wechatpy against the sandbox, and its signatures against ours."""

import hashlib
import hmac
import json
import unittest

import sandbox
from wechatpy import WeChatClient, WeChatOAuth
from wechatpy.exceptions import WeChatClientException, WeChatOAuthException
from wechatpy.utils import WeChatSigner, check_wxa_signature

sandbox.redirect()


def client(app):
    return WeChatClient(app["appId"], app["appSecret"])


class Tokens(unittest.TestCase):
    """It knows the classic way alone, so that is switched on."""

    def setUp(self):
        sandbox.control("PUT", "/classic-token", enabled=True)
        self.addCleanup(sandbox.control, "PUT", "/classic-token", enabled=False)

    def test_the_classic_token_is_refused_until_it_is_switched_on(self):
        sandbox.control("PUT", "/classic-token", enabled=False)
        with self.assertRaises(WeChatClientException) as refused:
            client(sandbox.MINI_PROGRAM).fetch_access_token()
        self.assertEqual(refused.exception.errcode, 50004)

    def test_a_token_is_fetched_used_and_replaced_when_it_was_revoked(self):
        official = client(sandbox.OFFICIAL_ACCOUNT)
        ticket = official.jsapi.get_jsapi_ticket()
        first = official.access_token
        sandbox.control("POST", "/tokens/revoke", appId=official.appid, kind="classic_token")
        self.assertTrue(official.jsapi.get_ticket("wx_card")["ticket"])
        self.assertNotEqual(official.access_token, first)
        signature = official.jsapi.get_jsapi_signature("nonce", ticket, "1414587457", "https://example.com/?a=1")
        text = f"jsapi_ticket={ticket}&noncestr=nonce&timestamp=1414587457&url=https://example.com/?a=1"
        self.assertEqual(signature, hashlib.sha1(text.encode()).hexdigest())

    def test_the_signature_of_a_card_is_the_one_that_it_makes_of_the_same_ticket(self):
        ticket = client(sandbox.OFFICIAL_ACCOUNT).jsapi.get_jsapi_card_ticket()
        _, token = sandbox.log_in()
        for body in [
            {"cardId": "pDemoCardWithCodesOfWechat000"},
            {"cardId": "pDemoCardWithCodesOfServer000"},
            {"cardId": "pDemoCardWithCodesOfClient000", "code": "Code1"},
        ]:
            reply = sandbox.call("card-ext", body, token)
            self.assertEqual(reply.status_code, 200, reply.text)
            ext = json.loads(reply.json()["cardExt"])
            signer = WeChatSigner()
            signed = [ext.get(name) for name in ("timestamp", "nonce_str", "code", "openid")]
            signer.add_data(ticket, reply.json()["cardId"], *[value for value in signed if value])
            self.assertEqual(ext["signature"], signer.signature, body)

    def test_a_phone_number_is_told_for_a_code_once(self):
        person, _ = sandbox.log_in()
        code = sandbox.control("POST", "/getPhoneNumber", user=person)["code"]
        mini = client(sandbox.MINI_PROGRAM)
        path = "https://api.weixin.qq.com/wxa/business/getuserphonenumber"
        told = mini.post(path, data={"code": code})["phone_info"]
        self.assertEqual((told["countryCode"], told["watermark"]["appid"]), ("86", mini.appid))
        with self.assertRaises(WeChatClientException) as refused:
            mini.post(path, data={"code": code})
        self.assertEqual(refused.exception.errcode, 40029)

    def test_what_the_sandbox_lacks_is_said(self):
        with self.assertRaises(WeChatClientException) as missing:
            client(sandbox.OFFICIAL_ACCOUNT).menu.get()
        self.assertEqual(missing.exception.response.status_code, 404)
        self.assertIn("GET /cgi-bin/menu/get", missing.exception.response.text)


class Logins(unittest.TestCase):
    def test_a_mini_program_logs_in_and_its_session_is_checked(self):
        sandbox.control("PUT", "/classic-token", enabled=True)
        self.addCleanup(sandbox.control, "PUT", "/classic-token", enabled=False)
        person = sandbox.control("POST", "/users", unionid=True)["user"]
        code = sandbox.control("POST", "/wx.login", user=person)["code"]
        mini = client(sandbox.MINI_PROGRAM)
        session = mini.wxa.code_to_session(code)
        self.assertEqual((len(session["openid"]), len(session["session_key"])), (28, 24))
        with self.assertRaises(WeChatClientException) as used:
            mini.wxa.code_to_session(code)
        self.assertEqual(used.exception.errcode, 40163)
        signature = hmac.new(session["session_key"].encode(), b"", hashlib.sha256).hexdigest()
        query = {"openid": session["openid"], "signature": signature, "sig_method": "hmac_sha256"}
        path = "https://api.weixin.qq.com/wxa/checksession"
        self.assertEqual(mini.get(path, params=query)["errcode"], 0)
        profile = sandbox.control("POST", "/getUserProfile", user=person)
        check_wxa_signature(session["session_key"], profile["rawData"], profile["signature"])

    def test_a_page_of_an_official_account_asks_who_its_visitor_is(self):
        official = sandbox.OFFICIAL_ACCOUNT
        oauth = WeChatOAuth(official["appId"], official["appSecret"], "https://example.com/", scope="snsapi_userinfo")
        person = sandbox.control("POST", "/users", unionid=True)
        change = {"nickName": "小明", "avatarUrl": "https://example.com/a.png"}
        sandbox.control("PUT", f"/users/{person['user']}", **change)
        wish = {"user": person["user"], "appId": official["appId"]}
        oauth.fetch_access_token(sandbox.control("POST", "/oauth2/authorize", **wish)["code"])
        told = oauth.get_user_info()
        self.assertEqual((told["nickname"], told["unionid"]), ("小明", person["unionid"]))
        self.assertTrue(oauth.check_access_token())
        with self.assertRaises(WeChatOAuthException) as refused:
            oauth.check_access_token(openid="oNobody")
        self.assertEqual(refused.exception.errcode, 40003)


if __name__ == "__main__":
    unittest.main()
