"""What a site says to its visitors, and who may speak for a client: real daemons with curl, sockets and `nearside`."""

import json
import socket
import ssl
import struct

from fleet import SITE_HOST, EdgeTest
from nearside_harness import authority, main, run_program, wait_until
from scripted_origin import Reply

LONG_LIVED = {"Cache-Control": "max-age=3600"}


def proxy_header(address: str, port: int, destination: tuple[str, int], over_tls: bool = False) -> bytes:
    """Version 2, for TCP over IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = "::1" if family == socket.AF_INET6 else destination[0]
    addresses = socket.inet_pton(family, address) + socket.inet_pton(family, target)
    rest = addresses + struct.pack("!HH", port, destination[1]) + b"\x04\x00\x02ok"  # and a value to skip
    if over_tls:
        rest += struct.pack("!BHBI", 0x20, 5, 1, 0)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, kind, len(rest)) + rest


class SiteRulesTest(EdgeTest):
    def test_http_is_sent_to_https_and_https_is_remembered(self):
        self.origin.routes["/page"] = Reply(body=b"page", fields=LONG_LIVED)
        edge = self.start_edge(site='redirect_https = true\nredirect_https_port = 8443\nhsts = { max_age = "1y" }')
        moved = self.expect(edge.get_clear("/page?a=1"), 301)
        self.assertEqual(f"https://{SITE_HOST}:8443/page?a=1", moved.field("location"))
        self.assertIsNone(moved.field("strict-transport-security"))
        self.expect(edge.get_clear("/form", data=b"x=1"), 308)
        for _ in range(2):
            page = self.expect(edge.get("/page"), 200)
            self.assertEqual("max-age=31536000", page.field("strict-transport-security"))
        self.assertEqual(1, self.origin.count("/page"))

    def test_a_page_of_another_origin_is_told_whether_it_may(self):
        self.origin.routes["/data"] = Reply(body=b"{}", fields=LONG_LIVED)
        edge = self.start_edge(site='cors = { origins = ["https://app.test"], methods = ["PUT"] }')
        preflight = self.expect(edge.get("/data", method="OPTIONS", fields={
            "Origin": "https://app.test", "Access-Control-Request-Method": "PUT"}), 204)
        self.assertEqual("PUT", preflight.field("access-control-allow-methods"))
        self.assertEqual("https://app.test", preflight.field("access-control-allow-origin"))
        for origin, allowed in (("https://evil.test", None), ("https://app.test", "https://app.test")):
            answer = self.expect(edge.get("/data", fields={"Origin": origin}), 200)
            self.assertEqual(allowed, answer.field("access-control-allow-origin"))
            self.assertEqual("origin", answer.field("vary"))
        self.expect_hit(answer)
        self.assertEqual(["/data"], [seen.target for seen in self.origin.requests])
        self.assertNotIn("origin", self.origin.requests[0].fields)

    def test_pages_for_errors_are_read_anew_on_reload(self):
        pages = self.folder / "pages"
        pages.mkdir()
        (pages / "5xx.html").write_text("<p>first</p>")
        edge = self.start_edge(site=f'error_pages = "{pages}"')
        self.origin.stop()
        answer = self.expect(edge.get("/page"), 502)
        self.assertEqual((b"<p>first</p>", "text/html; charset=utf-8"), (answer.body, answer.field("content-type")))
        (pages / "5xx.html").write_text("<p>second</p>")
        edge.daemon.reload()
        edge.daemon.wait_for_log("event=reloaded")
        self.assertEqual(b"<p>second</p>", self.expect(edge.get("/page"), 502).body)
        (pages / "5xx.html").unlink()
        result = run_program("nearside-edge", "--check", "--config", edge.daemon.config_path)
        self.assertEqual(78, result.returncode)
        self.assertIn("site.error_pages", result.stderr)

    def test_a_purge_by_any_spelling_of_a_url_finds_it(self):
        self.origin.routes["/list"] = Reply(body=b"list", fields=LONG_LIVED)
        edge = self.start_edge(site='query = "sort"\nquery_ignore = ["utm_*"]')
        self.expect_miss(edge.get("/list?b=1&a=2&utm_source=mail"))
        self.expect_hit(edge.get("/list?a=2&b=1"))
        self.assertEqual(1, self.origin.count("/list?a=2&b=1"))
        self.expect(edge.purge(urls=["/list?utm_medium=x&b=1&a=2"]), 200)
        self.expect_miss(edge.get("/list?a=2&b=1"))


class ExplainTest(EdgeTest):
    def explain(self, edge, *arguments):
        result = run_program("nearside", "explain", *arguments, "--edge", edge.admin_url(""))
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout

    def test_explain_tells_variants_and_arithmetic(self):
        self.origin.routes["/page"] = lambda seen: Reply(
            body=seen.fields.get("accept-language", "-").encode(), fields={**LONG_LIVED, "Vary": "Accept-Language"})
        edge = self.start_edge()
        for language in ("de", "en"):
            edge.get("/page", fields={"Accept-Language": language})
        edge.wait_until_stored(3)  # two variants and their index
        self.assertEqual(0, edge.daemon.stop())
        edge.start()  # everything comes from disk
        url = f"https://{SITE_HOST}/page"
        text = self.explain(edge, url, "-H", "Accept-Language: de")
        self.assertIn("cache-control: max-age", text)
        self.assertIn("a request now: serve (fresh)", text)
        told = json.loads(self.explain(edge, url, "--json", "-H", "Accept-Language: it"))
        self.assertEqual(2, len(told["responses"]))
        self.assertEqual("vary_miss", told["a_request_now"]["reason"])
        self.expect_hit(edge.get("/page", fields={"Accept-Language": "de"}))


class ProxyProtocolTest(EdgeTest):
    """Listeners behind a proxy on loopback, in the clear and with TLS."""

    def setUp(self):
        super().setUp()
        self.origin.routes["*"] = lambda seen: Reply(body=seen.fields["x-forwarded-for"].encode())
        address = self.addresses.address()
        self.clear = (address, self.addresses.port(address))
        self.tls = (address, self.addresses.port(address))
        self.edge = self.start_edge(
            edge='trusted_proxies = ["127.0.0.0/8"]\naccess_log = "access.log"',
            extra=f'[[listen]]\naddress = "{address}:{self.clear[1]}"\nproxy_protocol = true\n'
                  f'[[listen]]\naddress = "{address}:{self.tls[1]}"\ntls = true\nproxy_protocol = true\n')

    def ask(self, connection, fields="", path="/who"):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {SITE_HOST}\r\nConnection: close\r\n{fields}\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer

    def test_the_announced_client_is_told_to_the_origin_and_the_log(self):
        for client in ("203.0.113.9", "2001:db8::9"):
            with socket.create_connection(self.clear, timeout=20) as plain:
                plain.sendall(proxy_header(client, 4711, self.clear))
                answer = self.ask(plain, "X-Forwarded-For: 1.1.1.1\r\n")
            # The client itself is no trusted proxy: what it says of others is removed.
            self.assertTrue(answer.endswith(client.encode()), answer)
        context = ssl.create_default_context(cafile=str(authority() / "ca.pem"))
        with socket.create_connection(self.tls, timeout=20) as plain:
            plain.sendall(proxy_header("203.0.113.10", 4711, self.tls))
            with context.wrap_socket(plain, server_hostname=SITE_HOST) as secure:
                self.assertTrue(self.ask(secure).endswith(b"203.0.113.10"))
        self.edge.daemon.stop()
        log = (self.folder / "access.log").read_text()
        for client in ("203.0.113.9", "2001:db8::9", "203.0.113.10"):
            self.assertIn(f'"client":"{client}"', log)

    def test_tls_that_ended_at_the_proxy_makes_it_https(self):
        self.origin.routes["/scheme"] = lambda seen: Reply(body=seen.fields["x-forwarded-proto"].encode(),
                                                           fields=LONG_LIVED)
        for over_tls, scheme in ((True, b"https"), (False, b"http")):
            with socket.create_connection(self.clear, timeout=20) as plain:
                plain.sendall(proxy_header("203.0.113.9", 4711, self.clear, over_tls))
                answer = self.ask(plain, path="/scheme")
                self.assertTrue(answer.endswith(b"\r\n\r\n" + scheme), answer)
        self.assertEqual(2, self.origin.count("/scheme"), "the scheme is part of the key")

    def test_whoever_sends_no_header_or_an_old_one_is_closed_and_counted(self):
        answer = self.edge.get_clear("/who")
        self.assertEqual(200, answer.status, "other listeners want none")
        for sent, reason in ((b"GET / HTTP/1.1\r\n\r\n", "not_proxy"),
                             (b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\nGET / HTTP/1.1\r\n\r\n", "version_1")):
            with socket.create_connection(self.clear, timeout=20) as plain:
                plain.sendall(sent)
                try:
                    self.assertEqual(b"", plain.recv(1000))
                except ConnectionResetError:
                    pass  # what was sent behind it was not read
            wait_until(lambda: self.edge.metrics().sum("nearside_edge_proxy_refused_total", reason=reason) == 1,
                       f"the connection is counted as {reason}")
        self.assertIn("event=proxy_header_refused", self.edge.daemon.log())

    def test_forwarded_addresses_of_a_trusted_proxy_are_believed(self):
        answer = self.edge.get_clear("/who", fields={"X-Forwarded-For": "1.1.1.1, 203.0.113.9"})
        self.assertTrue(answer.body.startswith(b"1.1.1.1, 203.0.113.9, 127."), answer.body)
        self.edge.daemon.stop()
        self.assertIn('"client":"203.0.113.9"', (self.folder / "access.log").read_text())


if __name__ == "__main__":
    main()
