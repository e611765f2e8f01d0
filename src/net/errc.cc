#include "net/errc.h"

#include <cctype>
#include <cerrno>

namespace courier::net {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "net"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::bad_address:
        return "not an address";
      case errc::bad_network:
        return "not a network";
      case errc::unknown_host:
        return "unknown host";
      case errc::address_in_use:
        return "address already in use";
      case errc::address_not_available:
        return "not an address of this machine";
      case errc::permission_denied:
        return "permission denied";
      case errc::refused:
        return "connection refused";
      case errc::unreachable:
        return "unreachable";
      case errc::timed_out:
        return "timed out";
      case errc::out_of_resources:
        return "out of descriptors, memory or ports";
      case errc::system:
        return "refused by the kernel";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& net_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), net_category()};
}

errc errc_of(int number) {
  switch (number) {
    case EADDRINUSE:
      return errc::address_in_use;
    case EADDRNOTAVAIL:
      return errc::address_not_available;
    case EACCES:
    case EPERM:
      return errc::permission_denied;
    case ECONNREFUSED:
      return errc::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENOENT:  // a Unix socket's path that is not there
      return errc::unreachable;
    case ETIMEDOUT:
      return errc::timed_out;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EAGAIN:  // connect(): no port left, or a Unix socket's backlog is full
      return errc::out_of_resources;
    default:
      return errc::system;
  }
}

std::string system_words(int number) {
  std::string words = std::generic_category().message(number);
  // "Address already in use" stands in the middle of our sentences; "I/O error" keeps its capital.
  if (words.size() > 1 && std::islower(static_cast<unsigned char>(words[1]))) {
    words[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(words[0])));
  }
  return words;
}

Error system_error(std::string_view what, int number) {
  return {make_error_code(errc_of(number)), std::string(what) + ": " + system_words(number)};
}

}  // namespace courier::net
