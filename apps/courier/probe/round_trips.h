// How long messages take from one client to another and in which order of magnitude their times lie: one
// message at a time, so that nothing waits for another.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"

namespace courier::cli::probe {

struct RoundTripTimes {
  size_t messages = 0;
  double p50_ms = 0, p99_ms = 0;
};

// Connects two clients, which differ in their ids, and sends at most `count` messages until `deadline`.
// Errors: why there is not one time.
Result<RoundTripTimes> measure_round_trips(const client::ClientSetup& publisher,
                                           const client::ClientSetup& subscriber, const std::string& topic,
                                           client::Qos qos, size_t count, MonoNs deadline);

}  // namespace courier::cli::probe
