#include "runtime/daemon.h"

#include <gtest/gtest.h>

#include <cctype>
#include <csignal>
#include <string>
#include <vector>

namespace nearside {
namespace {

/// Runs a daemon with the arguments given and keeps what it printed and called. The process's
/// signals are put back afterwards.
class DaemonTest : public testing::Test {
 protected:
  int Run(std::vector<std::string> arguments) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    arguments.insert(arguments.begin(), "nearside-test");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    const DaemonSpec spec{
        .name = "nearside-test",
        .purpose = "Tests what daemons share.",
        .example = "  nearside-test --config test.toml",
        .options = {{.name = "role", .value = "ROLE", .help = "Which", .one_of = {"a", "b"}}},
        .check = [this](const std::string& file) { return Called("check", file); },
        .run =
            [this](const std::string& file, const CommandValues& values) {
              const auto role = values.find("role");
              return Called(role == values.end() ? "run" : "run " + role->second, file);
            },
        .commands = {{"make",
                      "Makes something.",
                      {{.name = "name", .value = "NAME", .help = "Of what", .required = true},
                       {.name = "kind",
                        .value = "KIND",
                        .help = "Which",
                        .fallback = "plain",
                        .one_of = {"plain", "other"}},
                       {.name = "json", .help = "Print JSON"}},
                      [this](const std::string& file, const CommandValues& values) {
                        std::string text = "make";
                        for (const auto& [name, value] : values) text += " " + name + "=" + value;
                        return Called(text, file);
                      }}}};
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = RunDaemon(spec, static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    error_ = testing::internal::GetCapturedStderr();
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    return code;
  }

  Status Called(const std::string& what, const std::string& file) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    calls_ += what + " " + file + (sigismember(&mask, SIGTERM) == 1 ? " blocked;" : ";");
    return result_;
  }

  Status result_;
  std::string calls_;
  std::string out_;
  std::string error_;
};

TEST_F(DaemonTest, RunsWithItsSignalsBlockedAndExitsWithZero) {
  EXPECT_EQ(Run({"--config", "a.toml"}), 0);
  EXPECT_EQ(calls_, "run a.toml blocked;");
  EXPECT_EQ(out_ + error_, "");
}

TEST_F(DaemonTest, ServingHasOptionsOfItsOwn) {
  EXPECT_EQ(Run({"--config", "a.toml", "--role", "b"}), 0);
  EXPECT_EQ(calls_, "run b a.toml blocked;");
  EXPECT_EQ(Run({"--config", "a.toml", "--role", "c"}), 1);
  EXPECT_NE(error_.find("--role"), std::string::npos) << error_;
}

TEST_F(DaemonTest, ACommandRunsInsteadOfServing) {
  EXPECT_EQ(Run({"make", "--config", "a.toml", "--name", "x", "--json"}), 0);
  EXPECT_EQ(calls_, "make json= kind=plain name=x a.toml;");
  calls_.clear();
  EXPECT_EQ(Run({"--config", "a.toml", "make", "--name", "x", "--kind", "other"}), 0);
  EXPECT_EQ(calls_, "make kind=other name=x a.toml;");
  result_ = Fail(Fault::kOperator, "no_zone", "there is none");
  EXPECT_EQ(Run({"make", "--config", "a.toml", "--name", "x"}), 78);
  EXPECT_EQ(error_, "nearside-test: there is none\n");
}

TEST_F(DaemonTest, WhatACommandNeedsIsSaid) {
  for (const auto& [arguments, message] :
       std::initializer_list<std::pair<std::vector<std::string>, std::string>>{
           {{"make", "--name", "x"}, "--config is required"},
           {{"make", "--config", "a.toml"}, "--name is required"},
           {{"make", "--config", "a.toml", "--name", "x", "--kind", "third"}, "--kind"},
           {{"makes", "--config", "a.toml"}, "makes"}}) {
    EXPECT_EQ(Run(arguments), 1);
    EXPECT_NE(error_.find(message), std::string::npos) << error_;
    EXPECT_EQ(calls_, "");
  }
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_NE(out_.find("Makes something."), std::string::npos) << out_;
  EXPECT_EQ(Run({"make", "--help"}), 0);
  EXPECT_NE(out_.find("Of what"), std::string::npos) << out_;
}

TEST_F(DaemonTest, AGoodFileIsSaidToBeOk) {
  EXPECT_EQ(Run({"--config=a.toml", "--check"}), 0);
  EXPECT_EQ(calls_, "check a.toml;");
  EXPECT_EQ(out_, "a.toml: ok\n");
  EXPECT_EQ(error_, "");
}

TEST_F(DaemonTest, ABadFileIs78AndEveryErrorHasItsLine) {
  result_ = Fail(Fault::kOperator, "bad_settings", "a.toml:1: x: wrong\na.toml:2: y: wrong too");
  const std::string expected =
      "nearside-test: a.toml:1: x: wrong\n"
      "nearside-test: a.toml:2: y: wrong too\n";
  EXPECT_EQ(Run({"--check", "--config", "a.toml"}), 78);
  EXPECT_EQ(error_, expected);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(Run({"--config", "a.toml"}), 78);
  EXPECT_EQ(error_, expected);
}

TEST_F(DaemonTest, AnyOtherFailureIs1) {
  for (const Fault fault : {Fault::kSelf, Fault::kOrigin, Fault::kClient}) {
    result_ = Fail(fault, "ENOMEM", "no memory");
    EXPECT_EQ(Run({"--config", "a.toml"}), 1);
    EXPECT_EQ(error_, "nearside-test: no memory\n");
  }
}

TEST_F(DaemonTest, VersionIsTheProjects) {
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_, "nearside-test " + std::string(Version()) + "\n");
  EXPECT_EQ(calls_, "");
  EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(Version().front())));
}

TEST_F(DaemonTest, HelpTeachesByAnExample) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_EQ(calls_, "");
  EXPECT_EQ(out_, R"(Tests what daemons share.
Usage: nearside-test [OPTIONS] [SUBCOMMAND]

Options:
  -h,--help                   Print this help and exit
  --version                   Print the version and exit
  --config FILE               The settings, a TOML file
  --check                     Check FILE and all it names, then exit: 0 good, 78 not
  --role ROLE:{a,b}           Which

Subcommands:
  make                        Makes something.

Example:
  nearside-test --config test.toml

Signals: SIGTERM and SIGINT drain and exit 0; SIGHUP reloads the settings, and a bad
file leaves the old ones in force. Exit codes: 0 done, 78 the settings or something they
name is wrong, 1 anything else. All keys: docs/configuration.md
)");
}

TEST_F(DaemonTest, AWrongCommandLineIs1AndPointsToHelp) {
  EXPECT_EQ(Run({}), 1);
  EXPECT_EQ(error_, "nearside-test: --config is required; --help shows how it is used\n");
  EXPECT_EQ(Run({"--config"}), 1);
  EXPECT_EQ(error_,
            "nearside-test: --config: 1 required FILE missing; --help shows how it is used\n");
  EXPECT_EQ(Run({"--config", "a.toml", "--chekc"}), 1);
  EXPECT_EQ(error_, "nearside-test: \"--chekc\" is no option; did you mean \"--check\"?\n");
  EXPECT_EQ(calls_, "");
}

}  // namespace
}  // namespace nearside
