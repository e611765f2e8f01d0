// The one table of settings: every key with its meaning, and the member of Settings that it sets.
//
// load() checks against it, reference.h writes the sample file and the manual from it. A key that is not in
// the table does not exist; the default is whatever a fresh Settings holds. Immutable after the first call.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace courier::config {

enum class Kind : uint8_t { boolean, count, bytes, duration, choice, text, text_list };

// What a key sets. `owner` is the Settings, or the row of a repeated section (a Listener…).
struct NumberMember {  // boolean, count, bytes, duration (ms), choice (index)
  int64_t (*get)(const void* owner);
  void (*set)(void* owner, int64_t value);
};
struct TextMember {
  std::string& (*of)(void* owner);
};
struct ListMember {
  std::vector<std::string>& (*of)(void* owner);
};
using Member = std::variant<NumberMember, TextMember, ListMember>;

// Why a text is not acceptable; nullopt when it is.
using TextCheck = std::optional<std::string> (*)(std::string_view text);

struct Key {
  std::string_view name;
  Kind kind{};
  Member member;
  std::string_view help;  // sentences

  int64_t min = 0;
  int64_t max = std::numeric_limits<int64_t>::max();
  std::string_view zero_means = {};  // when 0 says something else than nothing, outside [min, max] too
  std::vector<std::string_view> choices = {};  // by index
  TextCheck check = nullptr;                   // of a text (unless it is empty), or of each text of a list
  std::string_view example = {};               // for a text whose default is empty
  bool required = false;
  bool secret = false;      // never repeated in an error message
  bool reloadable = false;  // taken over by a reload; others need a restart
  std::string_view since = "0.1";
};

// The vector in Settings that a repeated section fills: rows<&Settings::listeners>() in sections.h. Each of
// its structs has a key "name", by which overrides find it; load() gives a nameless one SECTION-INDEX, and no
// two the same, unless the name says something else than which row it is.
struct Rows {
  size_t (*size)(const Settings& settings) = nullptr;
  void* (*at)(Settings& settings, size_t index) = nullptr;     // until the next add()
  void (*add)(Settings& settings) = nullptr;                   // one more, with its defaults
  void (*take)(Settings& to, const Settings& from) = nullptr;  // all of them
  const void* fresh = nullptr;                                 // one with its defaults, for ever
  size_t max = 64;
  bool come_and_go = false;   // rows are added and removed on SIGHUP, too; otherwise that needs a restart
  bool names_repeat = false;  // a name is required, and several rows may have it: the index tells them apart
  bool in_sample = false;     // the sample file has one of them, not only its comment
};

struct Section {
  std::string_view name;  // "" is the top of the file
  std::string_view help;
  bool repeated = false;  // [[name]]
  std::vector<Key> keys;
  Rows rows = {};  // of a repeated one

  const Key* find(std::string_view key) const;
};

const std::vector<Section>& schema();
const Section* find_section(std::string_view name);

// What a section's keys are set in: the settings, or the row at `index`.
void* owner(const Section& section, Settings& settings, size_t index);
const void* owner(const Section& section, const Settings& settings, size_t index);
// How many owners it has: 1, or as many as there are rows.
size_t owners(const Section& section, const Settings& settings);
// A fresh Settings, or a fresh row.
const void* fresh(const Section& section);
// A row's "name".
std::string& row_name(const Section& section, void* row);

// "[limits]", "[[listener]]"
std::string header(const Section& section);
// "limits.inflight_max", "threads", "listener.bind"
std::string full_name(const Section& section, const Key& key);

// A value as a person reads it: true, 256, 16MB, off. Of a list: as toml_value().
std::string value_text(const Key& key, const void* owner);
// A value as the file would spell it: true, 256, "16MB", ["10.0.0.0/8"].
std::string toml_value(const Key& key, const void* owner);
// The value of a fresh Settings (or row).
std::string toml_default(const Section& section, const Key& key);
// "1KB to 256MB", "one of off, optional, required", "true or false"…
std::string range_text(const Key& key);

// What a running node does with other settings. Keys by their names; of a row "listener.mobile.bind", and
// "listener.mobile" for one that came or went. Rows are matched by their names.
struct Changes {
  Settings settings;                      // the running ones with what could be taken over
  std::vector<std::string> applied;       // keys in which they differ from the running ones
  std::vector<std::string> need_restart;  // keys in which they differ from the wanted ones
};
Changes changes(const Settings& running, const Settings& wanted);

}  // namespace courier::config
