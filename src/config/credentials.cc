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
  const std::string& problems() const { return problems_; }

 private:
  void problem(const std::string& what) { problems_ += (problems_.empty() ? "" : "\n") + what; }

  const std::string directory_;
  std::string problems_;
};

}  // namespace

Result<void> resolve_credentials(Settings& settings, const char* directory) {
  Resolver resolver(directory);
  for (const Section& section : schema()) {
    for (const Key& key : section.keys) {
      if (key.check != check_input_file) continue;
      for (size_t i = 0; i < owners(section, settings); ++i) {
        void* row = owner(section, settings, i);
        const std::string name = section.repeated
                                     ? fmt::format("{}.{}.{}", section.name, row_name(section, row), key.name)
                                     : full_name(section, key);
        if (const auto* text = std::get_if<TextMember>(&key.member)) resolver.resolve(name, text->of(row));
        if (const auto* list = std::get_if<ListMember>(&key.member)) {
          for (std::string& item : list->of(row)) resolver.resolve(name, item);
        }
      }
    }
  }
  if (!resolver.problems().empty()) return fail(errc::invalid, resolver.problems());
  return {};
}

}  // namespace courier::config
