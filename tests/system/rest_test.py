"""Daemons whose clients are silent use no processor: a loop that never sleeps serves all tests, and heats the room."""

import pathlib
import socket
import ssl
import time

from clients import dns_query
from fleet import SITE_HOST, FleetTest
from http2_frames import END_HEADERS, END_STREAM, HEADERS, frame, header_block, open_session
from nearside_harness import authority, main

SECONDS = 1.0
MOST_SHARE = 0.4  # of one core; a loop that never sleeps takes all of it


def cpu_seconds(pid: int) -> float:
    """Of all its threads, from the scheduler's clock."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


class RestTest(FleetTest):
    def expect_rest(self, when: str) -> None:
        time.sleep(0.5)  # what there was to do is done
        before = {daemon.name: (time.monotonic(), cpu_seconds(daemon.pid)) for daemon in self.daemons}
        time.sleep(SECONDS)
        for daemon in self.daemons:
            begun, used_before = before[daemon.name]
            used, passed = cpu_seconds(daemon.pid) - used_before, time.monotonic() - begun
            self.assertLess(used, MOST_SHARE * passed, f"{daemon.name} {when}: seconds of CPU in {passed:.1f} s")

    def keep(self, connection: socket.socket, request: bytes = b"") -> socket.socket:
        """Asks, takes what comes first, and leaves the connection open until the test's end."""
        self.addCleanup(connection.close)
        if request:
            connection.sendall(request)
            self.assertTrue(connection.recv(65536), "no answer")
        return connection

    def secure(self, to: tuple[str, int]) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(authority() / "ca.pem"))
        return context.wrap_socket(socket.create_connection(to, timeout=10), server_hostname=SITE_HOST)

    def test_nobody_is_connected(self):
        self.expect_rest("without clients")

    def test_clients_that_have_been_answered(self):
        page = self.folder / "site"
        page.mkdir()
        (page / "index.html").write_text("<p>here</p>")
        self.publish(page)
        get = f"GET / HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode()
        visits = frame(HEADERS, END_STREAM | END_HEADERS, 1, header_block(SITE_HOST, "/"))
        for edge in self.edges.values():
            self.keep(open_session(edge.tls, SITE_HOST, authority() / "ca.pem"), visits)
            self.keep(open_session(edge.tls, SITE_HOST, authority() / "ca.pem"))
            self.keep(self.secure(edge.tls), get)
            self.keep(socket.create_connection(edge.clear, timeout=10), get)
            self.keep(socket.create_connection(edge.clear, timeout=10))
            self.keep(socket.create_connection(edge.admin, timeout=10),
                      b"GET /healthz HTTP/1.1\r\nHost: edge\r\n\r\n")
        self.keep(open_session((self.origin.address, self.tls_port), SITE_HOST, authority() / "ca.pem"), visits)
        query = dns_query(SITE_HOST)
        self.keep(socket.create_connection(self.name_server.server, timeout=10),
                  len(query).to_bytes(2, "big") + query)
        self.expect_rest("with clients that have been answered")


if __name__ == "__main__":
    main()
