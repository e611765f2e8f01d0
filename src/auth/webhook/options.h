// The settings of hooks, as a configuration file names them: [hooks], and a [[hook]] for each endpoint of a
// hook, asked in their order. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "auth/webhook/hook.h"
#include "base/result.h"

namespace courier::auth::webhook {

// When an endpoint cannot be asked, or answers in a way that means nothing.
enum class OnFailure : uint8_t { deny, allow };

struct HookOptions {
  Hook name{};
  std::string endpoint;  // https:// or http://
  int64_t timeout_ms = 5'000;
  OnFailure on_failure = OnFailure::deny;  // of the auth_ hooks; the others go on unmodified
  bool base64_payload = true;              // the payload as base64, else as text
  bool no_payload = false;                 // auth_on_publish: without the payload
  std::string ca_file;                     // PEM: whom to trust instead of the system's authorities
  std::string certificate_file, key_file;  // PEM: what to show to the endpoint
};

struct Options {
  std::vector<HookOptions> hooks;
  uint32_t connections_max = 100;        // to one endpoint: so many requests run at once
  uint32_t queue_max = 10'000;           // requests that wait for one of them
  uint32_t cache_entries_max = 100'000;  // answers that said how long they count; 0: none
  int64_t refusals_kept_ms = 1'000;      // a refusal counts so long, at most twice that; 0: is not kept
  uint32_t circuit_failures = 10;        // in a row; then the endpoint is left alone
  int64_t circuit_open_ms = 2'000;       // for so long, then one request tries
};

// Whether that could ever work. Error: bad_options, naming the hook.
Result<void> check_options(const Options& options);

}  // namespace courier::auth::webhook
