"""No function is longer than 70 lines, from its opening brace to its closing one; what returns a settings::Table is
excepted.

A small reader of C++ finds the functions: text without comments, strings and preprocessor lines is walked brace by
brace, and what stands before a brace tells whether a scope, a function, a lambda or an initialiser begins.
"""

import dataclasses
import re

from source_tree import SourceTree

WALL = 70
# Functions that are tables of settings, told by what they return; plain Table counts where the file says what it is.
SPECIFIERS, SETTINGS = r"(?:(?:static|inline|constexpr)\s+)*", r"(?:::)?(?:nearside::)?settings::"
QUALIFIED_TABLE = re.compile(rf"{SPECIFIERS}{SETTINGS}Table\s+(?:\w+::)*\w+\s*\(")
PLAIN_TABLE = re.compile(rf"{SPECIFIERS}(?:{SETTINGS})?Table\s+(?:\w+::)*\w+\s*\(")
TABLE_ALIAS = re.compile(
    rf"\busing\s+(?:Table\s*=\s*)?{SETTINGS}Table\s*;|\busing\s+namespace\s+{SETTINGS.removesuffix('::')}\s*;")

# What hides braces: comments, raw strings, strings, characters (but not digit separators), preprocessor lines.
HIDDEN = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/|R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:[^"\\\n]|\\.)*"|"""
    r"""(?<![0-9A-Za-z_])(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+'|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*""",
    re.DOTALL | re.MULTILINE)
SCOPE = re.compile(r"(?<![\w:])(?<!->)(?<!-> )(?:namespace|class|struct|union|enum)\b[^()=]*$|^extern\s+0$")
ATTRIBUTE = re.compile(r"\[\[.*?\]\]|alignas\s*\([^)]*\)|__attribute__\s*\(\(.*?\)\)", re.DOTALL)
ACCESS = re.compile(r"^\s*(?:(?:public|private|protected)\s*:\s*)+")
CONSTRUCTOR = re.compile(r"\)\s*(?:noexcept(?:\s*\([^()]*\))?\s*)?:(?!:)")
REQUIREMENT = re.compile(r"\brequires\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?$")
# Behind a lambda's parameters: mutable, noexcept(…), -> std::vector<int>, requires …; no end of an expression.
LAMBDA_SPECIFIERS = re.compile(r"(?:[\w\s:<>&*,.]|->|\((?:[^(){};]|\([^(){};]*\))*\)|\[\[[^\]{};]*\]\])*")
ASSIGNED_TO = re.compile(r"(\w+)\s*=\s*$")
BRACKETS = {"(": ")", "[": "]", "<": ">", "{": "}"}
NAME = re.compile(r"((?:~?\w+\s*::\s*)*(?:operator\s*(?:\(\)|[^\s(]+)|~?\w+))\s*\(")


@dataclasses.dataclass
class Function:
    name: str
    line: int
    lines: int
    head: str = ""


def blank(match: re.Match) -> str:
    """As many line ends as before, so that line numbers hold, and something where a string was."""
    text = match[0]
    kept = "\n" * text.count("\n")
    return kept if text.lstrip().startswith(("//", "/*", "#")) else "0" + kept


def functions_of(text: str) -> list[Function]:
    """The functions of one file and the lambdas outside them; those inside a function are counted with it."""
    code = HIDDEN.sub(blank, text)
    lambdas = lambdas_of(code)
    found: list[Function] = []
    position, head_start = 0, 0
    while position < len(code):
        mark = code[position]
        if mark in ";}":
            head_start = position + 1
        elif mark == "{":
            head = plain_head(code[head_start:position])
            end = closing_brace(code, position)
            if position not in lambdas and (SCOPE.search(head) or not head):
                head_start = position + 1  # read on inside
            elif position not in lambdas and is_function(head):
                found.append(function_at(code, position, end, name_of(head), head))
                position, head_start = end, end + 1
            else:  # a lambda or an initialiser: the head goes on behind it
                found += [function_at(code, body, closing_brace(code, body), lambdas[body])
                          for body in outermost(code, lambdas, position, end)]
                code = code[:position] + " " + blank_braces(code[position + 1:end]) + "}" + code[end + 1:]
                position = end
        position += 1
    return found


def function_at(code: str, opening: int, closing: int, name: str, head: str = "") -> Function:
    return Function(name, code.count("\n", 0, opening) + 1, code.count("\n", opening, closing) + 1, head)


def plain_head(head: str) -> str:
    """What stands before a brace, without attributes, access labels and the parameters of templates."""
    head = ACCESS.sub("", ATTRIBUTE.sub("", head)).strip()
    while match := re.match(r"template\s*(?=<)", head):
        head = head[closing_bracket(head, match.end()) + 1:].strip()
    return head


def lambdas_of(code: str) -> dict[int, str]:
    """Where the bodies of lambdas begin, and the names of what they are assigned to."""
    found = {}
    for match in re.finditer(r"\[(?!\[)", code):
        opening = match.start()
        if re.search(r"[\w)\][]\s*$", code[max(0, opening - 200):opening]):
            continue  # a subscript, the size of an array, an attribute
        body = lambda_body(code, opening)
        if body is not None:
            name = ASSIGNED_TO.search(code, max(0, opening - 200), opening)
            found[body] = name[1] if name else "lambda"
    return found


def lambda_body(code: str, opening: int) -> int | None:
    """Where the body of the lambda begins whose captures begin at `opening`; nothing when it is no lambda."""
    position = closing_bracket(code, opening) + 1
    for bracket in "<(":
        position = re.compile(r"\s*").match(code, position).end()
        if code.startswith(bracket, position):
            position = closing_bracket(code, position) + 1
    specifiers = LAMBDA_SPECIFIERS.match(code, position)
    first = re.match(r"\s*(?:$|->|\[\[|(?:mutable|constexpr|consteval|static|noexcept|requires)\b)", specifiers[0])
    return specifiers.end() if first and code.startswith("{", specifiers.end()) else None


def outermost(code: str, lambdas: dict[int, str], first: int, last: int) -> list[int]:
    """The bodies that begin from `first` to `last` and are not inside another one."""
    found, end = [], first - 1
    for body in sorted(body for body in lambdas if first <= body <= last):
        if body > end:
            found.append(body)
            end = closing_brace(code, body)
    return found


def closing_bracket(code: str, opening: int) -> int:
    """The end of the bracket at `opening`. Inside angle brackets round ones hide comparisons and arrows."""
    mark, depth, position = code[opening], 0, opening
    while position < len(code):
        here = code[position]
        if mark == "<" and here == "(":
            position = closing_bracket(code, position)
        elif mark == "<" and code.startswith(("->", "<=", ">="), position):
            position += 1
        elif here == mark:
            depth += 1
        elif here == BRACKETS[mark]:
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return len(code) - 1


def closing_brace(code: str, opening: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def blank_braces(text: str) -> str:
    return re.sub(r"[{};]", " ", text)


def is_function(head: str) -> bool:
    if "(" not in head or head.count("(") != head.count(")") or re.search(r"(?<![=!<>])=$", head):
        return False  # the brace of a member, an argument or a value
    if re.match(r"concept\b", head) or REQUIREMENT.search(head):
        return False
    constructor = CONSTRUCTOR.search(head)
    if constructor and re.search(r"[\w>]$", head):
        return False  # the brace of a member: `: a_{`
    before_parameters = head[:head.index("(")]
    assigned = re.search(r"(?<![=!<>])=(?!=)", re.sub(r"operator\s*\S+", "", before_parameters))
    return not assigned


def name_of(head: str) -> str:
    while match := re.search(r"\brequires\s*(?=\()", head):
        head = head[:match.start()] + head[closing_bracket(head, match.end()) + 1:]
    names = NAME.findall(head)
    return re.sub(r"\s+", "", names[0]) if names else "?"


def is_settings_table(function: Function, file_says_table: bool) -> bool:
    return bool((PLAIN_TABLE if file_says_table else QUALIFIED_TABLE).match(function.head))


def complaints_of(path: str, text: str) -> list[str]:
    file_says_table = bool(TABLE_ALIAS.search(HIDDEN.sub(blank, text)))
    return [f"{path}:{function.line}: {function.name} has {function.lines} lines, the wall is {WALL}"
            for function in functions_of(text)
            if function.lines > WALL and not is_settings_table(function, file_says_table)]


def check(tree: SourceTree) -> list[str]:
    return [complaint for path in tree.with_suffix(".cc", ".h") for complaint in complaints_of(path, tree.read(path))]
