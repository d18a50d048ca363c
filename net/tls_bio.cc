#include "net/tls_bio.h"

#include <algorithm>
#include <cstring>

namespace nearside::net {

namespace {

TlsTransfer& TransferOf(BIO* bio) { return *static_cast<TlsTransfer*>(BIO_get_data(bio)); }

int ReadBio(BIO* bio, char* into, size_t size, size_t* taken) noexcept {
  BIO_clear_retry_flags(bio);
  TlsTransfer& transfer = TransferOf(bio);
  *taken = std::min(size, transfer.input.size());
  if (*taken == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, transfer.input.data(), *taken);
  transfer.input = transfer.input.subspan(*taken);
  return 1;
}

int WriteBio(BIO* bio, const char* from, size_t size, size_t* written) noexcept {
  BIO_clear_retry_flags(bio);
  TlsTransfer& transfer = TransferOf(bio);
  *written = 0;
  if (size > transfer.room.size() - transfer.filled) return 0;
  std::memcpy(transfer.room.data() + transfer.filled, from, size);
  transfer.filled += size;
  *written = size;
  return 1;
}

long ControlBio(BIO*, int command, long, void*) noexcept {
  // Flushing is the stream's business, at the end of the turn.
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int CreateBio(BIO* bio) noexcept {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* TlsBioMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nearside turn");
    if (made == nullptr) return made;
    BIO_meth_set_read_ex(made, ReadBio);
    BIO_meth_set_write_ex(made, WriteBio);
    BIO_meth_set_ctrl(made, ControlBio);
    BIO_meth_set_create(made, CreateBio);
    return made;
  }();
  return method;
}

}  // namespace

BIO* MakeTlsBio(TlsTransfer* transfer) {
  BIO_METHOD* method = TlsBioMethod();
  BIO* bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio != nullptr) BIO_set_data(bio, transfer);
  return bio;
}

}  // namespace nearside::net
