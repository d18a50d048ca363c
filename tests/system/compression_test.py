"""Content codings as clients meet them: curl asks for each, and decodes it with the library of the coding."""

import gzip

from clients import Response
from fleet import Edge, EdgeTest
from nearside_harness import main
from scripted_origin import Reply

PAGE = b"".join(b"<p>paragraph %d of a page</p>\n" % number for number in range(2000))
FIELDS = {"Cache-Control": "max-age=3600", "Content-Type": "text/html; charset=utf-8", "ETag": '"v1"',
          "Accept-Ranges": "bytes"}
BROWSER = "gzip, deflate, br, zstd"


class CompressionTest(EdgeTest):
    def setUp(self) -> None:
        super().setUp()
        self.origin.routes["/page"] = Reply(body=PAGE, fields=FIELDS)

    def get(self, edge: Edge, codings: str, target: str = "/page", **options) -> Response:
        """With Accept-Encoding as given, and the body decoded."""
        fields = {"Accept-Encoding": codings, **options.pop("fields", {})}
        return edge.get(target, fields=fields, options=("--compressed",), **options)

    def expect_page(self, response: Response, coding: str | None) -> Response:
        self.expect(response, 200)
        self.assertEqual(coding, response.field("Content-Encoding"), f"\n{response}")
        self.assertEqual(PAGE, response.body)
        self.assertEqual("Accept-Encoding", response.field("Vary"))
        return response

    def test_each_coding_is_made_once_and_read_by_curl(self):
        edge = self.start_edge()
        for codings, coding in ((BROWSER, "br"), ("gzip", "gzip"), ("zstd", "zstd"), ("identity", None)):
            with self.subTest(codings):
                self.expect_miss(self.expect_page(self.get(edge, codings), coding))
                hit = self.expect_hit(self.expect_page(self.get(edge, codings), coding))
                self.assertEqual(f'W/"v1-{coding}"' if coding else '"v1"', hit.field("ETag"))
                sent = int(hit.field("Content-Length"))
                self.assertTrue(sent == len(PAGE) if coding is None else sent < len(PAGE) / 5, sent)
        self.expect_hit(self.expect_page(self.get(edge, "br, gzip"), "br"))
        self.expect_hit(self.expect_page(edge.get("/page"), None))
        self.assertEqual(4, self.origin.count("/page"))
        self.assertEqual(["br, gzip, zstd", "gzip", "zstd", "identity"],
                         [seen.fields["accept-encoding"] for seen in self.origin.seen("/page")])
        metrics = edge.metrics()
        for coding in ("br", "gzip", "zstd"):
            self.assertEqual(1, metrics.sum("nearside_edge_encoded_total", coding=coding))
            self.assertEqual(len(PAGE), metrics.sum("nearside_edge_encoder_in_bytes_total", coding=coding))
        self.assertEqual(0, metrics.sum("nearside_edge_encoders"))

    def test_http_1_and_2_carry_the_same_bytes(self):
        edge = self.start_edge()
        for version in ("1.1", "2"):
            response = edge.get("/page", http=version, fields={"Accept-Encoding": "gzip"})
            self.assertEqual(PAGE, gzip.decompress(response.body))
            self.assertEqual("gzip", response.field("Content-Encoding"))

    def test_ranges_and_heads(self):
        edge = self.start_edge()
        self.expect_page(self.get(edge, BROWSER), "br")
        part = edge.get("/page", fields={"Accept-Encoding": BROWSER, "Range": "bytes=100-199"})
        self.assertEqual((206, PAGE[100:200]), (part.status, part.body))
        self.assertIsNone(part.field("Content-Encoding"))
        head = self.expect_hit(edge.get("/page", method="HEAD", fields={"Accept-Encoding": BROWSER}))
        self.assertEqual("br", head.field("Content-Encoding"))
        self.assertIsNone(head.field("Accept-Ranges"))

    def test_validation_by_client_and_by_edge(self):
        stale = {**FIELDS, "Cache-Control": "max-age=60", "Age": "100"}
        self.origin.routes["/page"] = lambda seen: (
            Reply(304, fields=FIELDS) if seen.fields.get("if-none-match") == '"v1"' else Reply(body=PAGE, fields=stale))
        edge = self.start_edge()
        first = self.expect_page(self.get(edge, "br"), "br")
        again = self.get(edge, "br", fields={"If-None-Match": first.field("ETag")})
        self.assertEqual(304, again.status)
        self.assertIn("detail=validated", again.cache_status)
        self.expect_hit(self.expect_page(self.get(edge, "br"), "br"))
        other = self.get(edge, "gzip", fields={"If-None-Match": first.field("ETag")})
        self.expect_page(other, "gzip")

    def test_what_the_origin_or_the_site_says_counts(self):
        packed = gzip.compress(PAGE)
        self.origin.routes["/packed"] = Reply(body=packed, fields={**FIELDS, "Content-Encoding": "gzip",
                                                                   "Vary": "Accept-Encoding"})
        self.origin.routes["/as-it-is"] = Reply(
            body=PAGE, fields={**FIELDS, "Cache-Control": "max-age=3600, no-transform"})
        edge = self.start_edge()
        for _ in range(2):
            response = edge.get("/packed", fields={"Accept-Encoding": BROWSER})
            self.assertEqual((packed, "gzip", '"v1"'),
                             (response.body, response.field("Content-Encoding"), response.field("ETag")))
            plain = edge.get("/as-it-is", fields={"Accept-Encoding": BROWSER})
            self.assertEqual((PAGE, None, None), (plain.body, plain.field("Content-Encoding"), plain.field("Vary")))
        off = self.start_edge("virginia", site="compress = false")
        plain = off.get("/page", fields={"Accept-Encoding": BROWSER})
        self.assertEqual((PAGE, None, None), (plain.body, plain.field("Content-Encoding"), plain.field("Vary")))

    def test_a_chunked_body_is_encoded_too(self):
        self.origin.routes["/chunked"] = Reply(body=PAGE, fields=FIELDS, chunked=True)
        edge = self.start_edge()
        self.expect_miss(self.expect_page(self.get(edge, "zstd", "/chunked"), "zstd"))
        self.expect_hit(self.expect_page(self.get(edge, "zstd", "/chunked"), "zstd"))

    def test_variants_outlive_a_restart(self):
        edge = self.start_edge()
        self.expect_page(self.get(edge, "br"), "br")
        self.expect_page(self.get(edge, "identity"), None)
        edge.wait_until_stored(3)  # two variants and their index
        self.assertEqual(0, edge.daemon.stop())
        edge.start()
        self.expect_hit(self.expect_page(self.get(edge, BROWSER), "br"))
        self.expect_hit(self.expect_page(self.get(edge, "identity"), None))
        self.assertEqual(2, self.origin.count("/page"))


if __name__ == "__main__":
    main()
