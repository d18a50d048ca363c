"""A file that is not in the build does not exist: sources, tests, fuzz targets and scripts are all named somewhere."""

import pathlib
import re

from source_tree import PRODUCT_FOLDERS, SourceTree, folder_of


def names_in_cmake(tree: SourceTree, folder: str) -> set[str]:
    """Every word of the CMakeLists.txt of `folder`, comments left out."""
    path = f"{folder}/CMakeLists.txt"
    if path not in tree:
        return set()
    text = re.sub(r"#[^\n]*", "", tree.read(path))
    return set(re.findall(r"[^\s()\"]+", text))


def is_registered(tree: SourceTree, path: str) -> bool:
    """Named in the CMakeLists.txt of its folder, or in one above it by its path from there."""
    pure = pathlib.PurePosixPath(path)
    return any(pure.relative_to(folder).as_posix() in names_in_cmake(tree, folder.as_posix())
               for folder in pure.parents if folder.as_posix() != ".")


def check_sources(tree: SourceTree) -> list[str]:
    return [f"{path}: in no CMakeLists.txt" for path in tree.with_suffix(".cc")
            if folder_of(path) in PRODUCT_FOLDERS and not is_registered(tree, path)]


def check_tests(tree: SourceTree) -> list[str]:
    tests = [path for path in tree.with_suffix(".cc", ".py") if path.startswith("tests/")
             and (path.endswith(("_test.cc", "_test.py")) or (path.startswith("tests/fuzz/") and path.endswith(".cc")))]
    return [f"{path}: a test outside the build is not a test; name it in CMakeLists.txt"
            for path in tests if not is_registered(tree, path)]
