#include "auth/acl/acl_file.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "auth/acl/labels.h"
#include "auth/acl/limits.h"
#include "auth/acl/pattern.h"
#include "base/shown_text.h"
#include "base/utf8.h"

namespace courier::auth::acl {
namespace {

constexpr size_t kShownColumns = 40;  // of a word in a message

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The blanks inside %(…) part no words.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (at < text.size()) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const size_t start = at;
    while (at < text.size() && !is_blank(text[at])) {
      const size_t closed = text.substr(at).starts_with("%(") ? text.find(')', at) : std::string_view::npos;
      at = closed == std::string_view::npos ? at + 1 : closed + 1;
    }
    words.push_back(text.substr(start, at - start));
  }
  return words;
}

struct Right {
  Access access{};
  bool deny = false;
};

std::optional<Right> right_of(std::string_view word) {
  if (word == "read") return Right{Access::read, false};
  if (word == "write") return Right{Access::write, false};
  if (word == "readwrite") return Right{Access::readwrite, false};
  if (word == "deny") return Right{Access::readwrite, true};
  return std::nullopt;
}

std::optional<Section> section_of(std::string_view keyword) {
  if (keyword == "topic") return Section::everybody;
  if (keyword == "pattern") return Section::pattern;
  if (keyword == "token") return Section::token;
  return std::nullopt;
}

class FileParser {
 public:
  explicit FileParser(std::string_view text) : text_(text) {}

  AclFile parse() {
    if (text_.size() > kFileBytesMax) {
      number_ = 1;
      problem("", fmt::format("the file has more than {} bytes", kFileBytesMax));
      return std::move(file_);
    }
    text_ = without_byte_order_mark(text_);
    while (!text_.empty() && !full_) {
      ++number_;
      line_ = cut_line(text_);
      line();
    }
    return std::move(file_);
  }

 private:
  void line() {
    if (line_.size() > kLineBytesMax) {
      problem(line_.substr(0, 0), fmt::format("the line has more than {} bytes", kLineBytesMax));
      return;
    }
    std::string_view rest = line_;
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    while (!rest.empty() && is_blank(rest.back())) rest.remove_suffix(1);
    if (rest.empty() || rest.front() == '#') return;
    if (!is_well_formed_utf8(rest)) {
      problem(bad_utf8(rest), "here is a byte that is not UTF-8; save the file as UTF-8");
      return;
    }
    const size_t end = std::find_if(rest.begin(), rest.end(), is_blank) - rest.begin();
    const std::string_view keyword = rest.substr(0, end);
    rest.remove_prefix(end);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (keyword == "user") {
      user(rest);
    } else if (const auto section = section_of(keyword)) {
      rule(*section, keyword, rest);
    } else {
      problem(keyword, fmt::format("a line begins with user, topic, pattern or token, or with # if it is a "
                                   "comment; it cannot begin with \"{}\"",
                                   shown(keyword, kShownColumns)));
    }
  }

