#include "relay/settings.h"

#include <algorithm>

#include "config/check_text.h"
#include "config/credentials.h"
#include "config/kafka.h"
#include "config/reference.h"
#include "http/client.h"
#include "mqtt/topic.h"
#include "relay/sections.h"
#include "relay/text_template.h"

namespace courier::relay {
namespace {

using config::Key;
using config::Kind;
using config::member;
using Problem = std::optional<std::string>;

constexpr int64_t kMonthMs = 30 * config::kDay;

Problem check_template(std::string_view text) {
  const auto made = TextTemplate::parse(text);
  return made ? Problem() : made.error().message;
}

Problem check_url(std::string_view text) {
  const auto made = TextTemplate::parse(text);
  if (!made) return made.error().message;
  if (const auto why = config::check_http_url(text)) return why;
  if (http::names_user(text)) return "it names a user, which is not sent; use authorization_file";
  const std::string_view head = made->head();
  const size_t host = head.find("//") + 2;
  if (made->has_slots() && head.find('/', host) == std::string_view::npos)
    return "fields may be filled in behind the host only, as in \"https://backend.example/{client_id}\": "
           "who names a client must not choose the host";
  return std::nullopt;
}

Problem check_header(std::string_view text) {
  if (const auto why = config::check_http_header(text)) return why;
  return check_template(text.substr(text.find(':') + 1));
}

Problem check_filter(std::string_view text) {
  if (mqtt::is_topic_filter(text) && !mqtt::is_shared(text)) return std::nullopt;
  return "it is no topic filter, as in \"orders/+/status\" or \"orders/#\"";
}

Problem check_kafka_topic(std::string_view text) {
  if (text.empty() || text.find_first_of(" \t,") != std::string_view::npos)
    return "it is no topic of Kafka, as in \"courier-publish\"; a regular expression begins with ^";
  return std::nullopt;
}

config::Section kafka_section() {
  std::vector<Key> keys{
      {.name = "group",
       .kind = Kind::text,
       .member = member<&Settings::kafka, &KafkaSettings::group>(),
       .help = "The consumer group. Relays of one group share the partitions; how far all is done stands in "
               "Kafka under this name, and a new group begins with the oldest there is.",
       .example = "relay-backend",
       .required = true},
      {.name = "topics",
       .kind = Kind::text_list,
       .member = member<&Settings::kafka, &KafkaSettings::topics>(),
       .help = "What is read: topics of Kafka; one that begins with ^ is a regular expression.",
       .check = check_kafka_topic,
       .example = "\"courier-delivery-complete\", \"courier-drop\"",
       .required = true},
      {.name = "format",
       .kind = Kind::choice,
       .member = member<&Settings::kafka, &KafkaSettings::format>(),
       .help = "What a message holds. auto: what its header content-type says.",
       .choices = {"auto", "protobuf", "json"}},
      {.name = "buffer_events_max",
       .kind = Kind::count,
       .member = member<&Settings::kafka, &KafkaSettings::buffer_events_max>(),
       .help = "Events in memory; beyond it reading pauses until half of them are done.",
       .min = 1,
       .max = 10'000'000},
      {.name = "buffer_bytes_max",
       .kind = Kind::bytes,
       .member = member<&Settings::kafka, &KafkaSettings::buffer_bytes_max>(),
       .help = "Their bytes, likewise. librdkafka has up to 64 MB of its own.",
       .min = config::kMB,
       .max = 64 * config::kGB},
      {.name = "ahead_max",
       .kind = Kind::count,
       .member = member<&Settings::kafka, &KafkaSettings::ahead_max>(),
       .help = "How many events of one partition may pass one that is still being tried; as many come again "
               "after a crash. Beyond it the partition pauses.",
       .min = 1,
       .max = 100'000'000},
  };
  for (Key& key : config::kafka_keys<&Settings::kafka, &KafkaSettings::connection>()) {
    key.required = key.name == "brokers";
    keys.insert(key.required ? keys.begin() : keys.end(), std::move(key));
  }
  return {"kafka", "Where events come from.", false, std::move(keys)};
}

config::Section filter_section() {
  return {
      "filter",
      "Which of them are sent; an event has to pass all of these. The others count as done.",
      false,
      {
          {.name = "events",
           .kind = Kind::text_list,
           .member = member<&Settings::filter, &FilterSettings::events>(),
           .help = "Kinds of events, of the table in events.md; none: all.",
           .check = config::check_event_kind,
           .example = "\"delivery_complete\", \"drop\""},
          {.name = "topics",
           .kind = Kind::text_list,
           .member = member<&Settings::filter, &FilterSettings::topics>(),
           .help =
               "MQTT topic filters, one of which the event's topic matches. Events without a topic do not.",
           .check = check_filter,
           .example = "\"orders/#\""},
          {.name = "labels",
           .kind = Kind::text_list,
           .member = member<&Settings::filter, &FilterSettings::labels>(),
           .help = "Labels of the access rules that let the message in.",
           .example = "\"order\""},
          {.name = "client_id_prefix",
           .kind = Kind::text,
           .member = member<&Settings::filter, &FilterSettings::client_id_prefix>(),
           .help = "What the client's identifier begins with.",
           .example = "phone-"},
      }};
}

config::Section http_section() {
  return {
      "http",
      "The backend. {client_id} and every other field of an event (events.md), but lists, is filled in where "
      "a "
      "text says so: in URLs percent-encoded, in bodies as JSON has it within quotation marks. {{client_id}} "
      "is "
      "{client_id} itself. An event is taken when the answer is 2xx.",
      false,
      {
          {.name = "url",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::url>(),
           .help =
               "Where to. Fields may stand behind the host; a request then has only events of the same URL.",
           .check = check_url,
           .example = "https://backend.example/v1/events",
           .required = true},
          {.name = "method",
           .kind = Kind::choice,
           .member = member<&Settings::http, &HttpSettings::method>(),
           .help = "How.",
           .choices = {"POST", "PUT", "PATCH"}},
          {.name = "headers",
           .kind = Kind::text_list,
           .member = member<&Settings::http, &HttpSettings::headers>(),
           .help = "\"Name: value\". With fields filled in, a request has only events of the same headers.",
           .check = check_header,
           .example = "\"x-tenant: {mountpoint}\"",
           .secret = true},
          {.name = "authorization_file",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::authorization_file>(),
           .help = "A file whose first line is sent as the header Authorization: \"Bearer …\". Read at the "
                   "start.",
           .check = config::check_input_file,
           .example = "/etc/courier/relay-authorization"},
          {.name = "batch",
           .kind = Kind::choice,
           .member = member<&Settings::http, &HttpSettings::batch>(),
           .help =
               "array: a JSON array of events. cloudevents: the same as a batch of CloudEvents 1.0. none: "
               "one event a request.",
           .choices = {"array", "cloudevents", "none"}},
          {.name = "body",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::body>(),
           .help = "What is written for an event, in an array for each. Empty: all its fields, as JSON.",
           .check = check_template,
           .example = "{\\\"id\\\":\\\"{id}\\\",\\\"order\\\":\\\"{topic}\\\"}"},
          {.name = "batch_events_max",
           .kind = Kind::count,
           .member = member<&Settings::http, &HttpSettings::batch_events_max>(),
           .help = "Events of one request.",
           .min = 1,
           .max = 100'000},
          {.name = "batch_bytes_max",
           .kind = Kind::bytes,
           .member = member<&Settings::http, &HttpSettings::batch_bytes_max>(),
           .help = "Bytes of its body; a single event may have more.",
           .min = config::kKB,
           .max = 256 * config::kMB},
          {.name = "linger",
           .kind = Kind::duration,
           .member = member<&Settings::http, &HttpSettings::linger>(),
           .help = "How long an event waits for others to go along with.",
           .max = 60 * config::kSecond},
          {.name = "timeout",
           .kind = Kind::duration,
           .member = member<&Settings::http, &HttpSettings::timeout>(),
           .help = "For a whole answer.",
           .min = 10,
           .max = config::kHour},
          {.name = "parallel",
           .kind = Kind::count,
           .member = member<&Settings::http, &HttpSettings::parallel>(),
           .help =
               "Lanes: a client's events go by the same one, in order and one request after the other; so "
               "many requests at once.",
           .min = 1,
           .max = 1'024},
          {.name = "ca_file",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::ca_file>(),
           .help = "PEM file: whom to trust instead of the authorities of this machine.",
           .check = config::check_input_file,
           .example = "/etc/courier/backend-ca.pem"},
          {.name = "certificate_file",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::certificate_file>(),
           .help = "PEM file: the certificate to show, if one is asked for.",
           .check = config::check_input_file,
           .example = "/etc/courier/relay.pem"},
          {.name = "key_file",
           .kind = Kind::text,
           .member = member<&Settings::http, &HttpSettings::key_file>(),
           .help = "PEM file: its private key.",
           .check = config::check_input_file,
           .example = "/etc/courier/relay.key"},
          {.name = "allow_link_local",
           .kind = Kind::boolean,
           .member = member<&Settings::http, &HttpSettings::allow_link_local>(),
           .help = "The URL may lead to an address of the link (169.254.0.0/16, fe80::/10), where clouds "
                   "have their metadata."},
      }};
}

config::Section retry_section() {
  return {"retry",
          "What was not taken is tried again: when there was no answer, and after 408, 425, 429, 5xx and 3xx "
          "(redirects are not followed). Each wait is twice the one before, less up to a half by chance; "
          "Retry-After is waited for. Another 4xx says that the backend will never take this event: see "
          "[dead_letter].",
          false,
          {
              {.name = "first",
               .kind = Kind::duration,
               .member = member<&Settings::retry, &RetrySettings::first>(),
               .help = "The first wait.",
               .min = 1,
               .max = config::kHour},
              {.name = "max",
               .kind = Kind::duration,
               .member = member<&Settings::retry, &RetrySettings::max>(),
               .help = "The longest, Retry-After among them.",
               .min = 1,
               .max = config::kDay},
              {.name = "attempts",
               .kind = Kind::count,
               .member = member<&Settings::retry, &RetrySettings::attempts>(),
               .help = "After so many an event goes to the dead letters.",
               .max = 1'000'000,
               .zero_means = "tried for ever"},
          }};
}

config::Section dead_letter_section() {
  return {
      "dead_letter",
      "Where events go that the backend will never take, and messages that are no events.",
      false,
      {
          {.name = "topic",
           .kind = Kind::text,
           .member = member<&Settings::dead_letter_topic>(),
           .help = "A topic of Kafka, which gets the message as it was, and headers that say why: "
                   "courier_error, courier_status, courier_topic, courier_partition, courier_offset. Empty: "
                   "nothing is given up; it is tried for ever, and holds up its lane.",
           .check = check_kafka_topic,
           .example = "courier-dead"},
      }};
}

config::Section admin_section() {
  return {"admin",
          "HTTP for operators: /metrics, /livez, /readyz.",
          false,
          {
              {.name = "bind",
               .kind = Kind::text,
               .member = member<&Settings::admin_bind>(),
               .help = "Address and port; empty: off.",
               .check = config::check_ip_bind},
          }};
}

config::Section stop_section() {
  return {"stop",
          "SIGTERM and SIGINT.",
          false,
          {
              {.name = "timeout",
               .kind = Kind::duration,
               .member = member<&Settings::stop_timeout>(),
               .help = "How long requests under way may take to end. What is not done by then is sent again "
                       "after the next start.",
               .max = kMonthMs},
          }};
}

}  // namespace

const std::vector<config::Section>& sections() {
  static const std::vector<config::Section> all{kafka_section(), filter_section(),      http_section(),
                                                retry_section(), dead_letter_section(), admin_section(),
                                                stop_section()};
  return all;
}

Result<void> resolve_credentials(Settings& settings, const char* directory) {
  return config::resolve_credentials(sections(), &settings, directory);
}

std::string example() {
  std::string out =
      "# Settings of `courier relay`. What is commented out stands at its default.\n"
      "# Sizes: 4096, \"64KB\", \"16MB\" (powers of 1024). Durations: \"500ms\", \"30s\", \"5m\", or a "
      "number of "
      "seconds.\n"
      "# Check a file with: courier relay --check FILE\n\n";
  static const Settings fresh;
  for (const config::Section& section : sections()) out += config::sample_section(section, &fresh);
  out.pop_back();
  return out;
}

}  // namespace courier::relay
