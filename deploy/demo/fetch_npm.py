#!/usr/bin/env python3
"""Fetches the tarball of an npm package into a folder, once, and prints its path.

    fetch_npm.py PACKAGE[@VERSION] FOLDER [INTEGRITY]

npm does the work where it is installed, so that its registry and credentials hold; elsewhere the registry is
asked directly. What arrives is compared with INTEGRITY ("sha512-…"), or else with what the registry says.
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 60


class FetchError(Exception):
    """The package could not be had; the message says why."""


def check_integrity(data: bytes, integrity: str, package: str) -> None:
    """Compares with a "sha512-BASE64" text, as npm's lock files have it."""
    algorithm, _, expected = integrity.partition("-")
    actual = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    if actual != expected:
        raise FetchError(f"{package}: the tarball is not the one expected ({algorithm} {actual}, not {expected})")


def fetch_by_npm(package: str, folder: pathlib.Path) -> bytes:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        result = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=work, capture_output=True, text=True,
            timeout=4 * TIMEOUT_SECONDS, check=False)
        tarballs = list(pathlib.Path(work).glob("*.tgz"))
        if result.returncode != 0 or len(tarballs) != 1:
            raise FetchError(f"npm pack {package} failed: {result.stderr.strip()[-400:] or result.stdout.strip()}")
        return tarballs[0].read_bytes()


def fetch_from_registry(package: str) -> bytes:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    name, _, version = package.rpartition("@") if "@" in package[1:] else (package, "", "")
    try:
        url = f"{registry}/{urllib.parse.quote(name, safe='@')}/{version or 'latest'}"
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as reply:
            dist = json.load(reply)["dist"]
        with urllib.request.urlopen(dist["tarball"], timeout=TIMEOUT_SECONDS) as reply:
            data = reply.read()
    except (urllib.error.URLError, OSError, KeyError, ValueError) as error:
        raise FetchError(f"{package} from {registry}: {error}") from error
    check_integrity(data, dist["integrity"], package)
    return data


def fetch(package: str, folder: pathlib.Path, integrity: str = "") -> pathlib.Path:
    """The package's tarball in `folder`, from there if it has been fetched before."""
    target = folder / (package.lstrip("@").replace("/", "-").replace("@", "-") + ".tgz")
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    data = fetch_by_npm(package, folder) if shutil.which("npm") else fetch_from_registry(package)
    if integrity:
        check_integrity(data, integrity, package)
    partial = target.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(target)
    return target


def main() -> int:
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(fetch(sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:]))
    except (FetchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"fetch_npm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
