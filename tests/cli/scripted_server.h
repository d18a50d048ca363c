#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace nearside::cli::test {

/// A server that says, connection after connection, what a test wrote down. Its thread ends with
/// the script.
class ScriptedServer {
 public:
  /// Serves one connection: reads and writes on `fd`; the connection is closed afterwards.
  using Connection = std::function<void(int fd)>;
  explicit ScriptedServer(std::vector<Connection> script);
  ~ScriptedServer();
  uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// Reads a head (up to the empty line) and answers it; "" when the connection ended.
  static std::string ReadHead(int fd);
  static void Write(int fd, std::string_view bytes);

 private:
  int listening_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace nearside::cli::test
