#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct AssetsOptions {
  std::string site;
  std::string path;          ///< of the asset
  std::string file;          ///< to upload, or to write ("-" and "": standard output)
  std::string content_type;  ///< put: "" by extension
  std::string cache_control;
  std::vector<std::string> tags;
  bool only_new = false;  ///< put: If-None-Match: *
  std::string match;      ///< put, rm: If-Match
  std::string prefix;     ///< ls
  bool json = false;      ///< ls
};

Exit PutAsset(CommandContext& context, const AssetsOptions& options);
Exit GetAsset(CommandContext& context, const AssetsOptions& options);
Exit ListAssets(CommandContext& context, const AssetsOptions& options);
Exit RemoveAsset(CommandContext& context, const AssetsOptions& options);

}  // namespace nearside::cli
