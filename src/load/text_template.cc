#include "load/text_template.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "load/errc.h"

namespace courier::load {

namespace {

constexpr uint8_t kWidthMax = 20;

constexpr std::array kSlots = {
    std::pair{std::string_view("n"), TextTemplate::Slot::number},
    std::pair{std::string_view("pick"), TextTemplate::Slot::pick},
    std::pair{std::string_view("seq"), TextTemplate::Slot::sequence},
    std::pair{std::string_view("id"), TextTemplate::Slot::own_id},
    std::pair{std::string_view("msg.id"), TextTemplate::Slot::message_id},
    std::pair{std::string_view("msg.n"), TextTemplate::Slot::message_publisher},
};

std::optional<TextTemplate::Slot> slot_of(std::string_view name) {
  for (const auto& [known, slot] : kSlots) {
    if (known == name) return slot;
  }
  return std::nullopt;
}

// The digits after "{n:": "06" or "6".
std::optional<uint8_t> width_of(std::string_view text) {
  unsigned width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  if (error != std::errc() || end != text.data() + text.size() || width > kWidthMax) return std::nullopt;
  return static_cast<uint8_t>(width);
}

// Whether a brace opens a slot: JSON has braces too, and only a short name of ours makes one a slot.
bool looks_like_slot(std::string_view inside) {
  return !inside.empty() && inside.size() <= 32 && std::all_of(inside.begin(), inside.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '_';
  });
}

void append_number(std::string& out, uint64_t value, uint8_t width) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  const auto length = static_cast<size_t>(end - digits);
  if (length < width) out.append(width - length, '0');
  out.append(digits, length);
}

}  // namespace

Result<TextTemplate> TextTemplate::parse(std::string_view text) {
  TextTemplate parsed;
  parsed.text_ = text;
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    // {{n}} stands for {n}; other doubled braces are JSON's.
    if (text.substr(at).starts_with("{{")) {
      const size_t close = text.find("}}", at);
      if (close != std::string_view::npos && looks_like_slot(text.substr(at + 2, close - at - 2))) {
        plain += text.substr(at + 1, close - at);
        at = close + 1;
        continue;
      }
    }
    const size_t end = c == '{' ? text.find('}', at) : std::string_view::npos;
    const std::string_view inside = end == std::string_view::npos ? "" : text.substr(at + 1, end - at - 1);
    if (!looks_like_slot(inside)) {
      plain += c;
      continue;
    }
    const size_t colon = inside.find(':');
    const auto slot = slot_of(inside.substr(0, colon));
    if (!slot) {
      return fail(
          errc::invalid_scenario,
          fmt::format("\"{{{}}}\" is nothing that can be filled in; there are {{n}}, {{n:06}}, {{pick}}, "
                      "{{seq}}, {{id}}, {{msg.id}} and {{msg.n}}; {{{{n}}}} stands for {{n}} itself",
                      inside));
    }
    std::optional<uint8_t> width = 0;
    if (colon != std::string_view::npos) width = width_of(inside.substr(colon + 1));
    if (!width || (*width > 0 && (*slot == Slot::message_id || *slot == Slot::own_id))) {
      return fail(errc::invalid_scenario,
                  fmt::format("\"{{{}}}\": after the colon stands the least number of digits, up to {}",
                              inside, kWidthMax));
    }
    parsed.pieces_.push_back({std::exchange(plain, {}), *slot, *width});
    at = end;
  }
  parsed.rest_ = std::move(plain);
  return parsed;
}

void TextTemplate::append_to(std::string& out, const Values& values) const {
  for (const Piece& piece : pieces_) {
    out += piece.before;
    switch (piece.slot) {
      case Slot::number:
        append_number(out, values.number, piece.width);
        break;
      case Slot::pick:
        append_number(out, values.pick, piece.width);
        break;
      case Slot::sequence:
        append_number(out, values.sequence, piece.width);
        break;
      case Slot::own_id:
        out += values.own_id;
        break;
      case Slot::message_id:
        out += values.message_id;
        break;
      case Slot::message_publisher:
        append_number(out, values.message_publisher, piece.width);
        break;
    }
  }
  out += rest_;
}

bool TextTemplate::uses(Slot slot) const {
  return std::any_of(pieces_.begin(), pieces_.end(), [&](const Piece& piece) { return piece.slot == slot; });
}

}  // namespace courier::load
