"""The repository's own files, as the tidy checks see them. A check takes a SourceTree and returns complaints."""

import pathlib

# Folders that hold nothing of ours: anywhere, and at the root.
SKIPPED = {".git", "node_modules", "__pycache__"}
SKIPPED_AT_ROOT = {"build", "var"}
TEXT_SUFFIXES = {
    ".cc", ".h", ".py", ".sh", ".js", ".mjs", ".css", ".html", ".md", ".txt", ".cmake", ".json", ".toml", ".zone",
    ".yml", ".yaml", ".in", ".service", "",
}
PRODUCT_FOLDERS = ("runtime", "net", "dns", "http", "http/session", "storage", "edge", "geodns", "origin", "cli")


def is_ours(path: pathlib.Path) -> bool:
    """Of a path from the root."""
    return path.parts[0] not in SKIPPED_AT_ROOT and not SKIPPED & set(path.parts)


class SourceTree:
    """Paths are relative to the root, with slashes, sorted."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.paths = sorted(
            path.relative_to(root).as_posix() for path in root.rglob("*")
            if is_ours(path.relative_to(root)) and path.is_file())

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [path for path in self.paths if pathlib.PurePosixPath(path).suffix in suffixes]

    def texts(self) -> list[str]:
        return self.with_suffix(*TEXT_SUFFIXES)

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def __contains__(self, path: str) -> bool:
        return (self.root / path).is_file()


def folder_of(path: str) -> str:
    """The folder of the include table that a file belongs to: "http/session", "edge", "tests", "deploy", …"""
    return "http/session" if path.startswith("http/session/") else path.partition("/")[0]
