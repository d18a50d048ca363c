#pragma once

#include <cstddef>
#include <utility>

namespace nearside {

/// A counted reference as std::shared_ptr is, but of one thread, all copies of it: a copy costs no
/// atomic instruction. What each request takes and gives back of its worker is held so.
template <typename T>
class LocalRef {
 public:
  LocalRef() = default;
  LocalRef(std::nullptr_t) {}  // as a pointer is
  LocalRef(const LocalRef& other) : box_(other.box_) {
    if (box_ != nullptr) ++box_->references;
  }
  LocalRef(LocalRef&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  LocalRef& operator=(LocalRef other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  ~LocalRef() {
    if (box_ != nullptr && --box_->references == 0) delete box_;
  }

  /// A new `T` from `arguments`.
  template <typename... Arguments>
  static LocalRef Make(Arguments&&... arguments) {
    LocalRef made;
    made.box_ = new Box{.references = 1, .value = T(std::forward<Arguments>(arguments)...)};
    return made;
  }

  explicit operator bool() const { return box_ != nullptr; }
  const T* operator->() const { return &box_->value; }
  const T& operator*() const { return box_->value; }
  /// Whether they refer to the same one.
  bool operator==(const LocalRef&) const = default;

 private:
  struct Box {
    size_t references;
    const T value;
  };
  Box* box_ = nullptr;
};

}  // namespace nearside
