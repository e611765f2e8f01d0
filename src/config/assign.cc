#include "config/assign.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "config/quantity.h"
#include "config/suggest.h"

namespace courier::config {
namespace {

using Problem = std::optional<std::string>;

// A file cannot hold anything else; the environment and the command line could.
constexpr const char* kNotUtf8 = "must be UTF-8";

std::string_view wanted(Kind kind) {
  switch (kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::count:
      return "a whole number";
    case Kind::bytes:
      return "a size, as in \"64MB\" or 4096";
    case Kind::duration:
      return "a duration, as in \"30s\", \"5m\", \"1h\" or a number of seconds";
    case Kind::choice:
      return "a text";
    case Kind::text:
      return "a text in quotation marks";
    case Kind::text_list:
      return "a list of texts, as in [\"a\", \"b\"]";
  }
  return "";
}

std::string_view described(const Value& value) {
  struct Visitor {
    std::string_view operator()(bool) const { return "a boolean"; }
    std::string_view operator()(int64_t) const { return "a whole number"; }
    std::string_view operator()(double) const { return "a number with a fraction"; }
    std::string_view operator()(const std::string&) const { return "a text"; }
    std::string_view operator()(const std::vector<std::string>&) const { return "a list"; }
    std::string_view operator()(const Bare&) const { return "a text"; }
    std::string_view operator()(const Unfit& unfit) const { return unfit.what; }
  };
  return std::visit(Visitor{}, value);
}

std::string wrong_kind(const Key& key, const Value& value) {
  if (key.kind != Kind::text && key.kind != Kind::text_list) {
    if (const auto* bare = std::get_if<Bare>(&value); bare && !key.secret) {
      return fmt::format("must be {}, but it is \"{}\"", wanted(key.kind), bare->text);
    }
    if (const auto* text = std::get_if<std::string>(&value); text && !key.secret) {
      return fmt::format("must be {}, but it is \"{}\"", wanted(key.kind), *text);
    }
  }
  return fmt::format("must be {}, but it is {}", wanted(key.kind), described(value));
}

const std::string* text_of(const Value& value) {
  if (const auto* bare = std::get_if<Bare>(&value)) return &bare->text;
  return std::get_if<std::string>(&value);
}

Problem set_number(const Key& key, void* owner, int64_t number) {
  const bool fits = (number >= key.min && number <= key.max) || (number == 0 && !key.zero_means.empty());
  if (!fits) return fmt::format("must be {}", range_text(key));
  std::get<NumberMember>(key.member).set(owner, number);
  return std::nullopt;
}

Problem assign_boolean(const Key& key, void* owner, const Value& value) {
  if (const bool* b = std::get_if<bool>(&value)) return set_number(key, owner, *b ? 1 : 0);
  if (const auto* bare = std::get_if<Bare>(&value)) {
    if (bare->text == "true") return set_number(key, owner, 1);
    if (bare->text == "false") return set_number(key, owner, 0);
  }
  return wrong_kind(key, value);
}

Problem assign_count(const Key& key, void* owner, const Value& value) {
  if (const auto* n = std::get_if<int64_t>(&value)) return set_number(key, owner, *n);
  if (const auto* bare = std::get_if<Bare>(&value)) {
    int64_t n = 0;
    const char* end = bare->text.data() + bare->text.size();
    const auto [at, error] = std::from_chars(bare->text.data(), end, n);
    if (error == std::errc() && at == end) return set_number(key, owner, n);
  }
  return wrong_kind(key, value);
}

Problem assign_bytes(const Key& key, void* owner, const Value& value) {
  if (const auto* n = std::get_if<int64_t>(&value)) return set_number(key, owner, *n);
  if (const auto* text = text_of(value)) {
    if (const auto n = parse_bytes(*text)) return set_number(key, owner, *n);
  }
  return wrong_kind(key, value);
}

Problem assign_duration(const Key& key, void* owner, const Value& value) {
  // What is too large to be kept in milliseconds is beyond every range, too.
  constexpr int64_t kSecondsMax = 1'000'000'000'000;
  if (const auto* seconds = std::get_if<int64_t>(&value)) {
    const bool sane = *seconds >= 0 && *seconds <= kSecondsMax;
    return set_number(key, owner, sane ? *seconds * 1000 : -1);
  }
  if (const auto* seconds = std::get_if<double>(&value)) {
    const bool sane = *seconds >= 0 && *seconds <= static_cast<double>(kSecondsMax);  // false for NaN
    return set_number(key, owner, sane ? std::llround(*seconds * 1000) : -1);
  }
  if (const auto* text = text_of(value)) {
    if (const auto ms = parse_duration_ms(*text)) return set_number(key, owner, *ms);
  }
  return wrong_kind(key, value);
}

Problem assign_choice(const Key& key, void* owner, const Value& value) {
  const std::string* text = text_of(value);
  if (!text) return wrong_kind(key, value);
  std::vector<std::string> known;
  for (size_t i = 0; i < key.choices.size(); ++i) {
    if (*text == key.choices[i]) return set_number(key, owner, static_cast<int64_t>(i));
    known.emplace_back(key.choices[i]);
  }
  std::string problem = fmt::format("must be {}, but it is \"{}\"", range_text(key), *text);
  if (const auto near = suggest(*text, known)) problem += fmt::format("; did you mean \"{}\"?", *near);
  return problem;
}

Problem assign_text(const Key& key, void* owner, const Value& value) {
  const std::string* text = text_of(value);
  if (!text) return wrong_kind(key, value);
  if (text->empty() && key.required) return "must not be empty";
  if (!is_well_formed_utf8(*text)) return kNotUtf8;
  if (key.check && !text->empty()) {
    if (const auto why = key.check(*text)) return *why;
  }
  std::get<TextMember>(key.member).of(owner) = *text;
  return std::nullopt;
}

// "a, b" as the environment has it; [ "a", "b" ] was taken apart before.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return out;
}

Problem assign_list(const Key& key, void* owner, const Value& value) {
  std::vector<std::string> items;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    items = *list;
  } else if (const auto* bare = std::get_if<Bare>(&value)) {
    items = split_list(bare->text);
  } else {
    return wrong_kind(key, value);
  }
  for (const std::string& item : items) {
    if (!is_well_formed_utf8(item)) return kNotUtf8;
    if (!key.check) continue;
    if (const auto why = key.check(item)) {
      return key.secret ? *why : fmt::format("\"{}\": {}", item, *why);
    }
  }
  std::get<ListMember>(key.member).of(owner) = std::move(items);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> assign(const Key& key, void* owner, const Value& value) {
  switch (key.kind) {
    case Kind::boolean:
      return assign_boolean(key, owner, value);
    case Kind::count:
      return assign_count(key, owner, value);
    case Kind::bytes:
      return assign_bytes(key, owner, value);
    case Kind::duration:
      return assign_duration(key, owner, value);
    case Kind::choice:
      return assign_choice(key, owner, value);
    case Kind::text:
      return assign_text(key, owner, value);
    case Kind::text_list:
      return assign_list(key, owner, value);
  }
  return std::nullopt;
}

}  // namespace courier::config
