"""The official Standard Webhooks library for Python verifies what a receiver gets, during a rotation too."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TANDEM_BIN", str(REPOSITORY / "target/debug/tandem"))
SECRET = "the secret of the tests, long enough for HS256"
DEADLINE_S = 30


class Receiver:
    """Keeps every request, and answers it with the next status of a list, then with 204."""

    def __init__(self, statuses):
        self.requests = queue.Queue()
        received, left = self.requests, list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                received.put((dict(self.headers), body))
                self.send_response(left.pop(0) if left else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def next(self):
        return self.requests.get(timeout=DEADLINE_S)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Tandem:
    """The real server with an empty SQLite database."""

    def __init__(self):
        self.data = tempfile.TemporaryDirectory()
        resources = str(REPOSITORY / "resources.graphql")
        own = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_") and name != "DATABASE_URL"}
        common = ["--data-dir", self.data.name, "--jwt-secret", SECRET]
        self.process = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--resources", resources,
             "--webhook-retry-schedule", "0s,100ms,100ms,100ms", *common],
            env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.address = next(filter(None, map(self.listening, self.process.stderr)), None)
        # What else is logged must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        make = [BINARY, "token", "--sub", "root", "--role", "admin", *common]
        self.token = subprocess.run(make, env=own, check=True, capture_output=True, text=True).stdout.strip()

    @staticmethod
    def listening(line):
        entry = json.loads(line) if line.startswith("{") else {}
        fields = entry.get("fields", entry)
        return fields.get("address") if fields.get("message") == "listening" else None

    def run(self, field, input_type, selection, value):
        query = f"mutation($input: {input_type}!) {{ {field}(input: $input) {{ {selection} userErrors {{ message path }} }} }}"
        body = json.dumps({"query": query, "variables": {"input": value}}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"http://{self.address}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            result = json.load(response)
        payload = result["data"][field]
        assert payload["userErrors"] == [], payload
        return payload

    def create_product(self, sku):
        value = {"sku": sku, "name": f"Größe {sku}", "price": "9.90"}
        return self.run("createProduct", "CreateProductInput", "change { id }", value)["change"]["id"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.data.cleanup()


class Webhooks(unittest.TestCase):
    def setUp(self):
        self.server = Tandem()
        self.addCleanup(self.server.stop)
        self.assertIsNotNone(self.server.address, "the server is ready")

    def register(self, receiver):
        query = "subscription { productChanged { kind after { sku name } } }"
        value = {"url": receiver.url, "query": query}
        return self.server.run("createWebhook", "CreateWebhookInput", "webhook { id } secret", value)

    def receiver(self, *statuses):
        receiver = Receiver(statuses)
        self.addCleanup(receiver.close)
        return receiver

    def test_every_attempt_verifies(self):
        receiver = self.receiver(500, 503)
        webhook = Webhook(self.register(receiver)["secret"])
        event = self.server.create_product("SKU-1")
        for _ in range(3):
            headers, body = receiver.next()
            headers = {name.lower(): value for name, value in headers.items()}
            message = webhook.verify(body, headers)
            self.assertEqual((message["type"], headers["webhook-id"]), ("product.created", event))
            self.assertEqual(message["data"]["productChanged"]["after"]["name"], "Größe SKU-1")
            with self.assertRaises(WebhookVerificationError):
                webhook.verify(body.replace(b"SKU-1", b"SKU-2"), headers)

    def test_old_and_new_secrets_verify_during_a_rotation(self):
        receiver = self.receiver()
        created = self.register(receiver)
        value = {"id": created["webhook"]["id"]}
        rotated = self.server.run("rotateWebhookSecret", "RotateWebhookSecretInput", "secret", value)
        self.server.create_product("SKU-1")
        headers, body = receiver.next()
        headers = {name.lower(): value for name, value in headers.items()}
        for secret in (created["secret"], rotated["secret"]):
            self.assertEqual(Webhook(secret).verify(body, headers)["type"], "product.created")


if __name__ == "__main__":
    sys.exit(unittest.main())
