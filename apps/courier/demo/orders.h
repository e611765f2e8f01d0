// The orders of `courier demo`: a file of JSON lines, read and checked whole before anything starts.
//
// Needed of a line: "id", a text or a number that no other line has, and "merchant" with an "id" (or
// "merchant_id"). Whatever else it says is carried as it is: the line itself is the payload.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace courier::cli::demo {

inline constexpr size_t kOrdersMax = 1'000'000;
inline constexpr size_t kOrderBytesMax = 512 * 1024;  // below the broker's default limit of a packet

struct Order {
  std::string id;
  size_t merchant = 0;  // in Orders::merchants
  std::string line;
};

struct Orders {
  std::vector<Order> orders;
  std::vector<std::string> merchants;  // ids, in the order of their first orders
};

// errc of the system's generic category, with "FILE:LINE: what is wrong".
Result<Orders> read_orders(const std::string& file);

// The id that a phone's app reads from an order; empty when the payload has none.
std::string order_of(std::string_view payload);

// What a phone answers: {"order": …, "phone": …}.
struct Answer {
  std::string order, phone;
};
std::string answer_payload(const Answer& answer);
Answer read_answer(std::string_view payload);

}  // namespace courier::cli::demo
