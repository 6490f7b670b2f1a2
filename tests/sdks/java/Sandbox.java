import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpServer;
import com.wechat.pay.java.core.Config;
import com.wechat.pay.java.core.RSAAutoCertificateConfig;
import com.wechat.pay.java.core.RSAPublicKeyConfig;
import com.wechat.pay.java.core.cipher.AeadAesCipher;
import com.wechat.pay.java.core.cipher.RSASigner;
import com.wechat.pay.java.core.exception.ServiceException;
import com.wechat.pay.java.core.http.DefaultHttpClientBuilder;
import com.wechat.pay.java.core.http.HttpClient;
import com.wechat.pay.java.core.notification.NotificationConfig;
import com.wechat.pay.java.core.notification.NotificationParser;
import com.wechat.pay.java.core.notification.RequestParam;
import com.wechat.pay.java.core.util.NonceUtil;
import com.wechat.pay.java.core.util.PemUtil;
import com.wechat.pay.java.service.payments.jsapi.JsapiServiceExtension;
import com.wechat.pay.java.service.payments.jsapi.model.Amount;
import com.wechat.pay.java.service.payments.jsapi.model.CloseOrderRequest;
import com.wechat.pay.java.service.payments.jsapi.model.Payer;
import com.wechat.pay.java.service.payments.jsapi.model.PrepayRequest;
import com.wechat.pay.java.service.payments.jsapi.model.QueryOrderByIdRequest;
import com.wechat.pay.java.service.payments.jsapi.model.QueryOrderByOutTradeNoRequest;
import com.wechat.pay.java.service.payments.jsapi.model.SceneInfo;
import com.wechat.pay.java.service.payments.jsapi.model.StoreInfo;
import com.wechat.pay.java.service.payments.model.Transaction;
import com.wechat.pay.java.service.refund.RefundService;
import com.wechat.pay.java.service.refund.model.AmountReq;
import com.wechat.pay.java.service.refund.model.CreateRequest;
import com.wechat.pay.java.service.refund.model.QueryByOutRefundNoRequest;
import com.wechat.pay.java.service.refund.model.RefundNotification;
import com.wechat.pay.java.service.refund.model.Status;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import okhttp3.HttpUrl;
import okhttp3.OkHttpClient;

/** wechatpay-java against the sandbox; and a notification that its helpers make, against pay-notify. See run.sh. */
public final class Sandbox {
  private static final JsonObject MACHINE = JsonParser.parseString(System.getenv("MACHINE")).getAsJsonObject();
  private static final JsonObject MERCHANT = MACHINE.getAsJsonObject("wechatpay");
  private static final String SANDBOX = text(MACHINE, "sandbox");
  private static final String FUNCTIONS = text(MACHINE, "functions");
  private static final String MCH_ID = text(MERCHANT, "mchId");
  private static final String APP_ID = appId();
  private static final String OPENID = "oDemoUserOfTheLocalMachine_0";
  private static final java.net.http.HttpClient HTTP = java.net.http.HttpClient.newHttpClient();

  /** A notification as it came. */
  private record Told(Map<String, List<String>> headers, String body) {}

