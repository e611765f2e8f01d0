#include "load/json_field.h"

#include <cmath>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "load/limits.h"

namespace courier::load {

namespace {

const JsonField::Json kNothing;

}  // namespace

std::string JsonField::path() const {
  if (whole_ == nullptr) return {};
  const std::string before = whole_->path();
  if (key_.data() == nullptr) return fmt::format("{}[{}]", before, index_);
  return fmt::format("{}{}{}", before, before.empty() ? "" : ".", shown(key_, kShownWordMax));
}

void JsonField::wrong(std::string_view what) const {
  if (!ok()) return;
  const std::string place = path();
  trouble_ = place.empty() ? std::string(what) : fmt::format("{}: {}", place, what);
}

void JsonField::expected(std::string_view what) const {
  if (!ok()) return;
  if (json_->is_structured()) {
    return wrong(fmt::format("expected {}, and not a {}", what, json_->is_array() ? "list" : "map"));
  }
  const std::string found = json_->dump(-1, ' ', false, Json::error_handler_t::replace);
  wrong(fmt::format("expected {}, and not {}", what, shown(found, kShownWordMax)));
}

JsonField JsonField::at(std::string_view key) const& {
  if (!json_->is_object()) {
    expected("a map");
    return {kNothing, *this, key, 0};
  }
  const auto found = json_->find(std::string(key));
  if (found != json_->end()) return {*found, *this, key, 0};
  const JsonField absent(kNothing, *this, key, 0);
  absent.wrong("is not there");
  return absent;
}

uint64_t JsonField::count(uint64_t least, uint64_t most) const {
  if (json_->is_number_unsigned()) {
    const auto value = json_->get<uint64_t>();
    if (value >= least && value <= most) return value;
  }
  expected(fmt::format("a whole number from {} to {}", least, most));
  return 0;
}

double JsonField::number(double least, double most) const {
  if (json_->is_number()) {
    const auto value = json_->get<double>();
    if (std::isfinite(value) && value >= least && value <= most) return value;
  }
  expected(fmt::format("a number from {:g} to {:g}", least, most));
  return 0;
}

std::string JsonField::text() const {
  if (json_->is_string()) return json_->get<std::string>();
  expected("text");
  return {};
}

bool JsonField::flag() const {
  if (json_->is_boolean()) return json_->get<bool>();
  expected("true or false");
  return false;
}

void JsonField::each(size_t most, const std::function<void(const JsonField&)>& take) const {
  if (!json_->is_array()) return expected("a list");
  if (json_->size() > most) return wrong(fmt::format("{} items, and {} at most can be", json_->size(), most));
  size_t index = 0;
  for (const Json& item : *json_) {
    if (!ok()) return;
    take({item, *this, {}, index++});
  }
}

void JsonField::entries(size_t most,
                        const std::function<void(const std::string&, const JsonField&)>& take) const {
  if (!json_->is_object()) return expected("a map");
  if (json_->size() > most)
    return wrong(fmt::format("{} entries, and {} at most can be", json_->size(), most));
  for (const auto& [key, value] : json_->items()) {
    if (!ok()) return;
    take(key, {value, *this, key, 0});
  }
}

}  // namespace courier::load
