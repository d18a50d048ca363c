#include "origin/conversation.h"

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "http/http1_writer.h"

namespace nearside::origin {
namespace {

constexpr size_t kReceiveBytes = 64 << 10;
constexpr size_t kSendBytes = 256 << 10;
/// An unread rest of a body up to this, if it has come, is dropped to keep the connection.
constexpr size_t kDropBytes = 256 << 10;

Poco::Timespan SpanOf(milliseconds duration) { return Poco::Timespan(duration.count() * 1000); }

Poco::Net::HTTPServerParams::Ptr Params(const ConversationLimits& limits) {
  Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
  params->setTimeout(SpanOf(limits.body_timeout));
  params->setKeepAlive(true);
  return params;
}

/// Opens what HTTPSession keeps for its streams: raw reading. Its buffer stays empty, since nothing
/// else reads.
class Session final : public Poco::Net::HTTPServerSession {
 public:
  using HTTPServerSession::HTTPServerSession;
  using HTTPSession::read;
};

bool TooSlow(const ConversationLimits& limits, uint64_t bytes, MonoTime since) {
  const auto elapsed = std::chrono::duration_cast<milliseconds>(MonoNow() - since);
  if (elapsed < limits.least_rate_after) return false;
  return bytes * 1000 / static_cast<uint64_t>(elapsed.count()) < limits.least_bytes_per_second;
}

}  // namespace

struct Conversation::Poco_ {
  Poco_(const Poco::Net::StreamSocket& stream_socket, const ConversationLimits& limits)
      : socket(stream_socket), params(Params(limits)) {}
  Poco::Net::StreamSocket socket;
  Poco::Net::HTTPServerParams::Ptr params;
  std::optional<Session> session;
  std::optional<Poco::Net::HTTPServerResponseImpl> response;
};

Conversation::Conversation(const Poco::Net::StreamSocket& socket, Head head,
                           const ConversationLimits& limits)
    : head_(std::move(head)),
      limits_(limits),
      started_(MonoNow()),
      poco_(std::make_unique<Poco_>(socket, limits)) {
  body_.Start(head_.framing.body, head_.framing.length, http::Http1Limits());
  body_done_ = !present();
  if (!tls_client().empty()) {
    client_ = tls_client();
    return;
  }
  try {
    client_ = poco_->socket.peerAddress().host().toString();
  } catch (const Poco::Exception&) {
    client_ = "unknown";  // it has left already
  }
}

Conversation::~Conversation() {
  // The session would close the socket, which the gate may want to keep.
  poco_->response.reset();
  if (poco_->session) poco_->session->detachSocket();
}

void Conversation::CutOff() { ::shutdown(poco_->socket.impl()->sockfd(), SHUT_RDWR); }

Poco::Net::StreamSocket& Conversation::socket() { return poco_->socket; }

/// Takes the head, no byte more, off the socket. False when the client has left.
bool Conversation::TakeHead() {
  std::vector<char> taken(head_.bytes);
  while (head_.bytes > 0) {
    const ssize_t n = ::recv(poco_->socket.impl()->sockfd(), taken.data(), head_.bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    head_.bytes -= static_cast<size_t>(n);
  }
  return true;
}

/// False when the client has left.
bool Conversation::Begin() {
  if (gone_) return false;
  if (poco_->response) return true;
  try {
    poco_->socket.setBlocking(true);
    poco_->socket.setReceiveTimeout(SpanOf(limits_.body_timeout));
    if (!TakeHead()) return false;
    poco_->session.emplace(poco_->socket, poco_->params);
    // The session has set what its parameters say.
    poco_->socket.setReceiveTimeout(SpanOf(limits_.body_timeout));
    poco_->socket.setSendTimeout(SpanOf(limits_.send_timeout));
    poco_->response.emplace(*poco_->session);
    return true;
  } catch (const Poco::Exception&) {
    return false;
  }
}

void Conversation::Hurry(milliseconds patience) {
  limits_.body_timeout = std::min(limits_.body_timeout, patience);
  limits_.least_rate_after = std::min(limits_.least_rate_after, patience);
}

std::optional<uint64_t> Conversation::announced_bytes() const {
  if (head_.framing.body == http::BodyFraming::kChunked) return std::nullopt;
  return head_.framing.body == http::BodyFraming::kLength ? head_.framing.length : 0;
}

void Conversation::Inform(int status, const http::Fields& fields) {
  if (head_.framing.http10 || !Begin()) return;
  std::string text;
  http::AppendInterimHead(status, fields, &text);
  try {
    SendBytes(text.data(), text.size());
  } catch (const Poco::Exception&) {
    // It has left, or has a part of this: nothing may follow.
    gone_ = true;
  }
}

/// What may be taken off the socket without touching the next request; of chunks nobody knows.
uint64_t Conversation::BytesToCome() const {
  const std::optional<uint64_t> all = announced_bytes();
  return all ? *all - received_ : kReceiveBytes;
}

Result<size_t> Conversation::Receive() {
  try {
    if (std::exchange(head_.expects_continue, false)) poco_->response->sendContinue();
    const MonoTime begun = MonoNow();
    input_.resize(std::min<uint64_t>(kReceiveBytes, BytesToCome()));
    const int n = poco_->session->read(reinterpret_cast<char*>(input_.data()),
                                       static_cast<std::streamsize>(input_.size()));
    comes_slowly_ = receiving_.IsSlow(static_cast<uint64_t>(std::max(n, 0)), MonoNow() - begun,
                                      limits_.least_bytes_per_second, limits_.least_rate_after);
    if (n > 0) return static_cast<size_t>(n);
    return Fail(Fault::kClient, "body_cut_off", "the connection ended inside the content");
  } catch (const Poco::TimeoutException&) {
    return Fail(Fault::kClient, "body_timeout", "the content stopped coming");
  } catch (const Poco::Exception& error) {
    return Fail(Fault::kClient, "body_cut_off",
                "the connection broke inside the content: " + error.displayText());
  }
}

Result<size_t> Conversation::Read(std::span<uint8_t> out) {
  const auto fail = [&](tl::unexpected<Error> error) -> Result<size_t> {
    body_failed_ = true;
    return error;
  };
  if (!Begin()) return fail(Fail(Fault::kClient, "body_cut_off", "the client has left"));
  while (piece_.empty() && !body_done_) {
    switch (body_.Next(&input_left_)) {
      case http::Http1BodyReader::State::kPiece:
        piece_ = body_.piece();
        break;
      case http::Http1BodyReader::State::kEnd:
        body_done_ = true;
        break;
      case http::Http1BodyReader::State::kRefused:
        return fail(Fail(Fault::kClient, "bad_body",
                         "the content's chunks are malformed: " +
                             std::string(http::RefusalName(body_.refusal()))));
      case http::Http1BodyReader::State::kMore: {
        if (comes_slowly_) {
          return fail(Fail(Fault::kClient, "too_slow",
                           "the content comes slower than " +
                               std::to_string(limits_.least_bytes_per_second) + " bytes a second"));
        }
        Result<size_t> n = Receive();
        if (!n) return fail(unexpected(std::move(n.error())));
        received_ += *n;
        input_left_ = {reinterpret_cast<const char*>(input_.data()), *n};
        break;
      }
    }
  }
  const size_t n = std::min(out.size(), piece_.size());
  std::copy_n(piece_.begin(), n, out.begin());
  piece_ = piece_.subspan(n);
  return n;
}

/// Drops what is left of a body, if it is little and has come: an answer waits for no content that
/// nobody wants. Whether the body is done.
bool Conversation::DropRest() {
  if (body_done_) return true;
  if (body_failed_ || head_.expects_continue || !announced_bytes()) return false;
  if (BytesToCome() > kDropBytes) return false;
  input_.resize(std::min<uint64_t>(kReceiveBytes, BytesToCome()));
  while (BytesToCome() > 0) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(input_.size(), BytesToCome()));
    const ssize_t n = ::recv(poco_->socket.impl()->sockfd(), input_.data(), wanted, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    received_ += static_cast<size_t>(n);
  }
  piece_ = {};
  input_left_ = {};
  body_done_ = true;
  return true;
}

bool Conversation::MayKeep() {
  // No 100 was sent to who waits for one: an empty body, or an answer that wants none. RFC 9110
  // §10.1.1 allows it, but botocore then takes the next answer of the connection for something
  // else, and waits for its end.
  if (head_.expects_continue) return false;
  if (closing_ || !head_.framing.keep_alive || !DropRest()) return false;
  // The next request, if it came already (pipelining), is in the socket and will pass the gate.
  // Behind chunks some of it may have been taken: then the client asks again on a new connection
  // (RFC 9112 §9.3.2).
  return input_left_.empty();
}

/// The socket takes a part of `data` when its timeout passes over the whole of it: that is no
/// silence, and the rest must follow. (Linux: send with SO_SNDTIMEO.)
void Conversation::SendBytes(const void* data, size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  const MonoTime since = MonoNow();
  for (size_t done = 0; done < size;) {
    const int n = poco_->session->socket().sendBytes(bytes + done, static_cast<int>(size - done));
    done += static_cast<size_t>(std::max(n, 0));
    if (done < size && (n <= 0 || TooSlow(limits_, done, since))) {
      throw Poco::TimeoutException("the client takes the response too slowly");
    }
  }
}

Status Conversation::SendPiece(const BodyPiece& piece) {
  if (!piece.blob) {
    SendBytes(piece.text.data(), piece.text.size());
    sent_ += piece.text.size();
    return {};
  }
  std::vector<uint8_t> buffer(std::min<uint64_t>(kSendBytes, piece.bytes));
  for (uint64_t done = 0; done < piece.bytes;) {
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(buffer.size(), piece.bytes - done));
    Result<size_t> n = piece.reader->ReadAt(piece.first + done, std::span(buffer).first(wanted));
    if (!n) return unexpected(std::move(n.error()));
    if (*n == 0) return Fail(Fault::kSelf, "blob_truncated", "a blob ended early");
    SendBytes(buffer.data(), *n);
    sent_ += *n;
    done += *n;
    if (TooSlow(limits_, sent_, sending_since_)) {
      return Fail(Fault::kClient, "too_slow", "the client takes the response too slowly");
    }
  }
  return {};
}

