"""Tokens with scopes, their end, and the record of changes: by curl and by the command-line client."""

import json
import os
import pathlib
import stat
import subprocess

from fleet import SITE_HOST, TOKEN, CacheTest, Origin
from nearside_harness import main, run_program, wait_until


class TokensTest(CacheTest):
    def setUp(self) -> None:
        super().setUp()
        self.origin = Origin(self).start()
        for name, host in (("demo", SITE_HOST), ("other", "www.other.test")):
            body = json.dumps({"name": name, "hosts": [host]}).encode()
            self.expect(self.origin.call("POST", "/v1/sites", body), 201)

    def make(self, *scopes: str, site: str | None = "demo", **more) -> dict:
        """A token, as the API answers it."""
        body = json.dumps({"name": "ci", "site": site, "scopes": scopes, **more}).encode()
        return json.loads(self.expect(self.origin.call("POST", "/v1/tokens", body), 201).body)

    def call(self, token: dict, method: str, path: str, data: bytes | None = None, origin: Origin | None = None):
        return (origin or self.origin).call(method, path, data, token=token["token"])

    def refused(self, response, status: int, reason: str) -> dict:
        problem = json.loads(self.expect(response, status).body)
        self.assertEqual(reason, problem["reason"])
        self.assertEqual("application/problem+json", response.field("content-type"))
        return problem

    def replica(self, extra: str = "") -> Origin:
        """Another origin over the same database."""
        return Origin(self, name="replica", extra=extra).start()

    def nearside(self, token_file: pathlib.Path, *words: str) -> subprocess.CompletedProcess:
        return run_program("nearside", "--origin", self.origin.url, "--token-file", str(token_file), *words)

    def test_a_scope_opens_what_it_names_on_its_site_alone(self):
        token = self.make("publish")
        self.expect(self.call(token, "PUT", "/v1/sites/demo/assets/a.txt", b"a"), 201)
        problem = self.refused(self.call(token, "GET", "/v1/sites/demo/assets/a.txt"), 403, "forbidden")
        self.assertIn('the scope "read" of site "demo"', problem["detail"])
        problem = self.refused(self.call(token, "PUT", "/v1/sites/other/assets/a.txt", b"a"), 403, "forbidden")
        self.assertIn('the scope "publish" of site "other"', problem["detail"])
        self.assertIn('has publish of site "demo"', problem["detail"])
        order = json.dumps({"site": "demo", "all": True}).encode()
        self.refused(self.call(token, "POST", "/v1/purge", order), 403, "forbidden")
        self.expect(self.call(self.make("purge"), "POST", "/v1/purge", order), 200)
        reader = self.make("read", site=None)
        self.expect(self.call(reader, "GET", "/v1/sites/demo/assets/a.txt"), 200)
        self.expect(self.call(reader, "GET", "/v1/edges"), 200)
        self.refused(self.call(reader, "POST", "/v1/tokens", b"{}"), 403, "forbidden")

    def test_a_refused_upload_stores_nothing(self):
        self.refused(self.call(self.make("read"), "PUT", "/v1/sites/demo/assets/a.txt", b"a"), 403, "forbidden")
        self.expect(self.origin.call("GET", "/v1/sites/demo/assets/a.txt"), 404)

    def test_a_revoked_token_opens_nothing_on_any_replica(self):
        replica = self.replica()
        token = self.make("read")
        there = lambda: self.call(token, "GET", "/v1/sites/demo", origin=replica)
        wait_until(lambda: there().status == 200, "the replica knows the token")
        self.expect(self.origin.call("DELETE", f"/v1/tokens/{token['id']}"), 200)
        self.refused(self.call(token, "GET", "/v1/sites/demo"), 401, "token_revoked")
        wait_until(lambda: there().status == 401, "the replica knows that it is revoked")
        self.refused(there(), 401, "token_revoked")

    def test_a_token_ends_by_itself(self):
        token = self.make("read", expires_in="2s")
        self.expect(self.call(token, "GET", "/v1/sites/demo"), 200)
        wait_until(lambda: self.call(token, "GET", "/v1/sites/demo").status == 401, "the token has expired")
        self.refused(self.call(token, "GET", "/v1/sites/demo"), 401, "token_expired")

    def test_tokens_survive_a_kill_and_so_does_their_end(self):
        kept, gone = self.make("read"), self.make("read")
        self.expect(self.origin.call("DELETE", f"/v1/tokens/{gone['id']}"), 200)
        self.origin.daemon.kill()
        self.origin.start()
        self.expect(self.call(kept, "GET", "/v1/sites/demo"), 200)
        self.refused(self.call(gone, "GET", "/v1/sites/demo"), 401, "token_revoked")

    def test_no_secret_is_on_the_disk(self):
        token = self.make("read")
        self.expect(self.call(token, "GET", "/v1/sites/demo"), 200)
        secret = token["token"][len("nst_" + token["id"] + "_"):]
        for path in [*self.origin.folder.rglob("*"), *self.folder.glob("*.log")]:
            if path.is_file():
                content = path.read_bytes()
                self.assertNotIn(secret.encode(), content, path)
                self.assertNotIn(token["s3"]["secret_access_key"].encode(), content, path)
        key = self.origin.folder / "s3.key"
        self.assertEqual(0o600, stat.S_IMODE(os.stat(key).st_mode))

    def test_who_guesses_is_answered_429_with_a_time(self):
        token = self.make("read")  # before the replica: it is not to be asked with a token that it does not know yet
        replica = self.replica('failures = 3\nlimit_loopback = true\n')
        there = lambda: self.call(token, "GET", "/v1/sites/demo", origin=replica)
        self.expect(there(), 200)
        for _ in range(3):
            self.refused(replica.call("GET", "/v1/sites", token="wrong-token-0123456789"), 401, "unauthorized")
        locked = replica.call("GET", "/v1/sites", token="wrong-token-0123456789")
        self.refused(locked, 429, "too_many_failures")
        self.assertIn(int(locked.field("retry-after")), range(1, 21))
        self.expect(there(), 200)
        self.expect(replica.call("GET", "/healthz", token=None), 200)
        # Loopback is spared by default.
        for _ in range(40):
            self.refused(self.origin.call("GET", "/v1/sites", token="wrong-token-0123456789"), 401, "unauthorized")

    def test_changes_are_on_record_with_who_made_them(self):
        token = self.make("publish", "purge")
        self.expect(self.call(token, "PUT", "/v1/sites/demo/assets/a.txt", b"a"), 201)
        order = json.dumps({"site": "demo", "urls": ["/a.txt"]}).encode()
        self.expect(self.call(token, "POST", "/v1/purge", order), 200)
        audit = json.loads(self.expect(self.origin.call("GET", "/v1/audit?site=demo"), 200).body)["audit"]
        self.assertEqual([("site_created", "auth.token_file"), ("token_created", "auth.token_file"),
                          ("asset_put", "ci"), ("purged", "ci")],
                         [(record["action"], record["name"]) for record in audit])
        self.assertEqual(token["id"], audit[2]["token"])
        self.assertEqual("a.txt", audit[2]["detail"]["path"])
        self.assertTrue(audit[2]["client"].startswith("127."))
        # What was answered is there after a kill.
        self.origin.daemon.kill()
        self.origin.start()
        again = json.loads(self.expect(self.origin.call("GET", "/v1/audit?site=demo"), 200).body)["audit"]
        self.assertEqual(audit, again)

    def test_a_pipeline_publishes_with_a_token_of_its_own(self):
        path = self.folder / "ci.token"
        made = self.origin.client("token", "create", "ci", "--site", "demo", "--expires", "90d", "--save", path)
        self.assertEqual(0, made.returncode, made.stderr)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        self.assertRegex(made.stdout, r"S3 secret +not shown")
        self.assertNotIn(path.read_text().strip(), made.stdout)
        site = self.folder / "site"
        site.mkdir()
        (site / "index.html").write_text("<p>home")
        published = self.nearside(path, "publish", str(site), "--site", "demo")
        self.assertEqual(0, published.returncode, published.stderr)
        self.assertEqual(b"<p>home", self.origin.visit("/").body)
        refused = self.nearside(path, "publish", str(site), "--site", "other")
        self.assertEqual(1, refused.returncode)
        self.assertIn('of site "other"', refused.stderr)
        listed = json.loads(self.origin.client("token", "list", "--json").stdout)["tokens"]
        self.assertEqual(["ci"], [token["name"] for token in listed])
        self.assertIsNotNone(listed[0]["last_used"])
        audit = self.origin.client("audit", "--site", "demo")
        self.assertEqual(0, audit.returncode, audit.stderr)
        self.assertRegex(audit.stdout, rf"ci \({listed[0]['id']}\) +127\.\S+ +demo +release_activated")
        revoked = self.origin.client("token", "revoke", listed[0]["id"])
        self.assertEqual(0, revoked.returncode, revoked.stderr)
        late = self.nearside(path, "publish", str(site), "--site", "demo")
        self.assertEqual(1, late.returncode)
        self.assertIn("was revoked", late.stderr)

    def test_the_description_is_for_everybody(self):
        document = json.loads(self.expect(self.origin.call("GET", "/v1/openapi.json", token=None), 200).body)
        self.assertEqual("3.1.0", document["openapi"])
        self.assertIn("post", document["paths"]["/v1/tokens"])
        self.assertNotIn(TOKEN, json.dumps(document))


if __name__ == "__main__":
    main()
