// [events] and [[sink]]: who is told what happens.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "config/check_text.h"
#include "config/kafka.h"
#include "config/sections.h"

namespace courier::config {

namespace {

bool is_part(std::string_view text) {
  double part = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
  return error == std::errc() && end == text.data() + text.size() && part >= 0 && part <= 1;
}

std::optional<std::string> check_part(std::string_view text) {
  if (!is_part(text)) return "it must be a number from 0 to 1, as in \"0.01\"";
  return std::nullopt;
}

std::optional<std::string> check_sample(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos || !is_part(text.substr(equals + 1)))
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

static std::vector<Key> webhook_keys() {
  return {
      {.name = "url",
       .kind = Kind::text,
       .member = member<&Sink::url>(),
       .help = "Of a webhook: where to, http:// or https://. Redirects are not followed.",
       .check = check_http_url,
       .example = "https://backend.example/courier-events"},
      {.name = "profile",
       .kind = Kind::choice,
       .member = member<&Sink::profile>(),
       .help = "What a request says: an event as CloudEvents have it, or as VerneMQ's webhooks do "
               "(on_publish, on_client_gone, ...), or as spans of OpenTelemetry's OTLP (otlp).",
       .choices = {"cloudevents", "vernemq", "otlp"}},
      {.name = "mode",
       .kind = Kind::choice,
       .member = member<&Sink::mode>(),
       .help = "Of CloudEvents: one event with all it says in the body (structured), or with its "
               "attributes in headers (binary), or many events in a request (batch).",
       .choices = {"structured", "binary", "batch"}},
      {.name = "trace_sample",
       .kind = Kind::text,
       .member = member<&Sink::trace_sample>(),
       .help = "With profile otlp: of connections, and of messages without a traceparent, this part becomes "
               "spans, "
               "0 to 1. Whatever has a traceparent becomes one if that says sampled.",
       .check = check_part},
      {.name = "secret_file",
       .kind = Kind::text,
       .member = member<&Sink::secret_file>(),
       .help = "A file with secrets of Standard Webhooks, whsec_..., one a line: each signs.",
       .check = check_input_file,
       .example = "/etc/courier/webhook-secrets"},
      {.name = "headers",
       .kind = Kind::text_list,
       .member = member<&Sink::headers>(),
       .help = "Further headers of each request, NAME: VALUE.",
       .check = check_http_header,
       .secret = true},
      {.name = "timeout",
       .kind = Kind::duration,
       .member = member<&Sink::timeout>(),
       .help = "For a request and its whole answer.",
       .min = 100,
       .max = 600 * kSecond},
      {.name = "parallel",
       .kind = Kind::count,
       .member = member<&Sink::parallel>(),
       .help = "So many requests at once; those of one client go one after another.",
       .min = 1,
       .max = 1000},
      {.name = "batch_events_max",
       .kind = Kind::count,
       .member = member<&Sink::batch_events_max>(),
       .help = "In a request, with mode batch.",
       .min = 1,
       .max = 10'000},
      {.name = "dead_letters_bytes_max",
       .kind = Kind::bytes,
       .member = member<&Sink::dead_letters_bytes_max>(),
       .help = "Of events that the endpoint would not take, in data_dir/dead-letters; then the oldest go.",
       .min = kMB,
       .max = 100 * kGB},
      {.name = "allow_link_local",
       .kind = Kind::boolean,
       .member = member<&Sink::allow_link_local>(),
       .help = "The URL may lead to an address of the link (169.254.0.0/16, fe80::/10), where clouds "
               "have their metadata."},
  };
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
       .help = "file: lines of JSON. kafka: a topic for each event. webhook: requests to a URL.",
       .choices = {"file", "kafka", "webhook"}},
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
  for (Key& key : webhook_keys()) keys.push_back(std::move(key));
  return {"sink", "One that is told of events; repeat the section for more. See events.md.", true,
          std::move(keys), sinks};
}

}  // namespace courier::config
