#pragma once

// A store on a small disk of its own, and what its tests ask of it.

#include <gtest/gtest.h>
#include <sys/types.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {

/// Where in the file these bytes are.
inline off_t PlaceOf(const std::string& file, const std::string& needle) {
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const size_t at = bytes.find(needle);
  EXPECT_NE(at, std::string::npos) << "not in " << file;
  return static_cast<off_t>(at);
}

class LmdbStoreFixture : public testing::Test {
 protected:
  LmdbStoreFixture() {
    options_.path = folder_.In("cache");
    options_.disk = 32_MiB;
    options_.memory = 4_MiB;
    options_.write_queue = 64_MiB;
    options_.read_timeout = seconds(20);
  }
  void Open() { store_ = OpenStore(options_); }
  void Reopen() {
    store_.reset();
    Open();
  }
  std::string OpenError() {
    const auto store = CacheStore::Open(options_, DecodeTestPayload);
    if (store) return "opened";
    return std::string(FaultName(store.error().fault)) + " " + store.error().reason;
  }
  std::string Asked(const std::string& name, size_t size) {
    return Ask(*store_, name, BodyOf(name, size));
  }
  HeadRef PutOne(const std::string& name, size_t size) {
    return Put(*store_, name, BodyOf(name, size));
  }
  bool FinishWalk() {
    return FlushUntil(*store_, [&] { return store_->Stats().walked; });
  }
  std::string In(const std::string& file) const { return options_.path + "/" + file; }

  test::TempDir folder_;
  CacheOptions options_;
  std::unique_ptr<CacheStore> store_;
};

}  // namespace nearside::storage
