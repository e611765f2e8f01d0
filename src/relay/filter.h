// Which events are sent: by kind, topic, label and client. Pure.
#pragma once

#include <string>
#include <vector>

#include "relay/event.h"
#include "relay/settings.h"

namespace courier::relay {

class Filter {
 public:
  explicit Filter(const FilterSettings& settings) : settings_(settings) {}
  bool passes(const Event& event) const;

 private:
  const FilterSettings settings_;
};

}  // namespace courier::relay
