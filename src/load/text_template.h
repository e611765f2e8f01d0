// Text with places to fill in: "drv-{n:06}", "driver/{pick}/orders", '{"id":"{msg.id}"}'. Pure.
//
//   {n}       the client's number in its group, from 0; {n:06} with six digits at least
//   {pick}    the number of the client that was picked for this message
//   {seq}     the number of the message, counted by its publisher
//   {id}      the message's own id, for payloads that are text
//   {msg.id}  the id of the message that is being answered
//   {msg.n}   the number of the client that published it
//   {{n}}     {n} itself; all other braces are left alone
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace courier::load {

class TextTemplate {
 public:
  enum class Slot : uint8_t { number, pick, sequence, own_id, message_id, message_publisher };
  struct Values {
    uint64_t number = 0, pick = 0, sequence = 0, message_publisher = 0;
    std::string_view own_id, message_id;
  };

  TextTemplate() = default;
  // errc::invalid_scenario names the place that is not known.
  static Result<TextTemplate> parse(std::string_view text);

  void append_to(std::string& out, const Values& values) const;
  std::string fill(const Values& values) const {
    std::string out;
    append_to(out, values);
    return out;
  }
  bool uses(Slot slot) const;
  bool constant() const { return pieces_.empty(); }
  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }  // as it was written
  bool operator==(const TextTemplate& other) const { return text_ == other.text_; }

  struct Piece {
    std::string before;  // what stands before the slot
    Slot slot{};
    uint8_t width = 0;
  };
  const std::vector<Piece>& pieces() const { return pieces_; }
  const std::string& rest() const { return rest_; }  // after the last slot

 private:
  std::string text_;
  std::vector<Piece> pieces_;
  std::string rest_;
};

}  // namespace courier::load
