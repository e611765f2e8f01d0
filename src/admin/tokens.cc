#include "admin/tokens.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "admin/errc.h"
#include "admin/limits.h"
#include "base/log.h"

namespace courier::admin {
namespace {

// Looks at every byte of `given` whatever they are.
bool same(std::string_view given, std::string_view token) {
  volatile unsigned difference = static_cast<unsigned>(given.size() ^ token.size()) |
                                 static_cast<unsigned>((given.size() ^ token.size()) >> 32);
  for (size_t i = 0; i < given.size(); ++i) {
    difference = difference | static_cast<unsigned char>(given[i] ^ token[i % token.size()]);
  }
  return difference == 0;
}

bool may_be_token(std::string_view text) {
  return text.size() >= kTokenBytesMin && text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Result<Tokens> Tokens::load(const std::vector<std::string>& configured, const std::string& file) {
  Tokens tokens;
  tokens.tokens_ = configured;
  if (!file.empty()) {
    std::ifstream in(file);
    if (!in) return fail(errc::tokens, "the token file " + file + " cannot be read: " + std::strerror(errno));
    struct stat status {};
    if (::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
      log::warn("everybody on this machine can read the token file; chmod 600 it", {{"file", file}});
    std::string line;
    for (size_t number = 1; std::getline(in, line); ++number) {
      line.erase(line.find_last_not_of(" \t\r") + 1);
      if (line.empty() || line.front() == '#') continue;
      if (!may_be_token(line))
        return fail(errc::tokens, "the token in line " + std::to_string(number) + " of " + file +
                                      " is not 16 to 4096 printable characters without spaces");
      tokens.tokens_.push_back(line);
      if (tokens.tokens_.size() > kTokensMax)
        return fail(errc::tokens, "there are more than " + std::to_string(kTokensMax) + " tokens in " + file);
    }
    if (in.bad()) return fail(errc::tokens, "the token file " + file + " cannot be read to its end");
  }
  for (const std::string& token : tokens.tokens_) {
    if (!may_be_token(token))
      return fail(errc::tokens, "a token of [admin] is not 16 to 4096 printable characters without spaces");
  }
  return tokens;
}

bool Tokens::accept(std::string_view header) const {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size()) return false;
  for (size_t i = 0; i < kScheme.size(); ++i) {
    if ((header[i] | 0x20) != (kScheme[i] | 0x20)) return false;
  }
  std::string_view given = header.substr(kScheme.size());
  given.remove_prefix(std::min(given.find_first_not_of(' '), given.size()));
  bool accepted = false;
  for (const std::string& token : tokens_) accepted = same(given, token) || accepted;
  return accepted;
}

}  // namespace courier::admin
