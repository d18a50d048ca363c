#pragma once

#include <string>
#include <string_view>

#include "runtime/result.h"
#include "runtime/settings.h"

namespace nearside::cli {

/// ~/.config/nearside/client.toml; what the command line says wins.
struct ClientSettings {
  std::string origin;
  std::string token_file;
  std::string ca;                 ///< of the origin's certificate; "": the system's
  std::string edge;               ///< admin address of an edge, for `explain`; "": none
  std::string geodns;             ///< admin address of GeoDNS, for `status`; "" : not asked
  std::string geodns_token_file;  ///< of its admin listener
};

/// The rows behind ClientSettings.
settings::Table ClientTable();

/// $XDG_CONFIG_HOME/nearside/client.toml, or below ~/.config.
std::string ClientSettingsPath();
/// The file's settings, or the defaults when there is no file. Error: kOperator bad_settings.
Result<ClientSettings> ReadClientSettings(const std::string& path);

/// The first line of the file that is neither empty nor a comment. Error: kOperator no_token,
/// saying how to name the file: of the origin's token, or of another one's key in client.toml.
Result<std::string> ReadToken(const std::string& file, std::string_view key = "token_file");

}  // namespace nearside::cli
