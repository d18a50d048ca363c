#pragma once

// An origin on loopback that answers what the test says, when it says so.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace nearside::edge {

/// Threads of its own read requests; the test takes them one by one and writes the answers itself.
class ScriptedOrigin {
 public:
  /// A request that has arrived, and its connection.
  class Asked {
   public:
    Asked(int socket, std::string head, std::string body, std::string trailers = "")
        : socket_(socket),
          head_(std::move(head)),
          body_(std::move(body)),
          trailers_(std::move(trailers)) {}
    /// "GET /a HTTP/1.1" and the fields, a line each.
    const std::string& head() const { return head_; }
    const std::string& body() const { return body_; }
    /// The lines behind a chunked body, as they came.
    const std::string& trailers() const { return trailers_; }
    std::string first_line() const { return head_.substr(0, head_.find("\r\n")); }
    /// The first value of a field (lower case); "" when there is none.
    std::string Field(std::string_view name) const;

    /// Raw bytes of an answer. Pieces of any size may follow.
    void Send(std::string_view bytes) const;
    /// "HTTP/1.1 200 OK" with these lines (each ends in "\n"), Content-Length and body.
    void Answer(std::string_view status, std::string_view lines, std::string_view body) const;
    /// Ends our side of the connection; what comes is still read.
    void EndSending() const;
    /// Ends the connection, in the middle of whatever was sent.
    void Close() const;
    /// The same with a reset.
    void Reset() const;
    /// Waits until the other side has ended the connection.
    void AwaitClosed() const;

   private:
    int socket_;
    std::string head_;
    std::string body_;
    std::string trailers_;
  };

  enum class Family { kIpv4, kIpv6 };
  explicit ScriptedOrigin(Family family = Family::kIpv4);
  ~ScriptedOrigin();
  std::string url() const {
    return (family_ == Family::kIpv4 ? "http://127.0.0.1:" : "http://[::1]:") +
           std::to_string(port_);
  }
  int port() const { return port_; }

  /// The next request; waits for it.
  Asked Next();
  /// How many have arrived so far, taken or not.
  size_t count() const;
  /// How many of them have not been taken.
  size_t waiting() const;

 private:
  void Accept();
  void Serve(int socket);

  const Family family_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Asked> waiting_;
  size_t count_ = 0;
  std::vector<int> sockets_;
  std::vector<std::thread> servers_;
};

}  // namespace nearside::edge
