#include "config/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "base/utf8.h"
#include "config/assign.h"
#include "config/errc.h"
#include "config/schema.h"
#include "config/suggest.h"
#include "config/toml_value.h"

extern char** environ;

namespace courier::config {
namespace {

constexpr std::string_view kPrefix = "COURIER__";

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  for (;;) {
    const size_t at = text.find(separator);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + separator.size());
  }
}

std::optional<size_t> as_index(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Where a value came from, for messages.
struct Origin {
  std::string place;  // "courierd.toml:12", "--set limits.x", "COURIER__LIMITS__X"
  std::string quote;  // the line itself; empty where `place` says it all
};

// The settings under construction, and all that is wrong with them.
class Loader {
 public:
  explicit Loader(std::string_view file) : file_(file) {}

  void read_file(std::string_view text);
  void read_environment(const Environment& variables);
  void read_overrides(const std::vector<std::string>& overrides);
  void finish();  // defaults that depend on others, and rules between keys

  bool good() const { return problem_count_ == 0; }
  Loaded take();
  std::string problems() const;

 private:
  void read_entry(const FileEntry& entry);
  void read_path(const std::vector<std::string>& path, const Value& value, const Origin& origin);
  // `index` counts the rows of a repeated section, and is 0 elsewhere.
  void set(const Section& section, std::string_view key, size_t index, const Value& value,
           const Origin& origin);
  void name_rows(const Section& section);
  void check_listeners();
  void check_hooks();
  void check_sinks();
  void check_order();
  void check_cluster();
  template <typename OriginOf>
  void check_tls(const Listener& one, const OriginOf& origin);
  void check_limits();
  std::optional<size_t> row_at(const Section& section, std::string_view name_or_index, const Origin& origin);
  Origin at_line(uint32_t line) const;
  // Where a key was last set; a row's are "listener.0.bind", and "listener.0" is where it begins.
  Origin origin_of(const std::string& key) const;
  bool may_hold_a_secret(uint32_t line) const;
  void problem(const Origin& origin, std::string_view what);

  std::string_view file_;
  std::vector<std::string> lines_;
  Settings settings_;
  std::set<std::string>
      broken_;  // keys that had a problem, so that rules between keys do not add a second one
  std::map<std::string, Origin> origins_;
  bool readable_ = true;
  std::string problems_;
  size_t problem_count_ = 0;
};

// --- messages ---

// A line in a section with secrets may be a misspelt one, or the middle of a list of them; elsewhere it may
// be `admin = { tokens = … }` or the like.
bool Loader::may_hold_a_secret(uint32_t line) const {
  const auto names_section = [](std::string_view text) {
    return std::ranges::any_of(schema(), [&](const Section& section) {
      return !section.name.empty() && text.find(section.name) != std::string_view::npos &&
             std::ranges::any_of(section.keys, &Key::secret);
    });
  };
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      std::string_view stem = key.name;
      if (stem.ends_with('s')) stem.remove_suffix(1);  // one token of tokens
      if (key.secret && lines_[line - 1].find(stem) != std::string::npos) return true;
    }
  }
  for (uint32_t i = line; i > 0; --i) {
    const std::string& text = lines_[i - 1];
    const size_t start = text.find_first_not_of(" \t");
    if (start != std::string::npos && text[start] == '[') return names_section(text);
  }
  return false;
}

