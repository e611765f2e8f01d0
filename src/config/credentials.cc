#include "config/credentials.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "config/check_text.h"
#include "config/errc.h"
#include "config/schema.h"

namespace courier::config {
namespace {

// "There are: jwt, passwords", for whoever misspelt one.
std::string what_there_is(const std::string& directory) {
  constexpr size_t kNamesMax = 20;
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename());
  }
  if (names.empty()) return "There is none";
  std::ranges::sort(names);
  const bool more = names.size() > kNamesMax;
  if (more) names.resize(kNamesMax);
  return fmt::format("There are: {}{}", fmt::join(names, ", "), more ? "…" : "");
}

class Resolver {
 public:
  explicit Resolver(const char* directory) : directory_(directory ? directory : "") {}

  // All files that a section's keys name in `owner`, whose keys are called PREFIX.KEY.
  void resolve(const Section& section, const std::string& prefix, void* owner) {
    for (const Key& key : section.keys) {
      if (key.check != check_input_file) continue;
      const std::string name = prefix + std::string(key.name);
      if (const auto* text = std::get_if<TextMember>(&key.member)) resolve(name, text->of(owner));
      if (const auto* list = std::get_if<ListMember>(&key.member)) {
        for (std::string& item : list->of(owner)) resolve(name, item);
      }
    }
  }
  Result<void> done() const {
    if (!problems_.empty()) return fail(errc::invalid, problems_);
    return {};
  }

 private:
  void resolve(const std::string& key, std::string& text) {
    if (!text.starts_with(kCredential)) return;
    const std::string name = text.substr(kCredential.size());
    if (directory_.empty()) {
      return problem(
          fmt::format("{}: there is no credential {}: $CREDENTIALS_DIRECTORY is not set. systemd sets it "
                      "for a service whose unit has LoadCredential= or SetCredential=",
                      key, name));
    }
    const std::string path = directory_ + "/" + name;
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      return problem(
          fmt::format("{}: there is no credential {}: the unit file has to name it, as "
                      "LoadCredential={}:/etc/courier/{}. {}",
                      key, name, name, name, what_there_is(directory_)));
    }
    text = path;
  }
  void problem(const std::string& what) { problems_ += (problems_.empty() ? "" : "\n") + what; }

  const std::string directory_;
  std::string problems_;
};

}  // namespace

Result<void> resolve_credentials(Settings& settings, const char* directory) {
  Resolver resolver(directory);
  for (const Section& section : schema()) {
    const std::string prefix = section.name.empty() ? "" : std::string(section.name) + ".";
    for (size_t i = 0; i < owners(section, settings); ++i) {
      void* row = owner(section, settings, i);
      resolver.resolve(section, section.repeated ? prefix + row_name(section, row) + "." : prefix, row);
    }
  }
  return resolver.done();
}

Result<void> resolve_credentials(const std::vector<Section>& sections, void* owner, const char* directory) {
  Resolver resolver(directory);
  for (const Section& section : sections) {
    resolver.resolve(section, std::string(section.name) + ".", owner);
  }
  return resolver.done();
}

}  // namespace courier::config
