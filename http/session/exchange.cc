#include "http/session/exchange.h"

#include <string>

namespace nearside::http {

namespace {

class OwnedText final : public BodySource {
 public:
  explicit OwnedText(std::string_view text) : text_(text) {}

  State Peek(std::span<const uint8_t>* piece) override {
    *piece = {reinterpret_cast<const uint8_t*>(text_.data()) + sent_, text_.size() - sent_};
    return piece->empty() ? State::kEnd : State::kReady;
  }
  void Consume(size_t n) override { sent_ += n; }

 private:
  std::string text_;
  size_t sent_ = 0;
};

}  // namespace

std::string_view VersionName(Version version) {
  switch (version) {
    case Version::kHttp10:
      return "HTTP/1.0";
    case Version::kHttp11:
      return "HTTP/1.1";
    case Version::kHttp2:
      return "HTTP/2";
  }
  return "";
}

std::unique_ptr<BodySource> TextBody(std::string_view text) {
  return std::make_unique<OwnedText>(text);
}

}  // namespace nearside::http
