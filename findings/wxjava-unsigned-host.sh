#!/usr/bin/env bash
# Package:  com.github.binarywang:weixin-java-pay 4.7.0 (WxJava).
# What:     WxJava signs a request of API v3 only for a host that ends in `.mch.weixin.qq.com`. With
#           WxPayConfig.setPayBaseUrl at any other host (a stand-in, a gateway of one's own) it sends no `Authorization`
#           header, and says nothing about it.
# Surprise: setPayBaseUrl is the documented way to another host, and nothing but the host has changed. A server that checks
#           signatures answers SIGN_ERROR, so a reader looks for a wrong key.
# Do:       keep the name api.mch.weixin.qq.com and send it elsewhere: for a test by Java's own hosts file, as here
#           (-Djdk.net.hosts.file). A gateway between WxJava and WeChat Pay must keep that name too. A test under another name
#           proves nothing about keys.
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
    static String authorization;

    static byte[] pem(String kind, Key key) {
        String text = Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(key.getEncoded());
        return ("-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n").getBytes();
    }

    // A signed answer to every request.
    static HttpServer standIn(KeyPair platform) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            try {
                authorization = exchange.getRequestHeaders().getFirst("Authorization");
                String body = "{\"trade_state\":\"NOTPAY\"}", timestamp = "" + System.currentTimeMillis() / 1000;
                Signature signature = Signature.getInstance("SHA256withRSA");
                signature.initSign(platform.getPrivate());
                signature.update((timestamp + "\nnonce\n" + body + "\n").getBytes());
                Headers headers = exchange.getResponseHeaders();
                headers.set("Content-Type", "application/json");
                headers.set("Wechatpay-Timestamp", timestamp);
                headers.set("Wechatpay-Nonce", "nonce");
                headers.set("Wechatpay-Serial", "PUB_KEY_ID_1");
                headers.set("Wechatpay-Signature", Base64.getEncoder().encodeToString(signature.sign()));
                exchange.sendResponseHeaders(200, body.length());
                exchange.getResponseBody().write(body.getBytes());
                exchange.close();
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
        });
        server.start();
        return server;
    }

    static String query(String host, int port, KeyPair merchant, KeyPair platform) throws Exception {
        WxPayConfig config = new WxPayConfig();
        config.setAppId("wx0000000000000000");
        config.setMchId("1900000001");
        config.setApiV3Key("k".repeat(32));
        config.setCertSerialNo("1A2B");
        config.setPrivateKeyContent(pem("PRIVATE KEY", merchant.getPrivate()));
        config.setPrivateCertContent(new byte[0]);
        config.setPublicKeyContent(pem("PUBLIC KEY", platform.getPublic()));
        config.setPublicKeyId("PUB_KEY_ID_1");
        config.setPayBaseUrl("http://" + host + ":" + port);
        WxPayServiceImpl service = new WxPayServiceImpl();
        service.setConfig(config);
        String state = service.queryOrderV3(null, "ORDER-1").getTradeState();
        return (authorization == null ? "no Authorization" : authorization.split(" ")[0]) + ", " + state;
    }

    public static void main(String[] arguments) throws Exception {
        KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA");
        keys.initialize(2048);
        KeyPair merchant = keys.generateKeyPair(), platform = keys.generateKeyPair();
        HttpServer server = standIn(platform);
        int port = server.getAddress().getPort();
        String own = query("api.mch.weixin.qq.com", port, merchant, platform);
        String other = query("127.0.0.1", port, merchant, platform);
        System.out.println("api.mch.weixin.qq.com: " + own + "\n127.0.0.1:             " + other);
        System.exit(own.startsWith("WECHATPAY2-SHA256-RSA2048") && other.startsWith("no Authorization") ? 0 : 1);
    }
}
JAVA
java -Djdk.net.hosts.file=hosts -cp 'lib/*' Finding.java 2>java.log || { cat java.log >&2; echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
