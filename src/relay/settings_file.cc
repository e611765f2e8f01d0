// Reads a file of settings by the table.
#include <regex.h>

#include <map>
#include <set>

#include <fmt/format.h>

#include "base/file.h"
#include "config/assign.h"
#include "config/errc.h"
#include "config/suggest.h"
#include "config/toml_value.h"
#include "relay/sections.h"
#include "relay/settings.h"

namespace courier::relay {
namespace {

using config::errc;
using config::Key;
using config::Section;

constexpr size_t kProblemsMax = 50;

const Section* find(std::string_view name) {
  for (const Section& each : sections()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

template <typename Row>
std::string meant(std::string_view word, const std::vector<Row>& rows) {
  std::vector<std::string> known;
  for (const Row& each : rows) known.emplace_back(each.name);
  const auto near = config::suggest(word, known);
  return near ? fmt::format("; did you mean \"{}\"?", *near) : "";
}

// Whether who subscribes to `wanted` gets the topic, as librdkafka has it.
bool reads(const std::string& wanted, const std::string& topic) {
  if (!wanted.starts_with('^')) return wanted == topic;
  regex_t expression;
  if (::regcomp(&expression, wanted.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return false;
  const bool matches = ::regexec(&expression, topic.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&expression);
  return matches;
}

// The settings under construction, and all that is wrong with them. No line is repeated: it may hold a
// secret.
class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  void read(std::string_view text) {
    const auto entries = config::read_toml(text);
    if (const auto* syntax = std::get_if<config::SyntaxProblem>(&entries)) {
      problem(syntax->line, "this line is not TOML; texts stand in quotation marks, lists in [ ]");
      return;
    }
    for (const config::FileEntry& each : std::get<std::vector<config::FileEntry>>(entries)) read(each);
    check();
  }
  Result<Settings> done() {
    if (count_ == 0) return std::move(settings_);
    if (count_ > kProblemsMax) problems_ += fmt::format("\nand {} more", count_ - kProblemsMax);
    return fail(errc::invalid, problems_);
  }

 private:
  void read(const config::FileEntry& entry) {
    const Section* section = find(entry.section);
    if (!section || entry.index >= 0) {
      const bool above = entry.section.empty();
      const std::string& name = above ? entry.key : entry.section;
      if (entry.key.empty() || above)
        problem(entry.line, section
                                ? fmt::format("\"{0}\" stands once: write [{0}]", name)
                                : fmt::format("there is no section [{}]{}", name, meant(name, sections())));
      return;
    }
    if (entry.key.empty()) return;
    const Key* key = section->find(entry.key);
    if (!key) {
      problem(entry.line, fmt::format("[{}] has no key \"{}\"{}", section->name, entry.key,
                                      meant(entry.key, section->keys)));
      return;
    }
    const std::string name = config::full_name(*section, *key);
    lines_[name] = entry.line;
    if (const auto why = config::assign(*key, &settings_, entry.value)) {
      problem(entry.line, fmt::format("{}: {}", name, *why));
      broken_.insert(name);
    }
  }

  // What is missing, and rules between keys.
  void check() {
    for (const Section& section : sections()) {
      for (const Key& key : section.keys) {
        const std::string name = config::full_name(section, key);
        const bool empty =
            config::toml_value(key, &settings_) == (key.kind == config::Kind::text ? "\"\"" : "[]");
        if (key.required && empty && !broken_.contains(name))
          problem(line_of(name), fmt::format("{}: it has to be set. {}", name, key.help));
      }
    }
    const HttpSettings& http = settings_.http;
    rule("http.body", http.body.empty() || http.batch != Batch::cloudevents,
         "CloudEvents have a form of their own; write batch = \"array\" or \"none\"");
    rule("http.key_file", http.key_file.empty() || !http.certificate_file.empty(),
         "there is no certificate_file that it belongs to");
    rule("retry.first", settings_.retry.first <= settings_.retry.max, "it is longer than retry.max");
    rule("retry.attempts", settings_.retry.attempts == 0 || !settings_.dead_letter_topic.empty(),
         "what is given up needs a place to go to; set dead_letter.topic, or attempts = 0");
    const config::KafkaConnection& kafka = settings_.kafka.connection;
    rule(kafka.username.empty() ? "kafka.password_file" : "kafka.username",
         kafka.username.empty() == kafka.password_file.empty(), "username and password_file go together");
    for (const std::string& each : settings_.kafka.topics) {
      rule("dead_letter.topic", !reads(each, settings_.dead_letter_topic),
           fmt::format("it is one of kafka.topics (\"{}\"): what was given up would come back", each));
    }
  }
  void rule(const std::string& key, bool kept, std::string_view what) {
    if (!kept && !broken_.contains(key)) problem(line_of(key), fmt::format("{}: {}", key, what));
  }

  uint32_t line_of(const std::string& key) const {
    const auto found = lines_.find(key);
    return found == lines_.end() ? 0 : found->second;
  }
  void problem(uint32_t line, std::string_view what) {
    if (++count_ > kProblemsMax) return;
    if (!problems_.empty()) problems_ += '\n';
    problems_ += line > 0 ? fmt::format("{}:{}: {}", file_, line, what) : fmt::format("{}: {}", file_, what);
  }

  const std::string_view file_;
  Settings settings_;
  std::map<std::string, uint32_t> lines_;  // by key
  std::set<std::string> broken_;           // keys that had a problem
  std::string problems_;
  size_t count_ = 0;
};

}  // namespace

Result<Settings> parse(std::string_view text, std::string_view file) {
  Reader reader(file);
  reader.read(text);
  return reader.done();
}

Result<Settings> load(const std::string& path) {
  const auto text = read_file(path, kFileBytesMax);
  if (!text) return fail(errc::unreadable, text.error().message);
  return parse(*text, path);
}

}  // namespace courier::relay
