// The bearer tokens that open the REST API.
//
// Plain values: the server's thread owns its copy. A comparison takes as long for a token that is nearly
// right as for any other of its length.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace courier::admin {

class Tokens {
 public:
  // `configured` and the lines of `file` (empty: none). In the file, empty lines and lines that begin with
  // '#' do not count. errc::tokens: the file cannot be read, or a token is shorter than kTokenBytesMin.
  static Result<Tokens> load(const std::vector<std::string>& configured, const std::string& file);

  bool empty() const { return tokens_.empty(); }
  // `header`: the value of Authorization, "Bearer …" (RFC 6750, section 2.1).
  bool accept(std::string_view header) const;

 private:
  std::vector<std::string> tokens_;
};

}  // namespace courier::admin