Origin Loader::at_line(uint32_t line) const {
  Origin origin{fmt::format("{}:{}", file_, line), ""};
  if (line == 0 || line > lines_.size() || may_hold_a_secret(line)) return origin;
  constexpr size_t kQuoteBytesMax = 200;
  std::string_view text = lines_[line - 1];
  std::string shown(text.substr(0, kQuoteBytesMax));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  if (!is_well_formed_utf8(text)) {
    for (char& c : shown) c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  if (text.size() > kQuoteBytesMax) shown += "…";
  origin.quote = fmt::format("{:>6} | {}", line, shown);
  return origin;
}

Origin Loader::origin_of(const std::string& key) const {
  const auto found = origins_.find(key);
  return found == origins_.end() ? Origin{} : found->second;
}

void Loader::problem(const Origin& origin, std::string_view what) {
  ++problem_count_;
  if (problem_count_ > kProblemsMax) return;
  if (!problems_.empty()) problems_ += '\n';
  problems_ += origin.place.empty() ? std::string(what) : fmt::format("{}: {}", origin.place, what);
  if (!origin.quote.empty()) problems_ += '\n' + origin.quote;
}

Loaded Loader::take() {
  Loaded loaded{std::move(settings_), {}};
  for (auto& [key, origin] : origins_) loaded.origins.emplace(key, std::move(origin.place));
  return loaded;
}

std::string Loader::problems() const {
  if (problem_count_ <= kProblemsMax) return problems_;
  return problems_ + fmt::format("\nand {} more", problem_count_ - kProblemsMax);
}

// The best offer for a key that a section does not have: nearby here, or of this very name elsewhere.
std::string offer_key(const Section& section, std::string_view key) {
  std::vector<std::string> known;
  for (const Key& one : section.keys) known.emplace_back(one.name);
  const auto near = suggest(key, known);
  if (near) return fmt::format("; did you mean \"{}\"?", *near);
  for (const Section& other : schema()) {
    if (!other.find(key)) continue;
    if (other.name.empty()) return fmt::format("; \"{}\" stands at the top, before the first section", key);
    return fmt::format("; \"{}\" is a key of {}", key, header(other));
  }
  if (const Section* meant = find_section(key); meant && !key.empty())
    return fmt::format("; {} is a section", header(*meant));
  return "";
}

std::string unknown_section(std::string_view name) {
  std::vector<std::string> known;
  for (const Section& section : schema()) {
    if (!section.name.empty()) known.emplace_back(section.name);
  }
  const auto near = suggest(name, known);
  return fmt::format("unknown section \"{}\"{}", name,
                     near ? fmt::format("; did you mean \"{}\"?", *near) : std::string());
}

std::string too_many(const Section& section) {
  return fmt::format("more than {} {}s", section.rows.max, section.name);
}

std::string section_label(const Section& section) {
  return section.name.empty() ? "at the top" : "in " + header(section);
}

// --- sources ---

void Loader::set(const Section& section, std::string_view key_name, size_t index, const Value& value,
                 const Origin& origin) {
  const Key* key = section.find(key_name);
  if (!key) {
    problem(origin, fmt::format("unknown key \"{}\" {}{}", key_name, section_label(section),
                                offer_key(section, key_name)));
    return;
  }
  if (section.repeated) {
    origins_[fmt::format("{}.{}.{}", section.name, index, key->name)] = origin;
  } else {
    origins_[full_name(section, *key)] = origin;
  }
  const auto why = assign(*key, owner(section, settings_, index), value);
  if (!why) return;
  broken_.insert(full_name(section, *key));
  problem(origin, fmt::format("{}: {}", full_name(section, *key), *why));
}

void Loader::read_entry(const FileEntry& entry) {
  const Section* section = find_section(entry.section);
  const Origin origin = at_line(entry.line);
  if (entry.key.empty()) {
    if (!section || entry.section.empty()) {
      problem(origin, unknown_section(entry.section));
    } else if (section->repeated && entry.index < 0) {
      problem(origin, fmt::format("\"{0}\" may stand several times: write [[{0}]]", entry.section));
    } else if (!section->repeated && entry.index >= 0) {
      problem(origin, fmt::format("\"{0}\" stands once: write [{0}]", entry.section));
    } else if (section->repeated) {
      const auto index = static_cast<size_t>(entry.index);
      if (index == section->rows.max) problem(origin, too_many(*section));
      if (index >= section->rows.max) return;
      while (section->rows.size(settings_) <= index) section->rows.add(settings_);
      origins_[fmt::format("{}.{}", section->name, index)] = origin;
    }
    return;
  }
  // The section's own entry has already said what is wrong with it.
  if (!section || section->repeated != (entry.index >= 0)) return;
  const size_t index = section->repeated ? static_cast<size_t>(entry.index) : 0;
  if (index >= section->rows.max) return;
  if (const Section* meant = find_section(entry.key); meant && section->name.empty()) {
    problem(origin, fmt::format("\"{}\" is a section: write {}", entry.key, header(*meant)));
    return;
  }
  set(*section, entry.key, index, entry.value, origin);
}

void Loader::read_file(std::string_view text) {
  lines_ = split(text, "\n");
  const auto read = read_toml(text);
  if (const auto* syntax = std::get_if<SyntaxProblem>(&read)) {
    const Origin origin = at_line(syntax->line);
    // What toml++ says may repeat a part of the line.
    problem(origin, origin.quote.empty() ? "not TOML: this line cannot be read"
                                         : fmt::format("not TOML: {}", syntax->what));
    readable_ = false;
    return;
  }
  const auto& entries = std::get<std::vector<FileEntry>>(read);
  // Rows first have to be there; a dotted key may come on the same line as its table.
  for (const FileEntry& entry : entries) {
    if (entry.key.empty()) read_entry(entry);
  }
  for (const FileEntry& entry : entries) {
    if (!entry.key.empty()) read_entry(entry);
  }
}

std::optional<size_t> Loader::row_at(const Section& section, std::string_view name_or_index,
                                     const Origin& origin) {
  const size_t count = section.rows.size(settings_);
  if (const auto index = as_index(name_or_index)) {
    if (*index < count) return index;
    if (*index > count || *index >= section.rows.max) {
      problem(origin, fmt::format("there is no {0} {1}; the next one is {2}", section.name, *index, count));
      return std::nullopt;
    }
    section.rows.add(settings_);
    return index;
  }
  for (size_t i = 0; i < count; ++i) {
    if (row_name(section, owner(section, settings_, i)) == name_or_index) return i;
  }
  if (count >= section.rows.max) {
    problem(origin, too_many(section));
    return std::nullopt;
  }
  Settings made;
  section.rows.add(made);
  const std::string name(name_or_index);
  if (const auto why = assign(*section.find("name"), section.rows.at(made, 0), name)) {
    problem(origin, fmt::format("{} \"{}\": {}", section.name, name, *why));
    return std::nullopt;
  }
  section.rows.add(settings_);
  row_name(section, section.rows.at(settings_, count)) = name;
  return count;
}

void Loader::read_path(const std::vector<std::string>& path, const Value& value, const Origin& origin) {
  if (path.size() == 1) {
    set(*find_section(""), path[0], 0, value, origin);
    return;
  }
  const Section* section = find_section(path[0]);
  if (!section || path[0].empty()) {
    problem(origin, unknown_section(path[0]));
    return;
  }
  if (path.size() == 3 && !section->repeated) {
    if (const Section* below = find_section(path[0] + "." + path[1])) {
      set(*below, path[2], 0, value, origin);
      return;
    }
  }
  if (path.size() != (section->repeated ? 3u : 2u)) {
    problem(origin, section->repeated ? fmt::format("write {0}.INDEX.KEY or {0}.NAME.KEY", section->name)
                                      : fmt::format("write {}.KEY", section->name));
    return;
  }
  size_t index = 0;
  if (section->repeated && section->find(path[2])) {  // do not add a row for a key that does not exist
    const auto row = row_at(*section, path[1], origin);
    if (!row) return;
    index = *row;
  }
  set(*section, path.back(), index, value, origin);
}

// Bare text, except that a list may be written as TOML writes it: ["a", "b"].
Value bare_value(const std::string& text) {
  if (!text.empty() && text.front() == '[') {
    auto read = read_toml("list = " + text);
    if (auto* entries = std::get_if<std::vector<FileEntry>>(&read)) {
      if (entries->size() == 1 && std::holds_alternative<std::vector<std::string>>(entries->front().value)) {
        return std::move(entries->front().value);
      }
    }
  }
  return Bare{text};
}

void Loader::read_environment(const Environment& variables) {
  // A map is sorted, so rows are added in the order of their indexes (up to ten; beyond, use a file).
  for (const auto& [name, text] : variables) {
    if (!name.starts_with(kPrefix)) continue;
    std::vector<std::string> path = split(std::string_view(name).substr(kPrefix.size()), "__");
    for (std::string& step : path) {
      std::transform(step.begin(), step.end(), step.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    }
    read_path(path, bare_value(text), {fmt::format("environment variable {}", name), ""});
  }
}

void Loader::read_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      problem({fmt::format("--set {}", text), ""}, "write KEY=VALUE");
      continue;
    }
    const std::string key = text.substr(0, equals);
    read_path(split(key, "."), bare_value(text.substr(equals + 1)), {fmt::format("--set {}", key), ""});
  }
}

