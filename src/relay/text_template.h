// Text with an event's fields to fill in: "https://backend/v1/{client_id}", '{"id":"{id}"}'. Pure.
//
// A slot is a scalar field's name in braces; a field that the event does not have is empty. {{topic}} is
// "{topic}" itself; braces around anything else stay as they are, so JSON needs no escapes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "relay/event.h"

namespace courier::relay {

class TextTemplate {
 public:
  enum class Into : uint8_t {
    url,     // percent-encoded but for unreserved characters (RFC 3986, 2.3)
    header,  // percent-encoded where it is not printable ASCII, so that no value ends a line
    json,    // escaped as within quotation marks
  };

  TextTemplate() = default;
  // Errors: config::errc::invalid, with the slot that is no field, and what was probably meant.
  static Result<TextTemplate> parse(std::string_view text);

  void append(std::string& out, const Event& event, Into into) const;
  bool has_slots() const { return !pieces_.empty(); }
  bool empty() const { return pieces_.empty() && rest_.empty(); }
  // What stands before the first slot.
  const std::string& head() const { return pieces_.empty() ? rest_ : pieces_.front().before; }

 private:
  struct Piece {
    std::string before;
    events::Field field{};
  };
  std::vector<Piece> pieces_;
  std::string rest_;
};

}  // namespace courier::relay
