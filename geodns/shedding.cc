#include "geodns/shedding.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace nearside::geodns {
namespace {

/// A piece of a crowd on its way: those whose hash fraction lies in [begin, end).
struct Piece {
  uint32_t crowd = 0;
  uint32_t choice = 0;  ///< index in Crowd::wanted of the point it asks
  double begin = 0;
  double end = 1;
};

class Shedder {
 public:
  Shedder(std::span<const Crowd> crowds, std::span<const double> kept)
      : crowds_(crowds), kept_(kept), points_(kept.size()) {}

  std::vector<std::vector<Portion>> Run() {
    // How many ask a point depends on what the others refuse, and that on how many ask them.
    for (int pass = 0; pass < kPasses; ++pass) Divide();
    return Portions();
  }

 private:
  static constexpr int kPasses = 6;

  struct Point {
    std::vector<Piece> held;
    double asked = 0;         ///< weight of all located pieces that came in this pass
    double asked_before = 0;  ///< and in the one before: what the share is of
    bool has_news = false;
  };

  void Divide() {
    settled_.clear();
    for (Point& point : points_) {
      point.asked_before = std::exchange(point.asked, 0);
      point.held.clear();
    }
    for (uint32_t i = 0; i < crowds_.size(); ++i) {
      if (!crowds_[i].wanted.empty()) asking_.push_back(Piece{i, 0, 0, 1});
    }
    // A piece that is refused goes on along its list, so that as many rounds as there are points
    // settle all but what circles at the margins; that stays where it began.
    for (size_t round = 0; round <= 2 * points_.size() && !asking_.empty(); ++round) Round();
    for (Piece& piece : std::exchange(asking_, {})) SendHome(piece);
  }

  double WeightOf(const Piece& piece) const {
    return crowds_[piece.crowd].weight * (piece.end - piece.begin);
  }
  float NearnessOf(const Piece& piece) const { return crowds_[piece.crowd].nearness[piece.choice]; }

  void Round() {
    for (Piece& piece : std::exchange(asking_, {})) Arrive(piece);
    for (size_t pop = 0; pop < points_.size(); ++pop) {
      if (std::exchange(points_[pop].has_news, false)) Refuse(points_[pop], kept_[pop]);
    }
  }

  void Arrive(Piece piece) {
    const Crowd& crowd = crowds_[piece.crowd];
    uint8_t pop = crowd.wanted[piece.choice];
    if (kept_[pop] >= 1) {
      settled_.push_back(piece);
      return;
    }
    if (crowd.nearness.empty()) {
      const double split =
          std::min(piece.begin + (piece.end - piece.begin) * kept_[pop], piece.end);
      settled_.push_back({piece.crowd, piece.choice, piece.begin, split});
      GoOn({piece.crowd, piece.choice, split, piece.end});
      return;
    }
    Point& point = points_[pop];
    point.held.push_back(piece);
    point.asked += WeightOf(piece);
    point.has_news = true;
  }

  /// Keeps the nearest of those that are held, up to the share of all that ask. In the first pass
  /// those are who came so far.
  void Refuse(Point& point, double share) {
    std::sort(point.held.begin(), point.held.end(), [&](const Piece& a, const Piece& b) {
      return std::tuple(-NearnessOf(a), a.crowd, a.begin) <
             std::tuple(-NearnessOf(b), b.crowd, b.begin);
    });
    double room = share * (point.asked_before > 0 ? point.asked_before : point.asked);
    std::vector<Piece> kept;
    for (Piece& piece : point.held) {
      double weight = WeightOf(piece);
      if (weight < room || (weight == 0 && room > 0)) {
        room -= weight;
        kept.push_back(piece);
        continue;
      }
      double split = piece.begin;
      // Rounded up it would reach into the next piece.
      if (weight > 0) {
        split = std::min(split + (piece.end - piece.begin) * room / weight, piece.end);
      }
      room = 0;
      if (split > piece.begin) kept.push_back({piece.crowd, piece.choice, piece.begin, split});
      GoOn({piece.crowd, piece.choice, split, piece.end});
    }
    point.held = std::move(kept);
  }

  void GoOn(Piece piece) {
    if (piece.begin >= piece.end) return;
    if (++piece.choice < crowds_[piece.crowd].wanted.size()) {
      asking_.push_back(piece);
    } else {
      SendHome(piece);
    }
  }

  void SendHome(Piece piece) {
    piece.choice = 0;
    settled_.push_back(piece);
  }

  std::vector<std::vector<Portion>> Portions() {
    for (Point& point : points_) {
      settled_.insert(settled_.end(), point.held.begin(), point.held.end());
    }
    std::sort(settled_.begin(), settled_.end(), [](const Piece& a, const Piece& b) {
      return std::tie(a.crowd, a.begin) < std::tie(b.crowd, b.begin);
    });
    std::vector<std::vector<Portion>> portions(crowds_.size());
    for (const Piece& piece : settled_) {
      std::vector<Portion>& of_crowd = portions[piece.crowd];
      if (!of_crowd.empty() && of_crowd.back().refusals == piece.choice) {
        of_crowd.back().until = piece.end;
      } else {
        of_crowd.push_back({piece.end, piece.choice});
      }
    }
    for (auto& of_crowd : portions) {
      if (of_crowd.empty()) of_crowd.emplace_back();
      of_crowd.back().until = 1;
    }
    return portions;
  }

  std::span<const Crowd> crowds_;
  std::span<const double> kept_;
  std::vector<Point> points_;
  std::vector<Piece> asking_;
  std::vector<Piece> settled_;
};

}  // namespace

std::vector<std::vector<Portion>> Shed(std::span<const Crowd> crowds,
                                       std::span<const double> kept) {
  return Shedder(crowds, kept).Run();
}

}  // namespace nearside::geodns
