// The login of a user who is known, as one would write it in JavaScript: for the benchmark, not for use.
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { BatchGetItemCommand, DynamoDBClient, GetItemCommand, TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb';

const SESSION_TTL_SECS = 604800;
const { TABLE_NAME, WECHAT_API_URLS, WECHAT_APPS, SEAL_KEY, AWS_LAMBDA_RUNTIME_API } = process.env;
const [app] = JSON.parse(WECHAT_APPS);
const sealKey = createHash('sha256').update(SEAL_KEY).digest();
const dynamodb = new DynamoDBClient({});

const digest = (text) => createHash('sha256').update(text).digest('base64url');
const key = (pk, sk) => ({ pk: { S: pk }, sk: { S: sk } });

const seal = (text) => {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sealKey, nonce);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
};

const code2Session = async (code) => {
  const query = new URLSearchParams({
    appid: app.appId, secret: app.appSecret, js_code: code, grant_type: 'authorization_code',
  });
  const response = await fetch(`${WECHAT_API_URLS}/sns/jscode2session?${query}`);
  const session = await response.json();
  if (session.errcode) throw new Error('WeChat refused');
  return session;
};

// Three rows in one transaction: the session, its line in the user's partition, the login code.
const save = async (code, userId, session) => {
  const token = randomBytes(32).toString('base64url');
  const hash = digest(token);
  const expires = { N: String(Math.floor(Date.now() / 1000) + SESSION_TTL_SECS) };
  const row = {
    ...key(`SESSION#${hash}`, 'SESSION'),
    userId: { S: userId },
    appId: { S: app.appId },
    openId: { S: session.openid },
    sessionKey: { B: seal(session.session_key) },
  };
  const line = key(`USER#${userId}`, `SESSION#${hash}`);
  const used = { ...key(`CODE#${digest(`${app.appId}\n${code}`)}`, 'CODE'), sealed: { B: seal(token) } };
  const TransactItems = [row, line, used]
    .map((item) => ({ Put: { TableName: TABLE_NAME, Item: { ...item, expiresAt: expires, ttl: expires } } }));
  await dynamodb.send(new TransactWriteItemsCommand({ TransactItems }));
  return token;
};

const login = async (event) => {
  const { code } = JSON.parse(event.body);
  const session = await code2Session(code);
  const keys = { Keys: [key(`OPENID#${app.appId}#${session.openid}`, 'OPENID')], ConsistentRead: true };
  const found = await dynamodb.send(new BatchGetItemCommand({ RequestItems: { [TABLE_NAME]: keys } }));
  const userId = found.Responses[TABLE_NAME][0].userId.S;
  const read = { TableName: TABLE_NAME, Key: key(`USER#${userId}`, 'USER'), ConsistentRead: true };
  const [token, user] = await Promise.all([
    save(code, userId, session),
    dynamodb.send(new GetItemCommand(read)),
  ]);
  const profile = { id: userId, isNew: false, hasUnionId: 'unionId' in user.Item, phoneNumber: null };
  return {
    statusCode: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, expiresIn: SESSION_TTL_SECS, user: profile }),
  };
};

// As much of Lambda's own client of the Runtime API as the benchmark needs.
const agent = new http.Agent({ keepAlive: true });
const call = (method, path, body) => new Promise((resolve, reject) => {
  const [host, port] = AWS_LAMBDA_RUNTIME_API.split(':');
  const request = http.request({ agent, host, port, method, path: `/2018-06-01/runtime/invocation/${path}` }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => { text += chunk; });
    response.on('end', () => resolve({ id: response.headers['lambda-runtime-aws-request-id'], text }));
  });
  request.on('error', reject);
  request.end(body);
});

for (;;) {
  const { id, text } = await call('GET', 'next');
  const reply = await login(JSON.parse(text)).catch((err) => ({ statusCode: 500, body: err.name }));
  await call('POST', `${id}/response`, JSON.stringify(reply));
}
