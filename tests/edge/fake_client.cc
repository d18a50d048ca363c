#include "tests/edge/fake_client.h"

#include <utility>

#include "tests/edge/patterns.h"

namespace nearside::edge {
namespace {

class FakeCall final : public http::Call {
 public:
  explicit FakeCall(std::shared_ptr<FakeClient::Started> started) : started_(std::move(started)) {}
  ~FakeCall() override { started_->handler = nullptr; }
  void PauseBody() override {}
  void ResumeBody() override {}
  void ResumeRequestBody() override {}

 private:
  std::shared_ptr<FakeClient::Started> started_;
};

}  // namespace

void FakeClient::Started::Head(int status) {
  if (handler != nullptr) handler->OnHead({.status = status, .fields = {}});
}

void FakeClient::Started::Body(std::string_view bytes) {
  if (handler != nullptr) handler->OnBody(AsBytes(bytes));
}

void FakeClient::Started::End() {
  if (auto* told = std::exchange(handler, nullptr)) told->OnEnd({});
}

void FakeClient::Started::Fail(std::string_view reason) {
  if (auto* told = std::exchange(handler, nullptr)) {
    told->OnFailure({Fault::kOrigin, std::string(reason), "the origin is away"});
  }
}

std::unique_ptr<http::Call> FakeClient::Start(const http::Endpoint& endpoint,
                                              const http::RequestHead& head,
                                              std::unique_ptr<http::BodySource> body,
                                              std::optional<uint64_t>, http::CallHandler* handler) {
  auto started = std::make_shared<Started>();
  started->endpoint = endpoint;
  started->head = head;
  started->handler = handler;
  std::span<const uint8_t> piece;
  while (body && body->Peek(&piece) == http::BodySource::State::kReady) {
    started->body += TextOf(piece);
    body->Consume(piece.size());
  }
  calls.push_back(started);
  return std::make_unique<FakeCall>(started);
}

std::vector<std::shared_ptr<FakeClient::Started>> FakeClient::To(std::string_view target) const {
  std::vector<std::shared_ptr<Started>> matching;
  for (const auto& call : calls) {
    if (call->head.target.starts_with(target)) matching.push_back(call);
  }
  return matching;
}

}  // namespace nearside::edge
