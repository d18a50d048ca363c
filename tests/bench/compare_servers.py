"""How compare.py starts each server: its configuration and its commands, all of which stay in the foreground."""

import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Place:
    """What one server is given. `folder` is its own and empty."""
    folder: Path
    port: int
    origin_port: int
    documents: Path
    chain: Path
    key: Path
    both: Path
    programs: dict[str, str] = field(default_factory=dict)
    body_bytes: int = 1024
    memory_mib: int = 1024  # what it may keep in memory
    disk_mib: int = 2048  # and on disk, if it does

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


def nginx_of(place: Place, http: str) -> list[list[str]]:
    temporary = "".join(f"{kind}_temp_path {place.folder}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = place.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {place.folder}/pid; error_log {place.folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600s;
  default_type application/octet-stream; {temporary}
  {http}
}}
""")
    return [["nginx", "-c", conf, "-p", str(place.folder), "-e", f"{place.folder}/error.log"]]


class Origin:
    """Files, with an hour's freshness; /as/NAME/ANY is the file NAME, and so is /short/NAME/ANY, which is fresh for a
    second; /visits is how many came."""

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        return nginx_of(place, f"""
  open_file_cache max=1000;
  server {{
    listen 127.0.0.1:{place.port} backlog=4096;
    root {place.documents};
    add_header Cache-Control "public, max-age=3600";
    location = /visits {{ stub_status; }}
    location ~ ^/as/([0-9a-z]+)/ {{ rewrite ^/as/([0-9a-z]+)/ /$1 break; }}
    location ~ ^/short/([0-9a-z]+)/ {{
      rewrite ^/short/([0-9a-z]+)/ /$1 break;
      add_header Cache-Control "public, max-age=1";
    }}
  }}""")


class Edge:
    workers, more, cache = 1, "", ""

    @staticmethod
    def is_there(edge: str, _floor: str) -> bool:
        return shutil.which(edge) is not None

    def commands(self, place: Place) -> list[list[str]]:
        conf = place.write("edge.toml", f"""
[edge]
name = "bench"
workers = {self.workers}
access_log = "off"
[[listen]]
address = "127.0.0.1:{place.port}"
tls = true
[cache]
path = "{place.folder}/cache"
disk = "{place.disk_mib}MiB"
memory = "{place.memory_mib}MiB"
{self.cache}
[[certificate]]
chain = "{place.chain}"
key = "{place.key}"
[[site]]
name = "bench"
hosts = ["*"]
origins = ["http://127.0.0.1:{place.origin_port}"]
{self.more}
""")
        return [[place.programs["edge"], "--config", conf]]


class EdgeOfTwo(Edge):
    workers = 2


class EdgeOfSecondUses(Edge):
    cache = "disk_min_uses = 2"


class Floor:
    """Answers with the fields that the edge answers with, as long as they are there."""

    # Beside content-type and content-length, which it has by itself.
    FIELDS = ("server: nginx/1.22.1", "date: Wed, 02 Dec 2026 07:01:35 GMT",
              "last-modified: Wed, 02 Dec 2026 07:01:33 GMT", 'etag: "6b0fc24d-400"', "cache-control: max-age=3600",
              "accept-ranges: bytes", "via: 1.1 bench", "vary: Accept-Encoding", "age: 36",
              'cache-status: "bench"; hit; ttl=3563')

    @staticmethod
    def is_there(_edge: str, floor: str) -> bool:
        return shutil.which(floor) is not None

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        return [[place.programs["floor"], "--port", str(place.port), "--certificate", str(place.chain), "--key",
                 str(place.key), "--body", str(place.body_bytes)] +
                [word for field in Floor.FIELDS for word in ("--field", field)]]


class Haproxy:
    @staticmethod
    def is_there(*_programs: str) -> bool:
        return shutil.which("haproxy") is not None

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        conf = place.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8000
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-curves X25519
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
  http-reuse always
cache edge
  total-max-size {place.memory_mib}
  max-object-size 8388608
  max-age 3600
frontend clients
  bind 127.0.0.1:{place.port} ssl crt {place.both} alpn h2,http/1.1
  default_backend origin
backend origin
  http-request cache-use edge
  http-response cache-store edge
  server origin 127.0.0.1:{place.origin_port} pool-max-conn 64
""")
        return [["haproxy", "-db", "-f", conf]]


