// [events] and [[sink]]: who is told what happens.
#include <charconv>

#include <fmt/format.h>

#include "config/check_text.h"
#include "config/kafka.h"
#include "config/sections.h"

namespace courier::config {

namespace {

std::optional<std::string> check_sample(std::string_view text) {
  const size_t equals = text.find('=');
  double part = -1;
  if (equals != std::string_view::npos) {
    const auto [end, error] = std::from_chars(text.data() + equals + 1, text.data() + text.size(), part);
    if (error != std::errc() || end != text.data() + text.size()) part = -1;
  }
  if (equals == 0 || !(part >= 0 && part <= 1))
    return "it must be LABEL=PART, where PART is from 0 to 1, as in \"chat=0.01\"";
  return std::nullopt;
}

}  // namespace

Section events_section() {
  return {"events",
          "What happens, for those who want to know: see events.md. Who is told what stands in [[sink]].",
          false,
          {
              {.name = "bytes_max",
               .kind = Kind::bytes,
               .member = member<&Settings::events, &Events::bytes_max>(),
               .help = "Events that wait for sinks which are slow or away, in memory and on disk. Beyond "
                       "four fifths of it "
                       "only deliveries, drops and ends of sessions are taken, beyond all of it nothing; "
                       "what is not taken "
                       "is counted.",
               .min = 16 * kMB,
               .max = 1024 * kGB},
              {.name = "sample",
               .kind = Kind::text_list,
               .member = member<&Settings::events, &Events::sample>(),
               .help = "Of messages with these labels (of the access rule that let them in, see acl.md) only "
                       "so many are "
                       "told of: LABEL=PART. All events about one message, or none.",
               .check = check_sample},
          }};
}

Section sink_section() {
  Rows sinks = rows<&Settings::sinks>();
  sinks.max = 16;
  std::vector<Key> keys{
      {.name = "name",
       .kind = Kind::text,
       .member = member<&Sink::name>(),
       .help = "What it is called, in metrics too. What it was told stands under this name: with "
               "another it is a "
               "new one, and begins at that moment.",
       .check = check_listener_name,
       .example = "audit"},
      {.name = "kind",
       .kind = Kind::choice,
       .member = member<&Sink::kind>(),
       .help = "file: lines of JSON. kafka: a topic for each event.",
       .choices = {"file", "kafka"}},
      {.name = "events",
       .kind = Kind::text_list,
       .member = member<&Sink::events>(),
       .help = "What it is told: names of the table in events.md.",
       .check = check_event_kind},
      {.name = "payload",
       .kind = Kind::boolean,
       .member = member<&Sink::payload>(),
       .help = "Events about messages have the payload. It is so for all sinks if it is for one."},
      {.name = "path",
       .kind = Kind::text,
       .member = member<&Sink::path>(),
       .help = "The file; - is standard output.",
       .check = check_path},
      {.name = "file_bytes_max",
       .kind = Kind::bytes,
       .member = member<&Sink::file_bytes_max>(),
       .help = "Before it is longer it is renamed to PATH.1, that to PATH.2, and so on.",
       .min = 64 * kKB,
       .max = 1024 * kGB},
      {.name = "files_max",
       .kind = Kind::count,
       .member = member<&Sink::files_max>(),
       .help = "So many renamed ones are kept.",
       .max = 10'000},
      {.name = "topic_prefix",
       .kind = Kind::text,
       .member = member<&Sink::topic_prefix>(),
       .help = "What the names of topics begin with; the rest is the event's with - for _: "
               "courier-delivery-complete."},
      {.name = "format",
       .kind = Kind::choice,
       .member = member<&Sink::format>(),
       .help = "What a message of Kafka holds.",
       .choices = {"protobuf", "json"}},
  };
  for (Key& key : kafka_keys<&Sink::kafka>()) keys.push_back(std::move(key));
  return {"sink", "One that is told of events; repeat the section for more. See events.md.", true,
          std::move(keys), sinks};
}

}  // namespace courier::config
