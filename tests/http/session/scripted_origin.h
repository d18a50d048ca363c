#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/descriptor.h"

namespace nearside::http {

/// One connection of a server that does what the test's script says: blocking, on a thread of its
/// own.
class OriginConnection {
 public:
  explicit OriginConnection(net::Descriptor socket);
  /// A request's head with its empty line; "" at the end of the connection.
  std::string ReadHead();
  /// Exactly `size` bytes; less at the end.
  std::string Read(size_t size);
  void Send(std::string_view bytes);
  /// What comes is still read.
  void EndSending();
  void Close();
  void Reset();
  /// Waits for the client to end the connection, or the origin's end.
  void AwaitEnd();
  /// From another thread: ends what it waits for.
  void Stop();

 private:
  std::mutex mutex_;  ///< against Stop on a descriptor that is being closed
  net::Descriptor socket_;
};

/// Accepts connections in order and gives the n-th one to the n-th script; those beyond to the
/// last.
class ScriptedOrigin {
 public:
  using Script = std::function<void(OriginConnection&)>;
  explicit ScriptedOrigin(std::vector<Script> scripts);
  explicit ScriptedOrigin(Script script) : ScriptedOrigin(std::vector<Script>{std::move(script)}) {}
  ~ScriptedOrigin();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void Accept();

  std::vector<Script> scripts_;
  net::Descriptor listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::vector<std::shared_ptr<OriginConnection>>
      open_;  ///< the acceptor's, and after it the destructor's
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace nearside::http