// --- rules between keys ---

template <typename OriginOf>
void Loader::check_tls(const Listener& one, const OriginOf& origin) {
  const auto wrong = [&](const char* key, std::string_view what) {
    if (!broken_.contains(std::string("listener") + key)) {
      problem(origin(key), fmt::format("listener \"{}\": {}", one.name, what));
    }
  };
  if (!over_tls(one.protocol)) {
    if (!one.tls_certificates.empty()) {
      wrong(".tls_certificates",
            "it has tls_certificates, but protocol does not say that TLS is spoken: write protocol = "
            "\"mqtts\" or \"wss\"");
    }
    return;
  }
  if (one.tls_certificates.empty()) {
    wrong(".protocol", "its protocol needs tls_certificates and, in the same order, tls_keys");
  }
  if (!one.tls_keys.empty() && one.tls_keys.size() != one.tls_certificates.size()) {
    wrong(".tls_keys", "tls_keys has not as many files as tls_certificates");
  }
  if (!one.tls_ocsp_files.empty() && one.tls_ocsp_files.size() != one.tls_certificates.size()) {
    wrong(".tls_ocsp_files",
          "tls_ocsp_files has not as many files as tls_certificates; write \"\" where there is none");
  }
  if (one.tls_client_certificates != ClientCertificates::off && one.tls_client_ca_file.empty()) {
    wrong(".tls_client_certificates", "client certificates need tls_client_ca_file: who issues them");
  }
}

