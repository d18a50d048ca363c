"""A document that says which test shows what: each test that it names exists, and each row says something.

A test is named as `program.Suite.Test`, as `system_file.Class.test` or as `tidy_name.Class.test`.
"""

import ast
import re

from registration import Build
from source_tree import SourceTree

DOCUMENTS = ("docs/conformance.md", "docs/security.md")
NAMED = re.compile(r"`([a-z][a-z0-9_]*)\.([A-Z]\w*)\.(\w+)`")
CASE = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", re.MULTILINE)
# What a row may say instead of naming a test.
REASONS = ("**Deviation**", "**Not met**", "Does not apply")
SHOWN_BY = "shown by"


def check(tree: SourceTree, build: Build) -> list[str]:
    known = known_tests(tree, build)
    return [complaint for path in DOCUMENTS if path in tree
            for complaint in complaints_of(path, tree.read(path), known)]


def complaints_of(path: str, text: str, known: set[str]) -> list[str]:
    complaints, shown_by = [], False
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        named = [".".join(match) for match in NAMED.findall(line)]
        complaints += [f"{where}: there is no test {name}" for name in named if name not in known]
        if not line.startswith("|"):
            shown_by = False
        elif line.rstrip(" |").endswith(SHOWN_BY):
            shown_by = True
        elif shown_by and set(line) - set("|-: ") and not named and not any(reason in line for reason in REASONS):
            complaints.append(f"{where}: names no test, and no reason why there is none")
    return complaints


def known_tests(tree: SourceTree, build: Build) -> set[str]:
    known = set()
    for path in tree.with_suffix(".cc"):
        if path.endswith("_test.cc"):
            programs = build.targets.get(path, set()) & build.programs
            known |= {f"{program}.{suite}.{name}" for suite, name in CASE.findall(tree.read(path))
                      for program in programs}
    for path in tree.with_suffix(".py"):
        folder, _, file = path.rpartition("/")
        if path.startswith("tests/") and file.endswith("_test.py") and path in build.scripts:
            program = f"{folder.rpartition('/')[2]}_{file.removesuffix('_test.py')}"
            known |= {f"{program}.{name}" for name in python_cases(tree.read(path))}
    return known


def python_cases(text: str) -> list[str]:
    return [f"{node.name}.{member.name}" for node in ast.parse(text).body if isinstance(node, ast.ClassDef)
            for member in node.body if isinstance(member, ast.FunctionDef) and member.name.startswith("test")]
