#include "net/turn_output.h"

#include <algorithm>
#include <cstring>

#include "runtime/fatal.h"

namespace nearside::net {

TurnOutput::TurnOutput(EventLoop& loop, TlsSession* tls, size_t budget)
    : tls_(tls), wire_(loop.output_scratch()), stage_(loop.stage_scratch()), budget_(budget) {}

void TurnOutput::Append(std::span<const uint8_t> bytes) {
  if (bytes.size() > room() + kSlack)
    Fatal("a stream's handler appended more than there was room for");
  produced_ += bytes.size();
  if (tls_ == nullptr) {
    AppendWire(bytes);
    return;
  }
  while (!bytes.empty()) {
    if (staged_ == 0 && bytes.size() >= stage_.size()) {
      size_t whole = bytes.size() - bytes.size() % stage_.size();
      Encrypt(bytes.first(whole));
      bytes = bytes.subspan(whole);
      continue;
    }
    size_t part = std::min(bytes.size(), stage_.size() - staged_);
    std::memcpy(stage_.data() + staged_, bytes.data(), part);
    staged_ += part;
    bytes = bytes.subspan(part);
    if (staged_ == stage_.size()) Seal();
  }
}

void TurnOutput::AppendWire(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  if (bytes.size() > wire_.size() - filled_) Fatal("the output of a turn is over its buffer");
  std::memcpy(wire_.data() + filled_, bytes.data(), bytes.size());
  filled_ += bytes.size();
}

void TurnOutput::Encrypt(std::span<const uint8_t> plain) {
  if (failed_) return;
  tls_->SetOutput(wire_.subspan(filled_));
  failed_ = !tls_->Write(plain);
  filled_ += tls_->output_bytes();
  tls_->SetOutput({});
}

bool TurnOutput::Seal() {
  if (staged_ > 0) Encrypt(stage_.first(staged_));
  staged_ = 0;
  return !failed_;
}

void TurnOutput::AppendCloseNotify() {
  if (tls_ == nullptr) return;
  tls_->SetOutput(wire_.subspan(filled_));
  tls_->Shutdown();
  filled_ += tls_->output_bytes();
  tls_->SetOutput({});
}

}  // namespace nearside::net
