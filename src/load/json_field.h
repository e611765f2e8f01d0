// A value of a JSON document that anybody may have written, read by what it must be. The first thing that is
// wrong is kept, with the name of its place, "series[3].tally.counts: …"; from then on every answer is empty.
//
// A field refers to the one it is part of: it lives no longer, and is not taken from a temporary.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace courier::load {

class JsonField {
 public:
  using Json = nlohmann::ordered_json;
  // The whole document. Both outlive the field.
  JsonField(const Json& document, std::string& trouble) : json_(&document), trouble_(trouble) {}

  JsonField at(std::string_view key) const&;
  JsonField at(std::string_view key) && = delete;

  uint64_t count(uint64_t least, uint64_t most) const;
  double number(double least, double most) const;
  std::string text() const;
  bool flag() const;
  // The items of a list, or the entries of a map, at most so many.
  void each(size_t most, const std::function<void(const JsonField&)>& take) const;
  void entries(size_t most, const std::function<void(const std::string&, const JsonField&)>& take) const;

  // Says what is wrong with it, if nothing was before.
  void wrong(std::string_view what) const;
  bool ok() const { return trouble_.empty(); }

 private:
  JsonField(const Json& json, const JsonField& whole, std::string_view key, size_t index)
      : json_(&json), whole_(&whole), key_(key), index_(index), trouble_(whole.trouble_) {}
  std::string path() const;
  void expected(std::string_view what) const;

  const Json* json_;
  const JsonField* whole_ = nullptr;
  std::string_view key_;  // in a map; or
  size_t index_ = 0;      // in a list
  std::string& trouble_;
};

}  // namespace courier::load
