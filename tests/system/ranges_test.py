"""Ranges with real clients: a seek in a large file costs a slice, slices make the whole, several ranges at once."""

import email.parser
import hashlib
import os
import re

from fleet import EdgeTest
from nearside_harness import main
from scripted_origin import Reply

MIB = 1 << 20
SLICE = 64 * 65520
FIELDS = {"Cache-Control": "max-age=3600", "Content-Type": "video/mp4"}


class Film:
    """A file of any length that nobody holds in memory: each 4 KiB block tells its own number."""

    def __init__(self, length: int, version: str = "v1") -> None:
        self.length = length
        self.etag = f'"{version}"'
        self.version = version
        self.heeds_ranges = True
        self.heeds_suffixes = True
        self.sent = 0

    def part(self, first: int, end: int) -> bytes:
        blocks = range(first // 4096, (end - 1) // 4096 + 1)
        text = b"".join(f"{self.version}:{block:011d};".encode().ljust(64, b".") * 64 for block in blocks)
        skipped = first % 4096
        return text[skipped:skipped + end - first]

    def __call__(self, seen) -> Reply:
        fields = {**FIELDS, "ETag": self.etag, "Accept-Ranges": "bytes"}
        if seen.fields.get("if-none-match") == self.etag:
            return Reply(304, fields=fields)
        wanted = seen.fields.get("range", "")
        if (suffix := re.fullmatch(r"bytes=-(\d+)", wanted)) and self.heeds_suffixes:
            wanted = f"bytes={self.length - int(suffix[1])}-"
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if match is None or not self.heeds_ranges or seen.fields.get("if-range", self.etag) != self.etag:
            self.sent += self.length
            return Reply(body=self.part(0, self.length), fields=fields)
        first, end = int(match[1]), min(int(match[2] or self.length) + 1, self.length)
        if first >= self.length:
            return Reply(416, fields={"Content-Range": f"bytes */{self.length}"})
        self.sent += end - first
        return Reply(206, self.part(first, end), {**fields, "Content-Range": f"bytes {first}-{end - 1}/{self.length}"})


class SeekTest(EdgeTest):
    def serve(self, film: Film, **options):
        self.origin.routes["/film"] = film
        return self.start_edge(**options)

    def expect_part(self, edge, film: Film, first: int, end: int):
        response = self.expect(edge.get("/film", options=("-r", f"{first}-{end - 1}"), timeout=120), 206)
        self.assertEqual(f"bytes {first}-{end - 1}/{film.length}", response.field("content-range"), response)
        self.assertEqual(hashlib.sha256(film.part(first, end)).digest(), hashlib.sha256(response.body).digest())
        return response

    def test_a_seek_in_two_gigabytes_costs_one_slice(self):
        """A file larger than the cache's disk."""
        film = Film(2048 * MIB)
        edge = self.serve(film)
        first = self.expect_part(edge, film, 1500 * MIB, 1500 * MIB + 1000)
        self.assertIn("fwd=uri-miss; fwd-status=206", first.cache_status)
        self.assertLessEqual(film.sent, SLICE)
        self.expect_hit(self.expect_part(edge, film, 1500 * MIB + 5000, 1500 * MIB + 9000))
        self.assertLessEqual(film.sent, SLICE)
        elsewhere = self.expect_part(edge, film, 3 * MIB, 3 * MIB + 10)
        self.assertIn("fwd=partial", elsewhere.cache_status)
        self.assertLessEqual(film.sent, 2 * SLICE)
        self.assertEqual(2, edge.metrics().sum("nearside_edge_slices_total"))

    def test_the_last_bytes_of_a_file_of_unknown_length(self):
        film = Film(40 * MIB + 17)
        edge = self.serve(film)
        response = self.expect(edge.get("/film", options=("-r", "-100")), 206)
        self.assertEqual(film.part(film.length - 100, film.length), response.body)
        self.expect_hit(edge.get("/film", options=("-r", "-100")))
        self.assertEqual(100, film.sent)
        # Once slices are known they serve.
        self.expect_part(edge, film, 0, 10)
        self.expect(edge.get("/film", options=("-r", "-90")), 206)
        self.assertLessEqual(film.sent, 100 + 2 * SLICE)

    def test_the_last_bytes_where_the_origin_knows_no_suffixes(self):
        """RFC 9110, 14.2: it sends the whole, which is stored, and the client gets what it asked for."""
        film = Film(20 * MIB + 17)
        film.heeds_suffixes = False
        edge = self.serve(film)
        last = self.expect(edge.get("/film", options=("-r", "-100"), timeout=120), 206)
        self.assertEqual(film.part(film.length - 100, film.length), last.body)
        self.assertEqual(f"bytes {film.length - 100}-{film.length - 1}/{film.length}", last.field("content-range"))
        edge.wait_until_stored(1)
        self.expect_hit(self.expect_part(edge, film, 5 * MIB, 5 * MIB + 10))
        self.expect_hit(edge.get("/film", options=("-r", "-90")))
        self.expect_hit(edge.get("/film", timeout=120))
        self.assertEqual(film.length, film.sent)

    def test_slices_are_joined_and_survive_a_restart(self):
        film = Film(20 * MIB)
        edge = self.serve(film, disk="256MiB")
        self.expect_part(edge, film, 10 * MIB, 10 * MIB + 5)
        whole = self.expect(edge.get("/film", timeout=120), 200)
        self.assertEqual(str(film.length), whole.field("content-length"))
        self.assertEqual(hashlib.sha256(film.part(0, film.length)).digest(), hashlib.sha256(whole.body).digest())
        self.assertEqual(film.length, film.sent, "each byte was fetched once")
        slices = -(-film.length // SLICE)
        edge.wait_until_stored(slices + 1)
        edge.daemon.stop()
        edge.daemon.start()
        self.expect_hit(self.expect_part(edge, film, 19 * MIB, 19 * MIB + 70_000))
        self.expect_hit(edge.get("/film", timeout=120))
        self.assertEqual(film.length, film.sent)

    def test_slices_that_are_there_outlive_the_origin(self):
        film = Film(20 * MIB)
        edge = self.serve(film)
        self.expect_part(edge, film, 0, 10)
        edge.wait_until_stored(2)
        self.origin.stop()
        self.expect_hit(self.expect_part(edge, film, 1000, 2000))
        missing = edge.get("/film", options=("-r", f"{10 * MIB}-{10 * MIB + 10}"))
        self.assertEqual(502, missing.status, missing)
        self.assertIn(b"A part of this is not in the cache", missing.body)

    def test_a_new_version_is_never_mixed_with_the_old_one(self):
        old, new = Film(20 * MIB), Film(20 * MIB, "v2")
        edge = self.serve(old)
        self.expect_part(edge, old, 0, 10)
        self.origin.routes["/film"] = new
        self.expect_part(edge, new, 10 * MIB, 10 * MIB + 10)
        self.expect_part(edge, new, 0, 10)

    def test_an_origin_that_stops_heeding_ranges_cuts_nobody_off(self):
        for name, length in (("stored", 20 * MIB), ("toolarge", 80 * MIB)):
            with self.subTest(name):
                film = Film(length)
                edge = self.serve(film, name=name)
                self.expect_part(edge, film, 0, 10)
                film.heeds_ranges = False
                whole = self.expect(edge.get("/film", timeout=120), 200)
                self.assertEqual(hashlib.sha256(film.part(0, length)).digest(), hashlib.sha256(whole.body).digest())
                self.assertEqual(0, whole.exit_code, whole.error)
        self.assertEqual(2, len(self.origin.seen("/film")) - 2)

    def test_purged_slices_are_fetched_anew(self):
        film = Film(20 * MIB)
        edge = self.serve(film)
        self.expect_part(edge, film, 0, 10)
        self.assertEqual(200, edge.purge(urls=["/film"]).status)
        self.expect_miss(self.expect_part(edge, film, 0, 10))

    def test_a_small_file_is_stored_whole_by_its_first_range(self):
        film = Film(5000)
        edge = self.serve(film)
        self.expect_part(edge, film, 10, 20)
        self.assertEqual(film.part(0, 5000), self.expect_hit(edge.get("/film")).body)
        self.assertEqual(1, len(self.origin.requests))


class SeveralRangesTest(EdgeTest):
    def test_curl_and_a_mail_parser_read_the_parts(self):
        edge = self.start_edge()
        body = os.urandom(300_000)
        self.origin.routes["/doc"] = Reply(body=body, fields={**FIELDS, "Content-Type": "application/pdf"})
        edge.get("/doc")
        for http in ("1.1", "2"):
            response = self.expect_hit(edge.get("/doc", http=http, options=("-r", "0-9,100000-199999,-5")))
            self.assertEqual(206, response.status, response)
            self.assertEqual(str(len(response.body)), response.field("content-length"))
            text = b"Content-Type: " + response.field("content-type").encode() + b"\r\n\r\n" + response.body
            message = email.parser.BytesParser().parsebytes(text)
            self.assertEqual("multipart/byteranges", message.get_content_type())
            self.assertEqual(["bytes 0-9/300000", "bytes 100000-199999/300000", "bytes 299995-299999/300000"],
                             [part["content-range"] for part in message.get_payload()])
            self.assertEqual({"application/pdf"}, {part.get_content_type() for part in message.get_payload()})
            for span in (slice(0, 10), slice(100_000, 200_000), slice(299_995, 300_000)):
                self.assertIn(b"\r\n\r\n" + body[span] + b"\r\n--", response.body)


if __name__ == "__main__":
    main()
