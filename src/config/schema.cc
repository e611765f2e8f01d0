#include "config/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "config/check_text.h"
#include "config/quantity.h"
#include "config/sections.h"

namespace courier::config {
namespace {

template <auto Field>
Member limit() {
  return member<&Settings::limits, Field>();
}

Section top() {
  return {
      "",
      "What the node as a whole needs.",
      false,
      {
          {.name = "data_dir",
           .kind = Kind::text,
           .member = member<&Settings::data_dir>(),
           .help = "Where everything that must survive is kept. One running node owns it.",
           .check = check_path,
           .required = true},
          {.name = "threads",
           .kind = Kind::count,
           .member = member<&Settings::threads>(),
           .help = "Shard threads: each serves its part of the sessions.",
           .max = 256,
           .zero_means = "one per core"},
          {.name = "drain_timeout",
           .kind = Kind::duration,
           .member = member<&Settings::drain_timeout>(),
           .help =
               "On SIGTERM the node stops accepting, tells its clients and writes what is left; after this "
               "long it ends in any case. Nothing acknowledged is lost either way.",
           .max = kHour,
           .reloadable = true},
      }};
}

Section admin() {
  return {
      "admin",
      "The HTTP side: /metrics, /livez, /readyz for everybody who reaches it, and the REST API for whoever "
      "has a "
      "token.",
      false,
      {
          {.name = "bind",
           .kind = Kind::text,
           .member = member<&Settings::admin, &Admin::bind>(),
           .help = "Address and port. Empty: no HTTP at all.",
           .check = check_ip_bind},
          {.name = "tokens",
           .kind = Kind::text_list,
           .member = member<&Settings::admin, &Admin::tokens>(),
           .help = "Bearer tokens that the REST API accepts, at least 16 characters each. Without any (and "
                   "without token_file) it refuses everybody.",
           .check = check_token,
           .example = "\"a-long-random-string\"",
           .secret = true,
           .reloadable = true},
          {.name = "token_file",
           .kind = Kind::text,
           .member = member<&Settings::admin, &Admin::token_file>(),
           .help = "A file with one bearer token to a line, in addition to `tokens`.",
           .check = check_input_file,
           .example = "/etc/courier/admin-tokens",
           .reloadable = true},
      }};
}

Section limits() {
  return {
      "limits",
      "What one client, and all together, may take. Everything has a limit; what happens at it is said here.",
      false,
      {
          {.name = "client_id_bytes_max",
           .kind = Kind::count,
           .member = limit<&Limits::client_id_bytes_max>(),
           .help = "A longer client identifier is refused (5.0: 0x85, 3.x: return code 2).",
           .min = 23,
           .max = 65'535,
           .reloadable = true},
          {.name = "topic_levels_max",
           .kind = Kind::count,
           .member = limit<&Limits::topic_levels_max>(),
           .help = "Levels of a topic name or filter. Beyond: 0x90 for a name, 0x8F for a filter.",
           .min = 1,
           .max = 65'535,
           .reloadable = true},
          {.name = "topic_bytes_max",
           .kind = Kind::count,
           .member = limit<&Limits::topic_bytes_max>(),
           .help = "Length of a topic name or filter, in bytes. Beyond: as above.",
           .min = 1,
           .max = 65'535,
           .reloadable = true},
          {.name = "connect_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::connect_bytes_max>(),
           .help =
               "Largest CONNECT, with its user name, password or token, and will; and any other packet until "
               "the client is let in. A larger one is refused (5.0: 0x95, 3.x: closed). With the default "
               "nobody who was not let in makes the node hold more than 8 KB (and TLS): see admission.md.",
           .min = kKB,
           .max = kMB,
           .reloadable = true},
          {.name = "packet_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::packet_bytes_max>(),
           .help =
               "Largest packet that is accepted; 5.0 clients are told. A larger one closes its connection "
               "(0x95).",
           .min = kKB,
           .max = 256 * kMB,
           .reloadable = true},
          {.name = "inflight_max",
           .kind = Kind::count,
           .member = limit<&Limits::inflight_max>(),
           .help =
               "QoS 1 and 2 messages on their way to one client without its acknowledgement. A 5.0 client "
               "may ask for fewer; the others wait in its inbox.",
           .min = 1,
           .max = 65'535,
           .reloadable = true},
          {.name = "receive_maximum",
           .kind = Kind::count,
           .member = limit<&Limits::receive_maximum>(),
           .help =
               "QoS 1 and 2 messages that a client may have on their way to us; 5.0 clients are told, and "
               "closed (0x93) if they do not keep to it.",
           .min = 1,
           .max = 65'535,
           .reloadable = true},
          {.name = "topic_alias_max",
           .kind = Kind::count,
           .member = limit<&Limits::topic_alias_max>(),
           .help = "Topic aliases that a 5.0 client may use towards us, and the most that we use towards it.",
           .max = 65'535,
           .zero_means = "none",
           .reloadable = true},
          {.name = "inbox_messages_max",
           .kind = Kind::count,
           .member = limit<&Limits::inbox_messages_max>(),
           .help = "Messages that wait for one session.",
           .min = 1,
           .max = 100'000'000,
           .reloadable = true},
          {.name = "inbox_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::inbox_bytes_max>(),
           .help = "Bytes that wait for one session.",
           .min = 4 * kKB,
           .max = 1024 * kGB,
           .reloadable = true},
          {.name = "inbox_policy",
           .kind = Kind::choice,
           .member = limit<&Limits::inbox_policy>(),
           .help =
               "What a full inbox does. drop_oldest: the oldest message goes, is counted and reported. "
               "refuse: the publisher is refused with 0x97. What was acknowledged before it could know "
               "stays, "
               "and so do messages of 3.x publishers, who cannot be refused: up to twice the limit (and at "
               "least 10 times receive_maximum more); beyond, the oldest goes.",
           .choices = {"drop_oldest", "refuse"},
           .reloadable = true},
          {.name = "shared_inbox_messages_max",
           .kind = Kind::count,
           .member = limit<&Limits::shared_inbox_messages_max>(),
           .help = "Messages that wait for a shared subscription's group while none of its members has room "
                   "for them. Beyond: inbox_policy.",
           .min = 1,
           .max = 100'000'000,
           .reloadable = true},
          {.name = "shared_inbox_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::shared_inbox_bytes_max>(),
           .help = "Bytes that wait for a shared subscription's group. They are in memory.",
           .min = 4 * kKB,
           .max = 1024 * kGB,
           .reloadable = true},
          {.name = "subscriptions_per_client_max",
           .kind = Kind::count,
           .member = limit<&Limits::subscriptions_per_client_max>(),
           .help = "One more is refused with 0x97 (3.x: 0x80).",
           .min = 1,
           .max = 10'000'000,
           .reloadable = true},
          {.name = "retained_messages_max",
           .kind = Kind::count,
           .member = limit<&Limits::retained_messages_max>(),
           .help = "Retained messages on the node. A PUBLISH that would add one more is refused with 0x97; "
                   "replacing and deleting stay possible.",
           .min = 1,
           .max = 1'000'000'000,
           .reloadable = true},
          {.name = "retained_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::retained_bytes_max>(),
           .help =
               "Bytes of retained messages on the node; beyond, as above, and so is a larger one in place "
               "of another.",
           .min = kMB,
           .max = 1024 * kGB,
           .reloadable = true},
          {.name = "output_bytes_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::output_bytes_max>(),
           .help =
               "Bytes written for a connection that its client has not yet read. Beyond, QoS 0 messages "
               "for it are dropped and counted, others wait in its inbox; a quarter more, of answers that it "
               "does not read, and it is closed. At least packet_bytes_max.",
           .min = 16 * kKB,
           .max = kGB,
           .reloadable = true},
          {.name = "session_expiry_max",
           .kind = Kind::duration,
           .member = limit<&Limits::session_expiry_max>(),
           .help =
               "Longest time that a session is kept after its client has gone; it also ends a 3.x client's "
               "persistent session.",
           .min = kSecond,
           .max = 36'500 * kDay,
           .zero_means = "as long as the client asks for",
           .reloadable = true},
          {.name = "keep_alive_max",
           .kind = Kind::duration,
           .member = limit<&Limits::keep_alive_max>(),
           .help =
               "Longest keep-alive. A 5.0 client that asks for more, or for none, is told this one instead; "
               "a 3.x client cannot be told and keeps its own.",
           .min = kSecond,
           .max = 65'535 * kSecond,
           .zero_means = "whatever the client asks for",
           .reloadable = true},
          {.name = "connect_timeout",
           .kind = Kind::duration,
           .member = limit<&Limits::connect_timeout>(),
           .help =
               "A connection whose CONNECT is not there after this long, however slowly its bytes come, is "
               "closed. Waiting for a turn, a PROXY header, TLS and WebSocket count.",
           .min = 100,
           .max = 5 * 60 * kSecond},
          {.name = "authenticate_timeout",
           .kind = Kind::duration,
           .member = limit<&Limits::authenticate_timeout>(),
           .help =
               "From its CONNECT on, so long may pass until it is decided whether the client may come in: "
               "passwords, tokens, hooks and all answers of enhanced authentication together. Then it is "
               "refused (5.0: 0x89, or 0x87 when the client owes an answer; 3.x: return code 3 or 5).",
           .min = 100,
           .max = 5 * 60 * kSecond,
           .reloadable = true},
          {.name = "packet_timeout",
           .kind = Kind::duration,
           .member = limit<&Limits::packet_timeout>(),
           .help = "A packet that was begun goes on: if in this time less than 512 bytes a second of it "
                   "came, and "
                   "it is not whole, its connection is closed (0x97).",
           .min = kSecond,
           .max = 60 * 60 * kSecond,
           .reloadable = true},
          {.name = "memory_max",
           .kind = Kind::bytes,
           .member = limit<&Limits::memory_max>(),
           .help = "Past this much memory new work is refused (0x97); what was promised is kept.",
           .min = 64 * kMB,
           .max = 1024 * 1024 * kGB,
           .zero_means = "70% of the machine's (or the container's) memory",
           .reloadable = true},
      }};
}

Section store() {
  return {
      "store",
      "How data_dir is kept.",
      false,
      {
          {.name = "checkpoint_interval",
           .kind = Kind::duration,
           .member = member<&Settings::store, &Store::checkpoint_interval>(),
           .help =
               "How often changed sessions are written out, so that the log can be trimmed. Longer spares "
               "the disk, shorter makes the start after a crash quicker. No acknowledgement waits for it.",
           .min = 50,
           .max = kHour},
          {.name = "log_bytes_max",
           .kind = Kind::bytes,
           .member = member<&Settings::store, &Store::log_bytes_max>(),
           .help = "A log that grew to this size is checkpointed at once: the most that a start must read.",
           .min = kMB,
           .max = 16 * kGB},
          {.name = "cache_bytes",
           .kind = Kind::bytes,
           .member = member<&Settings::store, &Store::cache_bytes>(),
           .help = "Memory for what was read from data_dir.",
           .min = kMB,
           .max = 1024 * kGB},
      }};
}

Section log_section() {
  return {"log",
          "What the node writes about itself.",
          false,
          {
              {.name = "level",
               .kind = Kind::choice,
               .member = member<&Settings::log, &Log::level>(),
               .help = "Lines below this level are not written.",
               .choices = {"trace", "debug", "info", "warn", "error", "off"},
               .reloadable = true},
              {.name = "format",
               .kind = Kind::choice,
               .member = member<&Settings::log, &Log::format>(),
               .help = "One line per event, as key=value pairs or as a JSON object.",
               .choices = {"logfmt", "json"}},
              {.name = "file",
               .kind = Kind::text,
               .member = member<&Settings::log, &Log::file>(),
               .help = "Append to this file, which SIGHUP opens anew after it was rotated. Empty: stderr.",
               .check = check_path,
               .example = "/var/log/courier/courierd.log"},
          }};
}

Section sys() {
  return {"sys",
          "The $SYS topics.",
          false,
          {
              {.name = "interval",
               .kind = Kind::duration,
               .member = member<&Settings::sys, &Sys::interval>(),
               .help = "How often the node publishes its figures below $SYS/broker/, and what it knows of "
                       "its cluster below $SYS/cluster/.",
               .min = kSecond,
               .max = kDay,
               .zero_means = "never"},
          }};
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string number_text(const Key& key, int64_t value) {
  switch (key.kind) {
    case Kind::boolean:
      return value != 0 ? "true" : "false";
    case Kind::count:
      return std::to_string(value);
    case Kind::bytes:
      return format_bytes(value);
    case Kind::duration:
      return format_duration_ms(value);
    case Kind::choice:
      return std::string(key.choices[static_cast<size_t>(value)]);
    case Kind::text:
    case Kind::text_list:
      break;
  }
  return {};
}

}  // namespace

const Key* Section::find(std::string_view key) const {
  for (const Key& one : keys) {
    if (one.name == key) return &one;
  }
  return nullptr;
}

const std::vector<Section>& schema() {
  static const std::vector<Section> table = {top(),
                                             listener_section(),
                                             auth_section(),
                                             jwt_section(),
                                             hook_section(),
                                             hooks_section(),
                                             events_section(),
                                             sink_section(),
                                             admin(),
                                             admission_section(),
                                             flapping_section(),
                                             limits(),
                                             limit_section(),
                                             store(),
                                             cluster_section(),
                                             log_section(),
                                             sys()};
  return table;
}

const Section* find_section(std::string_view name) {
  for (const Section& section : schema()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

void* owner(const Section& section, Settings& settings, size_t index) {
  return section.repeated ? section.rows.at(settings, index) : &settings;
}

const void* owner(const Section& section, const Settings& settings, size_t index) {
  return owner(section, const_cast<Settings&>(settings), index);
}

size_t owners(const Section& section, const Settings& settings) {
  return section.repeated ? section.rows.size(settings) : 1;
}

const void* fresh(const Section& section) {
  static const Settings settings;
  return section.repeated ? section.rows.fresh : &settings;
}

std::string& row_name(const Section& section, void* row) {
  const Key* name = section.find("name");
  CHECK(name);
  return std::get<TextMember>(name->member).of(row);
}

std::string header(const Section& section) {
  return section.repeated ? fmt::format("[[{}]]", section.name) : fmt::format("[{}]", section.name);
}

std::string full_name(const Section& section, const Key& key) {
  return section.name.empty() ? std::string(key.name) : fmt::format("{}.{}", section.name, key.name);
}

std::string value_text(const Key& key, const void* owner) {
  if (const auto* number = std::get_if<NumberMember>(&key.member)) {
    return number_text(key, number->get(owner));
  }
  if (const auto* text = std::get_if<TextMember>(&key.member)) return text->of(const_cast<void*>(owner));
  return toml_value(key, owner);
}

std::string toml_value(const Key& key, const void* owner) {
  void* const any = const_cast<void*>(owner);
  switch (key.kind) {
    case Kind::boolean:
    case Kind::count:
      return number_text(key, std::get<NumberMember>(key.member).get(owner));
    case Kind::bytes:
    case Kind::duration:
    case Kind::choice:
      return quoted(number_text(key, std::get<NumberMember>(key.member).get(owner)));
    case Kind::text:
      return quoted(std::get<TextMember>(key.member).of(any));
    case Kind::text_list: {
      std::vector<std::string> items;
      for (const auto& item : std::get<ListMember>(key.member).of(any)) items.push_back(quoted(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
  }
  return {};
}

std::string toml_default(const Section& section, const Key& key) {
  return toml_value(key, fresh(section));
}

std::string range_text(const Key& key) {
  switch (key.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::choice:
      return fmt::format("one of {}", fmt::join(key.choices, ", "));
    case Kind::count:
    case Kind::bytes:
    case Kind::duration: {
      // A zero with a meaning of its own is not part of the range.
      const int64_t min = key.min == 0 && !key.zero_means.empty() ? 1 : key.min;
      std::string text = fmt::format("{} to {}", number_text(key, min), number_text(key, key.max));
      if (!key.zero_means.empty()) text += fmt::format("; 0 = {}", key.zero_means);
      return text;
    }
    case Kind::text:
      return "text";
    case Kind::text_list:
      return "list of texts";
  }
  return {};
}

namespace {

void copy(const Key& key, void* to, const void* from) {
  void* const any = const_cast<void*>(from);
  if (const auto* number = std::get_if<NumberMember>(&key.member)) {
    number->set(to, number->get(from));
  } else if (const auto* text = std::get_if<TextMember>(&key.member)) {
    text->of(to) = text->of(any);
  } else {
    const auto& list = std::get<ListMember>(key.member);
    list.of(to) = list.of(any);
  }
}

// What tells a row from the others.
std::string row_id(const Section& section, void* row, size_t index) {
  return section.rows.names_repeat ? std::to_string(index) : row_name(section, row);
}

// The row of that id; null if there is none.
void* find_row(const Section& section, Settings& settings, std::string_view name) {
  for (size_t i = 0; i < owners(section, settings); ++i) {
    void* row = owner(section, settings, i);
    if (row_id(section, row, i) == name) return row;
  }
  return nullptr;
}

// Goes over to a key's wanted value where it may.
void take_over(const Section& section, const std::string& prefix, void* running, const void* wanted,
               Changes& changes) {
  for (const Key& key : section.keys) {
    if (toml_value(key, running) == toml_value(key, wanted)) continue;
    (key.reloadable ? changes.applied : changes.need_restart).push_back(prefix + std::string(key.name));
    if (key.reloadable) copy(key, running, wanted);
  }
}

void take_over_rows(const Section& section, Settings& wanted, Changes& changes) {
  Settings& running = changes.settings;
  const std::string prefix = std::string(section.name) + ".";
  auto& come_and_gone = section.rows.come_and_go ? changes.applied : changes.need_restart;
  for (size_t i = 0; i < owners(section, wanted); ++i) {
    void* row = owner(section, wanted, i);
    const std::string name = row_id(section, row, i);
    if (void* here = find_row(section, running, name)) {
      take_over(section, prefix + name + ".", here, row, changes);
      for (const Key& key : section.keys) copy(key, row, here);
    } else {
      come_and_gone.push_back(prefix + name);
    }
  }
  for (size_t i = 0; i < owners(section, running); ++i) {
    const std::string name = row_id(section, owner(section, running, i), i);
    if (!find_row(section, wanted, name)) come_and_gone.push_back(prefix + name);
  }
  // With what is kept of those that were here, and in the wanted order.
  if (section.rows.come_and_go) section.rows.take(running, wanted);
}

}  // namespace

Changes changes(const Settings& running, const Settings& wanted) {
  Changes changes{running, {}, {}};
  Settings rows = wanted;
  for (const Section& section : schema()) {
    if (section.repeated) {
      take_over_rows(section, rows, changes);
    } else {
      take_over(section, section.name.empty() ? "" : std::string(section.name) + ".", &changes.settings,
                &wanted, changes);
    }
  }
  return changes;
}

}  // namespace courier::config
