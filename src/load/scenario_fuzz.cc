// Whatever a scenario's file holds: findings or values, never a crash, and in bounded time.
#include <cstddef>
#include <cstdint>

#include "load/scenario_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  courier::load::Findings findings("fuzz.yaml", text);
  const auto scenario = courier::load::read_scenario(text, {}, findings);
  if (scenario) courier::load::check_sense(*scenario, findings);
  (void)findings.describe();
  return 0;
}
