"""Runs Schemathesis against a fresh server with a few rows in it. `cargo xtask fuzz` calls it.

usage: run.py SERVER SECONDS [DATABASE_URL]

SERVER is the tandem binary. Without a database URL it works on an SQLite file of its own. Exit status 0: no failure of the
server, and nothing but the usual in its log.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESOURCES = HERE.parent.parent / "resources.graphql"


def environment(**more):
    """Ours without settings of Tandem, which would count for the server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_") and name != "DATABASE_URL"}
    return {**own, **more}


def start(server, folder, database_url):
    """The running server, its address, and the lines of its log so far."""
    flags = ["--listen=127.0.0.1:0", "--log-format=json", f"--resources={RESOURCES}", f"--data-dir={folder}"]
    if database_url:
        flags.append(f"--database-url={database_url}")
    child = subprocess.Popen(
        [server, "serve", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    )
    log = []
    for line in child.stderr:
        log.append(line)
        if '"message":"listening"' in line:
            address = json.loads(line)["address"]
            threading.Thread(target=lambda: log.extend(child.stderr), daemon=True).start()
            return child, address, log
    sys.exit("the server did not start:\n" + "".join(log))


def fill(url, token):
    """Makes a few rows, and returns the ids of them."""

    def create(name, fields):
        noun = name[0].upper() + name[1:]
        query = f"mutation($input: Create{noun}Input!) {{ create{noun}(input: $input) {{ {name} {{ id }} }} }}"
        body = json.dumps({"query": query, "variables": {"input": fields}}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return json.load(answer)["data"][f"create{noun}"][name]["id"]

    products = [create("product", {"sku": f"SKU-{n}", "name": "x", "price": "9.90", "tags": ["a"]}) for n in range(3)]
    customer = create("customer", {"email": "ada@example.com"})
    lines = {"create": [{"productId": product, "quantity": 1, "unitPrice": "9.90"} for product in products]}
    return [*products, customer, create("order", {"customerId": customer, "lines": lines})]


def main(server, seconds, database_url=None):
    with tempfile.TemporaryDirectory(prefix="tandem-fuzz-") as folder:
        child, address, log = start(server, folder, database_url)
        try:
            url = f"http://{address}/graphql"
            command = [server, "token", "--sub=fuzz", "--role=admin", f"--data-dir={folder}"]
            token = subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout.strip()
            ids = ",".join(fill(url, token))
            schemathesis = Path(sys.executable).with_name("schemathesis")
            found = subprocess.run(
                [
                    *(schemathesis, "run", url, "--header", f"Authorization: Bearer {token}"),
                    *("--checks", "not_a_server_error", "--continue-on-failure", "--max-time", seconds),
                ],
                cwd=folder,
                env=environment(SCHEMATHESIS_HOOKS=str(HERE / "hooks.py"), TANDEM_IDS=ids),
            ).returncode
            if child.poll() is not None:
                sys.exit("the server has ended:\n" + "".join(log[-50:]))
        finally:
            child.kill()
            child.wait()
    failures = [line for line in log if '"level":"ERROR"' in line or "panicked" in line]
    sys.stderr.writelines(failures[:20])
    sys.exit(1 if found or failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