void Loader::name_rows(const Section& section) {
  std::set<std::string> names;
  for (size_t i = 0; i < owners(section, settings_); ++i) {
    std::string& name = row_name(section, owner(section, settings_, i));
    if (section.rows.names_repeat) {
      if (name.empty() && !broken_.contains(fmt::format("{}.name", section.name)))
        problem(origin_of(fmt::format("{}.{}", section.name, i)),
                fmt::format("a {} without a name", section.name));
      continue;
    }
    if (name.empty()) name = fmt::format("{}-{}", section.name, i);
    if (names.insert(name).second) continue;
    problem(origin_of(fmt::format("{}.{}.name", section.name, i)),
            fmt::format("two {}s have the name \"{}\"", section.name, name));
  }
}

void Loader::check_listeners() {
  auto& listeners = settings_.listeners;
  if (listeners.empty()) {
    Listener one;
    one.name = "mqtt";
    one.bind = "0.0.0.0:1883";
    listeners.push_back(std::move(one));
  }
  std::map<std::string, size_t> binds;
  for (size_t i = 0; i < listeners.size(); ++i) {
    Listener& one = listeners[i];
    const auto origin = [&](const char* key) { return origin_of(fmt::format("listener.{}{}", i, key)); };
    if (one.proxy_protocol != ProxyProtocol::off && one.proxy_trusted.empty()) {
      problem(
          origin(".proxy_trusted"),
          fmt::format("listener \"{}\": proxy_trusted is empty, so nobody's PROXY header would be believed",
                      one.name));
    }
    check_tls(one, origin);
    if (one.bind.empty()) {
      if (!broken_.contains("listener.bind")) {
        problem(origin(""),
                fmt::format("listener \"{}\": it has no bind; set its address and port", one.name));
      }
    } else if (!one.bind.ends_with(":0") && !binds.emplace(one.bind, i).second) {
      problem(origin(".bind"), fmt::format("two listeners have the address {}", one.bind));
    }
  }
  if (binds.contains(settings_.admin.bind)) {
    problem(origin_of("admin.bind"),
            fmt::format("admin.bind: listener \"{}\" has the address {}",
                        listeners[binds[settings_.admin.bind]].name, settings_.admin.bind));
  }
}