  void user(std::string_view name) {
    const bool control = std::any_of(
        name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (name.empty()) {
      problem(end_of_line(), "a name must follow user");
    } else if (name.size() > kUserNameBytesMax || control) {
      problem(name,
              fmt::format("a user name has at most {} bytes and no control characters", kUserNameBytesMax));
    }
    // Also of a bad name: what follows is no rule for everybody.
    const auto [found, first] = users_.try_emplace(name, static_cast<uint32_t>(file_.users.size()));
    if (first) file_.users.push_back(name);
    user_ = found->second;
  }

  void rule(Section section, std::string_view keyword, std::string_view rest) {
    const std::string_view after_keyword(keyword.data() + keyword.size(), 0);
    std::vector<std::string_view> words = words_of(rest);
    FileRule rule{.section = section, .line = number_};
    if (words.empty()) {
      problem(after_keyword,
              fmt::format("a filter must follow: {} [read|write|readwrite|deny] FILTER", keyword));
      return;
    }
    if (words.size() > 1 && words.back() == "label") {
      problem(end_of_line(),
              "a name must follow label (a filter that ends on that word needs a label behind it)");
      return;
    }
    const bool labelled = words.size() > 1 && words[words.size() - 2] == "label";
    if (labelled) {
      rule.label = words.back();
      words.resize(words.size() - 2);
      if (!label(rule.label)) return;
    }
    const auto right = words.empty() ? std::nullopt : right_of(words.front());
    if (words.empty() || (words.size() == 1 && right)) {
      problem(words.empty() ? after_keyword : std::string_view(words[0].data() + words[0].size(), 0),
              fmt::format("there is no filter{}",
                          words.empty() ? std::string(" before label")
                                        : fmt::format(" after {0}; one that is called so is written "
                                                      "\"{1} readwrite {0}\"",
                                                      words[0], keyword)));
      return;
    }
    if (words.size() > 1 && !right) {
      problem(words.front(),
              fmt::format("the access is read, write, readwrite or deny, not \"{}\"; a filter with "
                          "blanks in it needs the access in front",
                          shown(words.front(), kShownColumns)));
      return;
    }
    if (right) {
      rule.access = right->access;
      rule.deny = right->deny;
      words.erase(words.begin());
    }
    const char* const start = words.front().data();
    rule.filter = {start, static_cast<size_t>(words.back().data() + words.back().size() - start)};
    if (const auto pattern = parse_pattern(rule.filter, variables_in(section)); !pattern) {
      problem(rule.filter.substr(std::min(pattern.error().at, rule.filter.size())), pattern.error().message);
      return;
    } else if (!count_variables(*pattern)) {
      problem(rule.filter, fmt::format("more than {} different variables in one file", kVariablesMax));
      return;
    }
    if (section == Section::everybody && user_) {
      rule.section = Section::user;
      rule.user = *user_;
    } else if (user_ && !noted_) {
      noted_ = true;
      file_.notes.push_back(
          {number_, column(keyword),
           fmt::format("{} lines are for everybody, also below a user line; above the first one "
                       "they would not be misread",
                       keyword)});
    }
    if (file_.rules.size() == kRulesMax) {
      problem(keyword, fmt::format("more than {} rules", kRulesMax));
      full_ = true;
      return;
    }
    file_.rules.push_back(rule);
  }

  bool label(std::string_view name) {
    if (!is_label(name)) {
      problem(name, fmt::format("a label has 1 to {} letters, digits, '_', '.' and '-': it goes on metrics",
                                kLabelBytesMax));
      return false;
    }
    labels_.insert(name);
    constexpr size_t kMax = kLabelsMax - 2;
    if (labels_.size() <= kMax) return true;
    problem(name, fmt::format("more than {} different labels: they go on metrics, so use one for many rules",
                              kMax));
    labels_.erase(name);
    return false;
  }

  bool count_variables(const Pattern& pattern) {
    for (const Level& level : pattern) {
      for (const Level::Part& part : level.parts) {
        if (!part.variable) continue;
        if (std::find(variables_.begin(), variables_.end(), *part.variable) != variables_.end()) continue;
        if (variables_.size() == kVariablesMax) return false;
        variables_.push_back(*part.variable);
      }
    }
    return true;
  }

  std::string_view end_of_line() const { return line_.substr(line_.size()); }

  std::string_view bad_utf8(std::string_view text) const {
    while (!text.empty() && first_utf8(text).valid) text.remove_prefix(first_utf8(text).size);
    return text;
  }

  // Of a view of line_.
  uint32_t column(std::string_view where) const {
    if (where.data() == nullptr || line_.data() == nullptr || where.data() < line_.data()) return 1;
    return static_cast<uint32_t>(
        1 + columns_of(line_.substr(0, static_cast<size_t>(where.data() - line_.data()))));
  }

  void problem(std::string_view where, std::string message) {
    file_.problems.push_back({number_, column(where), std::move(message)});
    if (file_.problems.size() < kProblemsMax) return;
    file_.problems.push_back({number_, 1, "and perhaps more: reading ended here"});
    full_ = true;
  }

  std::string_view text_, line_;
  uint32_t number_ = 0;
  std::optional<uint32_t> user_;
  std::unordered_map<std::string_view, uint32_t> users_;
  std::unordered_set<std::string_view> labels_;
  std::vector<Variable> variables_;
  bool full_ = false;   // no more is read
  bool noted_ = false;  // once a file is enough
  AclFile file_;
};

}  // namespace

bool gives(Access access, Action action) {
  const auto wanted = action == Action::publish ? Access::write : Access::read;
  return (static_cast<unsigned>(access) & static_cast<unsigned>(wanted)) != 0;
}

Allowed variables_in(Section section) {
  switch (section) {
    case Section::everybody:
    case Section::user:
      return Allowed::none;
    case Section::pattern:
      return Allowed::whole_values;
    case Section::token:
    case Section::grant:
      return Allowed::pieces;
  }
  return Allowed::none;
}

AclFile parse_acl_file(std::string_view text) {
  return FileParser(text).parse();
}

std::string spelt(std::string_view file, const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}:{}:{}: {}", file, problem.line, problem.column, problem.message);
  }
  return out;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string_view cut_line(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace courier::auth::acl