  private static final LinkedBlockingQueue<Told> INBOX = new LinkedBlockingQueue<>();

  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/notify", exchange -> {
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      INBOX.add(new Told(exchange.getRequestHeaders(), body));
      exchange.sendResponseHeaders(204, -1);
      exchange.close();
    });
    server.start();
    String notifyUrl = "http://127.0.0.1:" + server.getAddress().getPort() + "/notify";
    try {
      // While a merchant has both, notifications may have either's signature, which neither configuration verifies.
      control("PUT", "/keys", Map.of("mode", "publicKey"));
      RSAPublicKeyConfig publicKey = new RSAPublicKeyConfig.Builder().merchantId(MCH_ID)
          .privateKey(text(MERCHANT, "privateKey")).merchantSerialNumber(text(MERCHANT, "serialNo"))
          .apiV3Key(text(MERCHANT, "apiV3Key")).publicKey(text(MERCHANT, "publicKey"))
          .publicKeyId(text(MERCHANT, "publicKeyId")).build();
      journey("public key", publicKey, publicKey, notifyUrl);
      ourNotifications();
      control("PUT", "/keys", Map.of("mode", "certificates"));
      RSAAutoCertificateConfig certificates = new RSAAutoCertificateConfig.Builder().merchantId(MCH_ID)
          .privateKey(text(MERCHANT, "privateKey")).merchantSerialNumber(text(MERCHANT, "serialNo"))
          .apiV3Key(text(MERCHANT, "apiV3Key"))
          .httpClientBuilder(new DefaultHttpClientBuilder().okHttpClient(toSandbox())).build();
      journey("certificates", certificates, certificates, notifyUrl);
      System.out.println("wechatpay-java: all as it should be");
    } finally {
      server.stop(0);
    }
    System.exit(0); // The SDK refreshes certificates in a thread of its own.
  }

  /** An order is made, paid, told, queried, refunded; another one is closed. */
  private static void journey(String keys, Config config, NotificationConfig notifications, String notifyUrl)
      throws Exception {
    HttpClient http = new DefaultHttpClientBuilder().config(config).okHttpClient(toSandbox()).build();
    JsapiServiceExtension pay = new JsapiServiceExtension.Builder().config(config).httpClient(http).build();
    RefundService refunds = new RefundService.Builder().httpClient(http).build();
    NotificationParser parser = new NotificationParser(notifications);

    PrepayRequest order = order(notifyUrl);
    var payment = pay.prepayWithRequestPayment(order);
    same(keys, payment.getPackageVal(), pay.prepayWithRequestPayment(order).getPackageVal());
    same(keys, Transaction.TradeStateEnum.NOTPAY, query(pay, order).getTradeState());
    Map<String, String> parameters = Map.of("timeStamp", payment.getTimeStamp(), "nonceStr", payment.getNonceStr(),
        "package", payment.getPackageVal(), "signType", payment.getSignType(), "paySign", payment.getPaySign());
    JsonObject paid = control("POST", "/requestPayment", Map.of("payment", parameters));
    same(keys, "requestPayment:ok", text(paid, "errMsg"));
    Transaction told = parser.parse(next(), Transaction.class);
    same(keys, Transaction.TradeStateEnum.SUCCESS, told.getTradeState());
    QueryOrderByIdRequest byId = new QueryOrderByIdRequest();
    byId.setMchid(MCH_ID);
    byId.setTransactionId(told.getTransactionId());
    same(keys, order.getOutTradeNo(), pay.queryOrderById(byId).getOutTradeNo());

    CreateRequest wish = new CreateRequest();
    wish.setOutTradeNo(order.getOutTradeNo());
    wish.setOutRefundNo(number());
    wish.setNotifyUrl(notifyUrl);
    wish.setAmount(new AmountReq());
    wish.getAmount().setRefund(30L);
    wish.getAmount().setTotal(100L);
    wish.getAmount().setCurrency("CNY");
    same(keys, Status.PROCESSING, refunds.create(wish).getStatus());
    same(keys, Status.SUCCESS, parser.parse(next(), RefundNotification.class).getRefundStatus());
    QueryByOutRefundNoRequest byNumber = new QueryByOutRefundNoRequest();
    byNumber.setOutRefundNo(wish.getOutRefundNo());
    same(keys, Status.SUCCESS, refunds.queryByOutRefundNo(byNumber).getStatus());

    PrepayRequest other = order(notifyUrl);
    pay.prepayWithRequestPayment(other);
    CloseOrderRequest close = new CloseOrderRequest();
    close.setMchid(MCH_ID);
    close.setOutTradeNo(other.getOutTradeNo());
    pay.closeOrder(close);
    same(keys, Transaction.TradeStateEnum.CLOSED, query(pay, other).getTradeState());
    try {
      query(pay, order(notifyUrl));
      throw new AssertionError("an order that is not there was found");
    } catch (ServiceException unknown) {
      same(keys, "ORDER_NOT_EXIST", unknown.getErrorCode());
    }
  }

  /** pay-notify takes what the SDK's helpers have encrypted and signed with WeChat Pay's key, and nothing else. */
  private static void ourNotifications() throws Exception {
    String user = text(control("POST", "/users", Map.of()), "user");
    String code = text(control("POST", "/wx.login", Map.of("user", user)), "code");
    String session = "Bearer " + text(json("POST", FUNCTIONS + "/login", Map.of("code", code)), "token");
    Object items = Map.of("items", List.of(Map.of("sku", "demo-sticker", "quantity", 1)));
    JsonObject order = json("POST", FUNCTIONS + "/create-order", items, "Authorization", session,
        "Idempotency-Key", number());
    int total = order.get("totalFen").getAsInt();
    String transaction = new Gson().toJson(Map.of("appid", APP_ID, "mchid", MCH_ID, "out_trade_no",
        text(order, "outTradeNo"), "transaction_id", "42000" + System.nanoTime(), "trade_state", "SUCCESS",
        "success_time", Instant.now().toString(), "amount", Map.of("total", total, "currency", "CNY")));
    byte[] nonce = NonceUtil.createNonce(12).getBytes(StandardCharsets.UTF_8);
    AeadAesCipher cipher = new AeadAesCipher(text(MERCHANT, "apiV3Key").getBytes(StandardCharsets.UTF_8));
    String sealed = cipher.encrypt("transaction".getBytes(StandardCharsets.UTF_8), nonce,
        transaction.getBytes(StandardCharsets.UTF_8));
    String body = new Gson().toJson(Map.of("id", UUID.randomUUID().toString(), "create_time", Instant.now().toString(),
        "resource_type", "encrypt-resource", "event_type", "TRANSACTION.SUCCESS", "resource",
        Map.of("original_type", "transaction", "algorithm", "AEAD_AES_256_GCM", "ciphertext", sealed,
            "associated_data", "transaction", "nonce", new String(nonce, StandardCharsets.UTF_8))));
    String stamp = String.valueOf(Instant.now().getEpochSecond());
    String salt = NonceUtil.createNonce(32);
    RSASigner signer = new RSASigner(text(MERCHANT, "publicKeyId"),
        PemUtil.loadPrivateKeyFromString(text(MACHINE.getAsJsonObject("keys"), "wechatPayKey")));
    String signature = signer.sign(stamp + "\n" + salt + "\n" + body + "\n").getSign();
    for (Map.Entry<String, Integer> one : List.of(Map.entry("another", 401), Map.entry(salt, 204))) {
      HttpRequest told = HttpRequest.newBuilder(URI.create(FUNCTIONS + "/pay-notify"))
          .header("Content-Type", "application/json").header("Wechatpay-Timestamp", stamp)
          .header("Wechatpay-Nonce", one.getKey()).header("Wechatpay-Signature", signature)
          .header("Wechatpay-Serial", text(MERCHANT, "publicKeyId"))
          .POST(HttpRequest.BodyPublishers.ofString(body)).build();
      same("pay-notify", one.getValue(), HTTP.send(told, HttpResponse.BodyHandlers.discarding()).statusCode());
    }
    Object number = Map.of("outTradeNo", text(order, "outTradeNo"));
    same("pay-notify", "SUCCESS", text(json("POST", FUNCTIONS + "/query-order", number, "Authorization", session), "status"));
  }

  private static PrepayRequest order(String notifyUrl) {
    PrepayRequest order = new PrepayRequest();
    order.setAppid(APP_ID);
    order.setMchid(MCH_ID);
    order.setDescription("商品");
    order.setOutTradeNo(number());
    order.setNotifyUrl(notifyUrl);
    order.setTimeExpire(Instant.now().plusSeconds(1800).toString()); // In UTC, with a fraction.
    order.setAmount(new Amount());
    order.getAmount().setTotal(100);
    order.setPayer(new Payer());
    order.getPayer().setOpenid(OPENID);
    order.setSceneInfo(new SceneInfo());
    order.getSceneInfo().setPayerClientIp("14.23.150.211");
    order.getSceneInfo().setStoreInfo(new StoreInfo());
    order.getSceneInfo().getStoreInfo().setId("0001");
    return order;
  }

  private static Transaction query(JsapiServiceExtension pay, PrepayRequest order) {
    QueryOrderByOutTradeNoRequest query = new QueryOrderByOutTradeNoRequest();
    query.setMchid(MCH_ID);
    query.setOutTradeNo(order.getOutTradeNo());
    return pay.queryOrderByOutTradeNo(query);
  }

  /** Sends what is for WeChat Pay's host to the sandbox: below the SDK, which is used as it is published. */
  private static OkHttpClient toSandbox() {
    HttpUrl sandbox = HttpUrl.get(SANDBOX);
    return new OkHttpClient.Builder().addInterceptor(chain -> {
      HttpUrl url = chain.request().url().newBuilder().scheme(sandbox.scheme()).host(sandbox.host())
          .port(sandbox.port()).build();
      return chain.proceed(chain.request().newBuilder().url(url).build());
    }).build();
  }

  /** The next notification. A header's name has to be as WeChat Pay writes it, or it is not found. */
  private static RequestParam next() throws InterruptedException {
    Told told = INBOX.poll(10, TimeUnit.SECONDS);
    if (told == null) {
      throw new AssertionError("no notification within ten seconds");
    }
    return new RequestParam.Builder().serialNumber(header(told, "Wechatpay-Serial"))
        .timestamp(header(told, "Wechatpay-Timestamp")).nonce(header(told, "Wechatpay-Nonce"))
        .signature(header(told, "Wechatpay-Signature")).signType(header(told, "Wechatpay-Signature-Type"))
        .body(told.body()).build();
  }

  private static String header(Told told, String name) {
    return told.headers().get(name).get(0);
  }

  private static JsonObject control(String method, String path, Object body) throws Exception {
    return json(method, SANDBOX + "/sandbox" + path, body);
  }

  private static JsonObject json(String method, String url, Object body, String... headers) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json")
        .method(method, HttpRequest.BodyPublishers.ofString(new Gson().toJson(body)));
    HttpRequest built = (headers.length > 0 ? request.headers(headers) : request).build();
    HttpResponse<String> reply = HTTP.send(built, HttpResponse.BodyHandlers.ofString());
    same(method + " " + url, 200, reply.statusCode());
    return JsonParser.parseString(reply.body()).getAsJsonObject();
  }

  private static String appId() {
    for (JsonElement app : MACHINE.getAsJsonArray("apps")) {
      if (text(app.getAsJsonObject(), "kind").equals("mini-program")) {
        return text(app.getAsJsonObject(), "appId");
      }
    }
    throw new AssertionError("there is no mini program");
  }

  private static String text(JsonObject object, String name) {
    return object.get(name).getAsString();
  }

  private static String number() {
    return UUID.randomUUID().toString().replace("-", "");
  }

  private static void same(String what, Object expected, Object actual) {
    if (!expected.equals(actual)) {
      throw new AssertionError(what + ": " + expected + " was expected, and it is " + actual);
    }
  }
}
