#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "dns/svc_params.h"
#include "geodns/snapshot.h"
#include "geodns/steer_table.h"

namespace nearside::geodns {

/// Data of a record whose hints steering replaces: what ZoneBuilder lets pass, and HintBuffer's.
inline constexpr size_t kMaxHintedRdata = 8192;

/// The addresses of a steered answer as the hints of a service record have them. Lives on the
/// stack.
class HintBuffer {
 public:
  using Answers = std::array<SteerTable::Answer, 2>;  ///< to A, to AAAA
  /// Views into this buffer.
  dns::AddressHints Of(const Steer& steer, const Answers& answers) {
    sizes_ = {};
    for (size_t family = 0; family < answers.size(); ++family) {
      const Drawn& pops = answers[family].pops;
      for (size_t i = 0; i < pops.count; ++i) Add(steer.pops[pops.pops[i]][family], family);
      if (pops.count == 0) Add(steer.fallback[family], family);
    }
    return {std::span(bytes_[0]).first(sizes_[0]), std::span(bytes_[1]).first(sizes_[1])};
  }

 private:
  /// Settings allow 16 points in an answer with 16 addresses each; more would be left out.
  static constexpr size_t kMaxAddresses = kMaxAnswers * 16;
  static constexpr std::array<size_t, 2> kAddressBytes = {4, 16};

  void Add(const AddressRecords& records, size_t family) {
    const size_t bytes = kAddressBytes[family];
    const size_t step = records.record_bytes();
    for (size_t i = 0; i < records.count; ++i) {
      if (sizes_[family] + bytes > kMaxAddresses * bytes) return;
      // The address ends its record.
      auto address = std::span(records.rendered).subspan((i + 1) * step - bytes, bytes);
      std::ranges::copy(address, bytes_[family].begin() + static_cast<ptrdiff_t>(sizes_[family]));
      sizes_[family] += bytes;
    }
  }

  std::array<std::array<uint8_t, kMaxAddresses * 16>, 2> bytes_;
  std::array<size_t, 2> sizes_{};
};

}  // namespace nearside::geodns