/// Not by the response's send(): that wants Poco's request, and the stream that it makes shuts the
/// connection down when it dies.
std::string Conversation::HeadText() {
  std::ostringstream head;
  poco_->response->write(head);
  return head.str();
}

Status Conversation::SendAnswer(const Answer& answer) {
  const bool no_content = http::StatusHasNoContent(answer.status);
  const uint64_t bytes = answer.body_bytes();
  if (!no_content) poco_->response->setContentLength64(static_cast<Poco::Int64>(bytes));
  std::string out = HeadText();
  const bool head_alone = no_content || head_.request.method == "HEAD";
  // Head and a small content in one packet.
  const bool together = !head_alone && answer.body.size() == 1 && !answer.body[0].blob &&
                        answer.body[0].text.size() <= kSendBytes;
  if (together) out += answer.body[0].text;
  SendBytes(out.data(), out.size());
  if (together) sent_ += bytes;
  if (together || head_alone) return {};
  for (const BodyPiece& piece : answer.body) {
    if (Status sent = SendPiece(piece); !sent) return sent;
  }
  return {};
}

void Conversation::PrepareHead(const Answer& answer, bool keep) {
  Poco::Net::HTTPServerResponseImpl& response = *poco_->response;
  response.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(answer.status),
                              std::string(http::ReasonPhrase(answer.status)));
  response.setDate(Poco::Timestamp());
  response.setVersion("HTTP/1.1");
  response.setKeepAlive(keep);
  for (const http::FieldLine& line : answer.fields.lines()) {
    response.add(std::string(line.name), std::string(line.value));
  }
}

