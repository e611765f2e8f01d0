// Faults that are built in on purpose, so that the tests that must catch such faults can be tested
// themselves. test/sabotage compiles the files that ask here a second time, with COURIER_SABOTAGE defined.
// Everywhere else the question is a constant and costs nothing.
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

// A name of its own for the linker: one program holds files compiled in both ways.
inline namespace built_in {

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

}  // namespace built_in

#else

constexpr bool sabotaged(Sabotage) {
  return false;
}

#endif

}  // namespace courier
