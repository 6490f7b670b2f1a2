#!/usr/bin/env bash
# Package:  PyPI wechatpayv3 2.0.4.
# What:     callback() says in three ways that a notification is not to be trusted. A wrong signature: it returns None. No
#           `Wechatpay-Signature-Type`: it raises a bare Exception. A `Wechatpay-Serial` that begins with PUB_KEY_ID_, while the
#           client is set up with platform certificates: it raises a ValueError ("invalid literal for int() with base 16").
# Surprise: the third one is a notification that WeChat Pay really sends: while a merchant changes from certificates to the
#           public key, a growing part of them comes with that serial. The text says nothing of keys, and neither `except`
#           nor `if result` alone catches all three.
# Do:       give the client public_key and public_key_id before the change is begun in the merchant platform. Treat None and
#           every exception of callback() alike: answer 401, so that WeChat Pay sends again.
# Needs:    Python 3.11 with venv.
set -euo pipefail

command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check \
    wechatpayv3==2.0.4 requests==2.34.2 cryptography==50.0.2 ||
    { echo "pip could not install the packages" >&2; exit 2; }

cat >finding.py <<'PYTHON'
import base64, datetime, json, os, sys, time
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from wechatpayv3 import WeChatPay, WeChatPayType

PEM, API_KEY, NONCE = serialization.Encoding.PEM, "k" * 32, "n" * 12
CERTIFICATE, PUBLIC_KEY = "5157F09EFDC096DE15EBE81A47057A72", "PUB_KEY_ID_0000000000000000000000000001"
merchant, platform, public, other = (rsa.generate_private_key(65537, 2048) for _ in range(4))


def text(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def write_certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "platform")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, platform.public_key(), int(CERTIFICATE, 16), now - day, now + day)
    os.mkdir("certificates")
    with open("certificates/platform.pem", "wb") as file:
        file.write(builder.sign(platform, hashes.SHA256()).public_bytes(PEM))


def notification(key, serial):
    sealed = AESGCM(API_KEY.encode()).encrypt(NONCE.encode(), b'{"trade_state":"SUCCESS"}', b"transaction")
    resource = {"algorithm": "AEAD_AES_256_GCM", "nonce": NONCE, "associated_data": "transaction", "ciphertext": base64.b64encode(sealed).decode()}
    body = json.dumps({"resource_type": "encrypt-resource", "resource": resource})
    timestamp = str(int(time.time()))
    signature = key.sign(f"{timestamp}\n{NONCE}\n{body}\n".encode(), padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": timestamp, "Wechatpay-Nonce": NONCE, "Wechatpay-Serial": serial,
        "Wechatpay-Signature": base64.b64encode(signature).decode(), "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }, body


def client(**keys):
    return WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG, mchid="1900000001", appid="wx0000000000000000", cert_serial_no="1A2B",
        private_key=text(merchant), apiv3_key=API_KEY, notify_url="https://shop.example/notify", cert_dir="certificates", **keys,
    )


def outcome(pay, headers, body):
    try:
        result = pay.callback(headers, body)
        return "None" if result is None else "opened"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


write_certificate()
public_pem = public.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
untyped, body = notification(platform, CERTIFICATE)
del untyped["Wechatpay-Signature-Type"]
certificates = client()
seen = {
    "right signature": outcome(certificates, *notification(platform, CERTIFICATE)),
    "wrong signature": outcome(certificates, *notification(other, CERTIFICATE)),
    "no signature type": outcome(certificates, untyped, body),
    "serial of the public key": outcome(certificates, *notification(public, PUBLIC_KEY)),
    "the same, public key given": outcome(client(public_key=public_pem, public_key_id=PUBLIC_KEY), *notification(public, PUBLIC_KEY)),
}
for case, result in seen.items():
    print(f"{case + ':':28}{result}")
begins = ("opened", "None", "Exception: ", "ValueError: invalid literal for int() with base 16", "opened")
sys.exit(not all(result.startswith(begin) for result, begin in zip(seen.values(), begins)))
PYTHON
python/bin/python finding.py || { echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
