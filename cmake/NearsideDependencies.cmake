# Every third-party component is found here and linked in its one home (docs/architecture.md).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# Header-only here, so that the pure folders build alone for the fuzzers.
find_path(NEARSIDE_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(brotli REQUIRED IMPORTED_TARGET libbrotlienc)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
find_package(OpenSSL 3 REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)

if(NOT NEARSIDE_FUZZ)
  pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)
  pkg_check_modules(cares REQUIRED IMPORTED_TARGET libcares)
  pkg_check_modules(lmdb REQUIRED IMPORTED_TARGET lmdb)
  pkg_check_modules(maxminddb REQUIRED IMPORTED_TARGET libmaxminddb)
  find_package(Poco 1.11 REQUIRED COMPONENTS Foundation Net Util Data DataSQLite)
endif()

if(NEARSIDE_TESTS)
  find_package(GTest REQUIRED)
  pkg_check_modules(brotlidec REQUIRED IMPORTED_TARGET libbrotlidec)
endif()
