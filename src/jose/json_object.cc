#include "jose/json_object.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::jose {

Result<Json> parse_object(std::string_view text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  bool too_deep = false, twice = false;
  std::string name;
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (too_deep || twice) return false;
    switch (event) {
      case Json::parse_event_t::object_start:
        names.emplace_back();
        too_deep = static_cast<size_t>(depth) >= kJsonDepthMax;
        break;
      case Json::parse_event_t::array_start:
        too_deep = static_cast<size_t>(depth) >= kJsonDepthMax;
        break;
      case Json::parse_event_t::object_end:
        names.pop_back();
        break;
      case Json::parse_event_t::key:
        name = parsed.get_ref<const std::string&>();
        twice = !names.back().insert(name).second;
        break;
      case Json::parse_event_t::array_end:
      case Json::parse_event_t::value:
        break;
    }
    return !too_deep && !twice;
  };
  Json json = Json::parse(text, look, false);
  if (twice) {
    return fail(errc::duplicate_member,
                fmt::format("the member \"{}\" stands twice in one object", name.substr(0, 64)));
  }
  if (too_deep)
    return fail(errc::bad_json, fmt::format("the JSON is more than {} levels deep", kJsonDepthMax));
  if (json.is_discarded()) return fail(errc::bad_json, "it is not JSON");
  if (!json.is_object()) return fail(errc::bad_json, "it is JSON, but not an object");
  return json;
}

const Json* member(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace courier::jose
