// Another process that reads a store's file, as an operator's mdb_copy would: it takes a snapshot,
// says so by a byte and keeps it until it is killed. Arguments: file, bytes of its map.

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "storage/lmdb_env.h"

int main(int argc, char** argv) {
  using nearside::storage::LmdbEnv;
  if (argc != 3) return 2;
  const auto env =
      LmdbEnv::Open({.file = argv[1], .map_bytes = std::strtoull(argv[2], nullptr, 10)});
  if (!env) {
    std::cerr << env.error().ToString() << "\n";
    return 1;
  }
  const auto snapshot = (*env)->BeginRead();
  if (!snapshot) {
    std::cerr << snapshot.error().ToString() << "\n";
    return 1;
  }
  std::cout << '+' << std::flush;
  while (true) pause();
}
