"""DESIGN's include table: who may include whom, and the one home of each third-party component."""

import posixpath
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
    "cli": {"http", "net", "runtime"},
}

# Third-party header (by how it begins) → folders or files that may include it. The longest match counts; a header
# that is neither here nor the system's has no home yet.
HOMES = {
    "nghttp2/": {"http/session"},
    "openssl/": {"net", "runtime/crypto.cc", "runtime/resumable_sha256.cc", "runtime/signing_key.cc"},
    "intel-ipsec-mb.h": {"net/vaes_module.cc"},
    "jemalloc/": {"runtime"},
    "lmdb.h": {"storage"},
    "sqlite3": {"storage"},
    "Poco/": {"origin", "storage"},
    "Poco/Data/": {"storage"},
    "Poco/Net/HTTPServer": {"origin"},
    "Poco/Net/HTTPRequestHandler": {"origin"},
    "maxminddb": {"geodns"},
    "ares": {"net"},
    "sodium": {"origin/password_hasher.cc"},
    "brotli/": {"http/content_coding.cc"},
    "zlib.h": {"http/content_coding.cc"},
    "zstd.h": {"http/content_coding.cc"},
    "nlohmann/": {"edge", "geodns", "origin", "cli"},
    "toml++/": {"runtime"},
    "tl/": {"runtime"},
    "xxhash.h": {"runtime"},
    "spdlog/": {"runtime"},
    "fmt/": {"runtime"},
    "CLI/": {"cli", "runtime"},
}
# The standard library, intrinsics included: any folder.
STANDARD = re.compile(
    r"^(?:\w+|(?:assert|ctype|errno|float|inttypes|limits|locale|math|stdarg|stddef|stdint|stdio|stdlib|string)\.h|"
    r"time\.h|(?:[a-z]mm|x86|arm_)\w*intrin\.h|arm_neon\.h)$")
# The system's.
SOCKET = re.compile(
    r"^(?:sys/(?:socket|epoll|poll|select|un|uio|eventfd|timerfd|signalfd|ioctl|sendfile)\.h|"
    r"(?:arpa|net|netinet|linux|asm)/.+|(?:netdb|poll|ifaddrs|resolv|epoll)\.h)$")
SYSTEM = re.compile(
    r"^(?:sys/.+|(?:aio|dirent|dlfcn|execinfo|fcntl|fnmatch|ftw|getopt|glob|grp|iconv|langinfo|libgen|malloc|mntent|"
    r"pthread|pwd|regex|sched|semaphore|setjmp|signal|spawn|strings|syslog|termios|ucontext|unistd|utime|wordexp)\.h)$")
# Folders that know no sockets, and those among them that know nothing of the system at all.
SOCKETLESS = {"runtime", "dns", "http"}
PURE = {"dns", "http"}
# inet_pton and inet_ntop turn text into addresses; they open nothing.
PURE_EXCEPTIONS = {("dns", "arpa/inet.h")}
# Slow to compile: never in a header of ours.
HEAVY = ("toml++/", "nlohmann/json.hpp", "spdlog/", "CLI/", "Poco/")

# What else C++ is kept in; neither this table nor any other check looks into such files.
FOREIGN_SUFFIXES = {
    ".c", ".c++", ".C", ".cpp", ".cppm", ".cxx", ".h++", ".H", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".ixx",
    ".tcc", ".tpp", ".txx",
}

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r"^\s*#\s*(?:include|include_next|import)\b[ \t]*([^\n]*)", re.MULTILINE)
WRITTEN = re.compile(r'^(?:<([^>]+)>|"([^"]+)")')


def home_of(header: str) -> set[str] | None:
    matching = [prefix for prefix in HOMES if header.startswith(prefix)]
    return HOMES[max(matching, key=len)] if matching else None


def includes_of(text: str) -> list[str]:
    """What stands behind each #include, in its brackets or quotes; a comment may stand before it, or hide it."""
    kept = re.sub(r'"(?:[^"\\\n]|\\.)*"|<[^<>\n]*>|' + COMMENT.pattern,
                  lambda match: match[0] if match[0][0] in '"<' else "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    return [written.strip() for written in INCLUDE.findall(kept)]


def complaints_of(tree: SourceTree, path: str) -> list[str]:
    folder = folder_of(path)
    found = []
    for written in includes_of(tree.read(path)):
        match = WRITTEN.match(written)
        if match is None:
            found.append(f"{path}: #include {written}: name the header itself")
            continue
        header = match[1] or match[2]
        if header.startswith("/") or posixpath.normpath(header) != header or header.startswith(".."):
            found.append(f"{path}: {written}: write the plain path, from the root")
        elif match[2] or header in tree:
            found += own_complaints(tree, path, folder, header, written)
        else:
            found += foreign_complaints(path, folder, header)
    return found


def own_complaints(tree: SourceTree, path: str, folder: str, header: str, written: str) -> list[str]:
    if header not in tree:
        return [f'{path}: "{header}" is not a file of ours; includes are written from the root']
    found = []
    if written.startswith("<"):
        found.append(f"{path}: <{header}> is a file of ours; write it in quotes")
    if not header.endswith(".h"):
        found.append(f'{path}: "{header}" is no header; only .h files are included')
    target = folder_of(header)
    if target != folder and target not in MAY_INCLUDE[folder]:
        found.append(f"{path}: {folder} must not include {target} ({header})")
    return found


def foreign_complaints(path: str, folder: str, header: str) -> list[str]:
    found = []
    home = home_of(header)
    if home is not None:
        if folder not in home and path not in home:
            found.append(f"{path}: <{header}> has its home in {' and '.join(sorted(home))}")
    elif SOCKET.match(header):
        if folder in SOCKETLESS and (folder, header) not in PURE_EXCEPTIONS:
            found.append(f"{path}: {folder} knows no sockets (<{header}>)")
    elif SYSTEM.match(header):
        if folder in PURE:
            found.append(f"{path}: {folder} is pure and asks nothing of the system (<{header}>)")
    elif not STANDARD.match(header):
        found.append(f"{path}: <{header}> has no home; give it one in tests/tidy/include_table.py")
    if path.endswith(".h") and header.startswith(HEAVY):
        found.append(f"{path}: <{header}> is slow to compile; include it in .cc files only")
    return found


def suffix_complaints(tree: SourceTree) -> list[str]:
    return [f"{path}: C++ is in .cc and .h files; no check looks into {posixpath.splitext(path)[1]} files"
            for path in tree.with_suffix(*FOREIGN_SUFFIXES)]


def check(tree: SourceTree) -> list[str]:
    return suffix_complaints(tree) + [
        complaint for path in tree.with_suffix(".cc", ".h") if folder_of(path) in PRODUCT_FOLDERS
        for complaint in complaints_of(tree, path)]
