#pragma once

#include <string>

#include "runtime/result.h"
#include "runtime/settings.h"

namespace nearside::cli {

/// ~/.config/nearside/client.toml; what the command line says wins.
struct ClientSettings {
  std::string origin;
  std::string token_file;
  std::string geodns;  ///< admin address of GeoDNS, for `status`; "" : not asked
};

/// The rows behind ClientSettings.
settings::Table ClientTable();

/// $XDG_CONFIG_HOME/nearside/client.toml, or below ~/.config.
std::string ClientSettingsPath();
/// The file's settings, or the defaults when there is no file. Error: kOperator bad_settings.
Result<ClientSettings> ReadClientSettings(const std::string& path);

/// The first line of the file that is neither empty nor a comment. Error: kOperator no_token,
/// saying how to name the file.
Result<std::string> ReadToken(const std::string& file);

}  // namespace nearside::cli