void Conversation::Respond(const Answer& answer) {
  afterwards_ = Afterwards::kClose;
  if (!Begin()) return;
  const bool keep = MayKeep();
  sending_since_ = MonoNow();
  try {
    PrepareHead(answer, keep);
    // A body that ends early is told by the connection's end, short of Content-Length.
    if (!SendAnswer(answer)) return;
    afterwards_ = keep ? Afterwards::kKeep : Afterwards::kLinger;
  } catch (const Poco::Exception&) {
    afterwards_ = Afterwards::kClose;  // the client has left, or takes nothing any more
  }
}

void Conversation::RespondAtOnce(const Answer& answer) {
  const bool to_head = head_.request.method == "HEAD";
  const std::string out = LastResponse(answer, to_head);
  const auto head_bytes = static_cast<ssize_t>(out.size() - (to_head ? 0 : answer.body_bytes()));
  const ssize_t n =
      ::send(poco_->socket.impl()->sockfd(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > head_bytes) sent_ += static_cast<uint64_t>(n - head_bytes);
  // The request, or a part of it, is still in the socket: closing now would reset the connection.
  afterwards_ = Afterwards::kLinger;
}

net::Descriptor Conversation::StartStream(const Answer& answer) {
  afterwards_ = Afterwards::kClose;
  if (!Begin()) return {};
  try {
    PrepareHead(answer, /*keep=*/false);
    const std::string text = HeadText();
    SendBytes(text.data(), text.size());
    net::Descriptor copy(::fcntl(poco_->socket.impl()->sockfd(), F_DUPFD_CLOEXEC, 0));
    if (copy.is_open()) ::fcntl(copy.get(), F_SETFL, O_NONBLOCK);
    return copy;
  } catch (const Poco::Exception&) {
    return {};
  }
}

}  // namespace nearside::origin