void Loader::check_limits() {
  const Limits& limits = settings_.limits;
  for (const auto name : {"limits.packet_bytes_max", "limits.output_bytes_max", "limits.inbox_bytes_max"}) {
    if (broken_.contains(name)) return;
  }
  const auto origin = [&](const std::string& smaller) {
    return origin_of(origins_.contains(smaller) ? smaller : "limits.packet_bytes_max");
  };
  if (limits.output_bytes_max < limits.packet_bytes_max) {
    problem(origin("limits.output_bytes_max"),
            "limits.output_bytes_max: it is less than packet_bytes_max, so the largest packets could never "
            "be sent");
  }
  if (limits.inbox_bytes_max < limits.packet_bytes_max) {
    problem(
        origin("limits.inbox_bytes_max"),
        "limits.inbox_bytes_max: it is less than packet_bytes_max, so the largest messages could never wait");
  }
}

void Loader::check_hooks() {
  for (size_t i = 0; i < settings_.hooks.size(); ++i) {
    const Hook& one = settings_.hooks[i];
    const auto origin = [&](const char* key) { return origin_of(fmt::format("hook.{}{}", i, key)); };
    if (one.endpoint.empty() && !broken_.contains("hook.endpoint"))
      problem(origin(""), fmt::format("hook {} \"{}\": it has no endpoint; set its URL", i, one.name));
    if (one.on_failure == OnFailure::allow && one.name == "on_auth_m5") {
      problem(origin(".on_failure"),
              "hook.on_failure: nobody is authenticated by an endpoint that does not answer, so it cannot be "
              "\"allow\" of on_auth_m5");
    }
    if (one.certificate_file.empty() && !one.key_file.empty())
      problem(origin(".key_file"), "hook.key_file: there is no certificate_file that it belongs to");
  }
}

void Loader::check_sinks() {
  for (size_t i = 0; i < settings_.sinks.size(); ++i) {
    const Sink& one = settings_.sinks[i];
    const auto origin = [&](const char* key) { return origin_of(fmt::format("sink.{}{}", one.name, key)); };
    if (one.events.empty() && !broken_.contains("sink.events"))
      problem(origin(""), fmt::format("sink \"{}\": it is told nothing; name its events", one.name));
    if (one.kind == SinkKind::file && one.path.empty() && !broken_.contains("sink.path"))
      problem(origin(""), fmt::format("sink \"{}\": it has no path; name its file", one.name));
    if (one.kind == SinkKind::kafka && one.kafka.brokers.empty() && !broken_.contains("sink.brokers"))
      problem(origin(""), fmt::format("sink \"{}\": it has no brokers; name some of Kafka's", one.name));
    if (one.kind == SinkKind::webhook && one.url.empty() && !broken_.contains("sink.url"))
      problem(origin(""), fmt::format("sink \"{}\": it has no url; say where to", one.name));
    if (one.kind == SinkKind::webhook && one.profile == WebhookProfile::otlp &&
        !broken_.contains("sink.events")) {
      for (const std::string& kind : one.events) {
        if (kind == "connect" || kind == "publish" || kind == "deliver" || kind == "delivery_complete")
          continue;
        problem(
            origin(".events"),
            fmt::format("sink \"{}\": {} becomes no span; connect, publish, deliver and delivery_complete do",
                        one.name, kind));
      }
    }
    if (one.kind == SinkKind::webhook && one.profile == WebhookProfile::vernemq &&
        !broken_.contains("sink.events")) {
      for (const std::string& kind : one.events) {
        if (kind == "disconnect" || kind == "unsubscribe" || kind == "deliver") {
          problem(
              origin(".events"),
              fmt::format("sink \"{}\": VerneMQ has no webhook that would tell of {}; use another profile, "
                          "or leave it out",
                          one.name, kind));
        }
      }
    }
    if (one.kafka.username.empty() != one.kafka.password_file.empty())
      problem(origin(".username"), "sink.username and sink.password_file: one needs the other");
  }
}

