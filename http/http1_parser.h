#pragma once

// HTTP/1.1 messages off the wire (RFC 9112), strictly: see http1_refusal.h for all that is refused.
// Pure and incremental: pieces of input of any size in, events out; how the input was cut changes
// nothing.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/http1_body.h"
#include "http/http1_line.h"
#include "http/http1_refusal.h"
#include "http/message.h"

namespace nearside::http {

enum class ParseEvent {
  kMore,     ///< the input is used up
  kHead,     ///< the head is complete
  kInterim,  ///< responses: the head of a 1xx is complete; another head follows
  kBody,     ///< body() is the next piece, a view into the input
  kEnd,      ///< the message is whole; trailers() are final; what is left of the input is behind it
  kRefused,  ///< refusal() says why; nothing more can be read
};

/// What framing and Connection said, after kHead.
struct Http1Framing {
  BodyFraming body = BodyFraming::kNone;
  uint64_t length = 0;      ///< kLength only
  bool keep_alive = false;  ///< the sender means the connection to go on
  bool http10 = false;
  bool websocket = false;  ///< Upgrade names it, and Connection names Upgrade
};

/// Requests, one after the other on a connection.
class Http1RequestParser {
 public:
  explicit Http1RequestParser(const Http1Limits& limits) : limits_(limits) {}

  /// Begins a request; `head` is cleared and must stay until kHead. Without Host, Expect and what
  /// is meant for one connection only, but for an upgrade to WebSocket, which is the protocol; the
  /// scheme is for the session to set. Content-Length stays, and is checked.
  void Start(RequestHead* head);
  ParseEvent Next(std::string_view* input);

  /// Start was called and no byte of the request has come (empty lines before it do not count).
  bool idle() const { return step_ == Step::kRequestLine && lines_.empty(); }
  const Http1Framing& framing() const { return framing_; }
  /// After kHead: the client waits for "100 Continue" (RFC 9110 §10.1.1).
  bool expects_continue() const { return expects_continue_; }
  std::span<const uint8_t> body() const { return body_.piece(); }
  const Fields& trailers() const { return body_.trailers(); }
  Refusal refusal() const { return refusal_; }

 private:
  enum class Step { kRequestLine, kFields, kBody, kEnd };

  ParseEvent Refuse(Refusal refusal);
  ParseEvent TakeRequestLine(std::string_view* input);
  ParseEvent TakeFields(std::string_view* input);
  ParseEvent TakeBody(std::string_view* input);
  Refusal ReadRequestLine(std::string_view line);
  Refusal ReadTarget(std::string_view target);
  Refusal FinishHead();
  Refusal ReadHost();
  void SetAuthority(std::string_view authority);

  Http1Limits limits_;
  Step step_ = Step::kEnd;
  RequestHead* head_ = nullptr;
  size_t empty_lines_ = 0;
  bool absolute_ = false;  ///< the target brought the authority
  bool expects_continue_ = false;
  Http1Framing framing_;
  LineReader lines_;
  FieldSectionReader fields_;
  Http1BodyReader body_;
  Refusal refusal_ = Refusal::kNone;
};

/// Responses, one after the other on a connection.
class Http1ResponseParser {
 public:
  explicit Http1ResponseParser(const Http1Limits& limits) : limits_(limits) {}

  /// Begins the response to a request of `method`; `head` is cleared and must stay until kHead. It
  /// is without what is meant for one connection only. `websocket`: the request asks for that; then
  /// a 101 may answer it, and all behind it is its body.
  void Start(std::string_view method, ResponseHead* head, bool websocket = false);
  ParseEvent Next(std::string_view* input);
  /// The connection has ended. kEnd when that is how the message ends, else kRefused (cut_off).
  ParseEvent EndOfInput();

  /// No byte of the response has come.
  bool idle() const { return step_ == Step::kStatusLine && interims_ == 0 && lines_.empty(); }
  const Http1Framing& framing() const { return framing_; }
  std::span<const uint8_t> body() const { return body_.piece(); }
  const Fields& trailers() const { return body_.trailers(); }
  Refusal refusal() const { return refusal_; }

 private:
  enum class Step { kStatusLine, kFields, kBody, kEnd };

  ParseEvent Refuse(Refusal refusal);
  ParseEvent TakeStatusLine(std::string_view* input);
  ParseEvent TakeFields(std::string_view* input);
  ParseEvent TakeBody(std::string_view* input);
  Refusal ReadStatusLine(std::string_view line);
  Refusal FinishHead();
  Refusal FinishUpgrade();

  Http1Limits limits_;
  Step step_ = Step::kEnd;
  ResponseHead* head_ = nullptr;
  bool to_head_request_ = false;
  bool websocket_ = false;
  size_t interims_ = 0;
  Http1Framing framing_;
  LineReader lines_;
  FieldSectionReader fields_;
  Http1BodyReader body_;
  Refusal refusal_ = Refusal::kNone;
};

}  // namespace nearside::http
