"""A file that is not in the build does not exist. What the build has, its own files tell: the compile commands and the
tests of a configured build folder. Fuzz targets are built by another preset; for them CMakeLists.txt is read.
"""

import ast
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import tempfile

from source_tree import PRODUCT_FOLDERS, SourceTree, folder_of

# A source that CMake writes where many are compiled as one, and the lines in it that name them.
BATCH = re.compile(r"/Unity/unity_\d+_cxx\.cxx$")
BATCHED = re.compile(r'^#include "(.+)"$', re.MULTILINE)
TARGET = re.compile(r"CMakeFiles/([^/\s]+)\.dir/")


@dataclasses.dataclass
class Build:
    """What a build folder compiles and tests; paths are relative to the root of the sources."""
    targets: dict[str, set[str]]  # source → the targets it is compiled into
    programs: set[str]            # names of the programs that ctest runs
    scripts: dict[str, set[str]]  # Python file → the arguments it is run with; "" for none


def build_of(binary_folder: pathlib.Path, root: pathlib.Path) -> Build:
    commands = json.loads((binary_folder / "compile_commands.json").read_text())
    build = Build({}, set(), {})
    for command in commands:
        for file in files_of(command["file"]):
            source = path_from(root, command["directory"], file)
            build.targets.setdefault(source, set()).update(TARGET.findall(command["command"])[:1])
    for test in tests_of(binary_folder):
        add_test(build, root, test)
    return build


def files_of(compiled: str) -> list[str]:
    return BATCHED.findall(pathlib.Path(compiled).read_text()) if BATCH.search(compiled) else [compiled]


def tests_of(binary_folder: pathlib.Path) -> list[dict]:
    """Asked from a folder apart: ctest leaves a log where it is run, and may be running there now."""
    with tempfile.TemporaryDirectory() as scratch:
        pathlib.Path(scratch, "CTestTestfile.cmake").write_text(f'subdirs("{binary_folder.resolve()}")\n')
        listed = subprocess.run(["ctest", "--show-only=json-v1"], cwd=scratch, capture_output=True, text=True,
                                check=True)
        return json.loads(listed.stdout)["tests"]


def add_test(build: Build, root: pathlib.Path, test: dict) -> None:
    """Of a program that has not been built yet only the test's name is known: nearside_test gives it the program's."""
    properties = {each["name"]: each["value"] for each in test.get("properties", [])}
    if properties.get("DISABLED"):
        return
    program, *arguments = test.get("command", [test["name"]])
    build.programs.add(pathlib.PurePath(program).name)
    for position, argument in enumerate(arguments):
        if argument.endswith(".py"):
            script = path_from(root, properties.get("WORKING_DIRECTORY", "."), argument)
            build.scripts.setdefault(script, set()).update(arguments[position + 1:] or [""])


def path_from(root: pathlib.Path, folder: str, path: str) -> str:
    return os.path.relpath(os.path.realpath(os.path.join(folder, path)), os.path.realpath(root))


def check_sources(tree: SourceTree, build: Build) -> list[str]:
    return [f"{path}: not compiled; name it in CMakeLists.txt" for path in tree.with_suffix(".cc")
            if folder_of(path) in PRODUCT_FOLDERS and path not in build.targets]


def check_tests(tree: SourceTree, build: Build) -> list[str]:
    return [f"{path}: {complaint}; a test outside the build is not a test"
            for path in tree.with_suffix(".cc", ".py") if path.startswith("tests/")
            for complaint in test_complaints(tree, build, path)]


def test_complaints(tree: SourceTree, build: Build, path: str) -> list[str]:
    if path.startswith("tests/fuzz/") and path.endswith(".cc"):
        return [] if path in fuzz_sources(tree) else ["in no nearside_fuzz that is always reached"]
    if path.endswith("_test.cc"):
        return program_complaints(build.targets.get(path, set()), build.programs)
    if path.endswith("_test.py"):
        return script_complaints(tree.read(path), build.scripts.get(path, set()))
    return []


def program_complaints(targets: set[str], programs: set[str]) -> list[str]:
    if not targets:
        return ["not compiled"]
    return [] if targets & programs else [f"compiled into {' and '.join(sorted(targets))}, which no test runs"]


def script_complaints(text: str, arguments: set[str]) -> list[str]:
    """A script that is run class by class is run for each of its classes."""
    if not arguments:
        return ["no test runs it"]
    if "" in arguments:
        return []
    return [f"no test runs its class {name}" for name in test_classes(text) if name not in arguments]


def test_classes(text: str) -> list[str]:
    """The classes that have cases of their own."""
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)
            and any(isinstance(member, ast.FunctionDef) and member.name.startswith("test") for member in node.body)]


def fuzz_sources(tree: SourceTree) -> set[str]:
    """The sources in calls of nearside_fuzz that stand outside any if, loop or function; none, if nothing adds the
    folder."""
    path, parent = "tests/fuzz/CMakeLists.txt", "tests/CMakeLists.txt"
    if path not in tree or parent not in tree:
        return set()
    if not any(name == "add_subdirectory" and arguments == ["fuzz"] for name, arguments, _ in calls(tree.read(parent))):
        return set()
    return {f"tests/fuzz/{word}" for name, arguments, depth in calls(tree.read(path))
            if name == "nearside_fuzz" and depth == 0 for word in arguments}


def calls(text: str) -> list[tuple[str, list[str], int]]:
    """The commands of a CMakeLists.txt: name, words, and how many blocks are open around them."""
    found, depth = [], 0
    for match in re.finditer(r"(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", re.sub(r"#[^\n]*", "", text)):
        name = match[1].lower()
        depth -= name in ("endif", "endforeach", "endwhile", "endfunction", "endmacro", "endblock")
        found.append((name, re.findall(r"[^\s()\"]+", match[2]), depth))
        depth += name in ("if", "foreach", "while", "function", "macro", "block")
    return found
