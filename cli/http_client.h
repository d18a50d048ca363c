#pragma once

// A small blocking HTTP/1.1 client over POSIX sockets, for one server.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "net/client_channel.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::cli {

/// Where requests go. Error: kOperator bad_url.
struct ServerUrl {
  std::string host;
  uint16_t port = 0;
  bool tls = false;
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
  /// `ca_file`: whose certificates are accepted (PEM); "": those of the system's authorities.
  explicit HttpClient(ServerUrl server, std::string ca_file = "")
      : server_(std::move(server)), ca_file_(std::move(ca_file)) {}

  /// Errors: kOrigin unreachable, tls_failed, timeout, bad_response; kOperator bad_certificate
  /// (`ca_file`), and for a file that cannot be read;
  /// kClient file_changed when a file is shorter than file_bytes. An answer that comes before all
  /// content was sent ends the sending.
  Result<HttpResponse> Send(const HttpRequest& request);
  const ServerUrl& server() const { return server_; }
  const std::string& ca_file() const { return ca_file_; }

 private:
  class Exchange;
  Status Connect();

  ServerUrl server_;
  std::string ca_file_;
  std::unique_ptr<net::ClientChannel> channel_;  ///< null: not connected
};

}  // namespace nearside::cli
