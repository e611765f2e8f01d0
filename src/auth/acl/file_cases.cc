#include "auth/acl/file_cases.h"

#include <fmt/format.h>

#include "auth/acl/explanation.h"
#include "auth/acl/rule_set.h"
#include "base/shown_text.h"

namespace courier::auth::acl {
namespace {

constexpr std::string_view kMark = "#?";
constexpr std::string_view kForm =
    "a test case reads: #? USER CLIENT_ID [@MOUNTPOINT] publish|subscribe TOPIC allow|deny [label NAME]";
constexpr size_t kCasesMax = 100'000;

struct Word {
  std::string text;
  bool quoted = false;
  size_t at = 0;  // byte of the line

  bool is(std::string_view plain) const { return !quoted && text == plain; }
};

// The words from `at` on. False: a quotation mark is not closed, and `at` is where it stands.
bool read_words(std::string_view line, size_t& at, std::vector<Word>& words) {
  for (;;) {
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
    if (at == line.size()) return true;
    Word word{.at = at};
    if (line[at] == '"') {
      word.quoted = true;
      size_t i = at + 1;
      for (; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] == '\\' && i + 1 < line.size()) ++i;
        word.text += line[i];
      }
      if (i == line.size()) return false;
      at = i + 1;
    } else {
      while (at < line.size() && line[at] != ' ' && line[at] != '\t') word.text += line[at++];
    }
    words.push_back(std::move(word));
  }
}

class CaseParser {
 public:
  CaseParser(FileCases& out, std::string_view line, uint32_t number)
      : out_(out), line_(line), number_(number) {}

  void parse(size_t at) {
    if (!read_words(line_, at, words_)) {
      problem(at, "this quotation mark is not closed");
      return;
    }
    FileCase one{.line = number_};
    const Word* const user = next();
    const Word* const client = next();
    if (!user || !client) return missing();
    one.username = user->is("-") ? "" : user->text;
    one.client_id = client->text;
    const Word* action = next();
    if (action && !action->quoted && action->text.starts_with('@')) {
      one.mountpoint = action->text.substr(1);
      action = next();
    }
    if (!action) return missing();
    if (action->is("publish") || action->is("subscribe")) {
      one.action = action->is("publish") ? Action::publish : Action::subscribe;
    } else {
      return problem(action->at, fmt::format("publish or subscribe must stand here, not \"{}\"; {}",
                                             shown(action->text, 40), kForm));
    }
    const Word* const topic = next();
    const Word* const answer = next();
    if (!topic || !answer) return missing();
    one.topic = topic->text;
    if (!answer->is("allow") && !answer->is("deny")) {
      return problem(answer->at,
                     fmt::format("allow or deny must stand here, not \"{}\"; a topic with blanks needs "
                                 "quotation marks",
                                 shown(answer->text, 40)));
    }
    one.allowed = answer->is("allow");
    if (const Word* const label = next()) {
      const Word* const name = next();
      if (!label->is("label") || !name) {
        return problem(label->at, fmt::format("only label NAME may follow; {}", kForm));
      }
      one.label = name->text;
    }
    if (const Word* const more = next()) return problem(more->at, fmt::format("this is too much; {}", kForm));
    if (out_.cases.size() == kCasesMax) return problem(0, fmt::format("more than {} test cases", kCasesMax));
    out_.cases.push_back(std::move(one));
  }

 private:
  const Word* next() { return used_ < words_.size() ? &words_[used_++] : nullptr; }
  void missing() { problem(line_.size(), fmt::format("something is missing; {}", kForm)); }
  void problem(size_t at, std::string message) {
    out_.problems.push_back(
        {number_, static_cast<uint32_t>(1 + columns_of(line_.substr(0, at))), std::move(message)});
  }

  FileCases& out_;
  const std::string_view line_;
  const uint32_t number_;
  std::vector<Word> words_;
  size_t used_ = 0;
};

}  // namespace

FileCases parse_file_cases(std::string_view text) {
  FileCases out;
  text = without_byte_order_mark(text);
  for (uint32_t number = 1; !text.empty() && out.problems.size() < kProblemsMax; ++number) {
    const std::string_view line = cut_line(text);
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos || !line.substr(start).starts_with(kMark)) continue;
    CaseParser(out, line, number).parse(start + kMark.size());
  }
  return out;
}

std::optional<std::string> difference(const FileCase& one, const RuleSet& rules) {
  const Subject subject{one.username, one.client_id, one.mountpoint};
  const Explanation why = explain(rules, subject, one.action, one.topic, SIZE_MAX);
  if (why.allowed != one.allowed) {
    return fmt::format("expected {}, but {}", one.allowed ? "allow" : "deny", why.text());
  }
  const std::string label = why.rule ? why.rule->label : "";
  if (one.label && *one.label != label) {
    return fmt::format("expected label {}, but it is {}: {}", shown(*one.label, 64),
                       label.empty() ? "none" : label, why.text());
  }
  return std::nullopt;
}

}  // namespace courier::auth::acl
