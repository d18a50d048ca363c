#!/usr/bin/env python3
"""Holds the tree to DESIGN's and STYLE's rules, and shows of each check that it can fail."""

import os
import pathlib
import sys
import tempfile
import unittest

import formatting
import function_wall
import house_rules
import include_table
import registration
from source_tree import SourceTree

ROOT = pathlib.Path(os.environ.get("NEARSIDE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "tests/support"))
from test_main import main  # noqa: E402


class TidyTest(unittest.TestCase):
    tree = SourceTree(ROOT)

    def expect_clean(self, check) -> None:
        complaints = check(self.tree)
        if complaints:
            self.fail("\n" + "\n".join(complaints))

    def complaints(self, check, files: dict[str, str]) -> list[str]:
        """What `check` says of a tree of these files."""
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                target = pathlib.Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            return check(SourceTree(pathlib.Path(folder)))


class IncludeTableTest(TidyTest):
    def test_tree_keeps_the_table(self):
        self.expect_clean(include_table.check)

    def test_folder_out_of_reach_is_found(self):
        files = {"dns/name.h": "", "edge/a.cc": '#include "dns/name.h"\n', "dns/b.cc": '#include "dns/name.h"\n'}
        self.assertEqual(["edge/a.cc: edge must not include dns (dns/name.h)"],
                         self.complaints(include_table.check, files))

    def test_http_does_not_reach_its_session(self):
        files = {"http/session/h2.h": "", "http/a.cc": '#include "http/session/h2.h"\n'}
        self.assertEqual(["http/a.cc: http must not include http/session (http/session/h2.h)"],
                         self.complaints(include_table.check, files))

    def test_include_not_from_the_root_is_found(self):
        files = {"dns/name.h": "", "dns/a.cc": '#include "name.h"\n'}
        self.assertIn('"name.h" is not a file of ours', self.complaints(include_table.check, files)[0])

    def test_third_party_away_from_home_is_found(self):
        for path, header in (("edge/a.cc", "nghttp2/nghttp2.h"), ("runtime/hash.cc", "openssl/evp.h"),
                             ("edge/a.cc", "lmdb.h"), ("origin/a.cc", "Poco/Data/Session.h"),
                             ("storage/a.cc", "Poco/Net/HTTPServer.h"),
                             ("edge/a.cc", "maxminddb.h"), ("geodns/a.cc", "ares.h"), ("edge/a.cc", "toml++/toml.h")):
            with self.subTest(path=path, header=header):
                self.assertEqual(1, len(self.complaints(include_table.check, {path: f"#include <{header}>\n"})))

    def test_third_party_at_home_passes(self):
        for path, header in (("http/session/a.cc", "nghttp2/nghttp2.h"), ("runtime/crypto.cc", "openssl/evp.h"),
                             ("net/a.h", "openssl/ssl.h"), ("storage/a.cc", "Poco/Data/Session.h"),
                             ("origin/a.cc", "Poco/Net/HTTPServer.h"), ("net/a.cc", "ares.h")):
            with self.subTest(path=path, header=header):
                self.assertEqual([], self.complaints(include_table.check, {path: f"#include <{header}>\n"}))

    def test_heavy_header_in_a_header_is_found(self):
        files = {"edge/a.h": "#include <nlohmann/json.hpp>\n"}
        self.assertIn("slow to compile", self.complaints(include_table.check, files)[0])

    def test_socket_in_a_pure_folder_is_found(self):
        self.assertEqual(["dns/a.cc: dns knows no sockets (<sys/socket.h>)"],
                         self.complaints(include_table.check, {"dns/a.cc": "#include <sys/socket.h>\n"}))


class FunctionWallTest(TidyTest):
    def long_body(self, lines: int) -> str:
        return "{\n" + "  Work();\n" * (lines - 2) + "}\n"

    def test_tree_stays_below_the_wall(self):
        self.expect_clean(function_wall.check)

    def test_seventy_lines_pass_and_one_more_does_not(self):
        self.assertEqual([], function_wall.complaints_of("a.cc", "void F() " + self.long_body(70)))
        self.assertEqual(["a.cc:1: F has 71 lines, the wall is 70"],
                         function_wall.complaints_of("a.cc", "void F() " + self.long_body(71)))

    def test_every_kind_of_function_is_seen(self):
        for name, head in (("F", "namespace a {\nvoid F() "),
                           ("F", "class C : public D<int> {\n public:\n  int F() const override "),
                           ("C::F", "template <typename T>\n  requires std::is_same_v<T, int>\nvoid C::F(T t) "),
                           ("C::C", "C::C(int a) : a_(a), b_{1, 2}, c_() "),
                           ("C::~C", "C::~C() "),
                           ("operator==", "bool operator==(const C& o) const "),
                           ("C::operator()", "void C::operator()(int a) "),
                           ("TEST_F", "TEST_F(FooTest, Bars) "),
                           ("F", "auto F(int a = 1, B b = {}) -> int "),
                           ("F", 'extern "C" {\nint F(void* p) '),
                           ("main", "int main(int argc, char** argv) "),
                           ("F", "[[nodiscard]] static Result<std::vector<int>> F() "),
                           ("F", "struct alignas(64) S {\n  void F() ")):
            with self.subTest(head=head):
                found = [f"{f.name} {f.lines}" for f in function_wall.functions_of(head + self.long_body(75))]
                self.assertIn(f"{name} 75", found)

    def test_braces_in_comments_strings_and_macros_do_not_count(self):
        tricks = '  // {\n  /* { */ a = "{"; b = \'{\'; c = R"x({)x"; n = 1\'000;\n#define G {\n'
        text = "void F() {\n" + tricks * 15 + "}\nvoid H() {}\n"
        self.assertEqual([("F", 47), ("H", 1)], [(f.name, f.lines) for f in function_wall.functions_of(text)])

    def test_initialisers_are_no_functions(self):
        text = ("const std::array<int, 2> kA = {\n1,\n2};\nint b{3};\nauto kF = [](int a) {\n  return a;\n};\n"
                "enum class E { kA };\nFoo kFoo(1, {2});\nvoid F() {}\n")
        self.assertEqual(["F"], [f.name for f in function_wall.functions_of(text)])

    def test_settings_tables_are_excepted(self):
        self.assertEqual([], function_wall.complaints_of("a.cc", "settings::Table CacheTable() " + self.long_body(200)))


class HouseRulesTest(TidyTest):
    def test_no_file_is_too_long(self):
        self.expect_clean(house_rules.check_length)

    def test_long_file_is_found(self):
        self.assertEqual(1, len(self.complaints(house_rules.check_length, {"a.cc": "\n" * 801, "b.cc": "\n" * 800})))

    def test_no_script_is_too_wide(self):
        self.expect_clean(house_rules.check_columns)

    def test_wide_script_is_found(self):
        self.assertEqual(["a.py:2: 121 columns, 120 is the most"],
                         self.complaints(house_rules.check_columns, {"a.py": "x" * 120 + "\n" + "x" * 121}))

    def test_every_header_says_pragma_once(self):
        self.expect_clean(house_rules.check_pragma_once)

    def test_header_without_pragma_once_is_found(self):
        files = {"a.h": "int a;\n#pragma once\n", "b.h": "// About b.\n\n#pragma once\n"}
        self.assertEqual(["a.h: expected #pragma once first"], self.complaints(house_rules.check_pragma_once, files))

    def test_no_reminder_is_left(self):
        self.expect_clean(house_rules.check_reminders)

    def test_reminder_is_found(self):
        files = {"a.cc": "int a;  // TO" "DO: more\n", "b.sh": "mktemp a.XXXXXX\n"}
        self.assertEqual(["a.cc:1: TO" "DO: do it, or open an issue"],
                         self.complaints(house_rules.check_reminders, files))

    def test_no_path_of_one_machine(self):
        self.expect_clean(house_rules.check_machine_paths)

    def test_path_of_one_machine_is_found(self):
        files = {"a.md": "see /ho" "me/joe/src and /usr/bin\n", "b.cc": "a = b /root_count; GET /work\n"}
        self.assertEqual(1, len(self.complaints(house_rules.check_machine_paths, files)))


class RegistrationTest(TidyTest):
    def test_every_source_is_built(self):
        self.expect_clean(registration.check_sources)

    def test_source_outside_the_build_is_found(self):
        files = {"edge/CMakeLists.txt": "nearside_library(e SOURCES a.cc) # b.cc\n", "edge/a.cc": "", "edge/b.cc": ""}
        self.assertEqual(["edge/b.cc: in no CMakeLists.txt"], self.complaints(registration.check_sources, files))

    def test_every_test_is_run(self):
        self.expect_clean(registration.check_tests)

    def test_test_outside_the_build_is_found(self):
        files = {"tests/dns/CMakeLists.txt": "nearside_test(dns_test SOURCES a_test.cc sub/c_test.cc)\n",
                 "tests/dns/a_test.cc": "", "tests/dns/b_test.cc": "", "tests/dns/sub/c_test.cc": "",
                 "tests/system/d_test.py": "", "tests/fuzz/e.cc": ""}
        self.assertEqual(["tests/dns/b_test.cc", "tests/fuzz/e.cc", "tests/system/d_test.py"],
                         [text.partition(":")[0] for text in self.complaints(registration.check_tests, files)])


class FormattingTest(TidyTest):
    def test_cpp_is_formatted(self):
        self.expect_clean(formatting.check_cpp)

    def test_unformatted_cpp_is_found(self):
        files = {".clang-format": self.tree.read(".clang-format"), "a.cc": "int  a ;\n", "b.cc": "int b;\n"}
        self.assertEqual(["a.cc: clang-format-14 -i a.cc would change it"],
                         self.complaints(formatting.check_cpp, files))

    def test_shell_scripts_pass_shellcheck(self):
        self.expect_clean(formatting.check_shell)

    def test_careless_shell_is_found(self):
        self.assertIn("SC2086", self.complaints(formatting.check_shell, {"a.sh": "#!/bin/sh\nrm $1\n"})[0])


if __name__ == "__main__":
    main()
