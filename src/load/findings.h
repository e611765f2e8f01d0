// What is wrong with a scenario, or looks wrong, said so that a person can mend it: file, line, the line
// itself, what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "load/scenario.h"

namespace courier::load {

struct Finding {
  enum class Kind : uint8_t { error, warning };
  Kind kind{};
  Place place;
  std::string message;
};

class Findings {
 public:
  // `text` is the file's content; both are kept.
  Findings(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)) {}

  void error(Place place, std::string message) { add(Finding::Kind::error, place, std::move(message)); }
  void warning(Place place, std::string message) { add(Finding::Kind::warning, place, std::move(message)); }
  bool has_errors() const;
  const std::vector<Finding>& all() const { return all_; }  // at most kFindingsMax
  const std::string& file() const { return file_; }

  // "storm.yaml:12:7: error: …", the line, and a mark below it.
  std::string describe(const Finding& finding) const;
  // All of them in the order of the file.
  std::string describe() const;

 private:
  void add(Finding::Kind kind, Place place, std::string message);
  std::string_view line(uint32_t number) const;

  std::string file_, text_;
  std::vector<Finding> all_;
};

}  // namespace courier::load
