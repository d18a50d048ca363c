"""clang-format decides on C++, shellcheck on shell scripts."""

import concurrent.futures
import os
import re
import subprocess

from source_tree import SourceTree

CLANG_FORMAT = "clang-format-14"
BATCH = 40


def check_cpp(tree: SourceTree) -> list[str]:
    paths = tree.with_suffix(".cc", ".h")
    batches = [paths[start:start + BATCH] for start in range(0, len(paths), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda batch: format_complaints(tree, batch), batches)
        return [complaint for complaints in found for complaint in complaints]


def format_complaints(tree: SourceTree, paths: list[str]) -> list[str]:
    result = subprocess.run([CLANG_FORMAT, "--dry-run", "--Werror", "--style=file", *paths], cwd=tree.root,
                            capture_output=True, text=True, check=False)
    wrong = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error:", result.stderr, re.MULTILINE)))
    if result.returncode != 0 and not wrong:
        return [f"{CLANG_FORMAT}: {result.stderr.strip()}"]
    return [f"{path}: {CLANG_FORMAT} -i {path} would change it" for path in wrong]


def check_shell(tree: SourceTree) -> list[str]:
    scripts = [path for path in tree.texts()
               if path.endswith(".sh") or re.match(r"#!.*\b(?:ba)?sh\b", tree.read(path)[:80])]
    if not scripts:
        return []
    result = subprocess.run(["shellcheck", "--external-sources", "--format=gcc", *scripts], cwd=tree.root,
                            capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()
