// Whether a threshold can be judged at all: what no step leads to is not measured, and what is not measured
// does not hold. Pure.
#pragma once

#include <string_view>

#include "load/scenario.h"

namespace courier::load {

// What some step of the threshold's stage would have to do, and none does: "publishes with QoS 1 or 2". Empty
// when there is one, or when it is a count, which is there in any case.
std::string_view missing_step(const Scenario& scenario, const Threshold& threshold);

}  // namespace courier::load
