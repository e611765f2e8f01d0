// Faults that can be built in on purpose (-DCOURIER_SABOTAGE=1), so that the tests that must catch such
// faults can be tested themselves. In every other build the questions here are constants and cost nothing.
#pragma once

#include <cstdlib>
#include <string_view>

namespace courier {

enum class Sabotage {
  none,
  skip_sync,          // the log says "safe" before it is
  ack_before_commit,  // an acknowledgement leaves before its record came back
  drop_qos2_state,    // packet ids of QoS 2 are forgotten
  swap_order,         // two messages change places
};

#ifdef COURIER_SABOTAGE

constexpr std::string_view name(Sabotage fault) {
  switch (fault) {
    case Sabotage::none:
      return "none";
    case Sabotage::skip_sync:
      return "skip_sync";
    case Sabotage::ack_before_commit:
      return "ack_before_commit";
    case Sabotage::drop_qos2_state:
      return "drop_qos2_state";
    case Sabotage::swap_order:
      return "swap_order";
  }
  return "none";
}

// Whether this run commits that fault: the environment variable COURIER_SABOTAGE names it. Read once.
inline bool sabotaged(Sabotage fault) {
  static const std::string_view chosen = [] {
    const char* value = std::getenv("COURIER_SABOTAGE");
    return std::string_view(value == nullptr ? "none" : value);
  }();
  return fault != Sabotage::none && chosen == name(fault);
}

#else

constexpr bool sabotaged(Sabotage) {
  return false;
}

#endif

}  // namespace courier
