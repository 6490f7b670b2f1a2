#!/usr/bin/env bash
# Packages: com.github.wechatpay-apiv3:wechatpay-java-core 0.2.17 and github.com/wechatpay-apiv3/wechatpay-go v0.2.21: both of
#           WeChat Pay's own SDKs; PyPI wechatpayv3 2.0.4.
# What:     they write the serial number of one certificate in two ways when its first hexadecimal digit is 0. Go (and
#           `openssl x509 -serial`) writes 0D7CE59D1F522D70, Java and wechatpayv3 write D7CE59D1F522D70.
#           In checking, Go and Java differ too: Go finds a certificate by the text, so only by its own form; Java's
#           InMemoryCertificateProvider finds it by the number, so by both.
# Surprise: they are official SDKs of one protocol, and the protocol compares serials as text (`Wechatpay-Serial`,
#           `serial_no`). Most certificates begin with another digit and never show it.
# Do:       compare serials as numbers, or without zeros in front on both sides. Send a merchant's serial as the merchant platform
#           shows it, not as a library derives it from the certificate. Which form WeChat Pay itself sends is not shown here.
# Needs:    Go, a JDK (17), Maven, Python 3.11 with venv, OpenSSL.
set -euo pipefail

for tool in go javac mvn python3 openssl; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOPATH=$work/go GOFLAGS="-mod=mod -modcacherw"

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -subj /CN=platform -days 2 \
    -set_serial 0x0D7CE59D1F522D70 2>openssl.log || { cat openssl.log >&2; exit 2; }

cat >pom.xml <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.github.wechatpay-apiv3</groupId><artifactId>wechatpay-java-core</artifactId><version>0.2.17</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -Dmaven.repo.local="$work/m2" dependency:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 ||
    { cat mvn.log >&2; echo "Maven could not install the package" >&2; exit 2; }
{ go mod init finding && go get github.com/wechatpay-apiv3/wechatpay-go@v0.2.21; } >go.log 2>&1 ||
    { cat go.log >&2; echo "Go could not install the package" >&2; exit 2; }
python3 -m venv python && python/bin/pip install --quiet --disable-pip-version-check \
    wechatpayv3==2.0.4 requests==2.34.2 cryptography==50.0.2 ||
    { echo "pip could not install the packages" >&2; exit 2; }

cat >Finding.java <<'JAVA'
import com.wechat.pay.java.core.certificate.InMemoryCertificateProvider;
import com.wechat.pay.java.core.util.PemUtil;
import java.security.cert.X509Certificate;
import java.util.List;

public class Finding {
    public static void main(String[] arguments) {
        X509Certificate certificate = PemUtil.loadX509FromPath("certificate.pem");
        InMemoryCertificateProvider known = new InMemoryCertificateProvider(List.of(certificate));
        System.out.println("wechatpay-java writes " + PemUtil.getSerialNumber(certificate));
        for (String serial : new String[] {"0D7CE59D1F522D70", "D7CE59D1F522D70"}) {
            System.out.println("wechatpay-java finds " + serial + ": " + (known.getCertificate(serial) != null));
        }
    }
}
JAVA
cat >finding.go <<'GO'
package main

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

func main() {
	certificate, err := utils.LoadCertificateWithPath("certificate.pem")
	if err != nil {
		panic(err)
	}
	known := core.NewCertificateMapWithList([]*x509.Certificate{certificate})
	fmt.Println("wechatpay-go writes", utils.GetCertificateSerialNumber(*certificate))
	for _, serial := range []string{"0D7CE59D1F522D70", "D7CE59D1F522D70"} {
		_, found := known.Get(context.Background(), serial)
		fmt.Printf("wechatpay-go finds %s: %t\n", serial, found)
	}
}
GO
# The header of a request with encrypted fields says which certificate they are for.
cat >finding.py <<'PYTHON'
import os
import requests
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.type import RequestType


def caught(url, json=None, data=None, headers=None, **_):
    print("wechatpayv3 writes", headers["Wechatpay-Serial"])
    answer = requests.Response()
    answer.status_code, answer._content = 401, b""
    return answer


requests.post = caught
os.mkdir("certificates")
os.link("certificate.pem", "certificates/certificate.pem")
pay = WeChatPay(
    wechatpay_type=WeChatPayType.MINIPROG, mchid="1900000001", appid="wx0000000000000000", cert_serial_no="1A2B",
    private_key=open("key.pem").read(), apiv3_key="k" * 32, notify_url="https://shop.example/notify", cert_dir="certificates",
)
pay._core.request("/v3/example", RequestType.POST, data={"name": "x"}, cipher_data=True)
PYTHON
{
    echo "openssl writes $(openssl x509 -noout -serial -in certificate.pem | cut -d= -f2)"
    go run finding.go
    java -cp 'lib/*' Finding.java 2>java.log || cat java.log
    python/bin/python -W ignore finding.py
} | tee output
diff - output <<'EXPECTED' || { echo "CHANGED: see above" >&2; exit 1; }
openssl writes 0D7CE59D1F522D70
wechatpay-go writes 0D7CE59D1F522D70
wechatpay-go finds 0D7CE59D1F522D70: true
wechatpay-go finds D7CE59D1F522D70: false
wechatpay-java writes D7CE59D1F522D70
wechatpay-java finds 0D7CE59D1F522D70: true
wechatpay-java finds D7CE59D1F522D70: true
wechatpayv3 writes D7CE59D1F522D70
EXPECTED
echo "as described"
