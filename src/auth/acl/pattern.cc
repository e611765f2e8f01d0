#include "auth/acl/pattern.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "auth/acl/limits.h"
#include "base/shown_text.h"

namespace courier::auth::acl {
namespace {

using Parsed = tl::expected<Pattern, Misplaced>;

tl::unexpected<Misplaced> misplaced(size_t at, std::string message) {
  return tl::unexpected(Misplaced{at, std::move(message)});
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<Variable::Field> field_of(char letter) {
  switch (letter) {
    case 'u':
      return Variable::Field::username;
    case 'c':
      return Variable::Field::client_id;
    case 'm':
      return Variable::Field::mountpoint;
    default:
      return std::nullopt;
  }
}

char letter_of(Variable::Field field) {
  switch (field) {
    case Variable::Field::username:
      return 'u';
    case Variable::Field::client_id:
      return 'c';
    case Variable::Field::mountpoint:
      return 'm';
  }
  return '?';
}

constexpr std::string_view kPieceForm =
    "a piece is written %(c, :, 3): u, c or m, what it is split on (1 to 8 bytes), and which piece, from 1 "
    "to 255";

// "c, :, 3", what stands between the brackets.
std::optional<Variable> parse_piece(std::string_view inside) {
  const size_t first = inside.find(','), last = inside.rfind(',');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  const std::string_view name = trimmed(inside.substr(0, first));
  const std::string_view number = trimmed(inside.substr(last + 1));
  const std::string_view delimiter = trimmed(inside.substr(first + 1, last - first - 1));
  Variable variable;
  const auto field = name.size() == 1 ? field_of(name[0]) : std::nullopt;
  const auto [end, error] = std::from_chars(number.begin(), number.end(), variable.piece);
  if (!field || error != std::errc() || end != number.end()) return std::nullopt;
  if (variable.piece == 0 || variable.piece > kPieceMax) return std::nullopt;
  if (delimiter.empty() || delimiter.size() > kDelimiterBytesMax) return std::nullopt;
  variable.field = *field;
  variable.delimiter = delimiter;
  return variable;
}

class PatternParser {
 public:
  PatternParser(std::string_view filter, Allowed allowed) : filter_(filter), allowed_(allowed) {}

  Parsed parse() {
    if (filter_.empty()) return misplaced(0, "there is no filter");
    if (filter_ == "$share" || filter_.starts_with("$share/")) {
      return misplaced(
          0,
          "a rule names the filter alone, without $share/GROUP/: shared subscriptions are decided on theirs");
    }
    for (;;) {
      if (auto done = level(); !done) return tl::unexpected(done.error());
      if (pattern_.size() > kRuleLevelsMax) {
        return misplaced(at_, fmt::format("the filter has more than {} levels", kRuleLevelsMax));
      }
      if (at_ == filter_.size()) break;
      ++at_;  // the slash
    }
    return std::move(pattern_);
  }

 private:
  using Done = tl::expected<void, Misplaced>;

  Done level() {
    const size_t start = at_;
    Level level;
    std::string text;
    bool escaped = false;
    const auto end_text = [&] {
      if (!text.empty()) level.parts.push_back({std::move(text), std::nullopt});
      text.clear();
    };
    while (at_ < filter_.size() && filter_[at_] != '/') {
      const char c = filter_[at_];
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        return misplaced(at_, "a control character cannot stand in a filter");
      }
      if (c != '%') {
        text += c;
        ++at_;
        continue;
      }
      if (allowed_ != Allowed::none && filter_.substr(at_, 2) == "%%") {
        text += '%';
        escaped = true;
        at_ += 2;
        continue;
      }
      auto variable = this->variable();
      if (!variable) return tl::unexpected(variable.error());
      if (!*variable) {
        text += c;
        ++at_;
        continue;
      }
      end_text();
      level.parts.push_back({{}, std::move(**variable)});
    }
    const bool plain = level.parts.empty() && !escaped;
    level.kind = !level.parts.empty()   ? Level::Kind::variable
                 : plain && text == "+" ? Level::Kind::any
                 : plain && text == "#" ? Level::Kind::rest
                                        : Level::Kind::text;
    if (level.kind == Level::Kind::text && text.empty()) level.parts.push_back({});
    end_text();
    if (level.kind == Level::Kind::text || level.kind == Level::Kind::variable) {
      if (auto good = no_wildcard(start); !good) return good;
    }
    if (level.kind == Level::Kind::rest && at_ != filter_.size()) {
      return misplaced(start, "# stands for all that follows, so it can only be the last level");
    }
    pattern_.push_back(std::move(level));
    return {};
  }

  // Of the level that ends here. [MQTT-4.7.1-1], [MQTT-4.7.1-2]
  Done no_wildcard(size_t start) const {
    const std::string_view level = filter_.substr(start, at_ - start);
    bool in_brackets = false;
    for (size_t i = 0; i < level.size(); ++i) {
      if (level.substr(i).starts_with("%(") && allowed_ == Allowed::pieces) in_brackets = true;
      if (level[i] == ')') in_brackets = false;
      if (in_brackets || (level[i] != '+' && level[i] != '#')) continue;
      const bool comment = level[i] == '#' && i > 0 && level[i - 1] == ' ';
      return misplaced(start + i, fmt::format("{} must be a level of its own{}", level[i],
                                              comment ? "; a comment needs a line of its own" : ""));
    }
    return {};
  }

  // At a '%'. nullopt: it is only a percent sign.
  tl::expected<std::optional<Variable>, Misplaced> variable() {
    const std::string_view rest = filter_.substr(at_);
    const char next = rest.size() > 1 ? rest[1] : '\0';
    const auto field = field_of(next);
    if (allowed_ == Allowed::none) {
      if (!field && next != '(') return std::optional<Variable>();
      return misplaced(at_,
                       fmt::format("a topic line has no variables; write {} for %{}, or pattern and %%{} for "
                                   "that very text",
                                   field ? "pattern" : "token", next, next));
    }
    if (field) {
      at_ += 2;
      return Variable{*field, {}, 0};
    }
    if (next != '(') {
      return misplaced(
          at_, fmt::format("there is no variable %{}; there are %u (user name), %c (client id) and %m "
                           "(mountpoint), and %% is a percent sign",
                           next == '\0' ? "" : shown(rest.substr(1, 1))));
    }
    if (allowed_ != Allowed::pieces)
      return misplaced(at_, "pieces of a value, %(…), stand in token lines only");
    const size_t end = rest.find(')');
    auto piece = end == std::string_view::npos ? std::nullopt : parse_piece(rest.substr(2, end - 2));
    if (!piece) return misplaced(at_, std::string(kPieceForm));
    at_ += end + 1;
    return piece;
  }

  const std::string_view filter_;
  const Allowed allowed_;
  size_t at_ = 0;
  Pattern pattern_;
};

}  // namespace

std::string spelt(const Variable& variable) {
  const char letter = letter_of(variable.field);
  if (variable.delimiter.empty()) return fmt::format("%{}", letter);
  return fmt::format("%({}, {}, {})", letter, variable.delimiter, variable.piece);
}

std::string_view meaning(Variable::Field field) {
  switch (field) {
    case Variable::Field::username:
      return "the user name";
    case Variable::Field::client_id:
      return "the client id";
    case Variable::Field::mountpoint:
      return "the mountpoint";
  }
  return "";
}

std::string_view value_of(const Variable& variable, const Subject& subject) {
  std::string_view value;
  switch (variable.field) {
    case Variable::Field::username:
      value = subject.username;
      break;
    case Variable::Field::client_id:
      value = subject.client_id;
      break;
    case Variable::Field::mountpoint:
      value = subject.mountpoint;
      break;
  }
  if (variable.delimiter.empty()) return value;
  for (uint32_t piece = 1;; ++piece) {
    const size_t end = value.find(variable.delimiter);
    if (piece == variable.piece) return value.substr(0, end);
    if (end == std::string_view::npos) return {};
    value.remove_prefix(end + variable.delimiter.size());
  }
}

bool fits_in_level(std::string_view value) {
  return !value.empty() &&
         std::none_of(value.begin(), value.end(), [](char c) { return c == '/' || c == '+' || c == '#'; });
}

Parsed parse_pattern(std::string_view filter, Allowed allowed) {
  return PatternParser(filter, allowed).parse();
}

}  // namespace courier::auth::acl
