// What the tests of hooks share: the webhook service, and a broker that asks it.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

#include "harness/client.h"
#include "webhook/stub.h"

namespace courier::scenario {

using interop::Stub;

// `each` stands in each [[hook]], `rest` after them.
inline BrokerOptions asking(const Stub& stub, std::initializer_list<std::string_view> hooks,
                            const std::string& each = {}, const std::string& rest = {}) {
  BrokerOptions options;
  for (const std::string_view hook : hooks) {
    options.toml += "[[hook]]\nname = \"" + std::string(hook) + "\"\nendpoint = \"" + stub.url("/hook") +
                    "\"\n" + each + "\n";
  }
  options.toml += rest;
  return options;
}

// The same, and nobody but the hook lets anybody in.
inline BrokerOptions only_asking(const Stub& stub, std::initializer_list<std::string_view> hooks,
                                 const std::string& each = {}, const std::string& rest = {}) {
  BrokerOptions options = asking(stub, hooks, each, rest);
  options.auth_toml = "[auth]\n";
  return options;
}

inline void wait_for(std::string_view what, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) throw Broken("it never happened: " + std::string(what));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace courier::scenario
