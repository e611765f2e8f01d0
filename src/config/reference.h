// The schema as text for people: the sample file and the page of the manual.
//
// `courier config reference` prints the first; packaging/courierd.toml and docs/operations/configuration.md
// are committed copies, and a test fails when they are not what these functions say.
#pragma once

#include <string>

#include "config/schema.h"

namespace courier::config {

// TOML in which every key stands once with its help, commented out at its default.
std::string sample_toml();
// One section of it, for other files of settings. `fresh`: what its defaults stand in. What is required is
// not commented out, and stands there by its example.
std::string sample_section(const Section& section, const void* fresh);
// Markdown: one table for each section.
std::string manual_markdown();

}  // namespace courier::config
