"""Bodies of any size in constant memory, both ways: 64 MiB here, a gibibyte in tests/long.sh."""

import concurrent.futures
import hashlib
import pathlib
import socket
import subprocess
import threading

from fleet import SITE_HOST, CacheTest, Edge
from nearside_harness import DEADLINE_SECONDS, LONG, authority, main, wait_until
from websocket import read_head

MEBI = 1 << 20
SIZE = (1024 if LONG else 64) * MEBI
PIECE = bytes(range(256)) * 256  # 64 KiB that tell their place within themselves
# Windows and buffers of one transfer, and what the allocator keeps of them.
MOST_GROWN_KIB = 24 << 10
VERSIONS = ("1.1", "2")


class BulkOrigin:
    """Takes and gives bodies without keeping them: PUT is answered with size and digest, GET /N sends N bytes.

    A PUT to /early is refused before its body; one to /wait is read when the test says so.
    """

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, port), backlog=16)
        self.url = f"http://{address}:{port}"
        self.gate = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        try:
            with connection:
                first, fields, rest = read_head(connection)
                method, target, _ = first.split()
                {"PUT": self._take, "GET": self._give}[method](connection, target, fields, rest)
        except (EOFError, OSError):
            pass

    @staticmethod
    def _answer(connection: socket.socket, status: str, body: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                           + body)

    def _take(self, connection: socket.socket, target: str, fields: dict[str, str], rest: bytes) -> None:
        if target == "/early":
            self._answer(connection, "403 Forbidden", b"no\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):  # so that no reset overtakes the answer
                pass
            return
        if target == "/wait":
            self.gate.wait(DEADLINE_SECONDS)
        body = connection.makefile("rb")
        digest, size = hashlib.sha256(), 0

        def read(count: int) -> bytes:
            nonlocal rest
            taken, rest = rest[:count], rest[count:]
            return taken + body.read(count - len(taken)) if len(taken) < count else taken

        def keep(count: int) -> None:
            nonlocal size
            while count:
                part = read(min(count, 1 << 16))
                if not part:
                    raise EOFError("cut off")
                digest.update(part)
                size += len(part)
                count -= len(part)

        if "content-length" in fields:
            keep(int(fields["content-length"]))
        else:
            while count := self._chunk_size(read):
                keep(count)
                read(2)
            read(2)
        self._answer(connection, "200 OK", f"{size} {digest.hexdigest()}".encode())

    @staticmethod
    def _chunk_size(read) -> int:
        line = b""
        while not line.endswith(b"\r\n"):
            line += read(1)
        return int(line, 16)

    @staticmethod
    def _give(connection: socket.socket, target: str, _fields: dict[str, str], _rest: bytes) -> None:
        """/length/N with Content-Length, /chunked/N without."""
        kind, size = target[1:].split("/")
        framing = f"Content-Length: {size}" if kind == "length" else "Transfer-Encoding: chunked"
        connection.sendall(("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\n"
                            f"{framing}\r\n\r\n").encode())
        for _ in range(int(size) // len(PIECE)):
            connection.sendall(PIECE if kind == "length" else b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        if kind == "chunked":
            connection.sendall(b"0\r\n\r\n")


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // len(PIECE)):
        digest.update(PIECE)
    return digest.hexdigest()


class TransferTest(CacheTest):
    def setUp(self):
        super().setUp()
        address = self.addresses.address()
        self.origin = BulkOrigin(address, self.addresses.port(address))
        self.addCleanup(self.origin.stop)
        self.edge = Edge(self, "frankfurt", origins=[self.origin.url]).start()
        self.edge.get("/length/65536")  # what every transfer needs is there

    def curl(self, target: str, http: str, *options: str, **more) -> subprocess.Popen:
        return subprocess.Popen(
            ["curl", "-sS", f"--http{http}", "--max-time", "900", "--connect-to",
             f"::{self.edge.tls[0]}:{self.edge.tls[1]}", "--cacert", str(authority() / "ca.pem"), *options,
             f"https://{SITE_HOST}{target}"], stdout=subprocess.PIPE, **more)

    def expect_constant_memory(self, what: str, act) -> None:
        before = self.edge.daemon.resident_kib("RssAnon")
        most = before
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.05):
                most = max(most, self.edge.daemon.resident_kib("RssAnon"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            act()
        finally:
            done.set()
            watcher.join()
        print(f"{what}: {SIZE // MEBI} MiB, {most - before} KiB of memory more")
        if not self.edge.daemon.is_sanitized():
            self.assertLess(most - before, MOST_GROWN_KIB, what)

    def upload(self, http: str, target: str, *options: str) -> bytes:
        """curl -T of a file, or of standard input, which has no length."""
        path = pathlib.Path(self.folder) / "upload"
        if not path.exists():
            with open(path, "wb") as file:
                for _ in range(SIZE // len(PIECE)):
                    file.write(PIECE)
        piped = "-" in options
        with open(path, "rb") as file:
            client = self.curl(target, http, "-T", "-" if piped else str(path),
                               *(option for option in options if option != "-"), stdin=file)
            answer, _ = client.communicate(timeout=900)
        self.assertEqual(0, client.returncode)
        return answer

    def test_uploads(self):
        expected = f"{SIZE} {digest_of(SIZE)}".encode()
        for http in VERSIONS:
            for kind, options in (("of a length", ()), ("of no length", ("-",))):
                with self.subTest(http=http, kind=kind):
                    self.expect_constant_memory(
                        f"upload {kind} over HTTP/{http}",
                        lambda http=http, options=options: self.assertEqual(
                            expected, self.upload(http, "/take", *options)))

    def test_downloads(self):
        expected = digest_of(SIZE)
        for http in VERSIONS:
            for kind in ("length", "chunked"):
                with self.subTest(http=http, kind=kind):
                    self.expect_constant_memory(
                        f"download ({kind}) over HTTP/{http}",
                        lambda http=http, kind=kind: self.assertEqual(expected, self.download(http, kind)))

    def download(self, http: str, kind: str) -> str:
        client = self.curl(f"/{kind}/{SIZE}", http)
        digest = hashlib.sha256()
        while part := client.stdout.read(MEBI):
            digest.update(part)
        client.stdout.close()
        self.assertEqual(0, client.wait(60))
        return digest.hexdigest()

    def test_an_origin_that_is_slow_to_read_holds_the_client_back(self):
        """100-continue and a body that the origin does not want yet: a window waits in the edge and no more."""
        expected = f"{SIZE} {digest_of(SIZE)}".encode()
        for http in VERSIONS:
            with self.subTest(http=http):
                self.origin.gate.clear()

                def act(http=http):
                    begun = self.received()
                    with concurrent.futures.ThreadPoolExecutor(1) as pool:
                        answer = pool.submit(self.upload, http, "/wait", "-H", "Expect: 100-continue")
                        wait_until(lambda: self.received() > begun + (200 << 10), "the body has begun")
                        self.origin.gate.set()
                        self.assertEqual(expected, answer.result())

                self.expect_constant_memory(f"late body over HTTP/{http}", act)

    def received(self) -> float:
        return self.edge.metrics().sum("nearside_edge_received_bytes_total")

    def test_a_refusal_is_heard_before_the_body_is_through(self):
        """By the origin, and by the edge itself: a reset behind the answer would hide it from curl 7.88."""
        strict = Edge(self, "virginia", origins=[self.origin.url], extra='[limits]\nbody = "1KiB"').start()
        path = pathlib.Path(self.folder) / "file"
        path.write_bytes(PIECE * 128)
        for http in VERSIONS:
            for edge, status in ((self.edge, 403), (strict, 413)):
                for get in (edge.get, edge.get_clear):
                    with self.subTest(http=http, status=status, get=get.__name__):
                        self.expect(get("/early", http=http, data=path, options=("-H", "Expect:")), status)


if __name__ == "__main__":
    main()
