"""No function is longer than 70 lines, from its opening brace to its closing one; settings tables are excepted.

A small reader of C++ finds the functions: text without comments, strings and preprocessor lines is walked brace by
brace, and what stands before a brace tells whether a scope, a function or an initialiser begins.
"""

import dataclasses
import re

from source_tree import SourceTree

WALL = 70
EXEMPT = re.compile(r"\w*Table$")

# What hides braces: comments, raw strings, strings, characters (but not digit separators), preprocessor lines.
HIDDEN = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:[^"\\\n]|\\.)*"|"""
    r"""(?<![0-9A-Za-z_])(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+'|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*""",
    re.DOTALL | re.MULTILINE)
SCOPE = re.compile(
    r"^(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b[^()]*$", re.DOTALL)
ATTRIBUTE = re.compile(r"\[\[.*?\]\]|alignas\s*\([^)]*\)|__attribute__\s*\(\(.*?\)\)", re.DOTALL)
ACCESS = re.compile(r"^\s*(?:(?:public|private|protected)\s*:\s*)+")
CONSTRUCTOR = re.compile(r"\)\s*(?:noexcept(?:\s*\([^()]*\))?\s*)?:(?!:)")
NAME = re.compile(r"((?:~?\w+\s*::\s*)*(?:operator\s*(?:\(\)|[^\s(]+)|~?\w+))\s*\(")


@dataclasses.dataclass
class Function:
    name: str
    line: int
    lines: int


def blank(match: re.Match) -> str:
    """As many line ends as before, so that line numbers hold, and something where a string was."""
    text = match[0]
    kept = "\n" * text.count("\n")
    return kept if text.lstrip().startswith(("//", "/*", "#")) else "0" + kept


def functions_of(text: str) -> list[Function]:
    """The functions of one file, lambdas inside them not counted apart."""
    code = HIDDEN.sub(blank, text)
    found: list[Function] = []
    position, head_start = 0, 0
    while position < len(code):
        mark = code[position]
        if mark in ";}":
            head_start = position + 1
        elif mark == "{":
            head = ACCESS.sub("", ATTRIBUTE.sub("", code[head_start:position])).strip()
            end = closing_brace(code, position)
            if SCOPE.match(head) or not head:
                head_start = position + 1  # read on inside
            elif is_function(head):
                first = code.count("\n", 0, position) + 1
                found.append(Function(name_of(head), first, code.count("\n", position, end) + 1))
                position, head_start = end, end + 1
            else:  # an initialiser: the head goes on behind it
                code = code[:position] + " " + blank_braces(code[position + 1:end]) + "}" + code[end + 1:]
                position = end
        position += 1
    return found


def blank_braces(text: str) -> str:
    return re.sub(r"[{};]", " ", text)


def closing_brace(code: str, opening: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def is_function(head: str) -> bool:
    if "(" not in head or head.count("(") != head.count(")"):
        return False  # the brace of a member or an argument
    if re.match(r"(?:template\s*<[^{}]*>\s*)?concept\b", head):
        return False
    constructor = CONSTRUCTOR.search(head)
    if constructor and re.search(r"[\w>]$", head):
        return False  # the brace of a member: `: a_{`
    before_parameters = head[:head.index("(")]
    assigned = re.search(r"(?<![=!<>])=(?!=)", re.sub(r"operator\s*\S+", "", before_parameters))
    return not assigned


def name_of(head: str) -> str:
    names = NAME.findall(re.sub(r"^template\s*<[^{}]*?>\s*(?=[\w:~])", "", head))
    return re.sub(r"\s+", "", names[0]) if names else "?"


def complaints_of(path: str, text: str) -> list[str]:
    return [f"{path}:{function.line}: {function.name} has {function.lines} lines, the wall is {WALL}"
            for function in functions_of(text)
            if function.lines > WALL and not EXEMPT.match(function.name.rpartition("::")[2])]


def check(tree: SourceTree) -> list[str]:
    return [complaint for path in tree.with_suffix(".cc", ".h") for complaint in complaints_of(path, tree.read(path))]
