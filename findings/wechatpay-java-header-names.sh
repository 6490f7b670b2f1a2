#!/usr/bin/env bash
# Package:  com.github.wechatpay-apiv3:wechatpay-java 0.2.17 (the official SDK), with the OkHttp 4.10.0 that it brings.
# What:     it finds the headers of an answer by their exact letters. The same signed answer is accepted with
#           `Wechatpay-Timestamp` and refused with `wechatpay-timestamp`:
#           "timestamp[null] of httpResponse is invalid". The exception is an IllegalArgumentException, not the SDK's own
#           ValidationException.
# Surprise: header names of HTTP have no case (RFC 9110, section 5.1), and HTTP/2 sends all of them in lower case. A reader
#           looks for a wrong key or a wrong clock, because the text names the timestamp.
# Do:       a stand-in, a proxy or a recorded answer for this SDK has to send title case, over HTTP/1.1. Handlers of
#           notifications must not pass header names on to the SDK: its RequestParam takes the values one by one.
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
    <dependency><groupId>com.github.wechatpay-apiv3</groupId><artifactId>wechatpay-java</artifactId><version>0.2.17</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -Dmaven.repo.local="$work/m2" dependency:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 ||
    { cat mvn.log >&2; echo "Maven could not install the package" >&2; exit 2; }

cat >Finding.java <<'JAVA'
import com.wechat.pay.java.core.*;
import com.wechat.pay.java.core.http.*;
import com.wechat.pay.java.service.payments.jsapi.JsapiService;
import com.wechat.pay.java.service.payments.jsapi.model.QueryOrderByOutTradeNoRequest;
import java.io.*;
import java.net.*;
import java.security.*;
import java.util.*;
import okhttp3.OkHttpClient;

public class Finding {
    static final String[] NAMES = {"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature"};
    static KeyPair merchant, platform;

    static String pem(String kind, Key key) {
        String text = Base64.getMimeEncoder(64, "\n".getBytes()).encodeToString(key.getEncoded());
        return "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n";
    }

    // A socket, because servers with comfort change the letters of header names.
    static void answer(ServerSocket listener, boolean lower) {
        try (Socket socket = listener.accept()) {
            BufferedReader request = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            while (!request.readLine().isEmpty()) { }
            String body = "{\"trade_state\":\"NOTPAY\"}", timestamp = "" + System.currentTimeMillis() / 1000;
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(platform.getPrivate());
            signature.update((timestamp + "\nnonce\n" + body + "\n").getBytes());
            String[] values = {timestamp, "nonce", "PUB_KEY_ID_1", Base64.getEncoder().encodeToString(signature.sign())};
            StringBuilder answer = new StringBuilder("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n");
            for (int i = 0; i < NAMES.length; i++) {
                answer.append(lower ? NAMES[i].toLowerCase() : NAMES[i]).append(": ").append(values[i]).append("\r\n");
            }
            answer.append("Content-Length: ").append(body.length()).append("\r\n\r\n").append(body);
            socket.getOutputStream().write(answer.toString().getBytes());
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static String query(JsapiService service, ServerSocket listener, boolean lower) throws InterruptedException {
        Thread server = new Thread(() -> answer(listener, lower));
        server.start();
        QueryOrderByOutTradeNoRequest request = new QueryOrderByOutTradeNoRequest();
        request.setMchid("1900000001");
        request.setOutTradeNo("ORDER-1");
        try {
            return "accepted, " + service.queryOrderByOutTradeNo(request).getTradeState();
        } catch (RuntimeException error) {
            return "refused, " + error;
        } finally {
            server.join();
        }
    }

    public static void main(String[] arguments) throws Exception {
        KeyPairGenerator keys = KeyPairGenerator.getInstance("RSA");
        keys.initialize(2048);
        merchant = keys.generateKeyPair();
        platform = keys.generateKeyPair();
        ServerSocket listener = new ServerSocket(0, 2, InetAddress.getLoopbackAddress());
        Config config = new RSAPublicKeyConfig.Builder().merchantId("1900000001").merchantSerialNumber("1A2B")
            .privateKey(pem("PRIVATE KEY", merchant.getPrivate())).apiV3Key("k".repeat(32))
            .publicKey(pem("PUBLIC KEY", platform.getPublic())).publicKeyId("PUB_KEY_ID_1").build();
        // The SDK has one address, so its client sends to the socket instead.
        OkHttpClient client = new OkHttpClient.Builder().addInterceptor(chain -> chain.proceed(chain.request().newBuilder()
            .url(chain.request().url().newBuilder().scheme("http").host("127.0.0.1").port(listener.getLocalPort()).build())
            .build())).build();
        HttpClient http = new DefaultHttpClientBuilder().config(config).okHttpClient(client).build();
        JsapiService service = new JsapiService.Builder().config(config).httpClient(http).build();
        String title = query(service, listener, false), lower = query(service, listener, true);
        System.out.println("Wechatpay-Timestamp: " + title);
        System.out.println("wechatpay-timestamp: " + lower);
        System.exit(title.startsWith("accepted") && lower.contains("timestamp[null]") ? 0 : 1);
    }
}
JAVA
java -cp 'lib/*' Finding.java 2>java.log || { cat java.log >&2; echo "CHANGED: see above" >&2; exit 1; }
echo "as described"
