// Any bytes as an event: whatever a request says of them is JSON, and no header breaks out of its line.
#include <cstdlib>

#include "events/webhook/spans.h"
#include "events/webhook/wording.h"
#include "jose/json_object.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::events;
  if (size == 0) return 0;
  const auto kind = kind_of(data[0]);
  if (!kind) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const EventPtr events[] = {std::make_shared<const Event>(Event{courier::Position(1), *kind, bytes})};
  using webhook::Mode;
  using webhook::Profile;
  const auto check = [&](Profile profile, Mode mode) {
    const webhook::Worded worded = webhook::word(profile, mode, "courier://c", events);
    if (!courier::jose::Json::accept(worded.body)) std::abort();
    for (const auto& [name, value] : worded.headers) {
      if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) std::abort();
    }
  };
  for (const Mode mode : {Mode::structured, Mode::binary, Mode::batch}) check(Profile::cloudevents, mode);
  check(Profile::vernemq, Mode::structured);
  check(Profile::otlp, Mode::batch);
  webhook::is_span(*events[0], 0.5);
  webhook::id_of(events);
  return 0;
}
