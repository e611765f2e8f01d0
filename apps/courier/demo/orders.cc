#include "courier/demo/orders.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace courier::cli::demo {
namespace {

using Json = nlohmann::json;

// An id may be a text or a whole number; empty for anything else.
std::string id_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_integer()) return found->dump();
  return {};
}

std::string merchant_of(const Json& order) {
  const auto merchant = order.find("merchant");
  if (merchant != order.end() && merchant->is_object()) return id_in(*merchant, "id");
  return id_in(order, "merchant_id");
}

// The parser's words without its own numbering: "… at line 1, column 17: syntax error …".
std::string json_mistake(const Json::parse_error& error) {
  std::string words = error.what();
  if (const size_t at = words.find("column "); at != std::string::npos) words.erase(0, at);
  return "not JSON: " + words;
}

// What is wrong with the line, or nothing.
std::string take(const std::string& line, std::string& id, std::string& merchant) {
  Json order;
  try {
    order = Json::parse(line);
  } catch (const Json::parse_error& error) {
    return json_mistake(error);
  }
  if (!order.is_object()) return "an order is a JSON object, {\"id\": …, \"merchant\": {\"id\": …}, …}";
  id = id_in(order, "id");
  if (id.empty()) return "the order has no \"id\" that is a text or a whole number";
  merchant = merchant_of(order);
  if (merchant.empty()) return "the order has no \"merchant\" with an \"id\", nor a \"merchant_id\"";
  // It becomes one level of a topic.
  if (merchant.find_first_of(std::string_view("/+#\0", 4)) != std::string::npos) {
    return fmt::format("the merchant's id \"{}\" cannot be a level of a topic: it has one of / + #",
                       merchant);
  }
  if (merchant.size() > 200) return "the merchant's id has more than 200 bytes";
  return {};
}

Failure wrong(std::errc code, std::string message) {
  return fail(Error(std::make_error_code(code), std::move(message)));
}

}  // namespace

Result<Orders> read_orders(const std::string& file) {
  errno = 0;
  std::ifstream input(file);
  if (!input) return wrong(std::errc::io_error, fmt::format("{}: {}", file, std::strerror(errno)));
  Orders read;
  std::unordered_map<std::string, size_t> merchants;
  std::unordered_map<std::string, size_t> lines;  // of the ids
  std::string line, id, merchant;
  size_t number = 0;
  while (std::getline(input, line)) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const auto complain = [&](const std::string& what) {
      return wrong(std::errc::invalid_argument, fmt::format("{}:{}: {}", file, number, what));
    };
    if (line.size() > kOrderBytesMax) {
      return complain(fmt::format("the line has {} bytes; {} at most", line.size(), kOrderBytesMax));
    }
    if (const std::string mistake = take(line, id, merchant); !mistake.empty()) return complain(mistake);
    if (const auto [known, added] = lines.emplace(id, number); !added) {
      return complain(fmt::format("the id \"{}\" is already that of line {}", id, known->second));
    }
    if (read.orders.size() == kOrdersMax) return complain(fmt::format("more than {} orders", kOrdersMax));
    const auto [place, added] = merchants.emplace(merchant, read.merchants.size());
    if (added) read.merchants.push_back(merchant);
    read.orders.push_back({id, place->second, line});
  }
  // A folder opens like a file and then cannot be read.
  if (input.bad())
    return wrong(std::errc::io_error, fmt::format("{}: cannot be read: {}", file, std::strerror(errno)));
  if (read.orders.empty())
    return wrong(std::errc::invalid_argument, fmt::format("{}: no orders in it", file));
  return read;
}

std::string order_of(std::string_view payload) {
  const Json json = Json::parse(payload, nullptr, false);
  return json.is_object() ? id_in(json, "id") : std::string();
}

std::string answer_payload(const Answer& answer) {
  return Json{{"order", answer.order}, {"phone", answer.phone}}.dump();
}

Answer read_answer(std::string_view payload) {
  const Json json = Json::parse(payload, nullptr, false);
  if (!json.is_object()) return {};
  return {id_in(json, "order"), id_in(json, "phone")};
}

}  // namespace courier::cli::demo
