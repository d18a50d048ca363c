#include "origin/answer_body.h"

#include <algorithm>

#include "runtime/log.h"

namespace nearside::origin {

void ReadPiece(Pool& disk, net::EventLoop& loop, const BodyPiece& piece, uint64_t offset,
               std::function<void(Result<std::vector<uint8_t>>)> done) {
  const uint64_t wanted = std::min<uint64_t>(AnswerBody::kPieceBytes, piece.bytes - offset);
  auto work = [&loop, reader = piece.reader, at = piece.first + offset, wanted, done] {
    std::vector<uint8_t> bytes(static_cast<size_t>(wanted));
    Result<size_t> n = reader->ReadAt(at, bytes);
    Result<std::vector<uint8_t>> read = std::move(bytes);
    if (!n) read = unexpected(std::move(n.error()));
    if (n && *n != wanted) read = Fail(Fault::kSelf, "blob_truncated", "a blob ended early");
    loop.Post([done, read = std::move(read)]() mutable { done(std::move(read)); });
  };
  if (disk.Submit(std::move(work))) return;
  loop.Post([done] { done(Fail(Fault::kSelf, "queue_full", "too many reads wait for the disk")); });
}

AnswerBody::AnswerBody(std::vector<BodyPiece> pieces, std::vector<uint8_t> first, Pool& disk,
                       net::EventLoop& loop, std::function<void()> resume)
    : pieces_(std::move(pieces)),
      disk_(disk),
      loop_(loop),
      resume_(std::move(resume)),
      next_(std::move(first)),
      self_(std::make_shared<AnswerBody*>(this)) {
  while (read_piece_ < pieces_.size() && !pieces_[read_piece_].blob) ++read_piece_;
  read_offset_ = next_.size();
}

AnswerBody::~AnswerBody() { *self_ = nullptr; }

http::BodySource::State AnswerBody::Peek(std::span<const uint8_t>* piece) {
  while (piece_ < pieces_.size() && piece_sent_ == pieces_[piece_].bytes) {
    ++piece_;
    piece_sent_ = 0;
  }
  if (piece_ == pieces_.size()) return State::kEnd;
  const BodyPiece& current = pieces_[piece_];
  if (!current.blob) {
    *piece = {reinterpret_cast<const uint8_t*>(current.text.data()) + piece_sent_,
              static_cast<size_t>(current.bytes - piece_sent_)};
    return State::kReady;
  }
  if (now_sent_ == now_.size()) {
    now_ = std::exchange(next_, {});
    now_sent_ = 0;
    ReadAhead();
  }
  if (failed_ && now_.empty()) return State::kFailed;
  waiting_ = now_.empty();
  if (waiting_) return State::kWait;
  *piece = std::span<const uint8_t>(now_).subspan(now_sent_);
  return State::kReady;
}

void AnswerBody::Consume(size_t n) {
  if (pieces_[piece_].blob) now_sent_ += n;
  piece_sent_ += n;
}

void AnswerBody::ReadAhead() {
  if (reading_ || failed_ || !next_.empty()) return;
  while (read_piece_ < pieces_.size() &&
         (!pieces_[read_piece_].blob || read_offset_ == pieces_[read_piece_].bytes)) {
    ++read_piece_;
    read_offset_ = 0;
  }
  if (read_piece_ == pieces_.size()) return;
  reading_ = true;
  ReadPiece(disk_, loop_, pieces_[read_piece_], read_offset_,
            [self = self_](Result<std::vector<uint8_t>> bytes) {
              if (*self != nullptr) (*self)->OnRead(std::move(bytes));
            });
}

void AnswerBody::OnRead(Result<std::vector<uint8_t>> bytes) {
  reading_ = false;
  if (bytes) {
    read_offset_ += bytes->size();
    next_ = std::move(*bytes);
  } else {
    failed_ = true;
    Log(Level::kError, "blob_not_read", {{"error", bytes.error().ToString()}});
  }
  if (std::exchange(waiting_, false)) resume_();
}

}  // namespace nearside::origin
