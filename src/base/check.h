// CHECK states what only our own bug could break. It stays on in release: a broker that has lost its own
// thread must stop before it acknowledges something it does not have.
#pragma once

namespace courier {

// Writes the sentence to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace courier

#define CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? (void)0 : ::courier::check_failed(#condition, __FILE__, __LINE__))
