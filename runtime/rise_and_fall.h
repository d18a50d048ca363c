#pragma once

namespace nearside {

/// Counts health checks in a row: so many successes bring something up, so many failures take it
/// down. A pure value.
class RiseAndFall {
 public:
  RiseAndFall(int rise, int fall) : rise_(rise), fall_(fall) {}

  /// Whether it is up after one more result. `known`: some result has told `up`; else it is only
  /// assumed, and the first one decides at once.
  bool Take(bool success, bool up, bool known) {
    if (success == up) {
      in_a_row_ = 0;
      return up;
    }
    const int needed = !known ? 1 : up ? fall_ : rise_;
    if (++in_a_row_ < needed) return up;
    in_a_row_ = 0;
    return success;
  }

 private:
  int rise_;
  int fall_;
  int in_a_row_ = 0;  ///< results in a row that speak against the present state
};

}  // namespace nearside
