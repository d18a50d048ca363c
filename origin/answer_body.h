#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "http/session/body_source.h"
#include "net/event_loop.h"
#include "origin/answer.h"
#include "origin/pool.h"

namespace nearside::origin {

/// Reads a piece of a blob on a pool's thread and hands it to `done` on the loop.
void ReadPiece(Pool& disk, net::EventLoop& loop, const BodyPiece& piece, uint64_t offset,
               std::function<void(Result<std::vector<uint8_t>>)> done);

/// The body of an answer for http/session: texts at once, blobs by a pool's threads, one piece
/// ahead of what is being sent, so that the loop never waits for a disk and a slow reader holds two
/// pieces. The loop's thread.
class AnswerBody final : public http::BodySource {
 public:
  /// `resume` is called when Peek has answered kWait and there is more. `first`: the beginning of
  /// the first blob, when it has been read already; "" when not.
  AnswerBody(std::vector<BodyPiece> pieces, std::vector<uint8_t> first, Pool& disk,
             net::EventLoop& loop, std::function<void()> resume);
  ~AnswerBody() override;

  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;

  /// Bytes that one read takes.
  static constexpr size_t kPieceBytes = 64 << 10;

 private:
  void ReadAhead();
  void OnRead(Result<std::vector<uint8_t>> bytes);

  std::vector<BodyPiece> pieces_;
  Pool& disk_;
  net::EventLoop& loop_;
  const std::function<void()> resume_;
  size_t piece_ = 0;          ///< the one being sent
  uint64_t piece_sent_ = 0;   ///< bytes of it
  std::vector<uint8_t> now_;  ///< being sent, from now_sent_ on
  size_t now_sent_ = 0;
  std::vector<uint8_t> next_;
  size_t read_piece_ = 0;  ///< where reading is
  uint64_t read_offset_ = 0;
  bool reading_ = false;
  bool waiting_ = false;  ///< Peek has answered kWait
  bool failed_ = false;
  std::shared_ptr<AnswerBody*> self_;  ///< null inside once destroyed, for reads under way
};

}  // namespace nearside::origin
