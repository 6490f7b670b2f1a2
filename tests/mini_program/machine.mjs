// A local machine (that of `cargo dev`), and the READMEs' code for the mini program as modules of a phone.
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const local = join(root, 'target/debug/local');

// Where the code is: the file, and how its fence begins.
const MODULES = {
  backend: ['README.md', '// backend.js'],
  shop: ['functions/create-order/README.md', '// shop.js'],
  page: ['functions/create-order/README.md', '// A page with a button `bindtap="onBuy"`'],
};

/** The code of a fence, with the names of files that Node wants. */
function code([file, start]) {
  const text = readFileSync(join(root, file), 'utf8');
  const from = text.indexOf(`\`\`\`js\n${start}`);
  if (from < 0) throw new Error(`${file} has no code that begins with ${start}`);
  const lines = text.slice(from).split('\n').slice(1);
  return lines.slice(0, lines.indexOf('```')).join('\n').replace(/from '\.\/(\w+)'/g, "from './$1.mjs'");
}

/** What of this process's environment a machine gets: no addresses, keys or accounts of the developer's. */
const outside = () => Object.fromEntries(
  ['HOME', 'LANG', 'PATH', 'TMPDIR'].filter((name) => name in process.env).map((name) => [name, process.env[name]]),
);

/** Starts a machine on free ports; `stop` ends it. Its files are not over those of a `cargo dev` beside it. */
export async function start() {
  if (!existsSync(local)) throw new Error(`there is no ${local}: run cargo build -p local`);
  const folder = mkdtempSync(join(tmpdir(), 'machine-'));
  copyFileSync(join(root, 'template.yaml'), join(folder, 'template.yaml'));
  const ports = ['--port', '--sandbox-port', '--dynamodb-port'].flatMap((name) => [name, '0']);
  const child = spawn(local, ['dev', ...ports, '--no-schedule'], {
    cwd: folder, env: { ...outside(), RUST_LOG: 'error' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended.finally(() => rmSync(folder, { recursive: true }));
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const [found, functions, sandbox] = /^ready: functions (\S+) {2}wechat (\S+)/.exec(line) ?? [];
    if (found) return { functions, sandbox, stop };
  }
  await stop();
  throw new Error('the local machine has ended without a ready line');
}

/** JSON there and back, whatever the status. */
export async function exchange(url, body, headers = {}, method = body === undefined ? 'GET' : 'POST') {
  const json = body === undefined ? undefined : JSON.stringify(body);
  const all = { 'content-type': 'application/json', ...headers };
  const response = await fetch(url, { method, headers: all, body: json });
  return { statusCode: response.status, data: await response.json() };
}

/** One control of the sandbox. */
export async function control(machine, path, body, method) {
  const { statusCode, data } = await exchange(`${machine.sandbox}/sandbox/${path}`, body, {}, method);
  if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${JSON.stringify(data)}`);
  return data;
}

/** Loads the code into a mini program that was just started: its modules remember nothing. */
export async function load() {
  const folder = mkdtempSync(join(tmpdir(), 'mini-program-'));
  const loaded = {};
  try {
    for (const [name, place] of Object.entries(MODULES)) writeFileSync(join(folder, `${name}.mjs`), code(place));
    globalThis.Page = (page) => { loaded.page = page; };
    for (const name of Object.keys(MODULES)) {
      Object.assign(loaded, await import(pathToFileURL(join(folder, `${name}.mjs`)).href));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return loaded;
}
