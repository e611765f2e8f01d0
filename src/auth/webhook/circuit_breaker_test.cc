#include "auth/webhook/circuit_breaker.h"

#include <gtest/gtest.h>

#include <string>

namespace courier::auth::webhook {
namespace {

using State = CircuitBreaker::State;

std::string name_of_state(State state) {
  switch (state) {
    case State::closed:
      return "closed";
    case State::open:
      return "open";
    case State::half_open:
      return "half-open";
  }
  return "";
}

// Two failures open it, for 100 ns.
CircuitBreaker breaker_in(State state) {
  CircuitBreaker breaker(2, 100);
  if (state == State::closed) return breaker;
  breaker.failed(0);
  breaker.failed(0);
  if (state == State::half_open) breaker.admit(100);
  return breaker;
}

TEST(CircuitBreaker, MovesAsItsTableSays) {
  std::string table;
  for (const State state : {State::closed, State::open, State::half_open}) {
    const auto row = [&](const char* event, auto move) {
      CircuitBreaker breaker = breaker_in(state);
      const std::string result = move(breaker);
      table += name_of_state(state) + ", " + event + ": " + result + name_of_state(breaker.state()) + "\n";
    };
    const auto admit_at = [](MonoNs now) {
      return [now](CircuitBreaker& breaker) -> std::string { return breaker.admit(now) ? "yes, " : "no, "; };
    };
    row("admit at 99", admit_at(99));
    row("admit at 100", admit_at(100));
    row("answered", [](CircuitBreaker& breaker) { return breaker.answered(), ""; });
    row("failed", [](CircuitBreaker& breaker) { return breaker.failed(99), ""; });
    row("failed twice", [](CircuitBreaker& breaker) { return breaker.failed(99), breaker.failed(99), ""; });
    row("abandoned, admit", [](CircuitBreaker& breaker) -> std::string {
      breaker.abandoned(99);
      return breaker.admit(99) ? "yes, " : "no, ";
    });
  }
  EXPECT_EQ(table,
            "closed, admit at 99: yes, closed\n"
            "closed, admit at 100: yes, closed\n"
            "closed, answered: closed\n"
            "closed, failed: closed\n"
            "closed, failed twice: open\n"
            "closed, abandoned, admit: yes, closed\n"
            "open, admit at 99: no, open\n"
            "open, admit at 100: yes, half-open\n"
            "open, answered: closed\n"
            "open, failed: open\n"
            "open, failed twice: open\n"
            "open, abandoned, admit: no, open\n"
            "half-open, admit at 99: no, half-open\n"
            "half-open, admit at 100: no, half-open\n"
            "half-open, answered: closed\n"
            "half-open, failed: open\n"
            "half-open, failed twice: open\n"
            "half-open, abandoned, admit: yes, half-open\n");
}

TEST(CircuitBreaker, StaysOpenAsLongAsItSaysFromTheFailureThatOpenedIt) {
  CircuitBreaker breaker = breaker_in(State::half_open);
  breaker.failed(150);
  EXPECT_FALSE(breaker.admit(249));
  EXPECT_TRUE(breaker.admit(250));
}

}  // namespace
}  // namespace courier::auth::webhook
