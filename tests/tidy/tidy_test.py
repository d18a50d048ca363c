#!/usr/bin/env python3
"""Holds the tree to DESIGN's and STYLE's rules, and shows of each check that it can fail."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import formatting
import function_wall
import house_rules
import include_table
import named_tests
import registration
from source_tree import SourceTree

# By ctest's setting: the tree, and the build folder that the test belongs to.
ROOT = pathlib.Path(os.environ.get("NEARSIDE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BINARY = pathlib.Path(os.environ.get("NEARSIDE_BINARY_DIR", ROOT / "build/release"))
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

    def test_own_header_in_angle_brackets_is_found(self):
        files = {"dns/name.h": "", "dns/a.cc": "#include <dns/name.h>\n", "edge/b.cc": "# include <dns/name.h>\n"}
        self.assertEqual(["dns/a.cc: <dns/name.h> is a file of ours; write it in quotes",
                          "edge/b.cc: <dns/name.h> is a file of ours; write it in quotes",
                          "edge/b.cc: edge must not include dns (dns/name.h)"],
                         self.complaints(include_table.check, files))
        self.assertEqual([], self.complaints(include_table.check, {"net/a.cc": "#include <net/if.h>\n"}))

    def test_path_that_is_not_plain_is_found(self):
        for header in ("edge/../dns/name.h", "./dns/name.h", "edge//a.h", "../dns/name.h", "http/./session/a.h",
                       "/usr/include/lmdb.h"):
            for left, right in ('""', "<>"):
                with self.subTest(header=header, bracket=left):
                    files = {"dns/name.h": "", "edge/a.h": "#pragma once\n", "http/session/a.h": "",
                             "edge/a.cc": f"#include {left}{header}{right}\n"}
                    self.assertEqual([f"edge/a.cc: {left}{header}{right}: write the plain path, from the root"],
                                     self.complaints(include_table.check, files))

    def test_include_is_found_however_it_is_written(self):
        files = {"dns/name.h": "", "dns/name.txt": "", "edge/a.cc": "/* names */ #include/**/<dns/name.h>\n"}
        self.assertEqual(2, len(self.complaints(include_table.check, files)))
        self.assertEqual(["dns/a.cc: #include HEADER: name the header itself"],
                         self.complaints(include_table.check, {"dns/a.cc": "#include HEADER\n"}))
        self.assertEqual(['dns/a.cc: "dns/b.txt" is no header; only .h files are included'],
                         self.complaints(include_table.check, {"dns/b.txt": "", "dns/a.cc": '#include "dns/b.txt"\n'}))
        hidden = '// #include <poll.h>\n/*\n#include <poll.h>\n*/\nauto a = "#include";\n'
        self.assertEqual([], self.complaints(include_table.check, {"dns/a.cc": hidden}))

    def test_other_suffixes_are_found(self):
        files = {f"dns/a.{suffix}": "" for suffix in ("cpp", "hpp", "cxx", "hh", "c", "inc", "cc", "h", "md")}
        self.assertEqual(["dns/a.c", "dns/a.cpp", "dns/a.cxx", "dns/a.hh", "dns/a.hpp", "dns/a.inc"],
                         [text.partition(":")[0] for text in self.complaints(include_table.check, files)])

    def test_folders_of_generated_files_are_skipped_at_the_root_only(self):
        files = {"build/dns/a.cpp": "", "var/a.cpp": "", "edge/build/a.cpp": "", "edge/var/a.cpp": ""}
        self.assertEqual(["edge/build/a.cpp", "edge/var/a.cpp"],
                         [text.partition(":")[0] for text in self.complaints(include_table.check, files)])

    def test_include_not_from_the_root_is_found(self):
        files = {"dns/name.h": "", "dns/a.cc": '#include "name.h"\n'}
        self.assertIn('"name.h" is not a file of ours', self.complaints(include_table.check, files)[0])

    def test_third_party_away_from_home_is_found(self):
        for path, header in (("edge/a.cc", "nghttp2/nghttp2.h"), ("runtime/hash.cc", "openssl/evp.h"),
                             ("edge/a.cc", "lmdb.h"), ("origin/a.cc", "Poco/Data/Session.h"),
                             ("storage/a.cc", "Poco/Net/HTTPServer.h"),
                             ("edge/a.cc", "maxminddb.h"), ("geodns/a.cc", "ares.h"), ("edge/a.cc", "toml++/toml.h"),
                             ("origin/a.cc", "sqlite3.h"), ("edge/a.cc", "zlib.h"), ("storage/a.cc", "zlib.h"),
                             ("http/a.cc", "nlohmann/json.hpp"), ("storage/a.cc", "nlohmann/json.hpp"),
                             ("runtime/a.cc", "nlohmann/json_fwd.hpp"), ("edge/a.cc", "spdlog/spdlog.h"),
                             ("edge/a.cc", "xxhash.h"), ("edge/a.cc", "tl/expected.hpp"), ("edge/a.cc", "curl/curl.h")):
            with self.subTest(path=path, header=header):
                self.assertEqual(1, len(self.complaints(include_table.check, {path: f"#include <{header}>\n"})))

    def test_third_party_at_home_passes(self):
        for path, header in (("http/session/a.cc", "nghttp2/nghttp2.h"), ("runtime/crypto.cc", "openssl/evp.h"),
                             ("net/a.h", "openssl/ssl.h"), ("storage/a.cc", "Poco/Data/Session.h"),
                             ("origin/a.cc", "Poco/Net/HTTPServer.h"), ("net/a.cc", "ares.h"),
                             ("storage/a.cc", "sqlite3.h"), ("cli/a.cc", "nlohmann/json.hpp"),
                             ("storage/a.cc", "sys/mman.h"), ("edge/a.cc", "condition_variable")):
            with self.subTest(path=path, header=header):
                self.assertEqual([], self.complaints(include_table.check, {path: f"#include <{header}>\n"}))

    def test_heavy_header_in_a_header_is_found(self):
        files = {"edge/a.h": "#include <nlohmann/json.hpp>\n"}
        self.assertIn("slow to compile", self.complaints(include_table.check, files)[0])

    def test_socket_in_a_pure_folder_is_found(self):
        for path, header in (("dns/a.cc", "sys/socket.h"), ("dns/a.cc", "netinet/in.h"), ("http/a.cc", "arpa/inet.h"),
                             ("http/a.h", "poll.h"), ("dns/a.cc", "sys/epoll.h"), ("http/a.cc", "netdb.h"),
                             ("dns/a.cc", "sys/un.h"), ("http/a.cc", "linux/tcp.h"), ("runtime/a.cc", "sys/ioctl.h")):
            with self.subTest(path=path, header=header):
                self.assertEqual([f"{path}: {path.partition('/')[0]} knows no sockets (<{header}>)"],
                                 self.complaints(include_table.check, {path: f"#include <{header}>\n"}))

    def test_system_in_a_pure_folder_is_found(self):
        for path, header in (("dns/a.cc", "unistd.h"), ("http/a.cc", "fcntl.h"), ("http/a.cc", "sys/stat.h")):
            with self.subTest(path=path, header=header):
                folder = path.partition("/")[0]
                self.assertEqual([f"{path}: {folder} is pure and asks nothing of the system (<{header}>)"],
                                 self.complaints(include_table.check, {path: f"#include <{header}>\n"}))

    def test_what_folders_may_ask_of_the_system_passes(self):
        for path, header in (("dns/a.cc", "arpa/inet.h"), ("http/a.cc", "emmintrin.h"), ("dns/a.cc", "stdint.h"),
                             ("http/session/a.cc", "poll.h"), ("runtime/a.cc", "unistd.h"),
                             ("net/a.cc", "linux/tcp.h")):
            with self.subTest(path=path, header=header):
                self.assertEqual([], self.complaints(include_table.check, {path: f"#include <{header}>\n"}))


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
                           ("F", "struct alignas(64) S {\n  void F() "),
                           ("F", "template <typename T = int>\nvoid F() "),
                           ("F", "template <typename T, bool = (sizeof(T) > 4), int N = 3>\nvoid F() "),
                           ("F", "template <typename T>\n  requires (sizeof(T) > 4)\nvoid F() "),
                           ("F", "void F() requires requires(int a) { a + 1; } "),
                           ("F", "template <typename T>\n  requires A<T>\nstruct S {\n  void F() "),
                           ("F", "typedef struct {\n  void F() "),
                           ("operator()", "inline constexpr struct S {\n  void operator()(int a) const "),
                           ("F", "auto F = [](int) "),
                           ("F", "const auto F = [] "),
                           ("F", "auto F = [a = B{1}, c = d[0]](int e = G(1)) mutable noexcept -> std::vector<int> "),
                           ("F", "template <typename T>\nconstexpr auto F = []<typename U>(U u) -> decltype(G(u)) "),
                           ("f_", "class C {\n  std::function<void()> f_ = [this] "),
                           ("lambda", "const bool kDone = Register(1, [](int) "),
                           ("lambda", "std::map<int, std::function<void()>> m = {\n  {1, {}},\n  {2, [&] "),
                           ("lambda", "C::C() : a_([this](int b) ")):
            with self.subTest(head=head):
                found = [f"{f.name} {f.lines}" for f in function_wall.functions_of(head + self.long_body(75))]
                self.assertIn(f"{name} 75", found)

    def test_braces_in_comments_strings_and_macros_do_not_count(self):
        tricks = '  // {\n  /* { */ a = "{"; b = \'{\'; c = R"x({)x"; n = 1\'000;\n#define G {\n'
        text = "void F() {\n" + tricks * 15 + "}\nvoid H() {}\n"
        self.assertEqual([("F", 47), ("H", 1)], [(f.name, f.lines) for f in function_wall.functions_of(text)])

    def test_initialisers_are_no_functions(self):
        text = ("const std::array<int, 2> kA = {\n1,\n2};\nint b{3};\nstd::map<int, std::function<void()>> m = {\n};\n"
                "enum class E { kA };\nFoo kFoo(1, {2});\nint c[] = {1};\nvoid F() {}\n")
        self.assertEqual(["F"], [f.name for f in function_wall.functions_of(text)])

    def test_lambdas_are_functions_where_no_function_is_around_them(self):
        text = ("auto kF = [](int a) {\n  return a;\n};\nvoid G() {\n  auto h = [] {};\n}\n"
                "int a = Call([] { auto i = [] {}; }, [](int) {\n});\nC::C() : a_([] {}), b_{1} {\n}\n")
        self.assertEqual([("kF", 3), ("G", 3), ("lambda", 1), ("lambda", 2), ("lambda", 1), ("C::C", 2)],
                         [(f.name, f.lines) for f in function_wall.functions_of(text)])

    def test_settings_tables_are_excepted(self):
        for head in ("settings::Table CacheTable() ", "static nearside::settings::Table Rows(int a) ",
                     "using settings::Table;\nnamespace {\nTable CacheTable() ",
                     "using Table = nearside::settings::Table;\nTable C::CacheTable() "):
            with self.subTest(head=head):
                self.assertEqual([], function_wall.complaints_of("a.cc", head + self.long_body(200)))

    def test_name_alone_makes_no_settings_table(self):
        for head in ("void MakeTable() ", "Table CacheTable() ", "// using settings::Table;\nTable CacheTable() ",
                     "using Table = std::vector<int>;\nTable CacheTable() ", "std::vector<settings::Table> AllTable() ",
                     "using settings::Table;\nint CacheTable(Table t) "):
            with self.subTest(head=head):
                self.assertEqual(1, len(function_wall.complaints_of("a.cc", head + self.long_body(200))))


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
    files = {
        "CMakeLists.txt":
            "cmake_minimum_required(VERSION 3.25)\nproject(small LANGUAGES CXX)\nenable_testing()\n"
            "add_subdirectory(edge)\nadd_subdirectory(tests/dns)\n",
        "edge/CMakeLists.txt":
            "add_library(e a.cc sub/c.cc) # b.cc\nset(later d.cc)\n"
            "if(FALSE)\n  target_sources(e PRIVATE f.cc)\nendif()\n",
        "edge/a.cc": "", "edge/b.cc": "", "edge/sub/c.cc": "", "edge/d.cc": "", "edge/f.cc": "",
        "tests/dns/CMakeLists.txt":
            "add_executable(dns_test a_test.cc sub/../b_test.cc)\nadd_test(NAME dns_test COMMAND dns_test)\n"
            "if(FALSE)\n  add_executable(no_test false_test.cc)\nendif()\nset(sources unused_test.cc)\n"
            "add_executable(idle idle_test.cc)\n"
            "add_executable(asleep asleep_test.cc)\nadd_test(NAME asleep COMMAND asleep)\n"
            "set_tests_properties(asleep PROPERTIES DISABLED TRUE)\n"
            "add_test(NAME s COMMAND python3 s_test.py WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})\n"
            "add_test(NAME p COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/parts_test.py OneTest)\n",
        "tests/dns/sub/.keep": "",
        **{f"tests/dns/{name}_test.cc": "" for name in ("a", "b", "false", "unused", "idle", "asleep")},
        "tests/dns/s_test.py": "class STest:\n  def test_a(self): pass\n", "tests/dns/lonely_test.py": "",
        "tests/dns/parts_test.py": "class BaseTest: pass\nclass OneTest:\n  def test_a(self): pass\n"
                                   "class TwoTest:\n  def test_b(self): pass\n",
        "tests/http/CMakeLists.txt":
            "add_executable(http_test c_test.cc)\nadd_test(NAME http_test COMMAND http_test)\n",
        "tests/http/c_test.cc": "",
    }

    def test_every_source_is_built(self):
        build = registration.build_of(BINARY, ROOT)
        self.expect_clean(lambda tree: registration.check_sources(tree, build))

    def test_every_test_is_run(self):
        build = registration.build_of(BINARY, ROOT)
        self.expect_clean(lambda tree: registration.check_tests(tree, build))

    def test_file_outside_the_build_is_found(self):
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch, "source")
            for path, text in self.files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            for batched in ("OFF", "ON"):
                with self.subTest(batched=batched):
                    binary = pathlib.Path(scratch, "binary-" + batched)
                    subprocess.run(["cmake", "-G", "Ninja", "-S", root, "-B", binary, "-DCMAKE_CXX_COMPILER_WORKS=1",
                                    "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DCMAKE_UNITY_BUILD={batched}"],
                                   check=True, capture_output=True)
                    self.expect_those_outside(SourceTree(root), registration.build_of(binary, root))

    def expect_those_outside(self, tree, build):
        self.assertEqual(["edge/b.cc", "edge/d.cc", "edge/f.cc"],
                         [text.partition(":")[0] for text in registration.check_sources(tree, build)])
        late = "; a test outside the build is not a test"
        self.assertEqual([f"tests/dns/asleep_test.cc: compiled into asleep, which no test runs{late}",
                          f"tests/dns/false_test.cc: not compiled{late}",
                          f"tests/dns/idle_test.cc: compiled into idle, which no test runs{late}",
                          f"tests/dns/lonely_test.py: no test runs it{late}",
                          f"tests/dns/parts_test.py: no test runs its class TwoTest{late}",
                          f"tests/dns/unused_test.cc: not compiled{late}",
                          f"tests/http/c_test.cc: not compiled{late}"], registration.check_tests(tree, build))

    def test_fuzz_target_outside_the_build_is_found(self):
        parent = {"tests/CMakeLists.txt": "if(NEARSIDE_FUZZ)\n  add_subdirectory(fuzz)\nendif()\n"}
        targets = ("nearside_fuzz(a SOURCES a.cc)\nif(FALSE)\n  nearside_fuzz(b SOURCES b.cc)\nendif()\n"
                   "set(sources c.cc)\n# nearside_fuzz(d SOURCES d.cc)\n")
        files = {"tests/fuzz/CMakeLists.txt": targets, **{f"tests/fuzz/{name}.cc": "" for name in "abcd"}}

        def found(files: dict[str, str]) -> list[str]:
            nothing = registration.Build({}, set(), {})
            texts = self.complaints(lambda tree: registration.check_tests(tree, nothing), files)
            return [text.partition(":")[0] for text in texts]

        self.assertEqual(["tests/fuzz/b.cc", "tests/fuzz/c.cc", "tests/fuzz/d.cc"], found(parent | files))
        self.assertEqual([f"tests/fuzz/{name}.cc" for name in "abcd"], found(files))


class NamedTestsTest(TidyTest):
    head = "| § | requirement | shown by |\n|---|---|---|\n"

    def test_every_test_that_a_document_names_exists(self):
        build = registration.build_of(BINARY, ROOT)
        self.expect_clean(lambda tree: named_tests.check(tree, build))

    def test_documents_name_tests(self):
        for path in named_tests.DOCUMENTS:
            self.assertGreater(len(named_tests.NAMED.findall(self.tree.read(path))), 20)

    def test_name_of_no_test_is_found(self):
        text = "Text `a_test.ATest.Gone`.\n" + self.head + "| 1 | x | `a_test.ATest.Is`, `b_test.ATest.Is` |\n"
        self.assertEqual(["d.md:1: there is no test a_test.ATest.Gone", "d.md:4: there is no test b_test.ATest.Is"],
                         named_tests.complaints_of("d.md", text, {"a_test.ATest.Is"}))

    def test_row_that_shows_nothing_is_found(self):
        rows = "| 1 | x | it works |\n| 2 | y | **Deviation**: so |\n| 3 | z | Does not apply: so |\n"
        self.assertEqual(["d.md:3: names no test, and no reason why there is none"],
                         named_tests.complaints_of("d.md", self.head + rows, set()))
        other = "| checks | our answer |\n|---|---|\n| a | b |\n"
        self.assertEqual([], named_tests.complaints_of("d.md", self.head + "\n" + other, set()))

    def test_tests_are_known_by_the_program_that_runs_them(self):
        files = {"tests/dns/a_test.cc": "TEST(ATest, One) {\nTEST_F(BTest,\n       Two) {\n// TEST(ATest, No)\n",
                 "tests/dns/idle_test.cc": "TEST(CTest, Three) {\n",
                 "tests/system/s_test.py": "class STest:\n  def test_a(self): pass\n  def helps(self): pass\n",
                 "tests/system/lonely_test.py": "class LTest:\n  def test_a(self): pass\n"}
        build = registration.Build({"tests/dns/a_test.cc": {"dns_test"}, "tests/dns/idle_test.cc": {"idle"}},
                                   {"dns_test"}, {"tests/system/s_test.py": {""}})
        self.assertEqual(["dns_test.ATest.One", "dns_test.BTest.Two", "system_s.STest.test_a"],
                         self.complaints(lambda tree: sorted(named_tests.known_tests(tree, build)), files))


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
