// The settings in force as a TOML file that says each of them, and where each came from; without secrets.
//
// It reads back as the same settings, but for the secrets. Pure.
#pragma once

#include <string>

#include "config/load.h"

namespace courier::config {

struct ShowOptions {
  bool origin = false;   // behind each value, as a comment: "courierd.toml:12", "default"…
  bool changed = false;  // only what is set somewhere
};
std::string show(const Loaded& loaded, const ShowOptions& options);

}  // namespace courier::config
