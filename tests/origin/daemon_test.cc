// The real daemon, as a process: settings that are wrong, signals, what it prints.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "origin/origin_server.h"
#include "runtime/daemon.h"
#include "tests/net/test_authority.h"
#include "tests/origin/raw_client.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin::test {
namespace {

using nearside::test::Ask;
using nearside::test::RawClient;
using nearside::test::Reply;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kToken = "admin-token-for-tests";

/// A started nearside-origin; killed with the object unless it has ended.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out[1], STDERR_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      std::vector<char*> argv = {const_cast<char*>(NEARSIDE_ORIGIN_PROGRAM)};
      for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    output_ = out[0];
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (output_ >= 0) ::close(output_);
  }

  void Signal(int number) { ::kill(pid_, number); }

  /// The output up to a line with `text` in it; everything when there is none in 30 s or the
  /// process ends.
  std::string ReadUntil(const std::string& text) {
    while (seen_.find(text) == std::string::npos ||
           seen_.find('\n', seen_.find(text)) == std::string::npos) {
      pollfd watched{output_, POLLIN, 0};
      if (::poll(&watched, 1, 30'000) != 1) return seen_;
      char piece[4096];
      const ssize_t n = ::read(output_, piece, sizeof piece);
      if (n <= 0) return seen_;
      seen_.append(piece, static_cast<size_t>(n));
    }
    return seen_;
  }

  /// Waits for the end. The exit code, or -1 for a signal.
  int Wait() {
    (void)ReadUntil("\xFF no output has this");
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& output() const { return seen_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string seen_;
};

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_.Write("admin.token", kToken);
    const net::Certificate certificate = authority_.Issue({.names = {"www.demo.test"}});
    dir_.Write("cert.pem", certificate.chain_pem);
    dir_.Write("key.pem", certificate.key_pem);
  }
  std::string Config(const std::string& more = "", const std::string& api = "127.0.0.1:0") {
    return dir_.Write("origin.toml",
                      "[origin]\nname = \"origin-1\"\napi = [\"" + api +
                          "\"]\ndrain_timeout = \"20s\"\n"
                          "[storage]\nmetadata = \"sqlite:" +
                          dir_.In("meta.db") + "\"\nblobs = \"file:" + dir_.In("blobs") +
                          "\"\n[auth]\ntoken_file = \"" + dir_.In("admin.token") + "\"\n" + more);
  }
  std::string Listen() const {
    return "[[listen]]\naddress = \"127.0.0.1:0\"\n[[certificate]]\nchain = \"" +
           dir_.In("cert.pem") + "\"\nkey = \"" + dir_.In("key.pem") +
           "\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
  }
  /// The port behind "NAME=127.0.0.1:" in the line that says ready.
  static uint16_t PortOf(const std::string& output, const std::string& name) {
    const std::string key = " " + name + "=127.0.0.1:";
    const size_t at = output.find(key);
    return at == std::string::npos
               ? uint16_t{0}
               : static_cast<uint16_t>(std::atoi(output.c_str() + at + key.size()));
  }
  static std::string Put(const std::string& path, const std::string& token, size_t length) {
    return "PUT " + path + " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " + token +
           "\r\nexpect: 100-continue\r\ncontent-length: " + std::to_string(length) + "\r\n\r\n";
  }
  nearside::test::TempDir dir_;
  net::TestAuthority authority_;
};

TEST_F(DaemonTest, CheckAcceptsWhatServesAndTouchesNothing) {
  const Status checked = CheckOrigin(Config(Listen()));
  EXPECT_TRUE(checked) << checked.error().ToString();
  EXPECT_NE(::access(dir_.In("meta.db").c_str(), F_OK), 0);
}

TEST_F(DaemonTest, EveryThingThatIsNamedAndWrongIsNamedWithFileLineAndKey) {
  const auto message = [](const std::string& config) {
    const Status checked = CheckOrigin(config);
    EXPECT_FALSE(checked);
    EXPECT_EQ(checked.error().fault, Fault::kOperator);
    return checked.error().message;
  };
  EXPECT_THAT(message(dir_.In("none.toml")), HasSubstr("none.toml"));
  const std::string other = "[[certificate]]\nchain = \"" + dir_.In("none.pem") + "\"\nkey = \"" +
                            dir_.In("key.pem") + "\"\n";
  EXPECT_THAT(message(Config(other)),
              HasSubstr("origin.toml:11: certificate.chain: " + dir_.In("none.pem")));
  dir_.Write("key.pem", "not a key");
  EXPECT_THAT(message(Config(Listen())),
              HasSubstr("origin.toml:14: certificate.key: " + dir_.In("key.pem")));
  EXPECT_THAT(message(Config("fleet_token_file = \"" + dir_.In("none.token") + "\"\n")),
              HasSubstr("origin.toml:10: auth.fleet_token_file: " + dir_.In("none.token")));
  EXPECT_THAT(message(Config("[admin]\ntoken_file = \"" + dir_.In("none.token") + "\"\n")),
              HasSubstr("origin.toml:11: admin.token_file: " + dir_.In("none.token")));
  dir_.Write("admin.token", "short");
  EXPECT_THAT(message(Config()),
              HasSubstr("origin.toml:9: auth.token_file: " + dir_.In("admin.token")));
}

TEST_F(DaemonTest, ABusyPortEndsWith78AndSaysWhichSetting) {
  Process first({"--config", Config()});
  const uint16_t port = PortOf(first.ReadUntil("event=ready"), "api");
  ASSERT_NE(port, 0) << first.output();
  Process second({"--config", Config("", "127.0.0.1:" + std::to_string(port))});
  EXPECT_EQ(second.Wait(), kExitConfig);
  EXPECT_THAT(second.output(),
              HasSubstr("origin.toml:3: origin.api: 127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(second.output(), HasSubstr("expected a free one"));
  const std::string busy = "127.0.0.1:" + std::to_string(port) + "\"\n";
  Process third({"--config", Config("[admin]\naddress = \"" + busy)});
  EXPECT_EQ(third.Wait(), kExitConfig);
  EXPECT_THAT(third.output(),
              HasSubstr("origin.toml:11: admin.address: cannot listen on 127.0.0.1:"));
  Process fourth({"--config", Config("[[listen]]\ntls = false\naddress = \"" + busy)});
  EXPECT_EQ(fourth.Wait(), kExitConfig);
  EXPECT_THAT(fourth.output(),
              HasSubstr("origin.toml:12: listen.address: cannot listen on 127.0.0.1:"));
}

TEST_F(DaemonTest, AFolderThatCannotBeWrittenIsRefusedByCheckAndStart) {
  dir_.Write("file", "no folder");
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& at) {
    (void)Config();
    std::string text = dir_.Read("origin.toml");
    text.replace(text.find(from), from.size(), to);
    const std::string config = dir_.Write("wrong.toml", text);
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--check", "--config", config}, {"--config", config}}) {
      Process process(arguments);
      EXPECT_EQ(process.Wait(), kExitConfig) << at;
      EXPECT_THAT(process.output(), HasSubstr("wrong.toml:" + at + ": ")) << arguments[0];
      EXPECT_THAT(process.output(), HasSubstr("expected a f"));
    }
  };
  refused(dir_.In("meta.db"), dir_.In("file/meta.db"), "6: storage.metadata");
  refused(dir_.In("meta.db"), dir_.In(""), "6: storage.metadata");
  refused(dir_.In("blobs"), dir_.In("file"), "7: storage.blobs");
  refused("[auth]", "sessions = \"lmdb:" + dir_.In("file/s") + "\"\n[auth]", "8: storage.sessions");
  refused("[auth]", "queue = \"lmdb:" + dir_.In("file/q") + "\"\n[auth]", "8: storage.queue");
  EXPECT_NE(::access(dir_.In("blobs").c_str(), F_OK), 0);
}

TEST_F(DaemonTest, AFileThatIsNoDatabaseIsNamedAtTheStart) {
  dir_.Write("meta.db", std::string(5000, 'x'));
  Process process({"--config", Config()});
  EXPECT_EQ(process.Wait(), kExitConfig);
  EXPECT_THAT(process.output(),
              HasSubstr("origin.toml:6: storage.metadata: " + dir_.In("meta.db")));
}

TEST_F(DaemonTest, AWorkerListensOnItsAdminAddressAloneAndNeedsAQueue) {
  Process without({"--config", Config(), "--role", "worker"});
  EXPECT_EQ(without.Wait(), kExitConfig);
  EXPECT_THAT(without.output(), HasSubstr("storage.queue: expected the queue"));
  Process unknown({"--config", Config(), "--role", "boss"});
  EXPECT_EQ(unknown.Wait(), 1);
  (void)Config(Listen());
  std::string text = dir_.Read("origin.toml");
  text.insert(text.find("[auth]"), "queue = \"lmdb:" + dir_.In("queue") + "\"\n");
  Process worker({"--config", dir_.Write("worker.toml", text), "--role", "worker"});
  const std::string ready = worker.ReadUntil("event=ready");
  EXPECT_THAT(ready, HasSubstr("role=worker"));
  EXPECT_EQ(PortOf(ready, "api"), 0);
  EXPECT_EQ(PortOf(ready, "listen"), 0);
  const uint16_t admin = PortOf(ready, "admin");
  ASSERT_NE(admin, 0) << ready;
  EXPECT_EQ(Ask(admin, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
  EXPECT_THAT(Ask(admin, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").body,
              HasSubstr("nearside_origin_jobs_done_total"));
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(), 0) << worker.output();
}

TEST_F(DaemonTest, CheckAndVersionPrintOneLine) {
  Process check({"--check", "--config", Config()});
  EXPECT_EQ(check.Wait(), 0);
  EXPECT_EQ(check.output(), dir_.In("origin.toml") + ": ok\n");
  Process version({"--version"});
  EXPECT_EQ(version.Wait(), 0);
  EXPECT_THAT(version.output(), StartsWith("nearside-origin "));
}

TEST_F(DaemonTest, AdminServesHealthMetricsAndStatus) {
  Process process({"--config", Config(Listen())});
  const uint16_t admin = PortOf(process.ReadUntil("event=ready"), "admin");
  const auto get = [&](const std::string& line) {
    return Ask(admin, line + " HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
  };
  EXPECT_EQ(get("GET /healthz").body, "ok\n");
  EXPECT_THAT(get("GET /metrics").body, HasSubstr("nearside_origin_log_seq 0\n"));
  EXPECT_THAT(get("GET /metrics").body,
              HasSubstr("nearside_origin_visitor_http2_requests_total 0\n"));
  EXPECT_THAT(get("GET /status").body, HasSubstr("\"name\": \"origin-1\""));
  EXPECT_EQ(get("GET /other").status, 404);
  EXPECT_EQ(get("DELETE /status").status, 405);
  EXPECT_EQ(get("POST /status").status, 403);  // no admin.token_file
}

TEST_F(DaemonTest, AdminAnswersAPostOnlyWithItsToken) {
  const std::string token = dir_.Write("listener.token", "listener-token-for-tests\n");
  Process process(
      {"--config", Config("[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"" + token + "\"\n")});
  const uint16_t admin = PortOf(process.ReadUntil("event=ready"), "admin");
  const auto post = [&](const std::string& offered) {
    return Ask(admin, "POST /status HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n" +
                          (offered.empty() ? "" : "authorization: Bearer " + offered + "\r\n") +
                          "\r\n")
        .status;
  };
  EXPECT_EQ(post(""), 401);
  EXPECT_EQ(post(kToken), 401);  // the API's opens nothing here
  EXPECT_EQ(post("listener-token-for-tests"), 405);
  EXPECT_EQ(Ask(admin, "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").status, 200);
  dir_.Write("listener.token", "another-token-for-tests");
  process.Signal(SIGHUP);
  (void)process.ReadUntil("event=reloaded");
  EXPECT_EQ(post("listener-token-for-tests"), 401);
  EXPECT_EQ(post("another-token-for-tests"), 405);
}

TEST_F(DaemonTest, AdminOffLoopbackWithoutATokenEndsWith78) {
  const std::string off = "[admin]\naddress = \"0.0.0.0:0\"\n";
  Process refused({"--config", Config(off)});
  EXPECT_EQ(refused.Wait(), kExitConfig);
  EXPECT_THAT(refused.output(), HasSubstr("origin.toml:10: admin.token_file: expected a token"));
  Process process({"--config", Config(off + "token_file = \"" + dir_.In("admin.token") + "\"\n")});
  EXPECT_THAT(process.ReadUntil("event=ready"), HasSubstr("admin=0.0.0.0:"));
}

TEST_F(DaemonTest, AReloadSaysWhatItCannotChange) {
  Process process({"--config", Config(Listen())});
  (void)process.ReadUntil("event=ready");
  process.Signal(SIGHUP);
  EXPECT_THAT(process.ReadUntil("event=reloaded"), Not(HasSubstr("reload_partial")));
  (void)Config(Listen() + "[threads]\ndisk = 2\n", "127.0.0.1:1");
  process.Signal(SIGHUP);
  EXPECT_THAT(process.ReadUntil("event=reload_partial"),
              HasSubstr("level=warning daemon=origin event=reload_partial "
                        "keys=\"origin.api, threads.disk\" need=restart\n"));
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 0);
  const std::string output = process.output();
  EXPECT_THAT(output.substr(output.find("reload_partial")), HasSubstr("event=reloaded"));
}

TEST_F(DaemonTest, SighupReadsTokensAgainAndABadFileLeavesTheOldOnes) {
  Process process({"--config", Config()});
  const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
  const auto status = [&](const std::string& token) {
    return Ask(port, "GET /v1/sites HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer " + token +
                         "\r\n\r\n")
        .status;
  };
  EXPECT_EQ(status(kToken), 200);
  dir_.Write("admin.token", "");
  process.Signal(SIGHUP);
  EXPECT_THAT(process.ReadUntil("event=reload_refused"), HasSubstr("admin.token"));
  EXPECT_EQ(status(kToken), 200);
  dir_.Write("admin.token", "another-token-123456");
  process.Signal(SIGHUP);
  (void)process.ReadUntil("event=reloaded");
  EXPECT_EQ(status(kToken), 401);
  EXPECT_EQ(status("another-token-123456"), 200);
}

TEST_F(DaemonTest, ACertificateThatIsWrittenAnewIsTakenWithoutASignal) {
  Process process({"--config", Config(Listen())});
  (void)process.ReadUntil("event=ready");
  dir_.Write("key.pem", "half-written");
  EXPECT_THAT(process.ReadUntil("event=certificate_refused"), HasSubstr("key.pem"));
  const net::Certificate certificate = authority_.Issue({.names = {"www.demo.test"}});
  dir_.Write("cert.pem", certificate.chain_pem);
  dir_.Write("key.pem", certificate.key_pem);
  EXPECT_THAT(process.ReadUntil("event=certificates_reloaded"), HasSubstr("count=1"));
}

TEST_F(DaemonTest, SigtermLetsARunningUploadFinishAndExitsWith0) {
  Process process({"--config", Config(Listen())});
  const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
  EXPECT_EQ(Ask(port, "PUT /v1/sites/demo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
                          std::string(kToken) + "\r\ncontent-length: 12\r\n\r\n{\"hosts\":[]}")
                .status,
            201);
  RawClient upload(port);
  upload.Send(Put("/v1/sites/demo/assets/a.txt", kToken, 10));
  EXPECT_EQ(upload.Read().status, 100);
  upload.Send("01234");
  process.Signal(SIGTERM);
  (void)process.ReadUntil("event=stopping");
  upload.Send("56789");
  EXPECT_EQ(upload.Read().status, 201);
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_THAT(process.output(), HasSubstr("event=stopped"));
}

TEST_F(DaemonTest, ASecondSigtermDoesNotWait) {
  Process process({"--config", Config()});
  const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
  RawClient upload(port);
  upload.Send(Put("/v1/blobs/" + std::string(64, 'a'), kToken, 10));
  EXPECT_EQ(upload.Read().status, 100);
  process.Signal(SIGTERM);
  (void)process.ReadUntil("event=stopping");
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_TRUE(upload.Ends());
}

TEST_F(DaemonTest, WhatWasAcknowledgedSurvivesSigkill) {
  uint64_t bytes = 0;
  {
    Process process({"--config", Config()});
    const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
    (void)Ask(port, "PUT /v1/sites/demo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
                        std::string(kToken) +
                        "\r\ncontent-length: 27\r\n\r\n{\"hosts\":[\"www.demo.test\"]}");
    RawClient whole(port);
    whole.Send(Put("/v1/sites/demo/assets/whole.txt", kToken, 5));
    EXPECT_EQ(whole.Read().status, 100);
    whole.Send("whole");
    EXPECT_EQ(whole.Read().status, 201);
    RawClient half(port);
    half.Send(Put("/v1/sites/demo/assets/half.txt", kToken, 10));
    EXPECT_EQ(half.Read().status, 100);
    half.Send("01234");
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Wait(), -1);
    bytes = 5;
  }
  Process process({"--config", Config()});
  const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
  const auto visit = [&](const std::string& path) {
    return Ask(port, "GET " + path + " HTTP/1.1\r\nhost: www.demo.test\r\n\r\n");
  };
  EXPECT_EQ(visit("/whole.txt").body.size(), bytes);
  EXPECT_EQ(visit("/half.txt").status, 404);
}

TEST_F(DaemonTest, AnUploadInGoesSurvivesSigkillInTheMiddleOfOne) {
  const std::string tus = std::string(" HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ") + kToken +
                          "\r\ntus-resumable: 1.0.0\r\n";
  const auto patch = [&](const std::string& upload, size_t offset, size_t bytes) {
    return "PATCH " + upload + tus + "content-type: application/offset+octet-stream\r\n" +
           "upload-offset: " + std::to_string(offset) +
           "\r\nexpect: 100-continue\r\ncontent-length: " + std::to_string(bytes) + "\r\n\r\n";
  };
  std::string upload;
  {
    Process process({"--config", Config()});
    const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
    (void)Ask(port, "PUT /v1/sites/demo HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " +
                        std::string(kToken) +
                        "\r\ncontent-length: 27\r\n\r\n{\"hosts\":[\"www.demo.test\"]}");
    const Reply begun = Ask(port, "POST /v1/sites/demo/uploads/" + tus +
                                      "upload-length: 11\r\nupload-metadata: path YS50eHQ=\r\n"
                                      "content-length: 0\r\n\r\n");
    ASSERT_EQ(begun.status, 201) << begun.body;
    upload = begun.Field("location");
    RawClient whole(port);
    whole.Send(patch(upload, 0, 5));
    EXPECT_EQ(whole.Read().status, 100);
    whole.Send("hello");
    EXPECT_EQ(whole.Read().status, 204);
    RawClient half(port);
    half.Send(patch(upload, 5, 6));
    EXPECT_EQ(half.Read().status, 100);
    half.Send(" wo");
    process.Signal(SIGKILL);
    EXPECT_EQ(process.Wait(), -1);
  }
  Process process({"--config", Config()});
  const uint16_t port = PortOf(process.ReadUntil("event=ready"), "api");
  EXPECT_EQ(Ask(port, "HEAD " + upload + tus + "\r\n").Field("upload-offset"), "5");
  RawClient rest(port);
  rest.Send(patch(upload, 5, 6));
  EXPECT_EQ(rest.Read().status, 100);
  rest.Send(" world");
  EXPECT_EQ(rest.Read().status, 204);
  EXPECT_EQ(Ask(port, "GET /a.txt HTTP/1.1\r\nhost: www.demo.test\r\n\r\n").body, "hello world");
}

}  // namespace
}  // namespace nearside::origin::test
