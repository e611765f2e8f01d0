#include "config/reference.h"

#include <fmt/format.h>

#include "config/schema.h"

namespace courier::config {
namespace {

constexpr size_t kLineBytes = 100;

// Words of `text` in lines that start with `prefix`.
void append_wrapped(std::string& out, std::string_view prefix, std::string_view text) {
  std::string line(prefix);
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
    if (line.size() > prefix.size() && line.size() + 1 + word.size() > kLineBytes) {
      out += line + '\n';
      line = prefix;
    }
    if (line.size() > prefix.size()) line += ' ';
    line += word;
  }
  out += line + '\n';
}

std::string_view type_name(Kind kind) {
  switch (kind) {
    case Kind::boolean:
      return "boolean";
    case Kind::count:
      return "number";
    case Kind::bytes:
      return "size";
    case Kind::duration:
      return "duration";
    case Kind::choice:
      return "choice";
    case Kind::text:
      return "text";
    case Kind::text_list:
      return "list of texts";
  }
  return "";
}

bool has_range(const Key& key) {
  switch (key.kind) {
    case Kind::count:
    case Kind::bytes:
    case Kind::duration:
    case Kind::choice:
      return true;
    case Kind::boolean:
    case Kind::text:
    case Kind::text_list:
      return false;
  }
  return false;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string example_value(const Key& key) {
  return key.kind == Kind::text_list ? fmt::format("[{}]", key.example) : fmt::format("\"{}\"", key.example);
}

void append_sample_key(std::string& out, const Section& section, const Key& key, const void* fresh) {
  append_wrapped(out, "# ", key.help);
  if (has_range(key)) append_wrapped(out, "# ", capitalised(range_text(key)) + ".");
  // A listener is nothing without its address, so that of the sample is set.
  const bool by_example =
      section.repeated ? key.required || key.name == "name" : key.required && !key.example.empty();
  if (!key.example.empty() && !section.repeated && !by_example) {
    append_wrapped(out, "# ", fmt::format("For example: {}", example_value(key)));
  }
  const bool is_set = by_example && (section.rows.in_sample || !section.repeated);
  out += fmt::format("{}{} = {}\n\n", is_set ? "" : "#", key.name,
                     by_example ? example_value(key) : toml_value(key, fresh));
}

// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void append_manual_section(std::string& out, const Section& section) {
  const std::string title = section.name.empty() ? "Top of the file" : fmt::format("`{}`", header(section));
  out += fmt::format("\n## {}\n\n{}\n\n", title, section.help);
  out += "| Key | Type | Default | Range | Reload | Since | Meaning |\n|---|---|---|---|---|---|---|\n";
  for (const Key& key : section.keys) {
    const bool no_default = section.repeated && key.required;
    std::string help(key.help);
    if (!key.example.empty()) help += fmt::format(" For example `{}`.", example_value(key));
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", key.name, type_name(key.kind),
                       no_default ? "required" : fmt::format("`{}`", toml_default(section, key)),
                       has_range(key) ? range_text(key) : "", key.reloadable ? "reload" : "restart",
                       key.since, cell(help));
  }
}

}  // namespace

std::string sample_toml() {
  std::string out =
      "# Courier's settings. What is commented out stands at its default.\n"
      "# Sizes: 4096, \"64KB\", \"16MB\", \"2GB\" (powers of 1024). Durations: \"500ms\", \"30s\", \"5m\", "
      "\"1h\", \"7d\", or\n"
      "# a number of seconds. Check a file with: courierd --config FILE --check-config\n\n";
  for (const Section& section : schema()) out += sample_section(section, fresh(section));
  out.pop_back();
  return out;
}

std::string sample_section(const Section& section, const void* fresh) {
  std::string out;
  if (!section.name.empty()) {
    append_wrapped(out, "# ", section.help);
    out += (section.repeated && !section.rows.in_sample ? "#" : "") + header(section) + "\n\n";
  }
  for (const Key& key : section.keys) append_sample_key(out, section, key, fresh);
  return out;
}

std::string manual_markdown() {
  std::string out =
      "# Configuration\n"
      "\n"
      "<!-- Written from src/config/schema.cc; a test compares. COURIER_REGENERATE=1 config_test writes it "
      "anew. -->\n"
      "\n"
      "`courierd --config FILE [--set KEY=VALUE]…` reads one TOML file. Every key may also come from the\n"
      "environment or the command line; the later source wins:\n"
      "\n"
      "1. the defaults below,\n"
      "2. the file,\n"
      "3. environment variables: `COURIER__SECTION__KEY`, as `COURIER__ADMIN__BIND=127.0.0.1:9464` or\n"
      "   `COURIER__LISTENER__0__BIND=0.0.0.0:1883`; a key at the top of the file is `COURIER__DATA_DIR`,\n"
      "4. overrides: `--set section.key=value`; of a section that may stand several times, one is named by "
      "its "
      "index or\n"
      "   its name, as `--set listener.0.bind=…` or `--set listener.mobile.bind=…`, and added if it is not "
      "there.\n"
      "\n"
      "Outside of the file, texts need no quotation marks and lists are written `a,b`. An unknown key, a "
      "value of\n"
      "the wrong type or outside of its range is an error that names file, line and, where one is near, the "
      "key that\n"
      "was probably meant; `courierd --check-config` and `courier config check` report all of them.\n"
      "`courier config reference` prints a file with every key.\n"
      "\n"
      "- A **size** is a number of bytes or a text with a unit: `4096`, `\"64KB\"`, `\"16MB\"`, `\"2GB\"`, "
      "in powers of\n"
      "  1024.\n"
      "- A **duration** is a number of seconds or a text with a unit: `\"500ms\"`, `\"30s\"`, `\"5m\"`, "
      "`\"1h\"`, `\"7d\"`.\n"
      "- **A file that is read** (not `data_dir`, nor `log.file`) may be `\"credential:NAME\"`: a credential "
      "that "
      "systemd\n"
      "  gave to the service. See [secrets.md](secrets.md).\n"
      "- **Reload** says what makes a change count: a restart, or a reload: `courier config reload`, or a "
      "SIGHUP to "
      "the\n"
      "  running node. See [reload.md](reload.md).\n";
  for (const Section& section : schema()) append_manual_section(out, section);
  return out;
}

}  // namespace courier::config
