#include "auth/jwt/claim_template.h"

#include <algorithm>

#include <fmt/format.h>

#include "auth/jwt/errc.h"
#include "auth/jwt/limits.h"
#include "jose/claims.h"
#include "jose/errc.h"

namespace courier::auth::jwt {

Result<std::string> claim_text(const jose::Json& claims, std::string_view path) {
  const jose::Json* claim = jose::find_claim(claims, path);
  if (claim == nullptr || claim->is_null()) {
    return fail(jose::errc::missing_claim, fmt::format("the claim \"{}\" is missing", path));
  }
  std::string text;
  if (claim->is_string()) {
    text = claim->get<std::string>();
  } else if (claim->is_number_unsigned()) {
    text = fmt::format("{}", claim->get<uint64_t>());
  } else if (claim->is_number_integer()) {
    text = fmt::format("{}", claim->get<int64_t>());
  } else {
    return fail(jose::errc::bad_claim,
                fmt::format("the claim \"{}\" is neither text nor a whole number", path));
  }
  if (text.empty()) return fail(jose::errc::missing_claim, fmt::format("the claim \"{}\" is empty", path));
  if (text.size() > kFilledBytesMax) {
    return fail(jose::errc::bad_claim,
                fmt::format("the claim \"{}\" has more than {} bytes", path, kFilledBytesMax));
  }
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return fail(jose::errc::bad_claim, fmt::format("the claim \"{}\" holds control characters", path));
  }
  return text;
}

Result<ClaimTemplate> ClaimTemplate::parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(errc::bad_template, fmt::format("\"{}\": {}", text.substr(0, 128), why));
  };
  if (text.size() > kTemplateBytesMax)
    return bad(fmt::format("a template has at most {} bytes", kTemplateBytesMax));
  ClaimTemplate made;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) made.pieces_.push_back({std::exchange(literal, ""), false});
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return bad("a template has no control characters");
    if (c != '{' && c != '}') {
      literal += c;
    } else if (i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
    } else if (c == '}') {
      return bad("a \"}\" has no \"{\" before it; for the brace itself write \"}}\"");
    } else {
      const size_t end = text.find('}', i);
      const std::string_view name = end == std::string_view::npos ? "" : text.substr(i + 1, end - i - 1);
      if (end == std::string_view::npos)
        return bad("a \"{\" is not closed; for the brace itself write \"{{\"");
      if (name.empty() || name.find('{') != std::string_view::npos)
        return bad("braces hold the name of a claim");
      end_literal();
      made.pieces_.push_back({std::string(name), true});
      i = end;
    }
  }
  end_literal();
  if (std::none_of(made.pieces_.begin(), made.pieces_.end(),
                   [](const Piece& piece) { return piece.is_claim; })) {
    return bad("there is no claim in it, so it would be the same for everybody; write {sub}, for instance");
  }
  return made;
}

Result<std::string> ClaimTemplate::fill(const jose::Json& claims) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    if (!piece.is_claim) {
      out += piece.text;
      continue;
    }
    const auto text = claim_text(claims, piece.text);
    if (!text) return fail(text.error());
    out += *text;
  }
  if (out.size() > kFilledBytesMax) {
    return fail(jose::errc::bad_claim,
                fmt::format("the claims of a template have more than {} bytes", kFilledBytesMax));
  }
  return out;
}

}  // namespace courier::auth::jwt
