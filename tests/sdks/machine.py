"""Runs a command against a local machine of its own, which real SDKs of WeChat's are to meet.

python machine.py LOCAL COMMAND...

LOCAL is the binary of the package `local`. The command finds in `MACHINE`, as JSON: the URLs of `functions` and of the
`sandbox`, the `apps`, the merchant as `wechatpay`, and WeChat Pay's own private keys as `keys`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"ready: functions (\S+)  wechat (\S+)")
FREE_PORTS = ["--port", "0", "--sandbox-port", "0", "--dynamodb-port", "0"]


def start(local, folder):
    """A machine that writes its files into the folder, not over those of a `cargo dev` beside it."""
    shutil.copy(ROOT / "template.yaml", folder)
    outside = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH", "TMPDIR")}
    outside["RUST_LOG"] = "warn"
    command = [str(Path(local).resolve()), "dev", *FREE_PORTS, "--no-schedule", "--pay-keys", "both"]
    return subprocess.Popen(command, cwd=folder, env=outside, stdout=subprocess.PIPE, text=True)


def describe(folder, functions, sandbox):
    environments = json.loads((folder / "target/dev/env.json").read_text())
    variables = {name: value for environment in environments.values() for name, value in environment.items()}
    return {
        "functions": functions,
        "sandbox": sandbox,
        "apps": json.loads(variables["WECHAT_APPS"]),
        "wechatpay": json.loads(variables["WECHATPAY"]),
        "keys": json.loads((folder / "target/dev/wechatpay.json").read_text()),
    }


def main(local, *command):
    with tempfile.TemporaryDirectory() as folder:
        machine = start(local, folder)
        try:
            ready = next((found for line in machine.stdout if (found := READY.match(line))), None)
            if ready is None:
                sys.exit("the local machine did not start")
            description = json.dumps(describe(Path(folder), *ready.groups()))
            return subprocess.run(command, env={**os.environ, "MACHINE": description}, check=False).returncode
        finally:
            machine.terminate()
            machine.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
