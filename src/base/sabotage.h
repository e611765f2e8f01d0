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
  // Of a cluster.
  skip_epoch_compare,  // the log takes what a node appends that is taken for dead
  take_stale_records,  // what a node says of a session that has moved on counts
  everybody_acts,      // and so does what it decides of one that others act for
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
    case Sabotage::skip_epoch_compare:
      return "skip_epoch_compare";
    case Sabotage::take_stale_records:
      return "take_stale_records";
    case Sabotage::everybody_acts:
      return "everybody_acts";
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
