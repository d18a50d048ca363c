#pragma once

// A small blocking HTTP/1.1 client over POSIX sockets, for one server. TLS is not spoken here: an
// origin on another machine is reached through its private network or a tunnel.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::cli {

/// Where requests go. Error: kOperator bad_url; https_unsupported says what to do instead.
struct ServerUrl {
  std::string host;
  uint16_t port = 0;
  static Result<ServerUrl> Parse(std::string_view url);
  std::string ToString() const;   ///< "http://127.0.0.1:9000"
  std::string Authority() const;  ///< "127.0.0.1:9000"
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  http::Fields fields;
  std::optional<std::string> text;  ///< content from memory
  std::string file;                 ///< or from this file, `file_bytes` long
  uint64_t file_bytes = 0;
  /// Told of each piece of content sent.
  std::function<void(uint64_t bytes)> on_sent;
  /// Takes the response's content of a 2xx in pieces instead of HttpResponse::body. Its error ends
  /// the request.
  std::function<Status(std::string_view)> on_body;
  milliseconds timeout = seconds(120);  ///< without a byte either way
};

struct HttpResponse {
  int status = 0;
  http::Fields fields;
  std::string body;
};

/// Keeps one connection and connects anew when it has gone. One thread.
class HttpClient {
 public:
  explicit HttpClient(ServerUrl server) : server_(std::move(server)) {}
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;

  /// Errors: kOrigin unreachable, timeout, bad_response; kOperator for a file that cannot be read;
  /// kClient file_changed when a file is shorter than file_bytes. An answer that comes before all
  /// content was sent ends the sending.
  Result<HttpResponse> Send(const HttpRequest& request);
  const ServerUrl& server() const { return server_; }

 private:
  class Exchange;
  Status Connect();
  void Close();

  ServerUrl server_;
  int fd_ = -1;
};

}  // namespace nearside::cli
