"""Modules of npm for node, installed once into NEARSIDE_CACHE."""

import pathlib
import subprocess

from nearside_harness import CACHE

PLAYWRIGHT = "playwright-core@1.65.1"


def install(package: str, place: str) -> pathlib.Path:
    """The module's folder: of "name@1.2.3", below the cache's folder `place`."""
    folder = CACHE / place
    name, _, version = package.rpartition("@")
    module = folder / "node_modules" / name
    if f'"version": "{version}"' not in _description(module):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, package],
                       check=True, timeout=300, capture_output=True)
    return module


def _description(module: pathlib.Path) -> str:
    path = module / "package.json"
    return path.read_text() if path.exists() else ""
