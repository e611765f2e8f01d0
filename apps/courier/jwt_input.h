// Keys and tokens for `courier jwt`: from files, from stdin ("-") or from environment variables, never from
// the command line, which everybody on the machine can read.
#pragma once

#include <cstddef>
#include <string>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "jose/key_set.h"

namespace courier::cli {

struct KeyFlags {
  std::string secret_file, secret_env, key_file, jwks_url, ca_file;
  bool secret_base64 = false;

  // Those of mint; with `public_too` also what only verifies: --jwks-url.
  void add_to(CLI::App& app, bool public_too);
  bool given() const {
    return !(secret_file.empty() && secret_env.empty() && key_file.empty() && jwks_url.empty());
  }
  bool from_stdin() const { return secret_file == "-" || key_file == "-"; }
  // BLOCKS while an endpoint answers. Errors: those of jose, http; jose::errc::unreadable.
  Result<jose::KeySet> keys() const;
};

// All of a file, a pipe, or stdin ("-"). Error: jose::errc::unreadable.
Result<std::string> read_input(const std::string& path, size_t bytes_max);

// The value of an environment variable. Error: jose::errc::unreadable, when it is not set or empty.
Result<std::string> read_environment(const std::string& name);

}  // namespace courier::cli