class Nginx:
    @staticmethod
    def is_there(*_programs: str) -> bool:
        return shutil.which("nginx") is not None

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        return nginx_of(place, f"""
  ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519;
  ssl_certificate {place.chain}; ssl_certificate_key {place.key}; ssl_session_cache off;
  proxy_cache_path {place.folder}/cache levels=1:2 keys_zone=edge:64m max_size={place.disk_mib}m use_temp_path=off;
  open_file_cache max=20000; http2_max_concurrent_streams 128;
  upstream origin {{ server 127.0.0.1:{place.origin_port}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{place.port} ssl http2 backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache edge; proxy_cache_valid 200 1h;
    }}
  }}""")


class Varnish:
    """Behind hitch, which ends TLS for it."""

    @staticmethod
    def is_there(*_programs: str) -> bool:
        return shutil.which("varnishd") is not None and shutil.which("hitch") is not None

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        inner = place.folder / "varnish.sock"
        backend = f'vcl 4.1; backend default {{ .host = "127.0.0.1"; .port = "{place.origin_port}"; }}\n'
        vcl = place.write("default.vcl", backend)
        user = 'user = "nobody"' if os.geteuid() == 0 else ""  # it refuses to work as root
        conf = place.write("hitch.conf", f"""
{user}
frontend = "[127.0.0.1]:{place.port}"
backend = "{inner}"
pem-file = "{place.both}"
workers = 1
write-proxy-v2 = on
alpn-protos = "h2, http/1.1"
tls-protos = TLSv1.3
ciphersuites = "TLS_AES_128_GCM_SHA256"
daemon = off
""")
        return [["varnishd", "-F", "-n", str(place.folder / "varnish"), "-a", f"{inner},PROXY,mode=666", "-f", vcl,
                 "-s", f"malloc,{place.memory_mib}m", "-p", "feature=+http2", "-p", "default_ttl=3600"],
                ["sh", "-c", f"until test -S '{inner}'; do sleep 0.1; done; exec hitch --config='{conf}'"]]


class TrafficServer:
    @staticmethod
    def is_there(*_programs: str) -> bool:
        return shutil.which("traffic_server") is not None

    @staticmethod
    def commands(place: Place) -> list[list[str]]:
        (place.folder / "cache").mkdir()
        (place.folder / "cache").chmod(0o777)
        root = place.write("runroot.yaml", f"""
prefix: /usr
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
sysconfdir: {place.folder}
datadir: {place.folder}/cache
includedir: /usr/include
libdir: /usr/lib/trafficserver
libexecdir: /usr/lib/trafficserver/modules
localstatedir: {place.folder}
runtimedir: {place.folder}
logdir: {place.folder}
cachedir: {place.folder}/cache
""")
        place.write("records.config", f"""
CONFIG proxy.config.http.server_ports STRING {place.port}:ssl
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.cache.ram_cache.size INT {place.memory_mib << 20}
CONFIG proxy.config.ssl.server.TLSv1_3.cipher_suites STRING TLS_AES_128_GCM_SHA256
CONFIG proxy.config.ssl.server.groups_list STRING X25519
CONFIG proxy.config.http2.max_concurrent_streams_in INT 128
CONFIG proxy.config.admin.user_id STRING nobody
""")
        place.write("remap.config", f"map / http://127.0.0.1:{place.origin_port}/\n")
        place.write("storage.config", f"{place.folder}/cache {place.disk_mib}M\n")
        place.write("ssl_multicert.config", f"dest_ip=* ssl_cert_name={place.chain} ssl_key_name={place.key}\n")
        for name in ("plugin.config", "hosting.config", "volume.config", "cache.config", "parent.config"):
            place.write(name, "")
        place.write("ip_allow.yaml", "ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n")
        return [["traffic_server", f"--run-root={root}"]]


SERVERS = {"edge": Edge, "edge-2": EdgeOfTwo, "edge-later": EdgeOfSecondUses, "floor": Floor, "haproxy": Haproxy,
           "nginx": Nginx, "varnish": Varnish, "trafficserver": TrafficServer}
