#include "courier/members_table.h"

#include "courier/text_table.h"

namespace courier::cli {

std::string members_table(const nlohmann::ordered_json& cluster) {
  using Json = nlohmann::ordered_json;
  const auto text = [](const Json& object, const char* name) { return object.value(name, std::string()); };
  const auto number = [](const Json& object, const char* name) {
    return std::to_string(object.value(name, uint64_t{0}));
  };
  TextTable table({"NODE", "EPOCH", "STATE", "REACHED", "PARTITIONS", "MESH", "ADMIN"});
  for (const Json& one : cluster.value("members", Json::array())) {
    table.add({text(one, "id") + (one.value("self", false) ? " (asked)" : ""), number(one, "epoch"),
               text(one, "state"), one.value("reachable", false) ? "yes" : "NO", number(one, "owns"),
               text(one, "mesh"), text(one, "admin")});
  }
  return table.text();
}

}  // namespace courier::cli