// Who decides first. Each name once, and only of what is configured.
void Loader::check_order() {
  const Auth& auth = settings_.auth;
  std::set<std::string> seen;
  for (const std::string& name : auth.order) {
    const auto* known = std::ranges::find(kAuthenticators, name);
    if (known == std::end(kAuthenticators)) {
      problem(origin_of("auth.order"), fmt::format("auth.order: there is no \"{}\"; there are {}", name,
                                                   fmt::join(kAuthenticators, ", ")));
    } else if (!seen.insert(name).second) {
      problem(origin_of("auth.order"), fmt::format("auth.order: \"{}\" stands twice", name));
    } else if (!is_configured(settings_, name)) {
      problem(origin_of("auth.order"), fmt::format("auth.order: \"{}\" is not configured", name));
    }
  }
  if (auth.order.empty()) return;
  for (const std::string_view name : kAuthenticators) {
    if (is_configured(settings_, name) && !seen.contains(std::string(name))) {
      problem(origin_of("auth.order"),
              fmt::format("auth.order: \"{}\" is configured but would never be asked; name it, too", name));
    }
  }
}

void Loader::check_cluster() {
  const Cluster& cluster = settings_.cluster;
  const auto origin = [&](const char* key) { return origin_of(std::string("cluster.") + key); };
  if (cluster.name.empty()) {
    if (!broken_.contains("cluster.name") && !(cluster.node.empty() && cluster.etcd.empty()))
      problem(
          origin(cluster.node.empty() ? "etcd" : "node"),
          "cluster.name: it is not set, so this would be a node alone; name the cluster, or take the other "
          "settings of [cluster] out");
    return;
  }
  if (cluster.node.empty() && !broken_.contains("cluster.node"))
    problem(origin("name"), "cluster.node: each node of a cluster needs a name of its own");
  if (cluster.etcd.empty() && !broken_.contains("cluster.etcd"))
    problem(origin("name"), "cluster.etcd: say where etcd is, HOST:PORT of each of its members");
  const std::set<std::string> endpoints(cluster.etcd.begin(), cluster.etcd.end());
  if (endpoints.size() != cluster.etcd.size())
    problem(origin("etcd"), "cluster.etcd: an address stands there twice");
  const auto pair = [&](const char* one_name, const std::string& one, const char* other_name,
                        const std::string& other) {
    if (one.empty() == other.empty()) return;
    problem(origin(one.empty() ? other_name : one_name),
            fmt::format("cluster.{}: it goes with {}, which is not set", one.empty() ? other_name : one_name,
                        one.empty() ? one_name : other_name));
  };
  pair("etcd_username", cluster.etcd_username, "etcd_password_file", cluster.etcd_password_file);
  pair("etcd_certificate_file", cluster.etcd_certificate_file, "etcd_key_file", cluster.etcd_key_file);
  pair("mesh_certificate_file", cluster.mesh_certificate_file, "mesh_key_file", cluster.mesh_key_file);
  pair("mesh_certificate_file", cluster.mesh_certificate_file, "mesh_ca_file", cluster.mesh_ca_file);
  if (!cluster.etcd_certificate_file.empty() && cluster.etcd_ca_file.empty())
    problem(origin("etcd_certificate_file"),
            "cluster.etcd_certificate_file: it is shown over TLS only; set etcd_ca_file, too");
  const bool anywhere = cluster.mesh_bind.starts_with("0.0.0.0:") || cluster.mesh_bind.starts_with("[::]:");
  if (anywhere && cluster.mesh_address.empty())
    problem(origin("mesh_bind"),
            fmt::format("cluster.mesh_address: other nodes cannot connect to {}; say by which address they "
                        "reach this node",
                        cluster.mesh_bind));
  // One appended batch, and what may stand behind it, must be kept whole by whoever reads it.
  constexpr uint64_t kPacketBytesMax = 128 * kMegabyte;
  if (settings_.limits.packet_bytes_max > kPacketBytesMax && !broken_.contains("limits.packet_bytes_max"))
    problem(origin_of("limits.packet_bytes_max"),
            "limits.packet_bytes_max: in a cluster it is at most 128 MB");
}

