// Text with claims in it: "{tenant}-{device.id}". Immutable, any thread.
//
// A claim is named as jose::find_claim() has it: its name, or a path through objects. "{{" and "}}" are
// braces. Claims that are text or whole numbers can be filled in. They come from outside, so what becomes of
// them is bounded and has no control characters; and since one claim may hold what stands between two,
// whoever writes "{a}-{b}" should know that a = "x-y" looks like b beginning with "y-".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jose/json_object.h"

namespace courier::auth::jwt {

class ClaimTemplate {
 public:
  // Error: bad_template.
  static Result<ClaimTemplate> parse(std::string_view text);

  // Errors: jose::errc::missing_claim (not there, or empty), bad_claim (neither text nor a whole number;
  // control characters; more than kFilledBytesMax together).
  Result<std::string> fill(const jose::Json& claims) const;

 private:
  struct Piece {
    std::string text;
    bool is_claim = false;
  };
  std::vector<Piece> pieces_;
};

// The text of one claim, as fill() takes it.
Result<std::string> claim_text(const jose::Json& claims, std::string_view path);

}  // namespace courier::auth::jwt
