"""DESIGN's include table: who may include whom, and the one home of each third-party component."""

import re

from source_tree import PRODUCT_FOLDERS, SourceTree, folder_of

# A folder may always include itself.
MAY_INCLUDE = {
    "runtime": set(),
    "net": {"runtime"},
    "dns": {"runtime"},
    "http": {"runtime"},
    "storage": {"runtime"},
    "http/session": {"http", "net", "runtime"},
    "edge": {"http", "http/session", "net", "runtime", "storage"},
    "geodns": {"dns", "http", "http/session", "net", "runtime"},
    "origin": {"http", "http/session", "net", "runtime", "storage"},
    "cli": {"http", "runtime"},
}

# Header (by how it begins) → folders or files that may include it. The longest match counts.
HOMES = {
    "nghttp2/": {"http/session"},
    "openssl/": {"net", "runtime/crypto.cc"},
    "lmdb.h": {"storage"},
    "Poco/": {"origin", "storage"},
    "Poco/Data/": {"storage"},
    "Poco/Net/HTTPServer": {"origin"},
    "Poco/Net/HTTPRequestHandler": {"origin"},
    "maxminddb": {"geodns"},
    "ares": {"net"},
    "toml++/": {"runtime"},
    "spdlog/": {"runtime"},
    "CLI/": {"cli", "runtime"},
}
# Folders that know no sockets at all.
SOCKETLESS = {"runtime", "dns", "http"}
SOCKET_HEADERS = {"sys/socket.h", "sys/epoll.h", "netdb.h"}
# Slow to compile: never in a header of ours.
HEAVY = ("toml++/", "nlohmann/json.hpp", "spdlog/", "CLI/", "Poco/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def home_of(header: str) -> set[str] | None:
    matching = [prefix for prefix in HOMES if header.startswith(prefix)]
    return HOMES[max(matching, key=len)] if matching else None


def complaints_of(tree: SourceTree, path: str) -> list[str]:
    folder = folder_of(path)
    found = []
    for bracket, header in INCLUDE.findall(tree.read(path)):
        if bracket == '"' and header not in tree:
            found.append(f'{path}: "{header}" is not a file of ours; includes are written from the root')
        elif bracket == '"':
            target = folder_of(header)
            if target != folder and target not in MAY_INCLUDE[folder]:
                found.append(f"{path}: {folder} must not include {target} ({header})")
        else:
            found += third_party_complaints(path, folder, header)
    return found


def third_party_complaints(path: str, folder: str, header: str) -> list[str]:
    found = []
    home = home_of(header)
    if home is not None and folder not in home and path not in home:
        found.append(f"{path}: <{header}> has its home in {' and '.join(sorted(home))}")
    if folder in SOCKETLESS and header in SOCKET_HEADERS:
        found.append(f"{path}: {folder} knows no sockets (<{header}>)")
    if path.endswith(".h") and header.startswith(HEAVY):
        found.append(f"{path}: <{header}> is slow to compile; include it in .cc files only")
    return found


def check(tree: SourceTree) -> list[str]:
    return [complaint for path in tree.with_suffix(".cc", ".h") if folder_of(path) in PRODUCT_FOLDERS
            for complaint in complaints_of(tree, path)]