void Loader::finish() {
  if (!readable_) return;  // the file's settings are missing, and every rule would complain about that
  for (const Section& section : schema()) {
    if (section.repeated) name_rows(section);
  }
  check_listeners();
  check_limits();
  check_hooks();
  check_sinks();
  check_cluster();
  const bool broken = broken_.contains("auth.allow_anonymous") || broken_.contains("auth.password_file") ||
                      broken_.contains("auth.certificate_username");
  const bool somebody = std::ranges::any_of(
      kAuthenticators, [&](std::string_view name) { return is_configured(settings_, name); });
  if (!somebody && !broken) {
    problem(
        {"auth", ""},
        "nobody could connect: allow_anonymous is false and no other way to authenticate is configured. Set "
        "auth.password_file (`courier passwd` writes one), keys of auth.jwt, auth.certificate_username, a "
        "[[hook]] auth_on_register, or "
        "auth.allow_anonymous = true to let everybody in");
  }
  const Auth& auth = settings_.auth;
  if (!auth.certificate_mountpoint.empty() && auth.certificate_username.empty()) {
    problem(origin_of("auth.certificate_mountpoint"),
            "auth.certificate_mountpoint: it says the tenant of who comes in by auth.certificate_username, "
            "which is not set");
  }
  check_order();
}

Result<Loaded> run(const std::optional<std::string_view>& text, std::string_view file,
                   const std::vector<std::string>& overrides, const Environment& variables) {
  Loader loader(file);
  if (text) loader.read_file(*text);
  loader.read_environment(variables);
  loader.read_overrides(overrides);
  loader.finish();
  if (!loader.good()) return fail(errc::invalid, loader.problems());
  return loader.take();
}

}  // namespace

Environment environment() {
  Environment out;
  for (char** at = environ; at && *at; ++at) {
    const std::string_view variable(*at);
    const size_t equals = variable.find('=');
    if (equals == std::string_view::npos || !variable.starts_with(kPrefix)) continue;
    out.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return out;
}

Result<Loaded> parse_with_origins(std::string_view text, std::string_view file,
                                  const std::vector<std::string>& overrides, const Environment& variables) {
  return run(text, file, overrides, variables);
}

Result<Loaded> load_with_origins(const std::optional<std::string>& path,
                                 const std::vector<std::string>& overrides, const Environment& variables) {
  if (!path) return run(std::nullopt, "", overrides, variables);
  std::ifstream in(*path, std::ios::binary);
  if (!in) {
    return fail(errc::unreadable,
                fmt::format("cannot read {}: {}", *path, std::generic_category().message(errno)));
  }
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) {
    return fail(errc::unreadable, fmt::format("cannot read {}: it is not a file that can be read", *path));
  }
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kFileBytesMax) {
    return fail(errc::unreadable, fmt::format("cannot read {}: it is larger than 4MB", *path));
  }
  return run(text, *path, overrides, variables);
}

Result<Settings> parse(std::string_view text, std::string_view file,
                       const std::vector<std::string>& overrides, const Environment& variables) {
  auto loaded = parse_with_origins(text, file, overrides, variables);
  if (!loaded) return fail(std::move(loaded).error());
  return std::move(loaded->settings);
}

Result<Settings> load(const std::optional<std::string>& path, const std::vector<std::string>& overrides,
                      const Environment& variables) {
  auto loaded = load_with_origins(path, overrides, variables);
  if (!loaded) return fail(std::move(loaded).error());
  return std::move(loaded->settings);
}

}  // namespace courier::config
