// "credential:NAME" in the place of a file: a credential that systemd gave to the service (LoadCredential=,
// SetCredential=; systemd.exec(5), CREDENTIALS). The file is then NAME in $CREDENTIALS_DIRECTORY, which only
// the service can read.
//
// For every key whose check is check_input_file. systemd reads credentials when the service starts; another
// value needs a restart.
#pragma once

#include "base/result.h"
#include "config/schema.h"

namespace courier::config {

// Puts the files' paths in. `directory`: $CREDENTIALS_DIRECTORY, null or empty when there is none. Error:
// invalid, with all that are missing, and what there is.
Result<void> resolve_credentials(Settings& settings, const char* directory);
// The same for other settings, by sections of which none is repeated; their keys are set in `owner`.
Result<void> resolve_credentials(const std::vector<Section>& sections, void* owner, const char* directory);

}  // namespace courier::config
