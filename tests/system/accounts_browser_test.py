"""People who sign in with Chromium, which heeds cookies, policies and forms as browsers do."""

import json
import os
import subprocess

from accounts_test import ACCOUNTS, HOST, PASSWORD
import npm_modules
from browser_test import HERE
from fleet import CacheTest, Edge, Origin
from nearside_harness import authority, main, require_program


class AccountsBrowserTest(CacheTest):
    def setUp(self) -> None:
        super().setUp()
        for program in ("chromium", "certutil", "node", "npm"):
            require_program(program)
        self.origins = [Origin(self, name=name, extra=ACCOUNTS).start() for name in ("origin", "replica")]
        self.edge = Edge(self, "frankfurt", origins=[origin.url for origin in self.origins], hosts=(HOST,)).start()
        for name in ("alice", "bob"):
            body = json.dumps({"name": name, "password": PASSWORD}).encode()
            self.expect(self.origins[0].call("POST", "/v1/accounts", body), 201)

    def browse(self, turns: int) -> dict:
        home = self.folder / "home"
        database = home / ".pki/nssdb"
        database.mkdir(parents=True)
        for command in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "test", "-i", authority() / "ca.pem")):
            subprocess.run(["certutil", "-d", f"sql:{database}", *command], check=True, capture_output=True)
        environment = {**os.environ, "HOME": str(home), "ADDRESS": self.edge.tls[0],
                       "NODE_PATH": str(npm_modules.install(npm_modules.PLAYWRIGHT, "browser").parent)}
        command = ["node", HERE / "accounts.js", f"https://{HOST}:{self.edge.tls[1]}", str(turns), PASSWORD]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def test_two_people_in_one_browser_without_scripts(self):
        seen = self.browse(turns=10)
        self.assertEqual([["alice", "bob"]] * 10, seen["names"])
        cookies = {cookie.pop("name"): cookie for cookie in seen["cookies"]}
        kept = {"httpOnly": True, "secure": True, "sameSite": "Lax", "path": "/", "domain": HOST}
        self.assertEqual({f"__Host-nearside-{name}": kept for name in ("form", "session", "browser")}, cookies)
        # A page from elsewhere: the session's cookie is not sent at all, and no form of theirs is taken.
        self.assertEqual({"signOut": 303, "signIn": 403}, seen["forged"])
        self.assertEqual("alice", seen["afterForgery"])
        self.assertEqual(["", "bob"], seen["afterSignOut"])
        self.assertEqual([], seen["elsewhere"])
        self.assertEqual([], seen["problems"])


if __name__ == "__main__":
    main()
