#pragma once

// The key from which the secrets of S3 key pairs are made: one file, the same for every origin that
// shares metadata.

#include <string>

#include "origin/settings.h"
#include "runtime/result.h"

namespace nearside::origin {

/// The file that counts: auth.s3_key_file, or "s3.key" beside the database.
std::string S3KeyFile(const AuthSettings& auth, const StorageSettings& storage);
/// Error: kOperator bad_key_file.
Result<std::string> ReadS3Key(const std::string& file);
/// The same; the file beside the database is made, for its owner's eyes alone, when it is not
/// there. Of several origins that begin at once all use one.
Result<std::string> OpenS3Key(const AuthSettings& auth, const StorageSettings& storage);

}  // namespace nearside::origin
