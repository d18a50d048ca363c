#include "net/descriptor.h"

#include <unistd.h>

namespace nearside::net {

void Descriptor::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

}  // namespace nearside::net
