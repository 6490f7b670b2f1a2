#!/usr/bin/env bash
# Package:  com.github.binarywang:weixin-java-pay 4.7.0 (WxJava).
# What:     an answer of API v3 without a `Content-Type` header ends in a WxPayException around a NullPointerException,
#           though the answer is signed correctly. A 204 has no content, so a server need not send that header: closing an
#           order succeeds there and fails here.
# Surprise: the caller is told that the closing failed, after the order was closed. The text ("getFirstHeader(String) is
#           null") names no header.
# Do:       a stand-in sends `Content-Type: application/json` also with a 204. A proxy must not strip it. After this error ask
#           for the order's state and do not close again.
# Needs:    a JDK (17) and Maven.
set -euo pipefail

for tool in javac mvn; do
    command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >pom.xml <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.github.binarywang</groupId><artifactId>weixin-java-pay</artifactId><version>4.7.0</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -Dmaven.repo.local="$work/m2" dependency:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 ||
    { cat mvn.log >&2; echo "Maven could not install the package" >&2; exit 2; }

echo '127.0.0.1 api.mch.weixin.qq.com' >hosts

cat >Finding.java <<'JAVA'
import com.github.binarywang.wxpay.config.WxPayConfig;
import com.github.binarywang.wxpay.service.impl.WxPayServiceImpl;
import com.sun.net.httpserver.*;
import java.net.InetSocketAddress;
import java.security.*;
import java.util.*;

public class Finding {
    static boolean typed;

    static byte[] pem(String kind, Key key) {
        String text = Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(key.getEncoded());
        return ("-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n").getBytes();
    }

    // A signed 204 for every request.
    static HttpServer standIn(KeyPair platform) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            try {
                exchange.getRequestBody().readAllBytes();
                String timestamp = "" + System.currentTimeMillis() / 1000;
                Signature signature = Signature.getInstance("SHA256withRSA");
                signature.initSign(platform.getPrivate());
                signature.update((timestamp + "\nnonce\n\n").getBytes());
                Headers headers = exchange.getResponseHeaders();
                headers.set("Wechatpay-Timestamp", timestamp);
                headers.set("Wechatpay-Nonce", "nonce");
                headers.set("Wechatpay-Serial", "PUB_KEY_ID_1");
                headers.set("Wechatpay-Signature", Base64.getEncoder().encodeToString(signature.sign()));
                if (typed) headers.set("Content-Type", "application/json");
                exchange.sendResponseHeaders(204, -1);
                exchange.close();
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        });
        server.start();
        return server;
    }

    static String close(WxPayServiceImpl service, boolean typed) {
        Finding.typed = typed;
        try {
            service.closeOrderV3("ORDER-1");
            return "closed";
        } catch (Exception error) {
            return error.getClass().getSimpleName() + " by " + error.getCause();
        }
    }

    public static void main(String[] arguments) throws Exception {
        KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA");
        keys.initialize(2048);
        KeyPair merchant = keys.generateKeyPair(), platform = keys.generateKeyPair();
        WxPayConfig config = new WxPayConfig();
        config.setAppId("wx0000000000000000");
        config.setMchId("1900000001");
        config.setApiV3Key("k".repeat(32));
        config.setCertSerialNo("1A2B");
        config.setPrivateKeyContent(pem("PRIVATE KEY", merchant.getPrivate()));
        config.setPrivateCertContent(new byte[0]);
        config.setPublicKeyContent(pem("PUBLIC KEY", platform.getPublic()));
        config.setPublicKeyId("PUB_KEY_ID_1");
        config.setPayBaseUrl("http://api.mch.weixin.qq.com:" + standIn(platform).getAddress().getPort());
        WxPayServiceImpl service = new WxPayServiceImpl();
        service.setConfig(config);
        String with = close(service, true), without = close(service, false);
        System.out.println("204 with Content-Type:    " + with + "\n204 without Content-Type: " + without);
        System.exit(with.equals("closed") && without.contains("NullPointerException") ? 0 : 1);
    }
}
JAVA
java -Djdk.net.hosts.file=hosts -cp 'lib/*' Finding.java 2>java.log || { cat java.log >&2; echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
