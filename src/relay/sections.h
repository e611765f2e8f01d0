// The table of a relay's settings, for the folder's own files: settings.cc has it, settings_file.cc reads by
// it. Made of the same keys as courierd's (config/schema.h).
#pragma once

#include <vector>

#include "config/schema.h"

namespace courier::relay {

// Their keys are set in a Settings of this folder. None is repeated.
const std::vector<config::Section>& sections();

}  // namespace courier::relay
