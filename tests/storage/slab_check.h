#pragma once

// Whether the slabs of a chunks environment, their counts and the tails that lie in them agree.

#include <map>
#include <string>

#include "storage/chunk_table.h"
#include "storage/slab_codec.h"
#include "storage/store_disk.h"
#include "storage/stored_integer.h"

namespace nearside::storage {

/// By slab id: what its rows say, and what tails say of it.
struct SlabFacts {
  uint64_t live = 0;    ///< of slab_live
  uint64_t used = 0;    ///< by tails
  int eighths = -1;     ///< of slab_order
  bool stored = false;  ///< its bytes are there and match their checksum
};

/// What is wrong, the first of it; empty when nothing is. Every part of every tail is looked up.
inline std::string SlabTrouble(const LmdbTxn& txn, const ChunkTables& tables) {
  std::map<uint64_t, SlabFacts> slabs;
  const auto each = [&txn](LmdbTable table, const auto& visit) {
    auto cursor = txn.Open(table).value();
    for (auto entry = cursor.First().value(); entry; entry = cursor.Next().value()) visit(*entry);
  };
  std::string trouble;
  each(tables.slab_live, [&](const LmdbEntry& row) {
    slabs[GetBig<uint64_t>(row.key.data())].live = GetLittle<uint32_t>(row.value.data());
  });
  each(tables.slab_order, [&](const LmdbEntry& row) {
    const auto order = DecodeSlabOrder(row.key);
    if (slabs[order->slab_id].eighths != -1) trouble = "a slab has two places in the order";
    slabs[order->slab_id].eighths = order->eighths;
  });
  each(tables.slabs, [&](const LmdbEntry& row) {
    const auto key = DecodeSlabKey(row.key);
    slabs[key->slab_id].stored = SlabChecksum(key->slab_id, row.value) == key->checksum;
  });
  each(tables.tails, [&](const LmdbEntry& row) {
    const auto parts = DecodeParts(row.value);
    if (!parts) trouble = "a tail's row does not decode";
    for (const SlabPart& part : parts.value_or(std::vector<SlabPart>{})) {
      slabs[part.slab_id].used += part.cost();
    }
  });
  uint64_t live = 0;
  for (const auto& [id, slab] : slabs) {
    const std::string name = "slab " + std::to_string(id) + ": ";
    if (!slab.stored) return name + "its bytes are missing or wrong";
    if (slab.live == 0) return name + "nothing says how much of it lives";
    if (slab.live != slab.used) {
      return name + std::to_string(slab.live) + " bytes are said to live, tails use " +
             std::to_string(slab.used);
    }
    if (slab.eighths != SlabEighths(slab.live)) return name + "its place in the order is wrong";
    live += slab.live;
  }
  const SlabTotals totals = ReadSlabTotals(txn, tables).value();
  if (totals.live_bytes != live) return "the totals say something else than the slabs";
  if (totals.slabs != slabs.size()) return "the totals count other slabs";
  return trouble;
}

/// The same of a store's files that nobody has open.
inline std::string SlabTroubleIn(const CacheOptions& options) {
  const auto disk = StoreDisk::Open(
      {.path = options.path, .disk = options.disk, .reserve = options.reserve_disk});
  if (!disk) return "it does not open: " + disk.error().ToString();
  (*disk)->MarkSound();
  const auto txn = (*disk)->chunks().BeginRead();
  return txn ? SlabTrouble(*txn, (*disk)->chunk_tables()) : txn.error().ToString();
}

}  // namespace nearside::storage
