// Settings from a file, the environment and the command line, checked against the schema.
//
// Later sources win: defaults, the TOML file, environment variables COURIER__SECTION__KEY, overrides
// section.key=value. A row of a repeated section is named by its index (listener.0.bind) or its name
// (listener.mobile.bind); one that is not there yet is added. Every problem of every source is reported at
// once, each with its place, the line itself and, for an unknown key, the nearest known one. Secrets are not
// repeated.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace courier::config {

using Environment = std::map<std::string, std::string>;

// This process's variables that start with COURIER__.
Environment environment();

inline constexpr size_t kFileBytesMax = 4 * 1024 * 1024;
inline constexpr size_t kProblemsMax = 50;  // shown; the rest is only counted

// Where values came from: "courierd.toml:12", "environment variable COURIER__THREADS", "--set threads". By
// key: "limits.inflight_max"; of a row, by its index, "listener.0.bind". What is not in it has its default.
using Origins = std::map<std::string, std::string>;
struct Loaded {
  Settings settings;
  Origins origins;
};

// Without a path there is no file. Errors: unreadable, invalid.
Result<Loaded> load_with_origins(const std::optional<std::string>& path,
                                 const std::vector<std::string>& overrides, const Environment& variables);
Result<Settings> load(const std::optional<std::string>& path, const std::vector<std::string>& overrides,
                      const Environment& variables);

// The same for text that was already read; `file` is what messages call it. Error: invalid.
Result<Loaded> parse_with_origins(std::string_view text, std::string_view file,
                                  const std::vector<std::string>& overrides = {},
                                  const Environment& variables = {});
Result<Settings> parse(std::string_view text, std::string_view file,
                       const std::vector<std::string>& overrides = {}, const Environment& variables = {});

}  // namespace courier::config
