#include "http/session/http2_abuse.h"

#include <algorithm>

namespace nearside::http {

namespace {

constexpr uint64_t kTenths = 10;

}  // namespace

AbuseBudget::AbuseBudget(uint32_t points, uint32_t refill, MonoTime now)
    : most_(points * kTenths), refill_(refill * kTenths), left_(most_), counted_(now) {}

bool AbuseBudget::Spend(uint32_t tenths, MonoTime now) {
  const auto passed = std::chrono::duration_cast<milliseconds>(now - counted_);
  const uint64_t regained =
      refill_ * static_cast<uint64_t>(std::max<int64_t>(0, passed.count())) / 1000;
  if (regained > 0) {
    left_ = std::min(most_, left_ + regained);
    counted_ = now;
  }
  if (left_ < tenths) return false;
  left_ -= tenths;
  return true;
}

void WindowUpdateCredit::OnDataSent() { credit_ = std::min(kMost, credit_ + kPerDataFrame); }

bool WindowUpdateCredit::OnWindowUpdate() {
  if (credit_ == 0) return false;
  --credit_;
  return true;
}

}  // namespace nearside::http
