"""What holds for single files: length, `#pragma once`, no reminders left behind, no paths of one machine."""

import re

from source_tree import SourceTree

MOST_LINES = 800
MOST_COLUMNS = 120
REMINDER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:root|home/\w+|work/\w+)(?=[/\s\"'`),]|$)")


def check_length(tree: SourceTree) -> list[str]:
    code = tree.with_suffix(".cc", ".h", ".py", ".sh", ".js", ".css")
    counted = ((path, tree.read(path).count("\n")) for path in code)
    return [f"{path}: {lines} lines; split it, {MOST_LINES} is the most"
            for path, lines in counted if lines > MOST_LINES]


def check_columns(tree: SourceTree) -> list[str]:
    """Scripts only: for C++ clang-format sees to it."""
    return [f"{path}:{number}: {len(line)} columns, {MOST_COLUMNS} is the most"
            for path in tree.with_suffix(".py", ".sh")
            for number, line in enumerate(tree.read(path).splitlines(), 1) if len(line) > MOST_COLUMNS]


def check_pragma_once(tree: SourceTree) -> list[str]:
    first_code = re.compile(r"\A(?:\s|//[^\n]*\n|/\*.*?\*/)*#pragma once\b", re.DOTALL)
    return [f"{path}: expected #pragma once first" for path in tree.with_suffix(".h")
            if not first_code.match(tree.read(path))]


def check_reminders(tree: SourceTree) -> list[str]:
    return matching_lines(tree, REMINDER, "do it, or open an issue")


def check_machine_paths(tree: SourceTree) -> list[str]:
    return matching_lines(tree, MACHINE_PATH, "a path of one machine")


def matching_lines(tree: SourceTree, pattern: re.Pattern, why: str) -> list[str]:
    return [f"{path}:{number}: {match[0]}: {why}"
            for path in tree.texts()
            for number, line in enumerate(tree.read(path).splitlines(), 1)
            for match in [pattern.search(line)] if match]
